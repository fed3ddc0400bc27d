#!/usr/bin/env bash
# Build, test, pack and check the Android demo: what `make android` does.
# PYTHON: an interpreter with edgesdk installed. BUNDLE: the ONNX bundle to pack and to test with.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
bundle=${BUNDLE:-edgesdk/zoo/bridge-face-onnx-fp32}

# Tool -> Debian package. Installed only where it is missing, and never without saying so.
missing=()
while read -r tool package; do
  command -v "$tool" >/dev/null || missing+=("$package")
done <<'LIST'
java default-jdk-headless
keytool default-jdk-headless
mvn maven
npm npm
aapt2 aapt
zipalign zipalign
apksigner apksigner
LIST
if [ ${#missing[@]} -gt 0 ]; then
  command="apt-get install -y --no-install-recommends $(printf '%s\n' "${missing[@]}" | sort -u | xargs)"
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "make android needs tools that are not installed; on Debian or Ubuntu: sudo $command" >&2
    exit 3
  fi
  echo "installing what is missing: $command"
  apt-get -qq -o DPkg::Lock::Timeout=300 update
  DEBIAN_FRONTEND=noninteractive $command -qq -o DPkg::Lock::Timeout=300 >/dev/null
fi

"$python" android_demo/tools/gradle_check.py
"$python" android_demo/tools/write_vectors.py "$bundle" android_demo/build
"$python" android_demo/tools/build_apk.py resources
mvn -B -ntp -q -Dstyle.color=never -f android_demo verify
"$python" - <<'PEOPLE'
from edgesdk import Gallery
people = Gallery.load("android_demo/build/people.gallery", "android_demo/build/bundle").people
assert people == {"Ada": 2, "Zoë 😀": 1, "Cy": 1}, people
print("Python reads the gallery that the Android library wrote")
PEOPLE
"$python" - <<'COUNT'
import pathlib, re
found = [re.search(r'tests="(\d+)"', p.read_text()) for p in pathlib.Path("android_demo").glob("*/build/surefire-reports/TEST-*.xml")]
print(f"JUnit: {sum(int(m[1]) for m in found if m)} tests passed")
COUNT
"$python" android_demo/tools/build_apk.py apk
"$python" android_demo/tools/apk_lint.py
"$python" android_demo/tools/dex_api.py android_demo/app/build/parts/gummy-bears-api-*.signature
