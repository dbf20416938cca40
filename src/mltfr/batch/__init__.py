"""Batch jobs: recommendations for many users, a part at a time, on one machine or a cluster."""

from mltfr.batch.event_histories import EventUsers
from mltfr.batch.folder import PART_USERS, Part, PartsFolder, describe_job, locked_parts, plan_parts
from mltfr.batch.job import Summary, recommend_to_file, recommend_to_folder, recommend_to_stream
from mltfr.batch.json_histories import JsonUsers
from mltfr.batch.parquet_histories import ParquetUsers
from mltfr.batch.read_histories import read_histories
from mltfr.batch.scoring import PartScorer, Scored
from mltfr.batch.users import NamedUsers, RunUsers, Users, known_users, sample

__all__ = [
    "PART_USERS",
    "EventUsers",
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
