"""`mltfr baselines`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mltfr.cli.options import NameColumns, Reading, Where, reads_a_log, with_options
from mltfr.cli.output import say, stoppable, to_resume
from mltfr.errors import word


@reads_a_log
def baselines(
    file: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Interaction log, as for `mltfr fit`.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option(help="Folder to write; every baseline gets a run folder in it.", show_default=False)
    ],
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file, such as a run's config.toml: reading, filters, split and evaluation are taken."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="One setting for all, as in filters.core=3; may come several times."
        ),
    ] = None,
    item_names: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What the items are called, for name-knn, as for `mltfr fit`; or `ids`, where ids are words.",
            show_default=False,
        ),
    ] = None,
    name_columns: NameColumns = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave the baselines that are finished as they are, and fit the others.")
    ] = False,
    *,
    reading: Reading,
    where: Where = None,
) -> None:
    """Fit all baselines to an interaction log, and print one table: what a trained recommender has to beat.

    Usually: `mltfr baselines interactions.csv --out runs/baselines`

    They need no training, and most logs take seconds; ease and ease-recent take one matrix of all items in memory, and
    name-knn takes part with --item-names. Each is a run folder, which recommends and is compared like any other.
    """
    from mltfr.config import load_toml
    from mltfr.pipeline.all_baselines import baseline_configs, fit_baselines
    from mltfr.pipeline.inputs import check_files, read_log
    from mltfr.training import Console

    given = with_options(set_, where, reading)
    named = str(item_names) if item_names is not None else None
    configs = baseline_configs(load_toml(config) if config is not None else None, given, named, name_columns)
    for each in configs.values():
        check_files(each)
    shared = next(iter(configs.values()))
    metric = shared.judged_by
    with stoppable(to_resume(out)) as stop:
        log = read_log(shared, file)
        scores, refused = fit_baselines(configs, log, out, resume=resume, callback=Console(), stop=stop)
    _show(scores, metric)
    for name, reason in refused.items():
        say(f"{name} was left out: {reason}")
    best = _best(scores, metric)
    chosen = f"Best on validation: {best}. " if best else ""
    asked = word(out / (best or next(iter(scores))))
    say(f"{chosen}Runs written to {out}. Next: mltfr recommend {asked} --out lists.csv")


def _show(scores: Mapping[str, Mapping[str, Any]], metric: str) -> None:
    """Print the test scores of all, with the validation score that chooses among them."""
    from mltfr.cli.output import describe_protocol, print_table, score_row, shown_metrics

    document = next(iter(scores.values()))
    rows = [[*score_row(name, one["metrics"]), _validation(one, metric)] for name, one in scores.items()]
    columns = ["test", *shown_metrics(document["metrics"]), "validation"]
    rows.sort(key=lambda row: row[-1], reverse=True)
    title = f"{document['users']:,} users, by validation {metric}"
    print_table(title, columns, rows, caption=describe_protocol(document))


def _best(scores: Mapping[str, Mapping[str, Any]], metric: str) -> str | None:
    """Return the baseline with the best validation score; None where nothing is held out for validation."""
    known = {name: one["validation"]["metrics"][metric] for name, one in scores.items() if "validation" in one}
    return max(known, key=known.__getitem__, default=None)


def _validation(document: Mapping[str, Any], metric: str) -> str:
    return f"{document['validation']['metrics'][metric]:.4f}" if "validation" in document else ""
