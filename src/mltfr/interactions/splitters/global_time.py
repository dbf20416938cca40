"""Global-time: training before one moment, validation before a second, test from there on."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mltfr.errors import DataError
from mltfr.interactions.log import InteractionLog
from mltfr.interactions.raw import TIME, USER
from mltfr.interactions.split import Examples, Split
from mltfr.interactions.splitters.parts import Ints, assemble, group


def global_time(
    log: InteractionLog, validation_from: float, test_from: float, as_quantiles: bool, method: str
) -> Split:
    """Divide a log at two moments, the same for all users.

    Every interaction of the validation and test part is an example with all that its user did before as
    input. Users without a training interaction have no known history: they are left out and counted.

    Args:
        log: interactions with times.
        validation_from: the moment at which validation starts.
        test_from: the moment at which the test starts.
        as_quantiles: whether the moments are shares of the interactions (0.8) instead of times.
        method: how the split is called.

    Raises:
        DataError: the log has no times, or a part is empty.
    """
    if not log.has_timestamps:
        raise DataError(f"{log.source}: a global-time split needs timestamps. Use leave-one-out, or add them.")
    times = log.frame[TIME]
    if as_quantiles:
        validation_from, test_from = (float(times[at_share(len(times), s)]) for s in (validation_from, test_from))
    known = log.frame.filter(times < validation_from)[USER].unique()
    if known.is_empty():
        raise nothing_before(log.source, validation_from, times[0], times[-1])
    frame = log.frame.join(known.to_frame(), on=USER, how="semi", maintain_order="left")
    grouped = group(frame)
    moments = frame[TIME].to_numpy()[grouped.order]
    train_length = _count(moments < validation_from, grouped.offsets)
    user = np.repeat(np.arange(len(grouped.lengths)), grouped.lengths)
    in_test = moments >= test_from
    in_validation = ~in_test & (moments >= validation_from)
    left_out = who_is_left_out(
        log.frame[USER].n_unique() - len(known),
        int((_count(in_validation, grouped.offsets) == 0).sum()),
        int((_count(in_test, grouped.offsets) == 0).sum()),
    )
    position = grouped.position
    validation, test = (Examples(user[part], position[part]) for part in (in_validation, in_test))
    return assemble(method, grouped, train_length, validation, test, left_out)


def at_share(count: int, share: float) -> int:
    """Return the row before which about `share` of `count` rows in the order of time lie."""
    return min(count - 1, math.ceil(share * count))


def who_is_left_out(training: int, validation: int, test: int) -> dict[str, int]:
    """Return how many users lack an interaction of each part, by reason."""
    return {
        "without a training interaction": training,
        "without a validation interaction": validation,
        "without a test interaction": test,
    }


def nothing_before(source: str, validation_from: float, first: float, last: float) -> DataError:
    """Return the error about a split without a training part."""
    return DataError(
        f"{source}: nothing happened before {validation_from}, so there is no training part. "
        f"Times go from {first} to {last}; start validation later."
    )


def _count(chosen: npt.NDArray[np.bool_], offsets: Ints) -> Ints:
    """Return how many of every user's interactions are chosen, int64 `[U]`."""
    totals: Ints = np.concatenate([np.zeros(1, np.int64), np.cumsum(chosen)])
    return totals[offsets[1:]] - totals[offsets[:-1]]
