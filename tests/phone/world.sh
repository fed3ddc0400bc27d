#!/usr/bin/env bash
# A private network with an adb server and phones in it: Android's real adb daemon, each with a
# folder of its own for /data.
#   world.sh ROOT ADB PORT=DATA ...   (root; ROOT is a tree of tools/phones.sh)
# Says "ready", then obeys "kill PORT" and "start PORT" line by line; ends with its input.
set -eu
[ -n "${IN_WORLD:-}" ] ||
  IN_WORLD=1 exec unshare --net --mount --pid --fork --kill-child --mount-proc bash "$0" "$@"
ROOT=$1 ADB=$2 BIN=$(dirname "$0")/bin
shift 2
declare -A DATA PID
export HOME; HOME=$(mktemp -d)
trap 'rm -rf "$HOME"' EXIT
ip link set lo up

# The daemon is a shell without a password: it runs in this network only, as Android's shell user.
start() {
  unshare --mount bash -c '
    set -eu
    mount -t proc proc "$1/proc"; mount --bind /dev "$1/dev"; mount -t devpts devpts "$1/dev/pts"
    mount --bind "$2" "$1/data"; mount --bind "$3" "$1/phone"
    exec chroot --userspec=2000:2000 "$1" /usr/bin/env -i PATH=/phone:/usr/sbin:/usr/bin \
      HOME=/data/local/tmp ADBD_PORT="$4" /usr/sbin/adbd' \
    _ "$ROOT" "${DATA[$1]}" "$BIN" "$1" >"${DATA[$1]}.log" 2>&1 </dev/null &
  PID[$1]=$!
  for _ in $(seq 100); do
    "$ADB" connect "127.0.0.1:$1" 2>/dev/null | grep -q 'connected to' && return
    sleep 0.1
  done
  echo "no phone at port $1" && exit 1
}

"$ADB" start-server >/dev/null 2>&1 </dev/null
for word in "$@"; do
  DATA[${word%%=*}]=${word#*=}
  start "${word%%=*}"
done
echo ready
while read -r order port; do
  case $order in
    kill) kill -9 "${PID[$port]}" && wait "${PID[$port]}" 2>/dev/null || true ;;
    start) "$ADB" disconnect "127.0.0.1:$port" >/dev/null 2>&1 || true; start "$port" ;;
  esac
  echo done
done
"$ADB" kill-server
