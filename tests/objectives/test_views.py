from __future__ import annotations

import numpy as np

from mltfr.interactions import Histories
from mltfr.objectives.cl4srec import CL4SRec, CL4SRecConfig
from mltfr.objectives.duorec import DuoRec, DuoRecConfig
from mltfr.training.samples import PrefixSamples, WindowSamples

HISTORIES = Histories.from_sequences([[1, 2, 3], [4, 3], [5, 6, 3], [7, 8]])


def test_prefixes_end_before_their_target():
    samples = PrefixSamples(HISTORIES, 10)
    everything = np.arange(len(samples))
    assert samples.read(everything).tolist() == [[0, 1], [1, 2], [0, 4], [0, 5], [5, 6], [0, 7]]
    assert samples.items[samples.bounds(everything)[1]].tolist() == [2, 3, 3, 6, 3, 8]


def test_whole_histories_end_before_their_last_target():
    samples = WindowSamples(HISTORIES, 10, 10)
    everything = np.arange(len(samples))
    assert samples.read(everything).tolist() == [[1, 2], [0, 4], [5, 6], [0, 7]]
    assert samples.items[samples.bounds(everything)[1]].tolist() == [3, 3, 3, 8]


def test_a_partner_has_the_same_target_is_another_and_anyone():
    random = np.random.default_rng(0)
    items = random.integers(1, 6, 60)
    samples = PrefixSamples(Histories.from_sequences([items.tolist()]), 1)
    targets = items[1:]
    everything = np.arange(len(samples))
    partners = np.stack([samples.same_target(everything, random) for _ in range(400)])
    assert (targets[partners] == targets).all()
    assert not (partners == everything).any()
    for one in everything:
        others = set(np.flatnonzero(targets == targets[one])) - {one}
        assert set(partners[:, one]) == others
        counts = np.bincount(partners[:, one])[sorted(others)]
        assert counts.min() > 0.3 * 400 / len(others)


def test_without_another_a_sequence_is_its_own_partner():
    samples = PrefixSamples(Histories.from_sequences([[1, 2, 3, 4]]), 1)
    assert samples.same_target(np.array([2, 0, 1]), np.random.default_rng(0)).tolist() == [2, 0, 1]


def test_duorec_sees_itself_and_a_sequence_with_its_target():
    samples, chosen = WindowSamples(HISTORIES, 10, 10), np.array([0, 3])
    expected = {"both": 2, "dropout": 1, "same-target": 1}
    for positives, number in expected.items():
        objective = DuoRec(DuoRecConfig(positives=positives), items=8)
        views = objective.views(samples, chosen, np.random.default_rng(1))
        assert len(views) == number
        if positives != "same-target":
            assert views[0].tolist() == [[1, 2], [0, 7]]
        if positives != "dropout":
            assert views[-1].tolist() in ([[0, 4], [0, 7]], [[4], [7]], [[5, 6], [0, 7]])


def test_cl4srec_makes_two_different_augmentations_of_each_sequence():
    """The kind of a view shows: crops are shorter, masks hold the token, reorderings neither."""
    histories = Histories.from_sequences([list(range(1, 12))] * 3000)
    samples = WindowSamples(histories, 10, 10)
    objective = CL4SRec(CL4SRecConfig(), items=11)
    views = objective.views(samples, np.arange(3000), np.random.default_rng(0))
    kinds = [np.where((v == 12).any(1), 1, np.where((v > 0).sum(1) < 10, 0, 2)) for v in views]
    assert (kinds[0] != kinds[1]).all()
    pairs = np.bincount(3 * kinds[0] + kinds[1], minlength=9)
    assert (pairs[[1, 2, 3, 5, 6, 7]] > 400).all()  # 500 each are expected


def test_a_single_item_stays_as_it_is():
    samples = PrefixSamples(Histories.from_sequences([[4, 5]]), 5)
    for seed in range(10):
        views = CL4SRec(CL4SRecConfig(), items=5).views(samples, np.array([0]), np.random.default_rng(seed))
        assert [view.tolist() for view in views] == [[[4]], [[4]]]
