"""Runs that are asked for items held out of training: ranked among all items, beside rows that know less."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from mltfr import Recommender
from mltfr.errors import ConfigError
from mltfr.evaluation.protocol import EvaluationProtocol
from mltfr.interactions import InteractionLog
from mltfr.pipeline import resolve
from mltfr.pipeline.compare import compare_runs
from mltfr.pipeline.new_item_rows import RANDOM, VECTORS, WORDS
from mltfr.tokens import TokenStore
from mltfr.tokens.sources.synthetic import SyntheticConfig, synthetic_table, synthetic_words
from mltfr.training import Callback
from support.walks import as_log

MADE_UP = SyntheticConfig(tokens=200, width=24, clusters=12, seed=3)
ITEMS = 160
SETTINGS = {"backbone.hidden": 24, "backbone.max_length": 8, "tokens.width": 24, "names.scale": 0.5,
            "split.method": "new-items", "split.share": 0.15, "split.seed": 4}  # fmt: skip


def data() -> tuple[InteractionLog, dict[str, str]]:
    """Return histories that stay among the items of a topic, and names of a topic's words."""
    rng, drawn = np.random.default_rng(0), synthetic_words(MADE_UP)
    topics = [np.flatnonzero(drawn.clusters == cluster) for cluster in range(MADE_UP.clusters)]
    topics = [found for found in topics if len(found) > 6][:8]
    texts = {f"i{n}": " ".join(drawn.words[word] for word in rng.choice(topics[n % 8], 3)) for n in range(ITEMS)}
    rows = []
    for user in range(240):
        own = np.flatnonzero(np.arange(ITEMS) % 8 == user % 8)
        rows += [(f"u{user}", f"i{item}", time) for time, item in enumerate(rng.choice(own, 7, replace=False))]
    return as_log(rows), texts


def fit(
    texts: dict[str, str], log: InteractionLog, out: Path | None = None, more: Mapping[str, Any] = MappingProxyType({})
) -> Recommender:
    TokenStore().put(synthetic_table(MADE_UP, "made-up"))
    given: dict[str, Any] = {"tokens": "made-up", "item_names": texts, "new_items": True, "settings": SETTINGS | more}
    made = Recommender("sasrec", "none", epochs=3, **given)
    return made.fit(log, out, callback=Callback())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recommender, Path]:
    log, texts = data()
    folder = tmp_path_factory.mktemp("run") / "run"
    return fit(texts, log, folder), folder


def rows_of(document: dict[str, Any]) -> dict[str, float]:
    scores = {name: found["test"]["hr@10"] for name, found in document["baselines"].items()}
    return {"run": document["metrics"]["hr@10"], **scores}


def test_names_find_what_nobody_had(run: tuple[Recommender, Path]) -> None:
    found = rows_of(run[0].metrics)
    assert {"run", "popularity", "markov", "item-knn", "name-knn", RANDOM, WORDS, VECTORS} == set(found)
    assert found["run"] > 3 * found[RANDOM]
    assert found["run"] > 2 * found["popularity"]
    assert found[WORDS] > 3 * found[RANDOM]
    assert found["run"] >= max(found[WORDS], found[VECTORS])
    assert found[RANDOM] == pytest.approx(10 / (ITEMS - 4), rel=0.1)  # what is seen already is no candidate
    assert run[0].metrics["unknown_targets"] == 0


def test_it_is_compared_with_what_can_find_them(run: tuple[Recommender, Path]) -> None:
    verdict = run[0].fitted.verdict
    assert verdict is not None
    assert verdict.baseline is not None
    assert verdict.baseline.name == "name-knn"
    assert "name-knn, the quick baseline that can rank these items: test ndcg@10" in str(verdict)
    assert run[0].metrics["baselines"]["item-knn"]["test"]["ndcg@10"] == 0


def test_the_baselines_beside_a_control_read_what_the_items_are_called(run: tuple[Recommender, Path]) -> None:
    log, texts = data()
    found = fit(texts, log, more={"names.control": "permuted"}).metrics["baselines"]
    assert found["name-knn"] == run[0].metrics["baselines"]["name-knn"]
    assert found[WORDS] != run[0].metrics["baselines"][WORDS], "a part of the run reads what it reads"


def test_names_of_other_items_find_nothing(run: tuple[Recommender, Path]) -> None:
    log, texts = data()
    ids = list(texts)
    dealt = np.random.default_rng(7).permutation(list(texts.values())).tolist()
    found = rows_of(fit(dict(zip(ids, dealt, strict=True)), log).metrics)
    assert found["run"] < rows_of(run[0].metrics)["run"] / 2


def test_the_protocol_says_so(run: tuple[Recommender, Path]) -> None:
    document = run[0].metrics
    assert document["protocol"]["split"] == "new-items(share=0.15, seed=4)"
    assert document["protocol"]["candidates"] == "all training items and new ones"
    assert document["validation"]["protocol"]["candidates"] == "all training items"
    assert document["validation"]["metrics"]["hr@10"] > 0
    assert document["protocol_hash"] != EvaluationProtocol(split="new-items(share=0.15, seed=4)").hash


def test_a_run_that_is_read_again_scores_the_same(run: tuple[Recommender, Path]) -> None:
    loaded = Recommender.load(run[1])
    for split, document in (("test", run[0].metrics), ("validation", run[0].metrics["validation"])):
        again = loaded.evaluate(split).to_json("run")  # type: ignore[arg-type]
        assert again["metrics"] == document["metrics"]
        assert again["protocol_hash"] == document["protocol_hash"]


def test_runs_are_compared_by_it(run: tuple[Recommender, Path]) -> None:
    other = run[1].parent / "other"
    run[0].save(other)
    found = compare_runs([run[1], other], "hr@10")
    assert {each.metrics["hr@10"] for each in found.evaluations.values()} == {run[0].metrics["metrics"]["hr@10"]}


def test_slices_know_that_targets_are_new(run: tuple[Recommender, Path]) -> None:
    assert set(run[0].metrics["slices"]["target_popularity"]) == {"unknown"}


def test_the_split_needs_names() -> None:
    with pytest.raises(ConfigError, match="Give --item-names FILE --new-items, or choose another split"):
        resolve(fusion="none", overrides=["split.method=new-items"])
