"""What `pyproject.toml` cannot say: an sdist and a wheel hold the commit that they were made from."""

from __future__ import annotations

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
PACKAGE = ROOT / "src" / "mltfr"
version = runpy.run_path(str(PACKAGE / "version.py"))


def record(package: Path) -> None:
    """Write the commit into a copy of the package; the record of an sdist that is built goes on."""
    given = PACKAGE / version["RECORD"]
    commit = given.read_text("ascii") if given.is_file() else version["commit_of"](ROOT)
    (package / version["RECORD"]).unlink(missing_ok=True)
    if commit:
        (package / version["RECORD"]).write_text(commit, "ascii")


class BuildPy(build_py):
    """Copies the package, and records the commit beside it, but for an editable installation, which asks git."""

    def run(self) -> None:
        """Build."""
        super().run()
        if not self.editable_mode:
            record(Path(self.build_lib) / "mltfr")


class Sdist(sdist):
    """Packs the sources, and the commit with them: there is no repository where they are built."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Lay out what is packed."""
        super().make_release_tree(base_dir, files)
        record(Path(base_dir) / "src" / "mltfr")


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
