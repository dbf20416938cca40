"""`mltfr similar`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mltfr.cli.options import AddNames, Json, NewItems, Overwrite, Run
from mltfr.cli.output import print_list, say


def similar(
    run: Run,
    items: Annotated[list[str] | None, typer.Argument(metavar="ITEM", help="Item ids of the log.")] = None,
    items_file: Annotated[
        Path | None,
        typer.Option("--items", metavar="FILE", help="Text file with one item id a line, instead of ITEM...",
                     show_default=False),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many items every item gets, at most.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option(
            help="New file to write: .csv, .parquet or .jsonl; - for CSV on stdout. Without it a table is printed.",
            show_default=False,
        ),
    ] = None,
    add_names: AddNames = None,
    new_items: NewItems = False,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """List the items most similar to some items, as rows similar_to, rank, item_id, similarity, rank 1 first.

    Usually: `mltfr similar runs/mine ITEM`

    Items come in the order in which they are given. The similarity is the cosine of the item vectors, with name-knn
    and with --new-items that of the names' words, of a blend the mean of these, and with the baselines item-knn,
    ease and ease-recent the weight. Items that training has not seen are left out without --new-items.
    """  # fmt: skip
    from mltfr.cli.files import STDOUT, check_output, read_ids, write_frame
    from mltfr.errors import DataError, OutputError

    if bool(items) == (items_file is not None):
        raise DataError("Give item ids, or a file of them with --items: one of the two.")
    if out is not None and json:
        raise OutputError("Give --json or --out, not both.")
    if out is not None:
        check_output(out, overwrite=overwrite)
    from mltfr.inference import similar_items
    from mltfr.interactions.item_names import item_names, named
    from mltfr.pipeline import load_inference_model

    asked = items if items_file is None else read_ids(items_file)
    names = item_names(add_names) if add_names is not None else None
    model = load_inference_model(run)
    model = model.with_new_items() if new_items else model
    table = named(similar_items(model.vocabulary, model.model.item_similarity, asked, k), names, model.vocabulary)
    if out is not None:
        write_frame(table, out, overwrite)
        where = "stdout" if out == STDOUT else out
        say(f"{table['similar_to'].n_unique():,} items, {len(table):,} rows written to {where}", err=True)
    elif json:
        from json import dumps

        say(dumps(table.to_dicts(), indent=2))
    else:
        rows = [[f"{v:.4f}" if isinstance(v, float) else str(v or "") for v in row] for row in table.rows()]
        print_list(table.columns, rows)
