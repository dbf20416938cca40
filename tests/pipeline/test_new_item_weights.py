"""How new items are weighed: by targets that are taken as new, exactly as by hand, and only as far as words help."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, vstack

from mltfr.baselines.name_knn import NameKNN
from mltfr.evaluation import evaluate
from mltfr.inference.new_items_blend import NewItemsBlend
from mltfr.interactions import Examples, Split, SplitConfig, split
from mltfr.names.new_items import REGULARISATIONS, NewNames, names_to_vectors
from mltfr.pipeline import new_items as module
from mltfr.pipeline import resolve
from mltfr.pipeline.build import build_model
from mltfr.pipeline.models import NeuralModel
from mltfr.pipeline.new_item_weights import FACTORS, WEIGHTS, Weighed, weigh
from mltfr.pipeline.new_items import learn_new_items
from support.walks import as_log

ITEMS, NEW, HIDDEN, TOPICS = 40, 6, 8, 5
Case = tuple[NeuralModel, Split, torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def case() -> Case:
    """A network that knows nothing, histories that stay among the items of a topic, and vectors of new items."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", time)
        for user in range(150)
        for time, item in enumerate(rng.choice(np.arange(user % TOPICS, ITEMS, TOPICS), 6, replace=False))
    ]
    data = split(as_log(rows), SplitConfig())
    torch.manual_seed(0)
    model = build_model(resolve(fusion="none", overrides=(f"backbone.hidden={HIDDEN}",)), len(data.vocabulary), [])
    return model.eval(), data, torch.randn(NEW, HIDDEN), torch.randn(ITEMS, HIDDEN)


def topics(data: Split) -> NameKNN:
    """Return neighbours by names that hold the topic alone."""
    of = [int(item[1:]) % TOPICS for item in data.vocabulary.item_ids] + [n % TOPICS for n in range(NEW)]
    return NameKNN.of_words(csr_array(np.eye(TOPICS, dtype=np.float32)[of]))


def anything() -> NameKNN:
    """Return neighbours by names that have nothing to do with the histories."""
    return NameKNN.of_words(csr_array(np.eye(TOPICS, dtype=np.float32)[np.random.default_rng(1).integers(0, 5, 46)]))


def test_words_count_as_far_as_they_help(case: Case) -> None:
    model, data, new, as_new = case
    protocol = resolve(fusion="none").evaluation.protocol(data.method)
    helping, other = (weigh(model, new, as_new, words, data, protocol).weight for words in (topics(data), anything()))
    assert helping > 0.7
    assert other < helping - 0.2


@pytest.mark.parametrize("count", [1, 40])
def test_the_numbers_are_those_of_ranking_by_hand(case: Case, count: int) -> None:
    model, data, new, as_new = case
    data = replace(data, validation=Examples(data.validation.user[:count], data.validation.cut[:count]))
    protocol = resolve(fusion="none").evaluation.protocol(data.method)
    words, scorer = topics(data), model.with_items(new).scorer()
    found = weigh(model, new, as_new, words, data, protocol)
    blends = [NewItemsBlend([scorer, words], [1 - weight, weight], ITEMS, 1.0) for weight in WEIGHTS]
    gains, examples = np.zeros((2, len(WEIGHTS), len(FACTORS))), data.validation
    alone = evaluate(model.scorer(), data, "validation", protocol).metrics["ndcg@10"]
    assert found.alone == pytest.approx(alone, abs=1e-6)
    for user, cut, target in zip(examples.user, examples.cut, data.targets(examples), strict=True):
        history, own = data.histories[user][:cut], scorer.vectors[target].clone()
        for kind, vector in enumerate((own, as_new[target - 1])):
            scorer.vectors[target] = vector  # the history is read as it was
            for n, blend in enumerate(blends):
                once = blend.scores(blend.queries([history]), 1, ITEMS + NEW + 1)[0].numpy()
                once[history - 1] = 0
                for number, factor in enumerate(FACTORS):
                    scores = once * np.where(np.arange(ITEMS + NEW) < ITEMS, 1, factor)
                    asked = once[target - 1] * (factor if kind else 1)
                    scores[target - 1] = 0
                    rank = int((scores > asked).sum())
                    gains[kind, n, number] += (rank < 10) / np.log2(rank + 2) / len(examples)
        scorer.vectors[target] = own
    chosen = WEIGHTS.index(found.weight), FACTORS.tolist().index(found.factor)
    assert (found.known, found.as_new) == pytest.approx(tuple(gains[:, *chosen]), abs=1e-6)
    harmonic = 2 * gains.prod(0) / np.maximum(gains.sum(0), 1e-12)
    assert found.harmonic == pytest.approx(harmonic[chosen])
    plain = np.abs(np.log(FACTORS)) + np.abs(np.array(WEIGHTS) - 0.5)[:, None]
    as_good = harmonic > harmonic.max() - 1e-9
    assert count > 1 or as_good.sum() > 1
    assert plain[chosen] == plain[as_good].min()  # of equal ones the plainest


def test_targets_without_a_name_could_not_be_new(case: Case) -> None:
    model, data, new, as_new = case
    protocol = resolve(fusion="none").evaluation.protocol(data.method)
    words = csr_array(np.eye(TOPICS, dtype=np.float32)[[int(item[1:]) % TOPICS for item in data.vocabulary.item_ids]])
    words.data[words.indices == 0] = 0
    words.eliminate_zeros()
    some = NameKNN.of_words(csr_array(vstack([words, words[-NEW:]])))
    named = [n for n, target in enumerate(data.targets(data.validation)) if some.named[target - 1]]
    assert 0 < len(named) < len(data.validation)
    without = replace(data, validation=Examples(data.validation.user[named], data.validation.cut[named]))
    assert weigh(model, new, as_new, some, data, protocol) == weigh(model, new, as_new, some, without, protocol)


def test_without_validation_nothing_is_chosen(case: Case) -> None:
    model, data, new, as_new = case
    none = replace(data, validation=Examples(np.zeros(0, np.int64), np.zeros(0, np.int64)))
    found = weigh(model, new, as_new, topics(data), none, resolve(fusion="none").evaluation.protocol(data.method))
    assert (found.weight, found.factor, found.as_new) == (0.5, 1.0, None)


def test_the_map_is_taken_that_finds_most(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data, *_ = case
    rng = np.random.default_rng(2)
    names = rng.normal(size=(ITEMS + NEW, 3)).astype(np.float32)
    new = NewNames(tuple(f"n{n}" for n in range(NEW)), names[:ITEMS], names[ITEMS:], csr_array(np.eye(ITEMS + NEW)))
    protocol = resolve(fusion="none").evaluation.protocol(data.method)
    vectors, counts = model.trained_vectors().numpy(), data.vocabulary.counts[1:]
    maps = dict(zip(REGULARISATIONS, names_to_vectors(new.known, vectors, counts), strict=True))
    for best in REGULARISATIONS:
        turns = iter(maps.items())

        def answer(_: object, placed: torch.Tensor, *others: object, turns: Any = turns, best: float = best) -> Weighed:
            regularisation, found = next(turns)
            np.testing.assert_allclose(placed, found.vectors(new.new))
            return Weighed(regularisation / 2000, regularisation, 0.1, 0.2 if regularisation == best else 0.1, 0.3)

        monkeypatch.setattr(module, "weigh", answer)
        items, facts = learn_new_items(model, new, data, protocol)
        assert facts["new_items"]["regularisation"] == items.factor == 2000 * items.weight == best
        np.testing.assert_allclose(items.vectors, maps[best].vectors(new.new))
    nothing = replace(data, validation=Examples(np.zeros(0, np.int64), np.zeros(0, np.int64)))
    monkeypatch.undo()
    explained = [found.explained for found in maps.values()]
    facts = learn_new_items(model, new, nothing, protocol)[1]["new_items"]  # without validation: what predicts best
    assert facts["regularisation"] == REGULARISATIONS[int(np.argmax(explained))]
