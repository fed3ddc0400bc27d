#!/usr/bin/env bash
# What the tests of the browser need: Chromium, and onnxruntime-web for the page. Installs what is
# missing; where it may not, it says so and the tests skip. The page itself needs the second only.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}

if ! command -v chromium >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get -qq -o DPkg::Lock::Timeout=300 update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install \
      --no-install-recommends -y chromium fonts-dejavu-core >/dev/null
  else
    echo "browser: no chromium, and this is not root on Debian: the tests in Chromium skip"
  fi
fi
$PYTHON -m edgesdk_runtimes.web --if-missing && exit
code=$?
[ $code = 3 ] || exit $code
echo "browser: without npm or network there is no onnxruntime-web: the tests of the page skip"
