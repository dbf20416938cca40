"""Every network answers outside the library as in it, from a file, in every format."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltfr import Recommender
from mltfr.backbones import BACKBONES
from mltfr.errors import ConfigError
from mltfr.training import Callback
from support.command_line import refused
from support.exported import LOG, fitted, printed, stir

NEEDED = 1e-4
OF_SASREC = ("cl4srec", "duorec")
"""Backbones whose network is SASRec's: what differs is how they are trained."""
"""What scores may differ by."""


def same(recommender: Recommender, folder: Path, format: str) -> None:
    parity = recommender.export(folder, format)
    assert parity.holds
    assert parity.largest_difference <= NEEDED
    assert parity.exported == pytest.approx(parity.run, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["none", "mltfr"])
@pytest.mark.parametrize("backbone", [name for name in BACKBONES.names() if name not in OF_SASREC])
def test_every_backbone_answers_the_same(backbone: str, fusion: str, tmp_path: Path) -> None:
    same(fitted(backbone, fusion), tmp_path / "exported", "onnx" if fusion == "mltfr" else "torch")


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["mltfr", "constant", "direct", "capacity-history"])
def test_other_fusions_and_sites_answer_the_same(fusion: str, tmp_path: Path) -> None:
    site = {"fusion": {"site": "items"}} if fusion in ("mltfr", "direct") else {}
    same(fitted("sasrec", fusion, site), tmp_path / "exported", "torch")


def test_bert4rec_with_cosines_answers_the_same_in_torch(tmp_path: Path) -> None:
    same(fitted("bert4rec", more={"backbone": {"similarity": "cosine"}}), tmp_path / "exported", "torch")
    text = printed(tmp_path / "exported", "mltfr")
    assert f"```text\n{text}```" in (tmp_path / "exported" / "README.md").read_text()


@pytest.mark.slow
def test_a_blend_of_networks_answers_the_same(tmp_path: Path) -> None:
    blend = Recommender.blend([fitted(), fitted("hstu")], [0.4, 0.6], callback=Callback())
    stir(blend.fitted.model)
    for format in ("onnx", "torch"):
        same(blend, tmp_path / format, format)


@pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
def test_what_is_no_network_is_refused_with_the_remedy(tmp_path: Path) -> None:
    markov = Recommender("markov").fit(LOG, callback=Callback())
    with pytest.raises(ConfigError, match=r"'markov' is a baseline.*or export a network: mltfr fit FILE"):
        markov.export(tmp_path / "out", "torch")
    blend = Recommender.blend([markov, fitted()], [0.5, 0.5], callback=Callback())
    with pytest.raises(ConfigError, match=r"with 'markov', which is none.* mltfr blend RUN RUN --out BLEND"):
        blend.export(tmp_path / "out", "torch")
    published = fitted(fusion="mltfr-reference")
    with pytest.raises(ConfigError, match=r"depend on chance.*Export a run of preset 'default': mltfr fit FILE"):
        published.export(tmp_path / "out", "torch")
    markov.save(tmp_path / "run")
    line = refused(tmp_path, tmp_path, "export", tmp_path / "run", "--format", "torch", "--out", tmp_path / "out")
    assert line.startswith("'markov' is a baseline: it is no network and has no graph. ")
    assert not (tmp_path / "out").exists()
