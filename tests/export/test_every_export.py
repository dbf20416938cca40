"""Every network answers outside the library as in it, from a file, in every format."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from torch.export import ExportedProgram

from mltfr import Recommender
from mltfr.backbones import BACKBONES
from mltfr.errors import ConfigError
from mltfr.export import formats, graph
from mltfr.export.graph import SIZES_FROM_DATA, ExportGraph, graph_of, torch_version
from mltfr.training import Callback
from support.command_line import refused
from support.exported import LOG, fitted, printed, stir

NEEDED = 1e-4
"""What scores may differ by."""
OF_ONE_LENGTH = ("bsarec", "fmlp-rec", "gru4rec", "linrec")
"""Backbones of which a trace holds for one length."""
OF_SASREC = ("cl4srec", "duorec")
"""Backbones whose network is SASRec's: what differs is how they are trained."""


def same(recommender: Recommender, folder: Path, format: str) -> None:
    parity = recommender.export(folder, format)
    assert parity.holds
    assert parity.largest_difference <= NEEDED
    assert parity.exported == pytest.approx(parity.run, abs=1e-6)


@pytest.fixture
def traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace the one recommender of a test for its first export, since its graph is the same in both formats."""
    trace, programs = formats.trace, list[ExportedProgram]()

    def trace_once(graph: ExportGraph) -> ExportedProgram:
        if not programs:
            programs.append(trace(graph))
        return programs[0]

    monkeypatch.setattr(formats, "trace", trace_once)


@pytest.mark.slow
@pytest.mark.usefixtures("traced_once")
@pytest.mark.parametrize(
    ("backbone", "fusion"),
    [("sasrec", "none"), *((name, "mltfr") for name in BACKBONES.names() if name not in OF_SASREC)],
)
def test_every_backbone_answers_the_same(backbone: str, fusion: str, tmp_path: Path) -> None:
    recommender = fitted(backbone, fusion, {"backbone": {"blocks": 1}} if fusion == "mltfr" else None)
    same(recommender, tmp_path / "program", "torch")
    same(recommender, tmp_path / "exported", "onnx")
    manifest = json.loads((tmp_path / "exported" / "manifest.json").read_text())
    operators = {node.op_type for node in onnx.load(tmp_path / "exported" / "model.onnx").graph.node}
    assert ("ReduceMax" in operators) != manifest["padded_to_max_length"]  # of the lengths
    assert manifest["padded_to_max_length"] == (backbone in OF_ONE_LENGTH or torch_version() < SIZES_FROM_DATA)


def test_what_torch_cannot_trace_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = fitted().fitted
    for version, padded in (("2.12.1", True), ("2.13.0rc1", False), ("2.13.0a0+git", False), ("3.0", False)):
        monkeypatch.setattr(graph.torch, "__version__", version)
        assert graph_of(mine, 5).fixed == padded
    assert graph_of(fitted("bert4rec", more={"backbone": {"max_length": 2}}).fitted, 5).fixed  # one code and the mask


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "fusion", "site"),
    [
        ("sasrec", "mltfr", "items"),
        ("sasrec", "constant", 0),
        ("sasrec", "direct", "items"),
        ("sasrec", "capacity-history", 0),
        ("bert4rec", "direct", 0),
        ("bert4rec", "external", 0),
    ],
)
def test_other_fusions_and_sites_answer_the_same(backbone: str, fusion: str, site: int | str, tmp_path: Path) -> None:
    same(fitted(backbone, fusion, {"fusion": {"site": site}}), tmp_path / "exported", "torch")


def test_bert4rec_with_cosines_answers_the_same_in_torch(tmp_path: Path) -> None:
    same(fitted("bert4rec", more={"backbone": {"similarity": "cosine"}}), tmp_path / "exported", "torch")
    text = printed(tmp_path / "exported", "mltfr")
    assert f"```text\n{text}```" in (tmp_path / "exported" / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("traced_once")
def test_a_blend_of_networks_answers_the_same(tmp_path: Path) -> None:
    """Of one that reads the longest history of a batch, and one that reads its whole window."""
    blend = Recommender.blend([fitted(), fitted("fmlp-rec")], [0.4, 0.6], callback=Callback())
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
