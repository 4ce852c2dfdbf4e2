#!/bin/sh
# build.sh FOLDER: makes FOLDER/libtorch_cuda.so from pretend.cpp with the headers of the first python3's
# torch, unless it is there and newer.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
made=$1/libtorch_cuda.so
fresh=yes
for source in "$here"/*.cpp "$here"/*.h; do [ "$made" -nt "$source" ] || fresh=; done
[ -z "$fresh" ] || exit 0
torch=$(python3 -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])')
mkdir -p "$1"
"${CXX:-c++}" -O1 -std=c++17 -fPIC -shared -D_GLIBCXX_USE_CXX11_ABI=1 -isystem "$torch/include" "$here/pretend.cpp" \
    -o "$made.$$" -Wl,-soname,libtorch_cuda.so -L"$torch/lib" -ltorch_cpu -lc10
mv "$made.$$" "$made"
