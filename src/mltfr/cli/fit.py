"""`mltfr fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from mltfr.cli.options import Format, ItemColumn, SkipInvalid, TimestampColumn, UserColumn


class FitCommand(TyperCommand):
    """`fit` with help that lists the registered parts; only then are they imported, and torch with them."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, then the name and summary of every backbone, fusion and loss."""
        from mltfr.backbones import BACKBONES
        from mltfr.fusion import FUSIONS
        from mltfr.losses import LOSSES
        from mltfr.runs.presets import CONTROLS

        super().format_help(ctx, formatter)
        for heading, registry in (
            ("Backbones (--backbone NAME)", BACKBONES),
            ("Fusions (--fusion NAME)", FUSIONS),
            ("Losses (--set loss.name=NAME)", LOSSES),
        ):
            with formatter.section(heading):
                rows = [(entry.name, entry.summary) for entry in registry]
                formatter.write_dl(sorted([*rows, *CONTROLS.items()]) if registry is FUSIONS else rows)


def fit(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Interaction log: CSV, TSV, Parquet, JSON Lines (each also .gz or .zst), RecBole .inter, "
            "sequence text, or a folder with train.txt and test.txt.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Run folder to write; it must be new or empty.", show_default=False)],
    backbone: Annotated[
        str | None, typer.Option(help="Sequence encoder, one of the backbones below.", show_default="sasrec")
    ] = None,
    fusion: Annotated[
        str | None, typer.Option(help="How token tables are used, one of the fusions below.", show_default="mltfr")
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option(
            help="Token tables, separated by commas; see `mltfr tokens list`. Missing ones are fetched.",
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
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.", show_default="0")] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Most epochs of a round; validation usually ends it earlier.", show_default="100"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run in the same folder.")] = False,
    format: Format = None,
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    timestamp_column: TimestampColumn = None,
    skip_invalid: SkipInvalid = False,
) -> None:
    """Fit a recommender to an interaction log and score it.

    Trains on each user's older interactions, chooses the best epoch on validation, and scores test once.
    Prints the test score beside those of validation, of the same model without its fusion (zero branch) and of
    popularity. The run folder holds all that the other commands need, config.toml and metrics.json among it.
    """
    from mltfr.cli.files import read_words
    from mltfr.config import load_toml
    from mltfr.runs import resolve
    from mltfr.runs.folder import check_new

    check_new(out, resume)
    settings = resolve(
        preset=preset,
        file=load_toml(config) if config is not None else None,
        backbone=backbone,
        fusion=fusion,
        tokens=[name.strip() for name in tokens.split(",") if name.strip()] if tokens is not None else None,
        words=read_words(words) if words is not None else None,
        item_vectors=str(item_vectors) if item_vectors is not None else None,
        seed=seed,
        epochs=epochs,
        overrides=set_ or [],
        where="settings" if config is None else f"settings (with {config})",
    )
    from mltfr.cli.output import print_scores
    from mltfr.interactions import load_interactions
    from mltfr.recommender import Recommender
    from mltfr.training import Interrupted, stop_request

    log = load_interactions(
        file,
        format=format,
        user_column=user_column,
        item_column=item_column,
        timestamp_column=timestamp_column,
        skip_invalid=skip_invalid,
    )
    recommender = Recommender(config=settings)
    with stop_request() as stop:
        try:
            recommender.fit(log, out, resume=resume, stop=stop)
        except Interrupted:
            typer.echo(f"mltfr: stopped; continue with the same command and --resume ({out}).", err=True)
            raise typer.Exit(130) from None
    print_scores(recommender.metrics)
    typer.echo(f"Run written to {out}. Next: mltfr recommend {out} --out recommendations.csv")
