"""From a data set of the study file to its interaction log."""

from __future__ import annotations

from mltfr.interactions import InteractionLog, PreparedSet, load_interactions
from mltfr.interactions.catalogue import get_data
from mltfr.interactions.checks import SameTime
from mltfr.interactions.synthetic import synthetic
from mltfr.study.config import SYNTHETIC, DataConfig


def open_log(data: DataConfig, same_time: SameTime = "refuse") -> InteractionLog | PreparedSet:
    """Return the log; public data is fetched where it is not stored yet.

    Raises:
        DataError: the file is not a usable log.
        FetchError: public data cannot be fetched.
    """
    if data.name == SYNTHETIC:
        return synthetic(data.synthetic).log
    return load_interactions(
        str(data.file) if data.name is None else get_data(data.name),
        format=data.format,
        user_column=data.user_column,
        item_column=data.item_column,
        timestamp_column=data.timestamp_column,
        time_format=data.time_format,
        columns=data.columns,
        skip_invalid=data.skip_invalid,
        same_time=same_time,
    )
