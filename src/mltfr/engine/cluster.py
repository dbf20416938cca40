"""The Ray cluster that a command works on: somebody's, or a local one for the time of the command."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from mltfr.errors import ConfigError, MissingExtraError

CONNECT_SECONDS = 5.0
LOCAL = "local"
_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray will do by default; unset, it warns
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",  # a worker that starts imports torch first
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_COLOR_PREFIX": "0",
}


def require_ray() -> None:
    """Look whether Ray is there, without importing it.

    Raises:
        MissingExtraError: it is not installed.
    """
    if find_spec("ray") is None:
        raise MissingExtraError("ray", "ray")


@contextmanager
def connected(address: str | None, workers: int) -> Iterator[None]:
    """Be connected to a Ray cluster; the one that is connected already stays so.

    Args:
        address: `HOST:PORT` or `ray://HOST:PORT` of a cluster; None for the one that RAY_ADDRESS names, or else a
            local one with as many processes as `workers`, which ends with the command.
        workers: processes that will be asked for.

    Raises:
        ConfigError: there is no cluster at the address.
        MissingExtraError: Ray is not installed.
    """
    require_ray()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or LOCAL
    options: dict[str, object] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= {"include_dashboard": False, "num_cpus": max(workers, os.cpu_count() or 1)}
    else:
        _look_for(address)
        settings = {name: value for name, value in os.environ.items() if name.startswith("MLTFR_")}
        options["runtime_env"] = {"env_vars": {**settings, **_QUIET}}
    try:
        ray.init(**options)
    except (ConnectionError, TimeoutError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"No Ray cluster could be reached at '{address}' ({' '.join(str(error).split())[:200]}). "
            "Give --address HOST:PORT of a running one, or leave it out for a local one."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _look_for(address: str) -> None:
    """See that somebody listens, since Ray itself would try for minutes.

    Raises:
        ConfigError: nobody does, or the address is none.
    """
    if address == "auto":
        return
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    try:
        if not (separator and host and port.isdecimal()):
            raise ValueError("it is not HOST:PORT")
        with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"No Ray cluster could be reached at '{address}' ({error}). "
            "Give --address HOST:PORT of a running one, or leave it out for a local one."
        ) from error


@contextmanager
def shared_storage(folder: Path) -> Iterator[Path]:
    """Put a file into a folder, by which other nodes show that they see it; see `require_shared`."""
    token = folder / f".seen-by-all-{uuid.uuid4().hex}"
    folder.mkdir(parents=True, exist_ok=True)
    token.touch()
    try:
        yield token
    finally:
        token.unlink(missing_ok=True)


def require_shared(paths: Sequence[Path]) -> None:
    """See, on the node where a worker runs, that it has what the driver has.

    Raises:
        ConfigError: a path is not there.
    """
    for path in paths:
        if not path.exists():
            raise ConfigError(
                f"Node {socket.gethostname()} does not see {path}. With --engine ray, the input and --out must lie on "
                "storage that all nodes of the cluster share, under the same path."
            )
