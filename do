#!/bin/sh
# ./do RECIPE [ARGS...]: sets up what is missing, once, then runs `just RECIPE`. `./do` lists recipes.
# GRADPROOF_PYTHON names another Python that has torch 2.11.0, instead of .venv.
set -eu
cd "$(dirname "$0")"

fail() { printf 'do: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

has cargo || fail 'no Rust here: install 1.88 or newer as https://rustup.rs says'
has c++ || has g++ || has clang++ || fail 'no C++17 compiler here: install one, such as Debian'"'"'s g++'

if [ -n "${GRADPROOF_PYTHON:-}" ]; then
    python=$(command -v "$GRADPROOF_PYTHON") || fail "GRADPROOF_PYTHON: no such program: $GRADPROOF_PYTHON"
    found=$("$python" -c 'import torch; print(torch.__version__.split("+")[0])' 2>/dev/null) ||
        fail "GRADPROOF_PYTHON: $python has no torch; install torch==2.11.0 there"
    [ "$found" = 2.11.0 ] || fail "GRADPROOF_PYTHON: $python has torch $found; 2.11.0 is needed"
else
    python=.venv/bin/python3
    stamp=.venv/requirements.installed
    if ! cmp -s requirements.txt "$stamp" 2>/dev/null; then
        has python3 || fail 'no python3 here: install Python 3.10 or newer'
        python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
            fail "python3 is $(python3 --version 2>&1); 3.10 or newer is needed"
        printf 'do: installing libtorch (torch 2.11.0) and just into .venv: 2 to 10 minutes, 5 GB\n' >&2
        python3 -m venv .venv || fail 'python3 cannot make .venv; on Debian install python3-venv'
        .venv/bin/python3 -m pip install --quiet --disable-pip-version-check -r requirements.txt
        cp requirements.txt "$stamp"
    fi
fi
PATH="$(cd "$(dirname "$python")" && pwd):$PATH"
export PATH
has just || fail 'no `just` here: install it, for example with `pip install rust-just`'
# A Python that nobody activated: torch-sys asks the first `python3` on PATH.
unset VIRTUAL_ENV || true
exec just "$@"
