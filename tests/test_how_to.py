"""The parts that the how-to adds keep the contracts that it says prove them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltfr.backbones import BACKBONES
from mltfr.fusion import FUSIONS
from mltfr.losses import LOSSES
from mltfr.tokens.sources import TOKEN_SOURCES

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "extending.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
PARTS, SUITES = BLOCKS[::2], BLOCKS[1::2]
REGISTRIES = {"lagmixer": BACKBONES, "mlp": FUSIONS, "margin": LOSSES, "vectors": TOKEN_SOURCES}

for _suite in SUITES:  # the suites as they stand on the page: TestLagMixer, TestMLP, TestMargin, TestVectors
    exec(compile(_suite, str(PAGE), "exec"))


@pytest.fixture(scope="module", autouse=True)
def _parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Register the page's parts while this module's tests run."""
    folder = tmp_path_factory.mktemp("parts")
    for registry in REGISTRIES.values():
        registry.discover()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        for number, code in enumerate(PARTS):
            (folder / f"documented_part_{number}.py").write_text(code, "utf-8")
            importlib.import_module(f"documented_part_{number}")
        yield
    for name, registry in REGISTRIES.items():
        del registry._entries[name]


def test_the_page_has_a_part_and_a_suite_of_every_kind() -> None:
    assert (len(PARTS), len(SUITES)) == (4, 4)
    assert all(name in registry.names() for name, registry in REGISTRIES.items())
