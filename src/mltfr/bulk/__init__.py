"""Bulk jobs: recommendations for many users, a part at a time, by any engine."""

from pathlib import Path

from mltfr.bulk.folder import PartsFolder, describe_job
from mltfr.bulk.job import Summary, recommend_to_file, recommend_to_folder
from mltfr.bulk.json_users import JsonUsers
from mltfr.bulk.parquet_users import ParquetUsers
from mltfr.bulk.parts import PART_USERS, Part, plan_parts
from mltfr.bulk.scoring import PartScorer, Scored, Wanted
from mltfr.bulk.users import NamedUsers, RunUsers, Users, known_users, sample

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
    "Wanted",
    "describe_job",
    "known_users",
    "plan_parts",
    "read_histories",
    "recommend_to_file",
    "recommend_to_folder",
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
