"""The split that the data came with: `train.txt`, `test.txt`, and perhaps `valid.txt`."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.log import InteractionLog, Ints, OrderedLog
from mltfr.interactions.raw import ITEM, USER
from mltfr.interactions.splits.lengths import SplitLengths

Log = TypeVar("Log", bound=OrderedLog)


def given(log: Log) -> tuple[Log, SplitLengths]:
    """Keep the given validation and test split, each item of them an example with all before it as input.

    They follow the training items of their user, in this order. Without a given validation split each user's last
    training item is validation, where one is left before it. Users without a training interaction are left out of
    the others and counted.

    Returns:
        The log with the held-out items behind the others, and its split.

    Raises:
        DataError: the log has no test split, or none of its users is in the training split.
    """
    if not isinstance(log, InteractionLog) or log.test is None:
        raise DataError(f"{log.source}: has no given test part. Use a folder with train.txt and test.txt.")
    users = log.frame[USER].unique(maintain_order=True)
    test, test_length, only_test = _of_known(log.test, users)
    train, train_length, _ = _of_known(log.frame, users)
    left_out = {"in the test part only": only_test, "without a test item": int((test_length == 0).sum())}
    parts = [train, test]
    if log.validation is not None:
        validation, length, only_validation = _of_known(log.validation, users)
        parts.insert(1, validation)
        left_out |= {
            "in the validation part only": only_validation,
            "without a validation item": int((length == 0).sum()),
        }
    else:
        length = (train_length > 1).astype(np.int64)
        left_out |= {"too short for validation": int((length == 0).sum())}
        train_length = train_length - length
    together = replace(log, frame=pl.concat(parts))
    return together, SplitLengths(train_length, length, test_length, left_out)


def _of_known(part: pl.DataFrame, users: pl.Series) -> tuple[pl.DataFrame, Ints, int]:
    """Return the interactions of the users `[U]`, how many each has, and how many other users there are."""
    known = users.to_frame()
    kept = part.select(USER, ITEM).join(known, on=USER, how="semi", maintain_order="left")
    counts = known.join(kept.group_by(USER).len("size"), on=USER, how="left", maintain_order="left")["size"]
    return kept, counts.fill_null(0).cast(pl.Int64).to_numpy(), part[USER].n_unique() - kept[USER].n_unique()
