#!/bin/sh
# fresh.sh WHEELS ENVIRONMENT: installs the newest wheel beside the torch of the first python3 on PATH,
# runs the program, the tests of the door and the notebook of the documentation.
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
cd "$2"
unset GRADPROOF_BINARY LD_LIBRARY_PATH || true
bin/gradproof doctor
OMP_NUM_THREADS=1 "$python" -m pytest -q "$tests"
OMP_NUM_THREADS=1 "$python" "$tests/notebook.py" "$notebook"
