#!/bin/sh
# moved.sh CHECKOUT: the program of a copy of the checkout finds the libtorch of that copy, so that a clone can be
# moved. Nothing to see where libtorch is not in the checkout's own .venv.
set -eu
root=$(cd "$1" && pwd)
[ -d "$root/.venv/lib" ] || { echo 'moved.sh: no .venv in this checkout' >&2; exit 0; }
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/target/release"
cp "$root/target/release/gradproof" "$copy/target/release/"
ln -s "$root/.venv" "$copy/.venv"
unset LD_LIBRARY_PATH || true
found=$(ldd "$copy/target/release/gradproof" | sed -n 's/.*libtorch\.so => \([^ ]*\).*/\1/p')
case $found in
    "$copy"/*) "$copy/target/release/gradproof" doctor >/dev/null ;;
    *) echo "moved.sh: a moved program loads ${found:-no libtorch.so}, not that beside it" >&2; exit 1 ;;
esac
