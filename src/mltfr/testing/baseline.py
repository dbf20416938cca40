"""The contract of a baseline: inherit `BaselineContract` in a test file and name the baseline."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from scipy.sparse import csr_array

from mltfr.baselines import BASELINES, Baseline
from mltfr.inference import Scorer, top_k
from mltfr.interactions import UNKNOWN, Histories, History

ITEMS = 60


def training_part(users: int = 80, seed: int = 3) -> tuple[Histories, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return histories in which item i is often followed by item i + 1, and the counts of all items."""
    random = np.random.default_rng(seed)
    sequences = []
    for _ in range(users):
        length = int(random.integers(0, 12))
        steps = np.where(random.random(length) < 0.7, 1, random.integers(1, ITEMS, length))
        sequences.append(((random.integers(ITEMS // 2) + np.cumsum(steps)) % (ITEMS - 1) + 1).tolist())
    histories = Histories.from_sequences(sequences)  # the last item occurs nowhere
    return histories, np.bincount(histories.items, minlength=ITEMS + 1).astype(np.int64)


def training_words() -> csr_array:
    """Return the weights of the words of all items, `[ITEMS, U]`: neighbours share some, and two items have none."""
    random = np.random.default_rng(4)
    words = random.random((ITEMS, 30)) * (random.random((ITEMS, 30)) < 0.1)
    words[range(ITEMS), np.arange(ITEMS) // 4] = 1
    words[[20, 40]] = 0
    return csr_array(words.astype(np.float32))


class BaselineContract:
    """What every baseline must satisfy. A subclass sets `name`, and `settings` where it needs some."""

    name: ClassVar[str]
    """Registered name of the baseline."""
    settings: ClassVar[dict[str, Any]] = {}
    """Its settings."""

    def config(self) -> Any:
        """Return its settings, validated."""
        return BASELINES.get(self.name).config.model_validate({"name": self.name, **self.settings})

    def fitted(self) -> Baseline:
        """Return the baseline, fitted to the training part."""
        return BASELINES.get(self.name).cls.fit(self.config(), *training_part(), training_words())

    @pytest.fixture
    def requests(self) -> list[History]:
        """Histories of all sorts: ordinary, long, repeated, empty, of unknown items, of an item nobody has."""
        random = np.random.default_rng(9)
        sequences = [
            [4, 5, 6], [7], random.integers(1, ITEMS, 300).tolist(), [8, 9, 8, 9, 9], [], [UNKNOWN], [ITEMS],
            [10, UNKNOWN, 12],
        ]  # fmt: skip
        return [np.array(sequence, np.int32) for sequence in sequences]

    def all_scores(self, scorer: Scorer, requests: list[History]) -> torch.Tensor:
        """Return the scores of all items, `[B, ITEMS]`."""
        return scorer.scores(scorer.queries(requests), 1, ITEMS + 1)

    def test_scores_are_finite_numbers_of_every_item(self, requests: list[History]) -> None:
        scorer = self.fitted()
        scores = self.all_scores(scorer, requests)
        assert scorer.items == ITEMS
        assert scores.dtype == torch.float32
        assert scores.shape == (len(requests), ITEMS)
        assert torch.isfinite(scores).all()
        assert len(set(scores[0].tolist())) > 5

    def test_scores_do_not_depend_on_the_batch(self, requests: list[History]) -> None:
        scorer = self.fitted()
        alone = [self.all_scores(scorer, [request]) for request in requests]
        assert torch.equal(self.all_scores(scorer, requests), torch.cat(alone))

    @pytest.mark.parametrize("width", [1, 7, ITEMS - 1])
    def test_ranges_of_items_are_parts_of_the_whole(self, requests: list[History], width: int) -> None:
        scorer = self.fitted()
        queries = scorer.queries(requests)
        starts = range(1, ITEMS + 1, width)
        parts = [scorer.scores(queries, start, min(start + width, ITEMS + 1)) for start in starts]
        assert torch.equal(torch.cat(parts, dim=1), self.all_scores(scorer, requests))
        whole, streamed = (top_k(scorer, requests, 10, chunk=chunk) for chunk in (ITEMS, width))
        np.testing.assert_array_equal(whole.codes, streamed.codes)

    def test_scores_are_the_callers_to_write_into(self, requests: list[History]) -> None:
        scorer = self.fitted()
        queries = scorer.queries(requests)
        before = scorer.scores(queries, 1, ITEMS + 1).clone()
        scorer.scores(queries, 1, ITEMS + 1).fill_(-torch.inf)
        assert torch.equal(scorer.scores(queries, 1, ITEMS + 1), before)
        assert torch.equal(self.all_scores(scorer, requests), before)

    def test_unknown_items_count_for_nothing(self) -> None:
        scorer = self.fitted()
        known, mixed = ([np.array(codes, np.int32)] for codes in ([4, 9], [UNKNOWN, 4, UNKNOWN, 9, UNKNOWN]))
        assert torch.equal(self.all_scores(scorer, known), self.all_scores(scorer, mixed))

    def test_its_parts_sum_to_the_scores(self, requests: list[History]) -> None:
        scorer, codes = self.fitted(), np.arange(1, ITEMS + 1)
        for history, scores in zip(requests, self.all_scores(scorer, requests).numpy(), strict=True):
            parts = scorer.parts(history, codes)
            if parts is None:  # its score is no such sum
                return
            assert len(set(parts.items.tolist())) == len(parts.items)
            assert set(parts.items.tolist()) <= set(history[-scorer.window :] if scorer.window else history)
            np.testing.assert_allclose(parts.base + parts.values.sum(0), scores, atol=1e-5)
            some = scorer.parts(history, codes[[7, 3]])
            assert some is not None
            np.testing.assert_array_equal(some.values, parts.values[:, [7, 3]])

    def test_fitting_again_gives_the_same_state_and_reads_the_training_part_only(self) -> None:
        histories, counts = training_part()
        items, before = histories.items.copy(), counts.copy()
        words = training_words()
        fit = BASELINES.get(self.name).cls.fit
        states = [fit(self.config(), histories, counts, words).state_dict() for _ in range(2)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
        np.testing.assert_array_equal(histories.items, items)
        np.testing.assert_array_equal(counts, before)
        np.testing.assert_array_equal(words.toarray(), training_words().toarray())

    def test_its_state_is_all_there_is(self, requests: list[History]) -> None:
        fitted = self.fitted()
        state = load(save(fitted.state_dict()))
        again = BASELINES.get(self.name).cls(self.config(), state)
        assert again.state_dict().keys() == fitted.state_dict().keys()
        assert torch.equal(self.all_scores(again, requests), self.all_scores(fitted, requests))
        with pytest.raises((KeyError, ValueError)):
            BASELINES.get(self.name).cls(self.config(), {})
