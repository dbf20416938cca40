"""The split that holds items out of training altogether: what is trained on, what is asked, and from what."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mltfr.errors import ConfigError, DataError
from mltfr.interactions import UNKNOWN, InteractionLog, Split, SplitConfig, prepare, split
from mltfr.interactions.consistency import check_consistent
from mltfr.pipeline.data import load_split, save_split
from support.walks import as_log

CONFIG = SplitConfig(method="new-items", share=0.2, seed=1)


def rows() -> list[tuple[str, str, int]]:
    rng = np.random.default_rng(0)
    drawn = [(user, rng.integers(0, 30, user % 8)) for user in range(40)]
    return [(f"u{user}", f"i{item}", time) for user, items in drawn for time, item in enumerate(items)]


def log() -> InteractionLog:
    return as_log(rows())


def test_held_out_items_are_in_no_training_and_all_others_are() -> None:
    data = split(log(), CONFIG)
    check_consistent(data)
    assert data.method == "new-items(share=0.2, seed=1)"
    training = data.train_histories()
    assert (training.items > 0).all()
    assert len(training.items) == data.training_interactions == data.vocabulary.counts.sum()
    of_user: dict[str, list[str]] = {}
    for user, item, _ in rows():
        of_user.setdefault(user, []).append(item)
    drawn = _drawn(data)
    assert len(drawn) == 6
    assert drawn.isdisjoint(data.vocabulary.codes)
    for row, user in enumerate(data.user_ids):
        others = [item for item in of_user[user] if item not in drawn]
        expected = others[:-1] if len(others) > 1 else others
        assert data.vocabulary.decode(training[row]) == expected


def _drawn(data: Split) -> set[str]:
    """Return the items of the test targets."""
    assert data.others is not None
    wide = data.with_items(data.others.item_ids, in_histories=False)
    return set(wide.vocabulary.decode(wide.targets(wide.test)))


def test_all_that_was_done_with_them_is_asked_from_what_was_before() -> None:
    data = split(log(), CONFIG)
    drawn = _drawn(data)
    asked = set(zip(data.test.user.tolist(), data.test.cut.tolist(), strict=True))
    for row, user in enumerate(data.user_ids):
        items = [item for name, item, _ in rows() if name == user]
        for place, item in enumerate(items):
            wanted = item in drawn and any(other not in drawn for other in items[:place])
            assert ((row, place) in asked) == wanted
    wide = data.with_items(data.others.item_ids, in_histories=False)  # type: ignore[union-attr]
    assert (data.targets(data.test) == UNKNOWN).all()
    assert (wide.targets(wide.test) > len(data.vocabulary)).all()
    assert np.array_equal(wide.histories.items, data.histories.items)  # nothing of them in what is predicted from
    last = data.validation
    assert all(cut == data.train_length[user] for user, cut in zip(last.user, last.cut, strict=True))


def test_the_draw_is_of_the_seed_alone() -> None:
    first = _drawn(split(log(), CONFIG))
    turned = rows()[::-1]
    assert _drawn(split(as_log(turned), CONFIG)) == first
    others = [_drawn(split(log(), SplitConfig(method="new-items", share=0.2, seed=seed))) for seed in (2, 3)]
    assert all(one != other for one, other in pairwise([first, *others]))


def test_a_run_folder_keeps_what_has_a_name(tmp_path: Path) -> None:
    data = split(log(), CONFIG)
    named = sorted(_drawn(data))[:4]
    save_split(tmp_path, data, named)
    read = load_split(tmp_path, data.method, dict(data.left_out), named)
    assert np.array_equal(read.histories.items, data.histories.items)
    assert np.array_equal(read.train_histories().items, data.train_histories().items)
    for in_histories in (True, False):
        ours, theirs = (each.with_items(named, in_histories) for each in (data, read))
        assert np.array_equal(ours.histories.items, theirs.histories.items)
        assert np.array_equal(ours.targets(ours.test), theirs.targets(theirs.test))


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'share' belongs to the split 'new-items'"):
        SplitConfig.parse({"share": 0.3})
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,timestamp\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows()))
    with pytest.raises(DataError, match="is made of a whole log"):
        prepare(path, tmp_path / "set", split=CONFIG)
