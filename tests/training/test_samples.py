from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mltfr.errors import ConfigError, DataError
from mltfr.interactions import Histories
from mltfr.training.epoch import epoch_generator, plan_epoch
from mltfr.training.samples import MaskedSamples, PrefixSamples, WindowSamples

histories_of_codes = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=9), min_size=1, max_size=6)


def everything(samples):
    return samples.batch(np.arange(len(samples)), np.random.default_rng(0))


def pairs_of(batch):
    """Return every (input so far, target) that a batch trains on."""
    found = []
    length = batch.items.shape[1]
    for row, targets in zip(batch.items, batch.targets, strict=True):
        for place, target in enumerate(targets.tolist()):
            if target:
                read = row[: length - len(targets) + place + 1]
                found.append((tuple(read[read > 0].tolist()), target))
    return sorted(found)


@given(histories_of_codes, st.integers(1, 4))
def test_prefixes_are_all_pairs_of_a_history_and_its_next_item(sequences, max_length):
    expected = sorted((tuple(s[max(0, end - max_length) : end]), s[end]) for s in sequences for end in range(1, len(s)))
    histories = Histories.from_sequences(sequences)
    if not expected:
        with pytest.raises(DataError, match="No user has two training interactions"):
            PrefixSamples(histories, max_length)
        return
    assert pairs_of(everything(PrefixSamples(histories, max_length))) == expected


@given(histories_of_codes, st.integers(1, 4))
def test_with_the_empty_prefix_every_item_is_a_target(sequences, max_length):
    expected = sorted((tuple(s[max(0, end - max_length) : end]), s[end]) for s in sequences for end in range(len(s)))
    samples = PrefixSamples(Histories.from_sequences(sequences), max_length, empty=True)
    batch = everything(samples)
    assert pairs_of(batch) == expected
    assert batch.items.shape[1] >= 1
    firsts = np.flatnonzero(samples.lengths(np.arange(len(samples))) == 0)
    assert len(firsts) == len(sequences)
    assert samples.batch(firsts, np.random.default_rng(0)).items.tolist() == [[0]] * len(firsts)
    with pytest.raises(ConfigError, match=r"follows nothing\. Set it to false, or leave out the teacher"):
        samples.target_places(firsts)


@given(histories_of_codes, st.integers(1, 4))
def test_positions_train_on_every_transition_once(sequences, max_length):
    transitions = sorted((s[i], s[i + 1]) for s in sequences for i in range(len(s) - 1))
    if not transitions:
        return
    pairs = pairs_of(everything(WindowSamples(Histories.from_sequences(sequences), max_length, max_length)))
    assert sorted((read[-1], target) for read, target in pairs) == transitions
    assert max(len(read) for read, _ in pairs) <= max_length


def test_short_histories_are_one_window():
    batch = everything(WindowSamples(Histories.from_sequences([[1, 2, 3], [4, 5]]), 10, targets=10))
    assert batch.items.tolist() == [[1, 2], [0, 4]]
    assert batch.targets.tolist() == [[2, 3], [0, 5]]


def test_masked_samples_hide_their_targets_and_nothing_else():
    histories = Histories.from_sequences([[1, 2, 3, 4, 5, 6, 7], [8, 9], [3]])
    samples = MaskedSamples(histories, max_length=5, mask_token=10, ratio=0.4, last=0.5)
    rng = np.random.default_rng(1)
    only_last = 0
    for _ in range(50):
        batch = samples.batch(np.arange(len(samples)), rng)
        masked = batch.items == 10
        assert torch.equal(masked, batch.targets > 0)
        assert masked.any(dim=1).all()
        original = torch.where(masked, batch.targets, batch.items)
        assert sorted(tuple(r[r > 0].tolist()) for r in original) == [(1, 2), (3, 4, 5, 6, 7), (8, 9)]
        only_last += int((masked.sum(1) == 1).logical_and(masked[:, -1]).sum())
    assert only_last > 50  # about half of the 150 samples train the way the model is read


@pytest.mark.parametrize("last", [0.0, 0.2, 1.0])
def test_the_share_of_samples_that_mask_the_last_item_alone_is_set(last):
    histories = Histories.from_sequences([list(range(1, 41))] * 400)
    samples = MaskedSamples(histories, 40, mask_token=50, ratio=0.5, last=last)
    masked = everything(samples).items == 50
    alone = (masked.sum(1) == 1) & masked[:, -1]  # by the ratio alone this has a chance of 1e-12
    assert alone.double().mean().item() == pytest.approx(last, abs=0.06)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=200), st.integers(1, 16), st.integers(1, 4))
def test_an_epoch_holds_every_sample_once(lengths, size, bucket):
    plan = plan_epoch(len(lengths), np.array(lengths).__getitem__, size, bucket, np.random.default_rng(0))
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(lengths)))
    assert len(plan) == -(-len(lengths) // size)
    assert max(map(len, plan)) <= size


def test_batches_hold_little_padding():
    lengths = np.random.default_rng(0).geometric(0.12, 20_000).clip(max=50)
    plan = plan_epoch(len(lengths), lengths.__getitem__, 128, 16, np.random.default_rng(1))
    padded = sum(len(batch) * lengths[batch].max() for batch in plan)
    assert lengths.sum() / padded > 0.75  # a random order keeps 0.17


def test_the_order_changes_with_the_epoch_and_not_with_the_call():
    lengths = np.arange(100)
    first, again, next_epoch = (
        np.concatenate(plan_epoch(100, lengths.__getitem__, 10, 2, epoch_generator(7, 1, epoch))).tolist()
        for epoch in (0, 0, 1)
    )
    assert first == again
    assert first != next_epoch


@given(histories_of_codes, st.integers(1, 4))
def test_bounds_of_prefixes_are_those_of_a_list(sequences, max_length):
    histories = Histories.from_sequences([[1, 2], *sequences])
    ends = np.arange(len(histories.items))
    first = np.repeat(histories.offsets[:-1], histories.lengths)
    listed = ends[ends > first], np.maximum(first, ends - max_length)[ends > first]
    samples = PrefixSamples(histories, max_length)
    everything = np.arange(len(samples))
    start, stop = samples.bounds(everything)
    np.testing.assert_array_equal(stop, listed[0])
    np.testing.assert_array_equal(start, listed[1])
    np.testing.assert_array_equal(samples.bounds(everything[::-2])[1], listed[0][::-2])


def test_a_plan_of_an_epoch_is_what_a_list_of_batches_was():
    lengths = np.random.default_rng(0).integers(1, 30, 1003)
    rng = np.random.default_rng(5)
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), 8 * 3):
        run = order[start : start + 8 * 3]
        run = run[np.argsort(lengths[run], kind="stable")]
        batches.extend(run[first : first + 8] for first in range(0, len(run), 8))
    expected = [batches[number].tolist() for number in rng.permutation(len(batches))]
    plan = plan_epoch(len(lengths), lengths.__getitem__, 8, 3, np.random.default_rng(5))
    assert [batch.tolist() for batch in plan] == expected
    assert plan[3].dtype == np.int64
    assert [batch.tolist() for batch in plan[2:4]] == expected[2:4]


def test_samples_of_a_long_log_take_little_memory():
    """An epoch's order takes four bytes a sample; where they lie in the histories takes nothing."""
    lengths = np.full(20_000, 50)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    histories = Histories(offsets, np.ones(int(offsets[-1]), np.int32))
    tracemalloc.start()
    try:
        samples = PrefixSamples(histories, 20)
        plan = plan_epoch(len(samples), samples.lengths, 256, 16, np.random.default_rng(0))
        samples.batch(plan[0], np.random.default_rng(0))
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    count = 20_000 * 49
    assert len(samples) == count
    assert held < 4.5 * count
    assert most < 9.5 * count  # numpy makes the numbers before it shuffles a copy of them


@given(histories_of_codes, st.integers(1, 5), st.integers(1, 5))
def test_windows_train_on_every_transition_once_with_much_before_it(sequences, max_length, count):
    transitions = sorted((s[i], s[i + 1]) for s in sequences for i in range(len(s) - 1))
    if not transitions:
        return
    pairs = pairs_of(everything(WindowSamples(Histories.from_sequences(sequences), max_length, count)))
    assert sorted((read[-1], target) for read, target in pairs) == transitions
    assert max(len(read) for read, _ in pairs) <= max_length
    start_of_a_history = {tuple(s[:end]) for s in sequences for end in range(1, len(s))}
    assert all(read in start_of_a_history or len(read) > max_length - count for read, _ in pairs)


@given(histories_of_codes, st.integers(1, 4))
def test_windows_of_one_target_are_the_prefixes(sequences, max_length):
    histories = Histories.from_sequences(sequences)
    if all(len(s) < 2 for s in sequences):
        return
    windows = WindowSamples(histories, max_length, 1)
    assert pairs_of(everything(windows)) == pairs_of(everything(PrefixSamples(histories, max_length)))
