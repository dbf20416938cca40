"""Later rows behind a split's histories: what an update of a run and an evaluation on new rows begin with."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.borders import Border, as_text, not_before, threshold
from mltfr.interactions.filters import FilterConfig, apply_filters
from mltfr.interactions.histories import UNKNOWN, Histories
from mltfr.interactions.last_time import LastTime
from mltfr.interactions.log import InteractionLog, Ints, places_among
from mltfr.interactions.new_rows import NewRows, written_otherwise
from mltfr.interactions.split import Examples, Split
from mltfr.interactions.splits.assemble import TrainingItems
from mltfr.interactions.splits.lengths import SplitLengths
from mltfr.interactions.vocabulary import Vocabulary

METHOD = "new-rows"
"""Name of the split whose test examples are the new rows; part of the protocol."""
TRAINED, VALIDATED = 0.8, 0.9
"""Shares of the new rows, in order, up to which they are trained on and validated on; the newest are the test."""
HOLD = ("consecutive_repeats", "max_user_interactions")
"""Filters that hold for new rows, beside those by time: what they leave out, later rows do not bring back."""
DO_NOT = ("min_user_interactions", "min_item_interactions", "core", "most_recent")
"""Filters that do not: they chose what was trained on, which stays, and a known user with one new row is not too
short."""
Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Rows:
    """Rows of a log, gathered by user, each user's oldest first.

    Attributes:
        user: int64 `[T]`, row in the histories: of known users their own, of new ones those behind.
        item: int32 `[T]`, index in `code`.
        order: int64 `[T]`, place in the log.
        code: int64 `[J]`, the code of every item of the log; 0 for those that training has not seen.
        new_users: ids of the new users, in the order of their rows.
    """

    user: Ints
    item: Codes
    order: Ints
    code: Ints
    new_users: pl.Series


def extend(
    data: Split,
    log: InteractionLog,
    filters: FilterConfig,
    last: LastTime | None,
    train: bool = False,
    unseen: bool = False,
) -> tuple[Split, NewRows]:
    """Return a split's histories with the rows of a later log behind them, and the new rows as examples.

    An example's input is all that its user did before, earlier new rows among it; a row without anything before it is
    no example. Without `train` all new rows are test examples; the vocabulary stays, and so does what is training:
    items that training has not seen are `UNKNOWN`. With `train`, all older rows and the first of the new ones are
    training; their new items get the codes behind the others, and the newest rows are validation and test. What of
    the old histories is `UNKNOWN` has no id there, and is left out then.

    Args:
        data: a fitted model's split.
        log: the new rows.
        filters: those of the run. Of them `since`, `until` and `HOLD` hold; `max_user_interactions` counts the new rows
            alone.
        last: the last time of the run's log; rows that are not later are left out. None takes all.
        train: whether the split is one to train on.
        unseen: whether rows from `filters.until` on are new as well: they are in the run's log, and it never saw them.

    Raises:
        DataError: no row is left, or too few to train on; or the log has a given test split, or times of another kind.
    """
    timed = last is not None and log.has_timestamps
    later = _later(log, last, filters.until, unseen) if last is not None and timed else log
    filters = filters.model_copy(update={"until": None}) if unseen else filters
    kept = _filtered(later, filters)
    rows = _rows(data, kept, filters)
    trained = rows.order < math.ceil(TRAINED * len(kept)) * train        # [T]
    validated = ~trained & (rows.order < math.ceil(VALIDATED * len(kept)) * train)              # [T]
    old = _known(data.histories) if train else data.histories
    before = np.concatenate([old.lengths, np.zeros(len(rows.new_users), np.int64)])             # [U]
    everything, training, validation = (
        np.bincount(rows.user[chosen], minlength=len(before)) for chosen in (slice(None), trained, validated)
    )
    lengths = SplitLengths(before + training, validation, everything - training - validation, {})
    held_out = _with_input(lengths.examples("validation")), _with_input(lengths.examples("test"))
    without = int(everything.sum() - training.sum()) - sum(map(len, held_out))
    new_items, codes = _new_items(data.vocabulary, rows, trained)
    histories = _joined(old, before, rows.user, codes, everything)
    train_length = lengths.train if train else np.pad(data.train_length, (0, len(rows.new_users)))
    vocabulary = data.vocabulary
    if train:
        items = (*vocabulary.item_ids, *kept.grouped.item_ids.gather(new_items))
        counts = np.bincount(histories.prefixes(train_length).items, minlength=len(items) + 1)  # [I + 1]
        vocabulary = Vocabulary(items, counts)
    split = Split(
        method=METHOD,
        user_ids=(*data.user_ids, *rows.new_users),
        vocabulary=vocabulary,
        histories=histories,
        train_length=train_length,
        validation=held_out[0],
        test=held_out[1],
        left_out={"without anything before their first new row": without} if without else {},
    )
    facts = NewRows(
        source=log.source,
        rows=len(log),
        not_later=len(log) - len(later),
        filtered=len(later) - len(codes),
        interactions=len(codes),
        users=int((everything > 0).sum()),
        new_users=len(rows.new_users),
        new_items=len(new_items),
        unknown_items=len(np.unique(rows.item[codes == UNKNOWN])),
        of_unknown_items=int((codes == UNKNOWN).sum()),
        without_history=without,
        timed=timed,
        not_applied=tuple(name for name in DO_NOT if getattr(filters, name)),
        otherwise=_otherwise(data, kept, rows),
    )
    if train and not all(map(len, held_out)):
        raise DataError(
            f"{facts} That is too few to train on: the newest fifth of the new rows chooses the epoch and is scored. "
            "Give more rows, or take these in without training."
        )
    return split, facts


def _later(log: InteractionLog, last: LastTime, until: Border | None, unseen: bool) -> InteractionLog:
    """Return the rows of a log that lie behind a moment, with `unseen` also those that `until` kept from the run."""
    condition = last.later(log)
    if until is not None and unseen:
        condition |= not_before(threshold(until, log, "filters.until")).expression
    later = replace(log, frame=log.frame.filter(condition))
    if not len(later):
        left_out = "" if until is None else f", or its filters.until ({as_text(until)}) left them out"
        raise DataError(
            f"{log.source}: none of its {len(log):,} rows is later than the run's last one ({last}), so the run has "
            f"them already{left_out}. Give the rows that came after it."
        )
    return later


def _filtered(log: InteractionLog, filters: FilterConfig) -> InteractionLog:
    """Return a log without the rows that the filters leave out which hold for new rows."""
    if log.has_test:
        raise DataError(f"{log.source}: has a given test part, and new rows are one log. Give one of its files.")
    names = ("since", "until", *HOLD) if log.has_timestamps else HOLD
    kept, _ = apply_filters(log, FilterConfig(**{name: getattr(filters, name) for name in names}))
    return replace(kept)  # what a copy caches goes with it


def _places(ids: pl.Series, known: pl.Series) -> Ints:
    """Return the place of every id among known ones, -1 where it is not among them."""
    return places_among(known, ids).cast(pl.Int64).fill_null(-1).to_numpy().copy()


def _rows(data: Split, log: InteractionLog, filters: FilterConfig) -> _Rows:
    """Return the rows of a log with the users and items of a split; a user's first one may be left out as a repeat."""
    grouped, known = log.grouped, len(data.user_ids)
    place = _places(grouped.user_ids, pl.Series(list(data.user_ids), dtype=pl.String))          # [G]
    new_users = grouped.user_ids.filter(pl.Series(place < 0))
    place[place < 0] = known + np.arange(len(new_users))
    codes = _places(grouped.item_ids, data.vocabulary.ids) + 1           # [J], 0 for what training has not seen
    rows = _Rows(np.repeat(place, np.diff(grouped.offsets)), grouped.items, grouped.order, codes, new_users)
    if filters.consecutive_repeats == "keep":
        return rows
    changes = np.ones(len(rows.user), np.bool_)
    first = np.flatnonzero(np.diff(rows.user, prepend=-1) != 0)
    first = first[rows.user[first] < known]
    first = first[data.histories.lengths[rows.user[first]] > 0]
    ends = data.histories.items[data.histories.offsets[rows.user[first] + 1] - 1]
    changes[first] = codes[rows.item[first]] != ends
    return replace(rows, user=rows.user[changes], item=rows.item[changes], order=rows.order[changes])


def _new_items(vocabulary: Vocabulary, rows: _Rows, trained: Mask) -> tuple[Ints, Codes]:
    """Return the items of a log that get a code, in the order of first appearance, and the codes of its rows `[T]`.

    Args:
        vocabulary: the items that have one.
        rows: the rows of the log.
        trained: bool `[T]`, the rows whose items get one.
    """
    chosen = trained & (rows.code[rows.item] == 0)
    training = TrainingItems(len(rows.code))
    training.add(rows.item[chosen], rows.order[chosen])
    found, behind = training.codes()
    codes = np.where(rows.code > 0, rows.code, np.where(behind > 0, behind + len(vocabulary), UNKNOWN))  # [J]
    return found, codes.astype(np.int32)[rows.item]


def _otherwise(data: Split, log: InteractionLog, rows: _Rows) -> dict[str, tuple[str, str]]:
    """Return an id that seems to be a known one, written otherwise, where no item is known, and where no user is."""
    found = {}
    if len(rows.item) and not rows.code[rows.item].any():
        found["items"] = written_otherwise(log.grouped.item_ids, data.vocabulary.item_ids)
    if len(rows.user) and rows.user.min() >= len(data.user_ids):
        found["users"] = written_otherwise(rows.new_users, data.user_ids)
    return {kind: pair for kind, pair in found.items() if pair is not None}


def _known(histories: Histories) -> Histories:
    """Return histories without items that training has not seen."""
    known = histories.items > 0
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(known)])
    return Histories(ends[histories.offsets], histories.items[known])


def _with_input(examples: Examples) -> Examples:
    """Return the examples that have something before their target."""
    chosen = examples.cut > 0
    return Examples(examples.user[chosen], examples.cut[chosen])


def _joined(histories: Histories, before: Ints, user: Ints, codes: Codes, added: Ints) -> Histories:
    """Return histories with new rows behind them.

    Args:
        histories: what the known users did.
        before: int64 `[U]`, how many interactions every user had.
        user: int64 `[T]`, row in the histories of every new interaction; those of a user stand together, in order.
        codes: int32 `[T]`, their items.
        added: int64 `[U]`, how many of them every user has.
    """
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(before + added)])                # [U + 1]
    items = np.empty(offsets[-1], np.int32)
    is_new = np.ones(len(items), np.bool_)
    is_new[np.arange(len(histories.items)) + np.repeat((offsets[:-1] - np.cumsum(before) + before), before)] = False
    items[~is_new] = histories.items
    items[is_new] = codes[np.argsort(user, kind="stable")]
    return Histories(offsets, items)
