"""Options of the commands with `--engine`: their checks, and the shards of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltfr.errors import ConfigError

if TYPE_CHECKING:
    from mltfr.pipeline import RunConfig


def check_engine(engine: str | None, workers: int | None, address: str | None) -> None:
    """Check, before any work is done, that the options fit together.

    Raises:
        ConfigError: fewer than one worker, or workers or a cluster without an engine that has them.
        MissingExtraError: Ray is not installed.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers is {workers}, but at least one has to work. Give 1 or more.")
    if engine == "ray":
        from mltfr.cluster import require_ray

        require_ray()
        return
    for option, value in (("--workers", workers), ("--address", address)):
        if value is not None:
            raise ConfigError(
                f"{option} {value} needs --engine ray. Without Ray, start processes with torchrun: "
                "torchrun --nproc-per-node N -m mltfr fit ..."
            )


def with_shards(settings: RunConfig, processes: int) -> RunConfig:
    """Return settings with one shard of every batch per process, unless they set `training.shards`.

    Raises:
        ConfigError: the processes cannot share the number of shards evenly.
    """
    shards = settings.training.shards
    if processes > 1 and "shards" not in settings.training.model_fields_set:
        shards = processes
    if shards % processes:
        raise ConfigError(
            f"{processes} processes cannot share {shards} shards (training.shards) evenly. "
            f"Set training.shards to a multiple of {processes}, or leave it out."
        )
    training = settings.training.model_copy(update={"shards": shards})
    return settings.model_copy(update={"training": training})
