"""Taking a run from the hub: fetched into the cache of huggingface-hub, and checked before anything of it is read."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mltfr.errors import FetchError, MltfrWarning, RunError
from mltfr.hub.files import OF_A_RUN, check_fetched, check_names
from mltfr.hub.remote import HubName, hub_errors, library, offline_by
from mltfr.pipeline.artifact import check_new
from mltfr.storage.atomic_folder import atomic_folder
from mltfr.storage.files import output_errors

CONNECT_TIMEOUT = 10.0
"""Seconds without an answer after which the hub counts as unreachable."""


@dataclass(frozen=True)
class Fetched:
    """A run in the cache of huggingface-hub, checked.

    Attributes:
        folder: where it lies; its files may be links to others of the cache.
        commit: the commit that it is of.
        manifest: its manifest.
    """

    folder: Path
    commit: str
    manifest: dict[str, Any]


def fetch(
    name: HubName,
    *,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Fetched:
    """Return a run of the hub, from the cache where it is there.

    Nothing of it is executed or unpickled: a run is TOML, JSON, Parquet and safetensors. A repository that holds
    anything else is refused before it is fetched.

    Args:
        name: the repository and its revision.
        token: token of the hub; by default the one that huggingface-hub knows.
        cache_dir: folder of the cache; by default that of huggingface-hub.
        local_files_only: take what is in the cache, and ask nobody; so it is with HF_HUB_OFFLINE=1 or MLTFR_OFFLINE=1.
        force_download: fetch the files even if they are in the cache.

    Raises:
        MissingExtraError: huggingface-hub is not installed.
        FetchError: it cannot be fetched, or is not in the cache.
        RunError: it is no run, or a damaged one, or holds something else.
    """
    hub = library()
    where = {"cache_dir": cache_dir, "token": token, "revision": name.revision, "allow_patterns": list(OF_A_RUN)}
    if variable := offline_by(hub) or "local_files_only" * local_files_only:
        if (kept := _cached(hub, name, where)) is None:
            raise FetchError(
                f"{name}: is not in the cache of huggingface-hub, and {variable} forbids fetching it. "
                f"{'Leave it out' if local_files_only else 'Unset it'}, or fetch it once while online."
            )
        return _checked(name, kept)
    with hub_errors(hub, name, "fetched", token):
        api = hub.HfApi(token=token, library_name="mltfr")
        try:
            info = api.repo_info(name.repository, revision=name.revision, files_metadata=True, timeout=CONNECT_TIMEOUT)
        except hub.utils.HfHubHTTPError:
            raise
        except Exception:  # nobody answers
            if (kept := _cached(hub, name, where)) is None:
                raise
            warnings.warn(f"{name}: the hub does not answer; taken from the cache.", MltfrWarning, stacklevel=2)
            return _checked(name, kept)
        names = check_names(str(name), (entry.rfilename for entry in info.siblings or ()))
        _check_room(hub, name, cache_dir, sum(entry.size or 0 for entry in info.siblings if entry.rfilename in names))
        path = hub.snapshot_download(name.repository, force_download=force_download, **where)
        return _checked(name, Path(path))


def pull(name: HubName, out: Path, **how: Any) -> Fetched:
    """Write a run of the hub into a folder of its own, with its card; files are copied, and no link is kept.

    Args:
        name: the repository and its revision.
        out: the folder, which must be new or empty.
        how: as for `fetch`.

    Raises:
        MissingExtraError, FetchError: see `fetch`.
        RunError: see `fetch`; or `out` holds a run, or something else.
        OutputError: `out` cannot be written; nothing is fetched then.
    """
    _check_empty(out)
    destination = out.absolute()
    with output_errors(out), atomic_folder(destination.parent, "Choose another --out.") as made:
        fetched = fetch(name, **how)
        for path in sorted(fetched.folder.iterdir()):
            if path.is_file():
                shutil.copyfile(path, made.path / path.name)
        check_fetched(str(name), made.path, made.path)  # again: these are the bytes that stay
        _check_empty(out)
        made.publish(destination.name)
    return fetched


def _check_empty(out: Path) -> None:
    """Refuse a folder that holds a run or something else; hidden files too, since it gets its place as a whole."""
    check_new(out, resume=False)
    if out.is_dir() and any(out.iterdir()):
        raise RunError(f"{out}: is not empty. Choose another --out.")


def _cached(hub: Any, name: HubName, where: dict[str, Any]) -> Path | None:
    """Return where the cache has a repository; None where it has not."""
    try:
        return Path(hub.snapshot_download(name.repository, local_files_only=True, **where))
    except Exception:  # the package raises errors of several libraries
        return None


def _checked(name: HubName, path: Path) -> Fetched:
    """Return a snapshot of the cache, `REPOSITORY/snapshots/COMMIT`, after checking it."""
    return Fetched(path, path.name, check_fetched(str(name), path, path.parents[1]))


def _check_room(hub: Any, name: HubName, cache_dir: str | Path | None, size: int) -> None:
    """Refuse a run that is larger than what is free on the disk."""
    place = Path(cache_dir or hub.constants.HF_HUB_CACHE).expanduser().absolute()
    while not place.exists():
        place = place.parent
    if size > (free := shutil.disk_usage(place).free):
        raise FetchError(f"{name}: has {size:,} bytes, and {free:,} are free in {place}. Free some space.")
