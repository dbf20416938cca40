"""The `mltfr` command."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import typer
import typer.core

from mltfr.cli import data, tokens
from mltfr.cli.auto import auto
from mltfr.cli.baselines import baselines
from mltfr.cli.blend import blend
from mltfr.cli.compare import compare
from mltfr.cli.demo import demo
from mltfr.cli.doctor import doctor
from mltfr.cli.evaluate import evaluate
from mltfr.cli.explain import explain
from mltfr.cli.export import export
from mltfr.cli.fit import FitCommand, fit
from mltfr.cli.hub import pull, push
from mltfr.cli.output import say
from mltfr.cli.recommend import recommend
from mltfr.cli.report import report
from mltfr.cli.serve import serve
from mltfr.cli.similar import similar
from mltfr.cli.study import study
from mltfr.cli.tune import tune
from mltfr.cli.update import update
from mltfr.errors import ConfigError, MltfrError, MltfrWarning
from mltfr.threads import short_waits
from mltfr.version import __version__, commit

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # Click's; some versions of Typer bring their own Click

ALIKE = {
    "train": "fit", "predict": "recommend", "score": "evaluate", "delete": "remove", "info": "doctor", "upload": "push",
    "download": "pull",
}  # fmt: skip
"""Commands of other programs, and those here that do the same."""
MAY_BE_EMPTY = ("mltfr fit --tokens",)
"""Options for which an empty text means something: no token tables, whatever a file of settings names."""


class _Group(typer.core.TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is asked for; refuse empty texts beside it, which a path takes for this folder."""
        name, command, more = super().resolve_command(ctx, args)
        if not ctx.resilient_parsing:
            _refuse_empty(f"{ctx.command_path} {name}", command, more)
        return name, command, more

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # some versions of Typer turn it into a silent exit
            raise typer.Abort from None


def _refuse_empty(path: str, command: Any, words: list[str]) -> None:
    """Raise a ConfigError if one of a command's words is an empty text, unless that is what an option means by it."""
    while words and (inner := getattr(command, "commands", {}).get(words[0])) is not None:
        path, command, words = f"{path} {words[0]}", inner, words[1:]
    of_value = {
        option: parameter.default == "" or f"{path} {option}" in MAY_BE_EMPTY
        for parameter in command.params
        if parameter.param_type_name == "option" and not (parameter.is_flag or parameter.count)
        for option in parameter.opts
    }
    before = ""
    for word in words:
        joined = word.startswith("--") and "=" in word
        option, _, value = word.partition("=") if joined else (before, "", word)
        if not value.strip() and not of_value.get(option, joined):  # Click says of `--json=` that it takes none
            what = option if option in of_value else "an argument"
            raise ConfigError(f"{what} is an empty text. Give a value, or leave it out. See: {path} --help")
        before = word


app = typer.Typer(
    name="mltfr",
    cls=_Group,
    help="Sequential recommendation that draws on the token tables of several language models, without any text.\n\n"
    "Start here: `mltfr demo`. Then: `mltfr fit interactions.csv --out runs/mine`",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.command()(demo)
app.add_typer(data.app, name="data")
app.add_typer(tokens.app, name="tokens")
app.command(cls=FitCommand)(fit)
app.command()(baselines)
app.command()(blend)
app.command()(evaluate)
app.command()(update)
app.command()(compare)
app.command()(recommend)
app.command()(similar)
app.command()(explain)
app.command()(report)
app.command()(export)
app.command()(push)
app.command()(pull)
app.command()(serve)
app.command()(study)
app.command()(auto)
app.command()(tune)
app.command()(doctor)


def _version(requested: bool) -> None:
    if requested:
        made_from = commit()
        say(f"mltfr {__version__}" + (f" (commit {made_from})" if made_from else ""))
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and its commit.")
    ] = False,
) -> None:
    """Sequential recommendation that draws on the token tables of several language models, without any text."""


def main() -> None:
    """Run the command line: a user's mistake ends in one line on stderr and exit code 2."""
    os.environ.update(short_waits(os.environ))  # before torch is imported, which loads OpenMP
    warnings.showwarning = _one_line
    warnings.simplefilter("always", MltfrWarning)
    try:
        code = app(prog_name="mltfr", standalone_mode=False)
        if sys.stdout is not None:  # closed by the caller
            sys.stdout.flush()  # what cannot be written shows here, and not while Python shuts down
    except MltfrError as error:
        code = _fail(str(error), error.exit_code)
    except UsageError as error:
        code = _fail(_usage(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail("stopped.", 130)
    except BrokenPipeError:  # the reader, such as `head`, has enough
        code = _drop_stdout(1)
    except OSError as error:
        from mltfr.storage.files import completed
        from mltfr.storage.refusals import advice

        where = f"{completed(error.filename)}: " if error.filename else ""
        code = _drop_stdout(_fail(f"{where}{error.strerror or error}. {advice(error.errno or 0)}", 2))
    sys.exit(code)


def _fail(message: str, code: int) -> int:
    """Print an error as one line, whatever it quotes, and return the exit code."""
    number = os.environ.get("RANK", "0")  # of several processes that train together
    if message:
        say(f"mltfr: {f'process {number}: ' * (number != '0')}{' '.join(message.split())}", err=True)
    return code


def _usage(error: Any) -> str:
    """Return what was wrong with the arguments, and where they are explained; "" where help was printed."""
    message = str(error.format_message()).strip().replace("Value error, ", "")
    if (missing := re.match("No such command '([^']+)'", message)) and (meant := _elsewhere(missing[1])):
        message = f"{missing[0]}. Did you mean {meant}?"
    command = error.ctx.command_path if error.ctx is not None else "mltfr"
    return f"{message.rstrip('.')}{'' if message.endswith('?') else '.'} See: {command} --help" if message else ""


def _elsewhere(name: str) -> str:
    """Return the whole commands that end in a name, or do what it says in other programs; "" if there are none."""
    last, paths = ALIKE.get(name, name), _commands("mltfr", typer.main.get_command(app))
    return " or ".join(f"'{path}'" for path in paths if path.split()[-1] == last)


def _commands(path: str, command: Any) -> Iterator[str]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(f"{path} {name}", inner)
    if not hasattr(command, "commands"):
        yield path


def _drop_stdout(code: int) -> int:
    """Point stdout to nowhere, so that Python does not stumble over it again at the end."""
    with suppress(OSError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _one_line(message: Warning | str, category: type[Warning], *place: object, **more: object) -> None:
    """Print a warning that is meant for the user as one line; those of libraries stay silent."""
    if issubclass(category, MltfrWarning) and os.environ.get("RANK", "0") == "0":
        say(f"mltfr: {' '.join(str(message).split())}", err=True)
