"""The split that the data came with: `train.txt` and `test.txt`."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.log import InteractionLog, OrderedLog
from mltfr.interactions.raw import ITEM, USER
from mltfr.interactions.splits.lengths import SplitLengths

Log = TypeVar("Log", bound=OrderedLog)


def given(log: Log) -> tuple[Log, SplitLengths]:
    """Keep the given test split; each user's last training item is validation, where one is left before it.

    Test items follow the training items of their user, each an example. Test users without a training
    interaction are left out and counted.

    Returns:
        The log with the test items behind the others, and its split.

    Raises:
        DataError: the log has no test split, or none of its users is in the training split.
    """
    if not isinstance(log, InteractionLog) or log.test is None:
        raise DataError(f"{log.source}: has no given test part. Use a folder with train.txt and test.txt.")
    users = log.frame[USER].unique(maintain_order=True).to_frame()
    test = log.test.join(users, on=USER, how="semi", maintain_order="left")
    tested = users.join(test.group_by(USER).len("tested"), on=USER, how="left", maintain_order="left")
    test_length = tested["tested"].fill_null(0).cast(pl.Int64).to_numpy()
    together = replace(log, frame=pl.concat([log.frame.select(USER, ITEM), test.select(USER, ITEM)]))
    given_length = np.diff(together.grouped.offsets) - test_length
    in_validation = given_length > 1
    left_out = {
        "in the test part only": log.test[USER].n_unique() - test[USER].n_unique(),
        "without a test item": int((test_length == 0).sum()),
        "too short for validation": int((~in_validation).sum()),
    }
    validation = in_validation.astype(np.int64)
    return together, SplitLengths(given_length - validation, validation, test_length, left_out)
