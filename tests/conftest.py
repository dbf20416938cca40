"""What all tests share."""

from __future__ import annotations

import gc
import os

import pytest

from support.order import longest_first

gc.disable()  # until the tests are collected: next to nothing of that is garbage
os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: results to the bit need one number of threads
ASKED = {"MLTFR_NETWORK_TESTS", "MLTFR_TEST_DAMAGES"}
"""The project's variables that the tests themselves read; all others are the user's, and no test may depend on them."""
OTHERS = (
    "PYTHONDONTWRITEBYTECODE",  # hundreds of processes import the package, and compile it only once
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "RAY_ADDRESS", "COLUMNS", "FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS",
)
for _name in [name for name in os.environ if name.startswith("MLTFR_") and name not in ASKED] + list(OTHERS):
    os.environ.pop(_name, None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put long files first for workers; skip tests that need a package registry unless they are asked for."""
    if hasattr(config, "workerinput"):
        items[:] = longest_first(items)
    if os.environ.get("MLTFR_NETWORK_TESTS") == "1":
        return
    skip = pytest.mark.skip(reason="needs a package registry; set MLTFR_NETWORK_TESTS=1")
    for item in items:
        if "network" in item.keywords:
            item.add_marker(skip)


def pytest_collection_finish() -> None:
    """Spare what is imported and collected the garbage collections: every training of two rounds asks for one."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests away from the user's token store and data."""
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path_factory.getbasetemp() / "mltfr-home"))
