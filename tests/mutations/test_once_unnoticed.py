"""What faults could change once without any test noticing it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mltfr import Recommender
from mltfr.batch import PartScorer, RunUsers
from mltfr.errors import FetchError, TokenTableError
from mltfr.evaluation.asked import _sample
from mltfr.evaluation.bootstrap import bootstrap_means
from mltfr.evaluation.protocol import EvaluationProtocol
from mltfr.evaluation.significance import paired_test
from mltfr.inference import RecommendationSpec
from mltfr.inference.index import INDEX, ItemIndex
from mltfr.interactions import Examples
from mltfr.pipeline import load_inference_model
from mltfr.storage import download
from mltfr.tokens.sources.safetensors import read_index
from mltfr.training import Callback
from support.walks import as_log, rows, walks

WALKS = walks(users=30, items=12, shortest=4, longest=7)


def seen_again(table: Any) -> int:
    return sum(item in WALKS[user] for user, item in table.select("user_id", "item_id").iter_rows())


@pytest.mark.parametrize("remove_seen", [True, False])
def test_seen_items_come_again_where_they_may(tmp_path: Path, remove_seen: bool) -> None:
    settings = f"evaluation.remove_seen={str(remove_seen).lower()}"
    recommender = Recommender("popularity", settings=settings)
    fitted = recommender.fit(as_log(rows(WALKS)), tmp_path / "run", callback=Callback())
    model = load_inference_model(tmp_path / "run")
    users = RunUsers(tmp_path / "run")
    for include_seen in (None, True, False):
        again = not remove_seen if include_seen is None else include_seen
        part = PartScorer(model, RecommendationSpec(5, include_seen)).score(users.read(0, len(users))).table
        for table in (fitted.recommend(k=5, include_seen=include_seen), part):
            assert (seen_again(table) > 0) == again


def test_an_index_of_other_vectors_is_made_again(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    vectors = [torch.randn(501, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    for number, each in enumerate(vectors):
        (tmp_path / str(number)).mkdir()
        ItemIndex.build(each).save(tmp_path / str(number))
    assert ItemIndex.load(tmp_path / "0", vectors[0]) is not None
    shutil.copy(tmp_path / "1" / INDEX, tmp_path / "0" / INDEX)
    assert ItemIndex.load(tmp_path / "0", vectors[0]) is None


def test_a_shard_outside_its_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.safetensors").write_bytes(b"there")
    (tmp_path / "in").mkdir()
    index = tmp_path / "in" / "model.safetensors.index.json"
    for name in ("../secret.safetensors", str(tmp_path / "secret.safetensors"), "a/b.safetensors"):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(TokenTableError, match="outside its own folder"):
            read_index(index)


def test_pip_is_told_to_require_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def fake(command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no")

    monkeypatch.setattr(download.subprocess, "run", fake)
    with pytest.raises(FetchError):
        download.download_wheel(f"x==1.0 --hash=sha256:{'0' * 64}", tmp_path)
    assert "--require-hashes" in commands[0]


def test_the_interval_has_its_confidence() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 50))
    means = bootstrap_means(first - second, 2000, np.random.default_rng(0))
    test = paired_test(first, second, confidence=0.9)
    assert (test.low, test.high) == pytest.approx(tuple(np.quantile(means, [0.05, 0.95])))


def test_a_sample_holds_no_example_twice() -> None:
    examples = Examples(np.arange(50), np.arange(50))
    drawn = _sample(examples, EvaluationProtocol(split="leave-one-out", max_examples=40))
    assert len(set(drawn.user.tolist())) == 40
