"""Connection to a Ray cluster: a running one, or a local one that ends with the command."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from mltfr.errors import ConfigError, MissingExtraError
from mltfr.storage.files import output_errors, partial_name
from mltfr.threads import short_waits, usable_cores, waits

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
    """Check that Ray is installed, without importing it.

    Raises:
        MissingExtraError: it is not installed.
    """
    if find_spec("ray") is None:
        raise MissingExtraError("ray", "ray")


@contextmanager
def connected(address: str | None, workers: int) -> Iterator[None]:
    """Connect to a Ray cluster; an existing connection is used as it is.

    Args:
        address: `HOST:PORT` or `ray://HOST:PORT` of a cluster; None for the one that RAY_ADDRESS names, or else a
            local one with as many processes as `workers`, which ends with the command.
        workers: processes that the command will start.

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
    variables = short_waits(os.environ)  # for the workers alone: this process may be that of another program
    options: dict[str, object] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= {"include_dashboard": False, "num_cpus": max(workers, usable_cores())}
    else:
        _check_reachable(address)
        settings = {name: value for name, value in os.environ.items() if name.startswith("MLTFR_")}
        variables |= {**settings, **waits(os.environ), **_QUIET}
    options["runtime_env"] = {"env_vars": variables}
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


def _check_reachable(address: str) -> None:
    """Check that the address accepts connections, since Ray itself would retry for minutes.

    Raises:
        ConfigError: it does not, or is not HOST:PORT.
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
    """Put a token file into a locked folder, so that other nodes can check that they see it (`require_shared`).

    If the command is killed, the folder's next holder removes the token (`remove_partial`).
    """
    token = partial_name(folder / "seen-by-all")
    with output_errors(folder):
        token.touch()
    try:
        yield token
    finally:
        with suppress(OSError):
            token.unlink(missing_ok=True)


def require_shared(paths: Sequence[Path]) -> None:
    """Check, on the node where a worker runs, that it sees the files of the command.

    Raises:
        ConfigError: a path is not there.
    """
    for path in paths:
        if not path.exists():
            raise ConfigError(
                f"Node {socket.gethostname()} does not see {path}. With --engine ray, the input and --out must lie on "
                "storage that all nodes of the cluster share, under the same path."
            )
