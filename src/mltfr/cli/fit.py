"""`mltfr fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from mltfr.cli.options import Address, Engine, NameColumns, Reading, Where, Workers, reads_a_log, with_options
from mltfr.cli.output import say, say_written, stoppable, to_resume


class FitCommand(TyperCommand):
    """`fit` with help that lists the registered parts; only then are they imported, and torch with them."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, then the name and summary of every backbone, baseline, fusion, loss and objective."""
        from mltfr.backbones import BACKBONES
        from mltfr.baselines import BASELINES
        from mltfr.fusion import FUSIONS
        from mltfr.losses import LOSSES
        from mltfr.objectives import OBJECTIVES

        super().format_help(ctx, formatter)
        for heading, registry in (
            ("Backbones (--backbone NAME)", BACKBONES),
            ("Baselines without training (--backbone NAME)", BASELINES),
            ("Fusions (--fusion NAME)", FUSIONS),
            ("Losses (--set loss.name=NAME)", LOSSES),
            ("Objectives (--set objective.name=NAME)", OBJECTIVES),
        ):
            with formatter.section(heading):
                formatter.write_dl([(entry.name, entry.summary) for entry in registry])


@reads_a_log
def fit(
    file: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Interaction log: CSV, TSV, Parquet, JSON Lines (each also .gz or .zst), RecBole .inter, "
            "sequence text; several of them, or a folder of parts; or a folder with train.txt, test.txt and perhaps "
            "valid.txt, or the like in other formats.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Run folder to write; it must be new or empty.", show_default=False)],
    backbone: Annotated[
        str | None, typer.Option(help="Sequence encoder, or a baseline: one of those below.", show_default="sasrec")
    ] = None,
    fusion: Annotated[
        str | None, typer.Option(help="How token tables are used, one of the fusions below.", show_default="mltfr")
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option(
            help="Token tables, separated by commas, that the fusion reads, and names with names.read=tables; see "
            "`mltfr tokens list`. Missing ones are fetched.",
            show_default="smollm2-135m,wordllama,minilm-l6",
        ),
    ] = None,
    words: Annotated[
        Path | None,
        typer.Option(help="Domain words of fusion external: one word or phrase a line; # begins a comment line."),
    ] = None,
    item_vectors: Annotated[
        Path | None,
        typer.Option(
            help="Item vectors of fusion adapter: Parquet with item_id and a list or numeric columns, or "
            "safetensors with one tensor per item id."
        ),
    ] = None,
    item_names: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What the items are called, for any backbone and fusion, or for the baseline name-knn: CSV, TSV, "
            "JSON Lines, Parquet or RecBole .item with item_id and columns of words; or `ids`, where ids are words.",
            show_default=False,
        ),
    ] = None,
    name_columns: NameColumns = None,
    new_items: Annotated[
        bool,
        typer.Option(
            "--new-items",
            help="Give items of --item-names that training has not seen vectors by their names, for `mltfr recommend "
            "--new-items`.",
        ),
    ] = False,
    teacher: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Run of the same log, filters and split, a blend too, from whose probabilities the model learns "
            "beside the targets (distillation.*).",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Settings to begin from: default, or reference for the published ones.", show_default="default"
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with settings; a run's own config.toml repeats that run.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="One setting, as in training.batch_size=128; may come several times."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.", show_default="0")] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Maximum number of epochs (passes over the training data) in all; of two rounds, the first has at "
            "most half of them, and each one at least. Validation usually ends a round earlier.",
            show_default="30, or 5 + 30 in two rounds",
        ),
    ] = None,
    no_baselines: Annotated[
        bool,
        typer.Option(
            "--no-baselines", help="Fit no baselines (markov, item-knn, with names name-knn) to compare the run with."
        ),
    ] = False,
    track: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Send settings, epochs and scores to an experiment tracker: mlflow, wandb or trackio (extras of these "
            "names).",
            show_default="nothing is sent",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run in the same folder; a finished one is shown.")
    ] = False,
    engine: Engine = None,
    workers: Workers = None,
    address: Address = None,
    *,
    reading: Reading,
    where: Where = None,
) -> None:
    """Fit a recommender to an interaction log and score it.

    Usually: `mltfr fit interactions.csv --out runs/mine`

    Trains on each user's older interactions, chooses the best epoch on validation, and scores test once.
    Prints the test score beside those of validation, of the same model without its fusion (zero branch) and of the
    baselines that take seconds, and says in words where the run stands. The run folder holds all that the other
    commands need, config.toml and metrics.json among it.
    Baselines are fitted in one pass: with them --fusion, --tokens, loss.* and training.* have no meaning, but for
    training.metric, which runs are judged by.
    Several processes train together under --engine ray, or torchrun --nproc-per-node N -m mltfr fit ...; they split
    every batch, and training.shards, if it is not given, is set to their number.
    """
    from json import dumps

    from mltfr.cli.engines import check_engine, with_shards
    from mltfr.cli.files import read_words
    from mltfr.config import load_toml
    from mltfr.pipeline import resolve
    from mltfr.pipeline.artifact import check_new
    from mltfr.training.device import launched

    given = with_options(set_, where, reading)
    if track is not None:
        given.append(f"trackers={dumps(_trackers(track))}")
    rank, processes = launched()
    check_engine(engine, workers, address)
    if not rank:
        check_new(out, resume)
    settings = resolve(
        preset=preset,
        file=load_toml(config) if config is not None else None,
        backbone=backbone,
        fusion=fusion,
        tokens=tokens,
        words=read_words(words) if words is not None else None,
        item_vectors=str(item_vectors) if item_vectors is not None else None,
        item_names=str(item_names) if item_names is not None else None,
        name_columns=name_columns,
        new_items=new_items or None,
        teacher=str(teacher) if teacher is not None else None,
        seed=seed,
        epochs=epochs,
        baselines=False if no_baselines else None,
        overrides=given,
        where="settings" if config is None else f"settings (with {config})",
    )
    settings = with_shards(settings, workers or processes)
    from mltfr.cli.output import print_scores
    from mltfr.interactions import load_interactions
    from mltfr.pipeline.inputs import check_files
    from mltfr.training import Callback, Console

    check_files(settings, out)
    how = {**settings.reading.arguments, **settings.filters.arguments}
    with stoppable("" if rank else to_resume(out)) as stop:
        if engine == "ray":
            from mltfr.cluster import fit_with_ray

            metrics = fit_with_ray(settings, file, how, out, workers or 1, address, resume=resume, stop=stop)
        else:
            from mltfr.pipeline import fit as fit_here

            log = load_interactions(file, **how)
            callback = Callback() if rank else Console()
            metrics = fit_here(settings, log, out, resume=resume, callback=callback, stop=stop).metrics
    if rank:
        return
    print_scores(metrics)
    if "verdict" in metrics:
        from mltfr.pipeline.verdict import RunVerdict

        say(RunVerdict.from_json(metrics["verdict"]))
    say_written(out)


def _trackers(given: str) -> list[str]:
    """Return the names of trackers.

    Raises:
        ConfigError: one is unknown.
    """
    from mltfr.errors import ConfigError, one_of, shown
    from mltfr.training import TRACKERS

    names = [name.strip() for name in given.split(",")]
    for name in names:
        if name not in TRACKERS:
            raise ConfigError(f"--track: unknown tracker {shown(name)}. {one_of(name, TRACKERS)}")
    return names
