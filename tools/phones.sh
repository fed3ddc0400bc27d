#!/usr/bin/env bash
# Builds into build/phones what the tests of phones need: two small trees with Android's real adb
# daemon (x86-64, ARM64), an ARM64 Python with ONNX Runtime and LiteRT, and qemu to run it.
# Debian with root only; elsewhere it says so, and the tests skip. Nothing else is changed but
# mmdebstrap and iproute2, installed when missing.
set -euo pipefail
cd "$(dirname "$0")/.."
UV=${UV:-.venv/bin/uv}
LIST=/etc/apt/sources.list.d/debian.sources
SUITE=trixie   # the first one with adbd 34 and with a qemu (10) that can import onnxruntime
PYTHON=3.13    # of that suite

if [ "$(id -u)" != 0 ] || [ ! -f $LIST ]; then
  echo "phones: skipped, this needs root on Debian with $LIST; the tests that use them skip as well"
  exit 0
fi
URI=$(sed -n 's/^URIs: *//p' $LIST | head -1)
mkdir -p build/phones && cd build/phones && HERE=$PWD

packages() {
  local missing=()
  command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
  command -v ip >/dev/null || missing+=(iproute2)
  [ ${#missing[@]} = 0 ] && return
  apt-get -qq -o DPkg::Lock::Timeout=300 update
  apt-get -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends -y "${missing[@]}" >/dev/null
}

tree() {  # NAME PACKAGES [OPTIONS]: unpack packages, then what Android has besides
  local into=$1 packages=$2; shift 2
  [ -e "$into/.ready" ] && return
  rm -rf "$into"
  mmdebstrap --quiet --mode=root --variant=extract --include="$packages" "$@" $SUITE "$into" "$URI"
  for folder in bin sbin lib lib64; do [ -e "$into/$folder" ] || ln -s "usr/$folder" "$into/$folder"; done
  ln -sf dash "$into/usr/bin/sh"
  mkdir -p "$into"/{proc,dev,sdcard,system/bin,data,phone}
  ln -sf /usr/bin/sh "$into/system/bin/sh"
  touch "$into/.ready"
}

qemu() {  # one static file out of a package of the newer suite; the machine's own list stays as it is
  [ -x qemu-aarch64 ] && return
  local work; work=$(mktemp -d)
  mkdir -p "$work"/{lists,cache/archives}/partial
  chmod 755 "$work"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $URI $SUITE main" >"$work/list"
  local apt=(apt-get -qq -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
    -o "Dir::Etc::sourcelist=$work/list" -o Dir::Etc::sourceparts=/nonexistent -o APT::Sandbox::User=root)
  "${apt[@]}" update
  (cd "$work" && "${apt[@]}" download qemu-user/$SUITE)
  dpkg-deb --fsys-tarfile "$work"/qemu-user_*.deb | tar -xO ./usr/bin/qemu-aarch64 >qemu.part
  chmod +x qemu.part && mv qemu.part qemu-aarch64
  rm -rf "$work"
}

wheels() {  # the versions of constraints.txt, for ARM64
  cmp -s site.txt ../../constraints.txt && return
  rm -rf site
  (cd ../.. && "$UV" pip install --quiet --target "$HERE/site" --python-platform aarch64-manylinux_2_28 \
    --python-version $PYTHON --only-binary :all: -c constraints.txt numpy onnxruntime ai-edge-litert)
  cp ../../constraints.txt site.txt
}

packages
tree x86_64 adbd,dash,coreutils
tree arm64 adbd,dash,coreutils,python3,libgomp1,libstdc++6 --arch=arm64 --skip=check/qemu
qemu
wheels
echo "phones: ready in build/phones ($(du -sh . | cut -f1))"
