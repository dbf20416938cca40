"""An exported model answers as the run does, without mltfr; what cannot be exported is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mltfr import Recommender
from mltfr.errors import ConfigError, MissingExtraError, MltfrError, OutputError
from mltfr.export import folder as export_folder
from mltfr.export import formats
from mltfr.export.example import ExportedModel
from mltfr.storage.folder import is_intact
from support.exported import WINDOW, fitted, printed


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return fitted()


@pytest.fixture(scope="module")
def onnx(recommender: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an exported folder; only to be read."""
    folder = tmp_path_factory.mktemp("onnx") / "exported"
    parity = recommender.export(folder, k=5)
    assert parity.holds
    assert parity.exported == parity.run
    assert parity.largest_difference <= 1e-4
    return folder


@pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
def test_ids_come_out_as_the_run_recommends_them(recommender: Recommender, onnx: Path) -> None:
    vocabulary = recommender.fitted.split.vocabulary.item_ids
    histories = [list(vocabulary[:3]), [], ["unknown", *vocabulary[:2] * WINDOW], list(vocabulary[5:6])]
    model, denied = ExportedModel(onnx), list(vocabulary[8:12])
    for again in (False, True):
        found = model.recommend(histories, denied, include_seen=again)
        table = recommender.recommend(histories=histories, k=5, deny=denied, include_seen=again)
        for number, best in enumerate(found):
            rows = table.filter(table["user_id"] == str(number))
            assert [item for item, _ in best] == rows["item_id"].to_list()
            assert np.allclose([score for _, score in best], rows["score"], rtol=0, atol=1e-4)
    assert model.recommend([]) == []
    everything = model.recommend([list(vocabulary[:1])], vocabulary[1:-2])[0]
    assert {item for item, _ in everything} == set(vocabulary[-2:])  # fewer candidates than k


def test_ids_that_are_numbers_stand_for_their_digits(onnx: Path) -> None:
    model = ExportedModel(onnx)
    model.items[1], model.codes = "7", {"7": 1, "8": 2}
    assert model.recommend([[7], np.array([7])]) == model.recommend([["7"], ["7"]])
    assert model.recommend([["7"]], exclude=[8]) == model.recommend([["7"]], exclude=["8"])


def test_the_example_runs_without_mltfr(onnx: Path) -> None:
    text = printed(onnx, "mltfr", "torch")
    assert f"```text\n{text}```" in (onnx / "README.md").read_text()
    assert len(text.splitlines()) == 6


def test_the_folder_describes_itself(recommender: Recommender, onnx: Path) -> None:
    manifest = json.loads((onnx / "manifest.json").read_text())
    assert {path.name for path in onnx.iterdir()} == {*manifest["files"], "manifest.json"}
    assert all(is_intact(onnx / name, entry) for name, entry in manifest["files"].items())
    assert (manifest["k"], manifest["items"], manifest["opset"]) == (5, 23, formats.OPSET)
    parity = json.loads((onnx / "parity.json").read_text())
    assert parity["same_lists"] == parity["users"] + parity["made_up"]
    users = set(recommender.fitted.split.user_ids)
    for name in ("parity.json", "items.json", "manifest.json", "README.md"):
        assert not any(f'"{user}"' in (onnx / name).read_text() for user in users)


def test_batch_and_lengths_are_dynamic_in_the_file(onnx: Path) -> None:
    import onnxruntime

    inputs = onnxruntime.InferenceSession(str(onnx / "model.onnx")).get_inputs()
    assert [(given.name, len(given.shape)) for given in inputs] == [("histories", 2), ("lengths", 1), ("excluded", 2)]
    assert all(isinstance(size, str) for given in inputs for size in given.shape)  # a name, and no number


def test_a_damaged_model_is_not_published(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, onnx: Path
) -> None:
    def damaged(graph: object, format: str, folder: Path) -> dict[str, object]:
        content = bytearray((onnx / "model.onnx").read_bytes())
        place = content.find(np.float32(recommender.fitted.model.item_embedding.weight[3, 0].item()).tobytes())
        content[place + 3] ^= 0x40  # the exponent of one weight
        (folder / "model.onnx").write_bytes(content)
        return {"format": "onnx", "opset": formats.OPSET}

    monkeypatch.setattr(export_folder, "write_model", damaged)
    with pytest.raises(MltfrError, match=r"does not answer as the run does: only .* Nothing was written"):
        recommender.export(tmp_path / "exported", k=5)
    assert list(tmp_path.iterdir()) == []


def test_only_an_export_is_replaced_and_only_if_asked(
    recommender: Recommender, tmp_path: Path, onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copied(graph: object, format: str, folder: Path) -> dict[str, object]:
        (folder / "model.onnx").write_bytes((onnx / "model.onnx").read_bytes())
        return {"format": "onnx", "opset": formats.OPSET}

    monkeypatch.setattr(export_folder, "write_model", copied)
    recommender.export(tmp_path / "mine", k=5)
    before = (tmp_path / "mine" / "manifest.json").read_bytes()
    with pytest.raises(OutputError, match=r"exists. Choose another --out, or give --overwrite"):
        recommender.export(tmp_path / "mine", k=5)
    (tmp_path / "mine" / "items.json").write_text("[]")
    recommender.export(tmp_path / "mine", k=5, overwrite=True)
    assert (tmp_path / "mine" / "manifest.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match="is not empty and not an export"):
        recommender.export(tmp_path / "other", overwrite=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        recommender.export(tmp_path / "file", overwrite=True)


def test_what_has_no_graph_is_refused_with_the_remedy(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"Unknown format 'onx'. Did you mean 'onnx'"):
        recommender.export(tmp_path / "out", "onx")
    with pytest.raises(ConfigError, match="expected a whole number of items"):
        recommender.export(tmp_path / "out", k=0)
    monkeypatch.setattr(formats, "NEEDED", ("no_such_package",))
    with pytest.raises(MissingExtraError, match=r"pip install 'mltfr\[export\]'"):
        recommender.export(tmp_path / "out")
    monkeypatch.setattr(formats.torch, "__version__", "2.6.1")
    with pytest.raises(ConfigError, match=r"needs torch 2.9 or newer, and this is 2.6.1"):
        recommender.export(tmp_path / "out", "torch")
    assert list(tmp_path.iterdir()) == []
