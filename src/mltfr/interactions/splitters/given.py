"""The split that the data came with: `train.txt` and `test.txt`."""

from __future__ import annotations

import numpy as np
import polars as pl

from mltfr.errors import DataError
from mltfr.interactions.log import InteractionLog
from mltfr.interactions.raw import ITEM, USER
from mltfr.interactions.split import Examples, Split
from mltfr.interactions.splitters.parts import assemble, group


def given(log: InteractionLog, method: str) -> Split:
    """Keep the given test part; each user's last training item is validation, where one is left before it.

    Test items follow the training items of their user, each an example. Test users without a training
    interaction are left out and counted.

    Raises:
        DataError: the log has no test part, or none of its users is in the training part.
    """
    if log.test is None:
        raise DataError(f"{log.source}: has no given test part. Use a folder with train.txt and test.txt.")
    users = log.frame[USER].unique(maintain_order=True)
    test_part = log.test.join(users.to_frame(), on=USER, how="semi", maintain_order="left")
    grouped = group(pl.concat([log.frame.select(USER, ITEM), test_part.select(USER, ITEM)]))
    tested = pl.DataFrame({USER: users}).join(
        test_part.group_by(USER).len("tested"), on=USER, how="left", maintain_order="left"
    )
    test_length = tested["tested"].fill_null(0).cast(pl.Int64).to_numpy()
    given_length = grouped.lengths - test_length
    in_validation = given_length > 1
    validating = np.flatnonzero(in_validation)
    in_test = grouped.position >= np.repeat(given_length, grouped.lengths)
    user = np.repeat(np.arange(len(grouped.lengths)), grouped.lengths)
    left_out = {
        "in the test part only": log.test[USER].n_unique() - test_part[USER].n_unique(),
        "without a test item": int((test_length == 0).sum()),
        "too short for validation": int((~in_validation).sum()),
    }
    return assemble(
        method, grouped, given_length - in_validation, Examples(validating, given_length[validating] - 1),
        Examples(user[in_test], grouped.position[in_test]), left_out,
    )  # fmt: skip
