"""`mltfr tokens`: fetch, list, show, import and remove token tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mltfr.cli.options import Overwrite
from mltfr.cli.output import say

if TYPE_CHECKING:
    from mltfr.tokens.table import TokenTable

app = typer.Typer(help="Fetch, list, show, import and remove token tables.", no_args_is_help=True)


@app.command()
def get(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Names of tables in the catalogue, see `mltfr tokens list`.")
    ],
) -> None:
    """Fetch token tables of the catalogue into the local store; verify and repair those that it has already.

    Usually: `mltfr tokens get wordllama`
    """
    from mltfr.storage.progress import show_progress
    from mltfr.tokens.load import ensure_table
    from mltfr.tokens.store import TokenStore

    store = TokenStore()
    for name in names:
        with show_progress() as progress:
            ensure_table(name, store, progress, verify=True)
        provenance = store.provenance(name)
        rows, width = provenance["shape"]
        say(f"{name}: {rows:,} x {width}, {provenance['licence'] or 'licence not known'}")
    if removed := store.remove_damaged():
        _note(f"{removed} damaged prepared tables were removed; they are made again when they are needed")


@app.command("list")
def list_tables() -> None:
    """List the token tables in the catalogue and in the local store.

    Usually: `mltfr tokens list`
    """
    from mltfr.cli.output import print_list
    from mltfr.errors import TokenTableError
    from mltfr.tokens.catalogue import CATALOGUE
    from mltfr.tokens.store import TokenStore

    store = TokenStore()
    present = store.names()
    rows = []
    for name in [*CATALOGUE, *(name for name in present if name not in CATALOGUE)]:
        entry = CATALOGUE.get(name)
        try:
            kept = store.provenance(name) if name in present else {}
        except TokenTableError as error:
            rows.append((name, "", "damaged", "", str(error)))
            continue
        height, width = kept.get("shape") or (entry.shape if entry else (0, 0))
        if kept:
            state = "in the store"
        else:
            state = f"{entry.download} MB to fetch" if entry and entry.download else "made on use"
        licence = kept.get("licence") or (entry.licence if entry else "not known")
        note = entry.note if entry else f"imported from {kept.get('file')}"
        rows.append((name, f"{height:,} x {width}", state, licence.partition(" (")[0], note))
    print_list(("name", "table", "state", "licence", "note"), rows, {"licence": 11})


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a table in the store, see `mltfr tokens list`.")],
    near: Annotated[
        str | None, typer.Option(help="Print the nearest neighbours of this word, or of each of several, by cosine.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Print how this text, such as the name of an item, is split, and what is near each word."),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("-k", min=1, max=1000, help="Number of neighbours.", show_default="10, or 4 with --text"),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check every byte against the checksums.")] = False,
) -> None:
    """Show the provenance of a table, the tokens nearest to a word, or how a text is split into tokens.

    Usually: `mltfr tokens show wordllama --near chocolate`
    """
    from mltfr.cli.output import print_list
    from mltfr.tokens.neighbours import nearest
    from mltfr.tokens.store import TokenStore
    from mltfr.tokens.words import read_vocabulary

    store = TokenStore()
    if verify:
        store.verify(name)
        _note(f"{name}: all checksums match")
    table = store.open(name)
    if near is not None:
        words = near.split() or [near]
        found = [nearest(table, word, k or 10) for word in words]
        if len(words) > 1:
            _note(f"'{near}' is {len(words)} words: the nearest of each are shown, one after the other")
        for word, each in zip(words, found, strict=True):
            if len(each.pieces) > 1:
                _note(f"'{word}' is not one token of {name}: the mean of {' '.join(each.pieces)} is compared")
            hits = [(hit.word, hit.token, f"{hit.cosine:.3f}") for hit in each.neighbours]
            print_list((f"near {word}" if len(words) > 1 else "word", "token", "cosine"), hits)
    if text is not None:
        _show_text(table, text, k or 4)
    if near is not None or text is not None:
        return
    texts = sum(token.is_text for token in read_vocabulary(table.vocabulary, table.special))
    facts = {"text tokens": f"{texts:,} of {len(table.vocabulary):,}", **table.provenance}
    print_list((name, ""), [(key, _plain(value)) for key, value in facts.items()])


@app.command("import")
def import_table(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the table in the store.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A .safetensors, .gguf or .npy file, a folder, or a hub id OWNER/NAME."
        ),
    ],
    tensor: Annotated[str | None, typer.Option(help="Name of the tensor, if it is not a usual one.")] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="tokenizer.json, vocab.json or vocab.txt, if none lies beside the table.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, recorded with the table.")] = "",
    overwrite: Overwrite = False,
) -> None:
    """Import the token table of any LLM; only the table is read, never the model.

    Usually: `mltfr tokens import mymodel model/`
    """
    from mltfr.tokens.load import import_table as import_into
    from mltfr.tokens.store import TokenStore

    _note(f"reading the token table of {source}")
    table = import_into(
        name, source, TokenStore(), tensor=tensor, vocabulary=vocabulary, licence=licence, overwrite=overwrite
    )
    rows, width = table.shape
    if table.provenance.get("vocabulary_file", "") is None:
        _note(f"no vocabulary lies beside {table.provenance['file']}: its rows are called #0, #1, ...")
    say(f"{name}: {rows:,} x {width}, from {table.provenance['file']}")


@app.command()
def remove(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Names of tables in the store, see `mltfr tokens list`.")
    ],
) -> None:
    """Remove token tables from the local store, with all that was prepared from them; nothing is asked.

    Usually: `mltfr tokens remove mymodel`
    """
    from mltfr.storage.main_memory import readable
    from mltfr.tokens.remove import check_present, remove_table
    from mltfr.tokens.store import TokenStore

    store = TokenStore()
    for name in names:  # all or none
        check_present(name, store)
    for name in dict.fromkeys(names):
        say(f"{name} removed: {readable(remove_table(name, store))} freed")


def _show_text(table: TokenTable, text: str, k: int) -> None:
    """Print the words of a text, the tokens of each, and the tokens nearest to their mean."""
    import polars as pl

    from mltfr.cli.output import print_list
    from mltfr.errors import TokenTableError
    from mltfr.names.words import words_of
    from mltfr.tokens.neighbours import nearest

    rows = []
    for word in words_of(pl.Series([text], dtype=pl.String)).words:
        try:
            found = nearest(table, word, k)
        except TokenTableError:
            rows.append((word, "none", "", ""))
            continue
        near = ", ".join(neighbour.word for neighbour in found.neighbours)
        rows.append((word, " ".join(found.pieces), str(len(found.pieces)), near))
    if not rows:
        raise TokenTableError(f"--text {text!r} has no word. Give a text such as the name of an item.")
    print_list(("word", "tokens", "number", "nearest"), rows)


def _note(message: str) -> None:
    say(message, err=True)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return (" x " if isinstance(value[0], int) else ", ").join(str(part) for part in value)
    return "" if value is None else str(value)
