"""Write the parts of the documentation that the code knows: `python docs/generate.py [--check]`.

A part stands between `<!-- begin:NAME -->` and `<!-- end:NAME -->`. With `--check` nothing is written; the exit
code is 1 if a file is out of date.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

import api_reference
import error_messages
import protocol_table
import reliability_tables
import tutorial_pages
from mltfr.backbones import BACKBONES
from mltfr.baselines import BASELINES
from mltfr.cli.doctor import DEVELOPMENT
from mltfr.cli.main import app
from mltfr.config.registry import Registry
from mltfr.fusion import FUSIONS
from mltfr.interactions import FORMATS
from mltfr.interactions.columns import ITEM_NAMES, TIME_NAMES, USER_NAMES
from mltfr.interactions.data_sets import data_sets, licences
from mltfr.losses import LOSSES
from mltfr.objectives import OBJECTIVES
from mltfr.pipeline import resolve
from mltfr.pipeline.config import RunConfig
from mltfr.tokens.catalogue import CATALOGUE as TABLES
from mltfr.tokens.sources import TOKEN_SOURCES
from settings_tables import allowed, meanings, settings_table, table, value

ROOT = Path(__file__).parents[1]
FILES = ("docs/install.md", "docs/how-to/parts.md", "docs/licences.md", "docs/reference.md", "docs/reliability.md",
         "docs/errors.md", "docs/numbers.md")  # fmt: skip


def config_keys() -> str:
    """Return the tables of all sections of a config file, but those of registered parts."""
    meaning = meanings(RunConfig)
    top = [[f"`{n}`", value(f.default), allowed(f), meaning[n]]
           for n, f in RunConfig.model_fields.items() if not isinstance(f.default, BaseModel)]  # fmt: skip
    parts = ["Top level:", table(("key", "default", "allowed", "meaning"), top)]
    for name in ("reading", "filters", "split", "evaluation", "tokens", "names", "distillation", "training"):
        field = RunConfig.model_fields[name]
        parts += [f"### `[{name}]`", meaning[name], settings_table(type(field.default), f"{name}.")]
    return "\n\n".join(parts)


def registered(registry: Registry[Any, Any], prefix: str) -> str:
    """Return the entries of a registry, each with its settings."""
    parts = [table(("name", "what it is"), [[f"`{entry.name}`", entry.summary] for entry in registry])]
    for entry in registry:
        same = next((f"`{other.name}`" for other in registry if other.config in entry.config.__mro__[1:]), None)
        alike = f"It has the settings of {same}." if same is not None else settings_table(entry.config, prefix)
        parts += [f"#### `{entry.name}`", alike]
    return "\n\n".join(parts)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings under dotted keys."""
    result: dict[str, Any] = {}
    for key, found in settings.items():
        result |= flat(found, f"{prefix}{key}.") if isinstance(found, Mapping) else {prefix + key: found}
    return result


def preset() -> str:
    """Return what the preset `reference` changes, for every backbone that it has settings for."""
    parts = []
    for backbone in ("sasrec", "bert4rec", "fmlp-rec", "bsarec", "linrec", "cl4srec"):
        plain, other = (flat(resolve(preset=name, backbone=backbone).model_dump(mode="json"))
                        for name in ("default", "reference"))  # fmt: skip
        rows = [[f"`{key}`", value(plain[key]) if key in plain else "-", value(found)]
                for key, found in other.items() if key != "preset" and plain.get(key, "-") != found]  # fmt: skip
        parts += [f"With `--backbone {backbone}`:", table(("key", "default", "reference"), rows)]
    return "\n\n".join(parts)


def commands() -> str:
    """Return every command with its arguments and options."""
    parts = []
    for path, command in _walk("mltfr", typer.main.get_command(app)):
        rows = []
        for parameter in command.params:
            is_option = parameter.opts[0].startswith("-")
            name = ", ".join(parameter.opts) if is_option else (parameter.metavar or parameter.name.upper())
            if is_option and not getattr(parameter, "is_flag", False):
                name += f" {parameter.metavar or parameter.name.strip('_').upper()}"
            shown = getattr(parameter, "show_default", None)
            given = next((d for d in (shown, parameter.default) if isinstance(d, str | int | Path) and
                          not isinstance(d, bool)), None)  # fmt: skip
            note = " Required." if is_option and parameter.required else ""
            note += f" Default: `{given}`." if given not in (None, "") else ""
            text = without_markup(parameter.help or "")
            rows.append([f"`{name}`", f"{text.rstrip('.')}.{note}" if text else note])
        what = fenced(without_markup(inspect.cleandoc(command.help or "")))
        parts += [f"### `{path}`", what, *([table(("argument or option", "meaning"), rows)] if rows else [])]
    return "\n\n".join(parts)


def without_markup(text: str) -> str:
    """Return a help text without the backslashes that keep rich from reading `[...]` as markup."""
    return text.replace("\\[", "[")


def fenced(text: str) -> str:
    """Return a help text whose verbatim paragraphs, which click marks with a backspace, are code blocks."""

    def block(match: re.Match[str]) -> str:
        code = inspect.cleandoc("\n" + match[1])
        try:
            language = "toml" if tomllib.loads(code) else "text"
        except tomllib.TOMLDecodeError:
            language = "text"
        return f"```{language}\n{code}\n```"

    return re.sub(r"^\x08\n((?:.+(?:\n|\Z))+)", lambda found: block(found) + "\n", text, flags=re.MULTILINE).strip()


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    members = getattr(command, "commands", None)
    if not members:
        yield path, command
    for name, member in (members or {}).items():
        yield from _walk(f"{path} {name}", member)


def token_tables() -> str:
    """Return the catalogue of token tables with their licences."""
    rows = [[f"`{e.name}`", f"{e.shape[0]:,} x {e.shape[1]}", f"{e.download} MB" if e.download else "made here",
             e.licence, e.note] for e in TABLES.values()]  # fmt: skip
    return table(("name", "table", "download", "licence", "note"), rows)


def data_licences() -> str:
    """Return the public data sets, by what may be done with them."""
    return table(("data set", "licence"), [[", ".join(f"`{name}`" for name in names), licence]
                                           for licence, names in licences().items()])  # fmt: skip


def data_files() -> str:
    """Return the public data sets: what they hold, as it was published, and where their raw file is."""
    rows = []
    for name, each in data_sets().items():
        source = each.log.sources[0]
        counts = ["not published" if count is None else f"{count:,}" for count in each.counts]
        checksum = f"MD5 `{source.md5}`" if source.md5 else "none published"
        where = source.url or f"`{source.file}`, by hand"
        names = "yes" if each.names else "no"
        rows.append([f"`{name}`", f"[{each.title}]({each.page})", *counts, names, where, checksum])
    return table(("name", "data set", "rows", "users", "items", "names", "raw file", "checksum"), rows)


def columns() -> str:
    """Return the usual names of the columns of a log, by what they hold."""
    names = (("users", USER_NAMES), ("items", ITEM_NAMES), ("times", TIME_NAMES))
    rows = ([kind, ", ".join(f"`{name}`" for name in usual)] for kind, usual in names)
    return table(("column of", "usual names, the likeliest first"), rows)


def parts() -> str:
    """Return the names of all that can be chosen, and how it is."""
    kinds = (
        ("backbones", "--backbone NAME", BACKBONES),
        ("baselines without training", "--backbone NAME", BASELINES),
        ("fusions", "--fusion NAME", FUSIONS),
        ("losses", "--set loss.name=NAME", LOSSES),
        ("objectives", "--set objective.name=NAME", OBJECTIVES),
    )
    return table(
        ["", "names", "chosen by"],
        (
            [kind, ", ".join(f"`{name}`" for name in registry.names()), f"`{option}`"]
            for kind, option, registry in kinds
        ),
    )


def extras() -> str:
    """Return the extras of the package, what each is for (the comment beside it) and what it installs."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = tomllib.loads(text)["project"]["optional-dependencies"]
    meaning = dict(re.findall(r"^(\w+) = \[.*\]  # (.*)$", text, re.MULTILINE))
    rows = [[f"`{name}`", meaning[name], ", ".join(re.match(r"[\w-]+", package)[0] for package in listed[name])]
            for name in listed if name not in DEVELOPMENT]  # fmt: skip
    return table(("extra", "for", "installs"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "parts": parts,
    "columns": columns,
    "extras": extras,
    "commands": commands,
    "api": api_reference.api,
    "config": config_keys,
    "preset": preset,
    "backbones": lambda: registered(BACKBONES, "backbone."),
    "baselines": lambda: registered(BASELINES, "backbone."),
    "fusions": lambda: registered(FUSIONS, "fusion."),
    "losses": lambda: registered(LOSSES, "loss."),
    "objectives": lambda: registered(OBJECTIVES, "objective."),
    "sources": lambda: registered(TOKEN_SOURCES, ""),
    "tables": token_tables,
    "licences": data_licences,
    "files": data_files,
    "soak": reliability_tables.soak,
    "inputs": reliability_tables.inputs,
    "errors": error_messages.page,
    "protocols": protocol_table.protocols,
    "formats": lambda: ", ".join(f"`{name}`" for name in FORMATS) + ".",
}


def updated(text: str) -> str:
    """Return a page with all its generated parts written anew."""

    def write(match: re.Match[str]) -> str:
        return f"{match[1]}\n{PARTS[match[2]]()}\n{match[3]}"

    return re.sub(r"(<!-- begin:(\w+) -->)\n.*?(<!-- end:\2 -->)", write, text, flags=re.DOTALL)


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; return the exit code."""
    now = {name: updated((ROOT / name).read_text("utf-8")) for name in FILES} | tutorial_pages.files()
    old = {name: (ROOT / name).read_text("utf-8") if (ROOT / name).exists() else "" for name in now}
    stale = [name for name, text in now.items() if text != old[name]]
    for name in stale:
        if arguments != ["--check"]:
            (ROOT / name).write_text(now[name], "utf-8")
        sys.stdout.write(f"{name}: {'is out of date' if arguments else 'written'}\n")
    return 1 if stale and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
