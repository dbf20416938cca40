"""The folder of a search.

    search.toml            the study that it is: data set, settings, backbones, fusions
    search.jsonl           its journal
    cells/NAME/            the run folder of everything that was tried, as `mltfr fit` writes it; one that was not
                           trained to its end has a checkpoint instead of a manifest. NAME.json: what it is made from
    best/                  the run that was chosen, with its test score
    refitted/              the same recommender, fitted to all of the log, where that was asked for
    leaderboard.parquet    everything that was tried, best first; written anew whenever something ends
    report.html            what was found
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mltfr.errors import RunError
from mltfr.search.journal import JOURNAL
from mltfr.storage.files import check_new, output_errors
from mltfr.storage.lock import locked, naming_the_holder
from mltfr.study.folder import CELLS, TUNING, StudyFolder

SEARCH, LEADERBOARD, REPORT = "search.toml", "leaderboard.parquet", "report.html"
BEST, REFITTED = "best", "refitted"


def check_search(path: Path, resume: bool) -> None:
    """Refuse to write over something that is already there.

    Raises:
        RunError: it holds something else, or a search and `resume` is not given; or another process is at work in it.
    """
    refusal = None if resume else "holds a search already. Continue it with --resume, or choose another --out."
    known = dict.fromkeys((SEARCH, JOURNAL, LEADERBOARD), refusal)
    empty = [name for name in (CELLS, TUNING) if not any((path / name).glob("*"))]  # ended before its first run
    with naming_the_holder(path):
        check_new(path, "a search", known=known, ignored=empty, error=RunError)


@contextmanager
def open_search(path: Path, resume: bool) -> Iterator[StudyFolder]:
    """Make the folder of a search and lock it.

    Raises:
        RunError: see `check_search`.
        OutputError: it cannot be made.
    """
    check_search(path, resume)
    with locked(path, within=(CELLS, TUNING, f"{TUNING}/*")):
        check_search(path, resume)  # again: another process may have begun one
        with output_errors(path):
            (path / CELLS).mkdir(exist_ok=True)
        yield StudyFolder(path)
