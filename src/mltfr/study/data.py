"""From a data set of the study file to its interaction log."""

from __future__ import annotations

from mltfr.interactions import FilterConfig, InteractionLog, PreparedSet, load_interactions
from mltfr.interactions.catalogue import get_data
from mltfr.interactions.synthetic import synthetic
from mltfr.study.config import SYNTHETIC, DataConfig


def open_log(data: DataConfig, filters: FilterConfig | None = None) -> InteractionLog | PreparedSet:
    """Return the log; public data is fetched where it is not stored yet.

    Raises:
        DataError: the file is not a usable log.
        FetchError: public data cannot be fetched.
    """
    if data.name == SYNTHETIC:
        return synthetic(data.synthetic).log
    return load_interactions(
        data.files if data.name is None else get_data(data.name),
        **data.arguments,
        **(filters or FilterConfig()).arguments,
    )
