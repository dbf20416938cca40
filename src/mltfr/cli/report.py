"""`mltfr report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mltfr.cli.options import AddNames, Overwrite
from mltfr.cli.output import say


def report(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|STUDY", help="Folder written by `mltfr fit`, or by `mltfr study`.", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE.html|DIR",
            help="HTML file to write; or a folder, which gets the page, its figures as SVG and its tables as CSV.",
            show_default=False,
        ),
    ],
    title: Annotated[str | None, typer.Option(help="Heading of the page.", show_default="its name")] = None,
    examples: Annotated[int, typer.Option(min=0, max=100, help="Users of the test split that are shown.")] = 5,
    no_examples: Annotated[
        bool, typer.Option("--no-examples", help="Show nobody: no id of a user or a held-out item is in the file.")
    ] = False,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN2", help="Another run of the same protocol to put beside it, with the paired test; may come "
            "several times.", show_default=False,
        ),
    ] = None,
    add_names: AddNames = None,
    overwrite: Overwrite = False,
    open_page: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
) -> None:
    """Write one HTML page about a run or a study, to send to a colleague: whether it helped, and what it rests on.

    Usually: `mltfr report runs/mine --out report.html`

    The page loads nothing and needs no script; of a run it has the verdict, scores beside baselines, curves, router,
    kept tokens as words, slices, users as examples, cost, and how to repeat the run. Of a study it has gains with their
    intervals, and its tables. Every figure has its table and CSV. The same run gives the same bytes.
    """
    from mltfr.errors import ConfigError
    from mltfr.interactions.item_names import item_names
    from mltfr.page.run_page import run_page
    from mltfr.page.study_page import is_a_study, study_page
    from mltfr.page.write import check_page, write_page

    check_page(out, overwrite)
    if is_a_study(folder):
        if compare or add_names is not None:
            raise ConfigError(f"{folder}: is a study, whose rows are compared already and name no item. Leave out "
                              "--compare and --add-names.")  # fmt: skip
        page = study_page(folder, title)
    else:
        names = item_names(add_names) if add_names is not None else None
        page = run_page(folder, title, 0 if no_examples else examples, names, compare or [])
    path = write_page(page, out, overwrite)
    say(page.verdict)
    say(f"Report written to {path}.")
    if open_page:
        typer.launch(path.resolve().as_uri())
