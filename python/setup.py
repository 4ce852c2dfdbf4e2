"""Puts the program, the weights and the experiments into the package, and the platform into its tag."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.dist import Distribution

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUNDLED = HERE / "gradproof" / "bundled"


def bundle():
    program = ROOT / "target/release/gradproof"
    if not program.is_file():
        raise SystemExit(f"no {program}: run `cargo build --release` first, or `just wheel`")
    shutil.rmtree(BUNDLED, ignore_errors=True)
    (BUNDLED / "bin").mkdir(parents=True)
    subprocess.run(["strip", "-o", BUNDLED / "bin/gradproof", program], check=True)
    forget_paths(BUNDLED / "bin/gradproof")
    (BUNDLED / "bin/gradproof").chmod(0o755)
    for folder in ["weights", "experiments"]:
        shutil.copytree(ROOT / folder, BUNDLED / folder)


def forget_paths(program):
    """Takes folders of this machine out of where the program looks for libraries (DT_RPATH, before all else)."""
    data = program.read_bytes()
    for found in set(re.findall(rb"(?<=\0)\$ORIGIN[^\0]*", data)):
        kept = b":".join(place for place in found.split(b":") if place.startswith(b"$ORIGIN"))
        data = data.replace(found + b"\0", kept.ljust(len(found), b"\0") + b"\0")
    program.write_bytes(data)


class Wheel(bdist_wheel):
    """For every Python 3 on this platform: the program is no extension module."""

    def get_tag(self):
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        return "py3", "none", platform


class Binary(Distribution):
    def has_ext_modules(self):
        return True


version = re.search(r'^version = "([^"]+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
bundle()
setup(version=version, cmdclass={"bdist_wheel": Wheel}, distclass=Binary)
