"""The `mltfr` command."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer

from mltfr import __version__
from mltfr.cli import data, tokens
from mltfr.cli.demo import demo
from mltfr.cli.doctor import doctor
from mltfr.cli.evaluate import evaluate
from mltfr.cli.fit import fit
from mltfr.cli.recommend import recommend
from mltfr.errors import MltfrError, MltfrWarning

app = typer.Typer(
    name="mltfr",
    help="Sequential recommendation that draws on the token tables of several language models, without any text.",
    epilog="Start here: mltfr demo. Then: mltfr fit interactions.csv --out runs/mine",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.add_typer(data.app, name="data")
app.add_typer(tokens.app, name="tokens")
app.command()(fit)
app.command()(evaluate)
app.command()(recommend)
app.command()(doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mltfr {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Sequential recommendation that draws on the token tables of several language models, without any text."""


def main() -> None:
    """Run the command line: a user's mistake ends in one line on stderr and exit code 2."""
    warnings.showwarning = _one_line
    try:
        app()
    except MltfrError as error:
        typer.echo(f"mltfr: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def _one_line(message: Warning | str, category: type[Warning], *place: object, **more: object) -> None:
    """Print a warning that is meant for the user as one line; those of libraries stay silent."""
    if issubclass(category, MltfrWarning):
        typer.echo(f"mltfr: {message}", err=True)
