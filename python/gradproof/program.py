"""Finds the program and libtorch, and runs it. Importing this does not import torch."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

#: The version of PyTorch whose libtorch the program is built for.
TORCH = "2.11.0"

BUNDLED = Path(__file__).resolve().parent / "bundled"


class GradproofError(RuntimeError):
    """What the program said was wrong, in its own sentence."""


def binary() -> Path:
    """The program: ``$GRADPROOF_BINARY``, that of the wheel, or that of the source tree around it."""
    named = os.environ.get("GRADPROOF_BINARY")
    source = Path(__file__).resolve().parents[2] / "target/release/gradproof"
    for path in [Path(named)] if named else [BUNDLED / "bin/gradproof", source]:
        if path.is_file():
            return path
    raise GradproofError("the program is not here: install the wheel, or set GRADPROOF_BINARY")


def libraries() -> list[str]:
    """Folders of libtorch and of the CUDA libraries beside it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise GradproofError(f"PyTorch is not installed here: pip install torch=={TORCH}")
    torch = Path(spec.origin).parent
    text = (torch / "version.py").read_text(encoding="utf-8")
    found = re.search(r"__version__ = '([^'+]+)", text)
    version = found[1] if found else "an unknown version"
    if version != TORCH:
        raise GradproofError(f"PyTorch {version} is installed, {TORCH} is needed: pip install torch=={TORCH}")
    return [str(torch / "lib"), *map(str, sorted((torch.parent / "nvidia").glob("*/lib")))]


def environment() -> dict[str, str]:
    """The environment in which the program finds libtorch."""
    paths = libraries() + [p for p in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if p]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths)}


def run(words: list[str], quiet: bool = True) -> dict:
    """Runs a command and returns the object of ``--json``. Raises :class:`GradproofError`."""
    command = [str(binary()), *words, "--json", *(["--quiet"] if quiet else [])]
    stderr = subprocess.PIPE if quiet else None
    done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, stderr=stderr, text=True)
    if done.returncode != 0:
        said = (done.stderr or "").strip() or f"exit code {done.returncode}"
        raise GradproofError(said.removeprefix("gradproof: "))
    return json.loads(done.stdout)


def main() -> None:
    """The command ``gradproof`` of the wheel."""
    try:
        program, env = binary(), environment()
    except GradproofError as error:
        sys.exit(f"gradproof: {error}")
    os.execve(program, ["gradproof", *sys.argv[1:]], env)
