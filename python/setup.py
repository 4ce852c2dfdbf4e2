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
    (BUNDLED / "bin/gradproof").chmod(0o755)
    for folder in ["weights", "experiments"]:
        shutil.copytree(ROOT / folder, BUNDLED / folder)


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
