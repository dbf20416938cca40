"""Batch jobs: recommendations for many users, a part at a time, on one machine or a cluster."""

from pathlib import Path

from mltfr.batch.folder import PART_USERS, Part, PartsFolder, describe_job, locked_parts, plan_parts
from mltfr.batch.job import Summary, recommend_to_file, recommend_to_folder, recommend_to_stream
from mltfr.batch.json_histories import JsonUsers
from mltfr.batch.parquet_histories import ParquetUsers
from mltfr.batch.scoring import PartScorer, Scored
from mltfr.batch.users import NamedUsers, RunUsers, Users, known_users, sample

__all__ = [
    "PART_USERS",
    "JsonUsers",
    "NamedUsers",
    "ParquetUsers",
    "Part",
    "PartScorer",
    "PartsFolder",
    "RunUsers",
    "Scored",
    "Summary",
    "Users",
    "describe_job",
    "known_users",
    "locked_parts",
    "plan_parts",
    "read_histories",
    "recommend_to_file",
    "recommend_to_folder",
    "recommend_to_stream",
    "sample",
]


def read_histories(path: Path) -> Users:
    """Return the users of a file of histories, JSON Lines or Parquet by its first bytes, or of a folder of Parquet.

    Raises:
        DataError: it cannot be read, or holds something else.
    """
    if path.is_dir():
        return ParquetUsers(path)
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
    except OSError:
        is_parquet = False  # the other reader says why
    return ParquetUsers(path) if is_parquet else JsonUsers(path)
