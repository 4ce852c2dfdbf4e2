#!/bin/sh
# fresh.sh WHEELS ENVIRONMENT: installs the newest wheel beside the torch of the first python3 on PATH,
# runs the program, the tests of the door and the notebook of the documentation. The wheel's program names no folder
# of this machine, and the checkout's own can be moved.
set -eu
wheel=$(ls -t "$1"/gradproof-*.whl | head -1)
tests=$(cd "$(dirname "$0")" && pwd)
notebook=$tests/../../docs/pytorch.ipynb
torch=$(python3 -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0] + "/..")')
rm -rf "$2"
python3 -m venv "$2"
python="$(cd "$2" && pwd)/bin/python3"
echo "$torch" > "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch.pth"
"$python" -m pip install --quiet --disable-pip-version-check numpy safetensors pandas pytest onnx captum==0.9.0
"$python" -m pip install --quiet --disable-pip-version-check --no-deps "$wheel"
root=$(cd "$tests/../.." && pwd)
sh "$tests/moved.sh" "$root"
for program in "$2"/lib/python3*/site-packages/gradproof/bundled/bin/gradproof; do
    if readelf -d "$program" | grep 'RPATH\|RUNPATH' | tr ':[' '\n\n' | grep -q '^/'; then
        echo "$program looks for libraries in folders of this machine" >&2
        exit 1
    fi
done
cd "$2"
unset GRADPROOF_BINARY LD_LIBRARY_PATH || true
bin/gradproof doctor
OMP_NUM_THREADS=1 "$python" -m pytest -q "$tests"
OMP_NUM_THREADS=1 "$python" "$tests/notebook.py" "$notebook"
