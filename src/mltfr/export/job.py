"""The process of one export: `python -m mltfr.export.job RUN PLACE K` writes the folder `graph` into a temporary one.

It ends with its parent, and takes the temporary folder along.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from mltfr.errors import MltfrError
from mltfr.export.folder import write_export
from mltfr.pipeline.artifact import load_artifact
from mltfr.storage.child import when_stdin_closes

GRAPH = "graph"
"""The folder that is written."""


def main(run: Path, place: Path, k: int) -> int:
    """Export a run, and return the exit code; the last line on stderr says what went wrong.

    Args:
        run: the run folder.
        place: a temporary folder, which is removed where the parent ends first.
        k: items of a list at most.
    """

    def end() -> None:
        shutil.rmtree(place, ignore_errors=True)
        os._exit(1)

    when_stdin_closes(end)
    try:
        write_export(load_artifact(run), place / GRAPH, k=k)
    except MltfrError as error:
        print(" ".join(str(error).split()), file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
