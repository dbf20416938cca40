"""The messages of all errors, read from the places that raise them: a part of `docs/errors.md`."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mltfr import errors
from settings_tables import table

SOURCE = Path(errors.__file__).parent
CLASSES = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.MltfrError)
}
LEFT, RIGHT = "‹", "›"
"""What stands for a value in a message."""
PLAIN = ("join", "shown", "self", "name", "value", "strip", "split", "n_unique", "get_args", "dumps")
"""Names in an expression that say nothing about a value."""
SAYING = {"problem": "DataError", "_question": "DataError", "explain": "ConfigError"}
"""Functions that return a message, which others raise, and as what."""
REMEDIES = {
    "DataError": "Correct what is named in the file or the argument, and run the same command again.",
    "ConfigError": "Change the setting or option that is named; the [reference](reference.md) lists what is allowed.",
    "TokenTableError": "Fetch or import the table again (`mltfr tokens get`, `mltfr tokens import`).",
    "FetchError": "Try again; without a network, put the file by hand where the line says.",
    "ChecksumError": "The file is not the published one: fetch it again, and compare with its publisher's page.",
    "RunError": "Go on with `--resume` if it was interrupted; else fit again into a new folder.",
    "ProtocolError": "Measure both with the same split, filters and protocol (`--set`, `--config`).",
    "OutputError": "Name another place with `--out`, or add `--overwrite`.",
    "MissingExtraError": "Install the extra that is named.",
    "MltfrError": "Do what the line says.",
}
"""What to do where a message is all that is said, by class of error."""
ROOMS = {
    "interactions": "Reading and splitting a log",
    "names": "Names of items",
    "tokens": "Token tables",
    "config": "Settings",
    "pipeline": "Fitting, run folders, updates",
    "training": "Training",
    "baselines": "Baselines",
    "evaluation": "Evaluation and comparison",
    "inference": "Recommendations",
    "batch": "Jobs for many users",
    "explain": "Explanations",
    "export": "Exports",
    "page": "Reports",
    "serve": "The service",
    "study": "Studies",
    "report": "Tables and plots of studies",
    "cluster": "Several machines",
    "storage": "Files, folders, downloads",
    "cli": "Commands",
    "": "Everything else",
}
"""Headings of the page, by the room of `src/mltfr` that raises; a room without a line of its own is the last."""


@dataclass(frozen=True)
class Message:
    """A message as its place in the code writes it, with names in place of values."""

    kind: str
    """The class of the error."""
    file: Path
    line: int
    text: str

    @property
    def room(self) -> str:
        """The room that raises it, a key of `ROOMS`."""
        name = self.file.relative_to(SOURCE).parts[0]
        return name if name in ROOMS else ""

    @property
    def said(self) -> str:
        """Its first sentence: what was found."""
        return self._sentences[0]

    @property
    def remedy(self) -> str:
        """What follows it: what is expected, and what to do."""
        return self._sentences[1] if len(self._sentences) > 1 else ""

    @property
    def _sentences(self) -> list[str]:
        sentences = re.split(rf"(?<=[\w){RIGHT}`'\"][.?]) (?=[A-Z`{LEFT}])", self.text, maxsplit=1)
        return sentences if len(sentences) > 1 else re.split(r"; |, (?=expected )", self.text, maxsplit=1)


class Reader(ast.NodeVisitor):
    """Collects the messages of one file."""

    def __init__(self, file: Path) -> None:
        self.file, self.found = file, list[Message]()
        self.tree = ast.parse(file.read_text("utf-8"))
        self.scopes: list[ast.AST] = [self.tree]
        classes = [node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]
        bases = {node.name: {base.id for base in node.bases if isinstance(base, ast.Name)} for node in classes}
        self.classes = CLASSES | {name for name, names in bases.items() if names & CLASSES}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Remember which function the calls below are in; take what a function says for its callers to raise."""
        self.scopes.append(node)
        if node.name in SAYING:
            said = ((value.lineno, " ".join(self.text(value).split())) for value in self.returned(node.name))
            self.found += [Message(SAYING[node.name], self.file, line, text) for line, text in said if text]
        self.generic_visit(node)
        self.scopes.pop()

    def visit_Call(self, node: ast.Call) -> None:
        """Take the message of an error that is made."""
        kind = self.kind(node)
        text = self.message(kind, node) if kind and node.args else ""
        if re.search(r"[a-z]{2}", re.sub(f"{LEFT}.*?{RIGHT}", "", text)):
            self.found.append(Message(kind, self.file, node.lineno, text))
        self.generic_visit(node)

    def kind(self, node: ast.Call) -> str:
        """Return the class of error that a call makes; "" if it makes none."""
        name = (
            node.func.id
            if isinstance(node.func, ast.Name)
            else node.func.attr
            if isinstance(node.func, ast.Attribute)
            else ""
        )
        if name in self.classes:
            return name
        if name == "error" and isinstance(node.args[0] if node.args else None, ast.JoinedStr):
            return "MltfrError"  # the caller says which class
        checks = any("validator" in ast.unparse(each) for each in getattr(self.scopes[-1], "decorator_list", ()))
        return "ConfigError" if name == "ValueError" and checks else ""

    def message(self, kind: str, node: ast.Call) -> str:
        """Return the message of an error; "" if it is one that was written elsewhere."""
        if kind == "MissingExtraError":
            package, extra = (self.text(given) or placeholder(given) for given in node.args)
            return str(errors.MissingExtraError(package, extra))
        at = 1 if kind in ("BrokenRowError", "HeaderlessError") and len(node.args) > 9 else 0
        return " ".join(self.text(node.args[at]).split())

    def text(self, node: ast.expr, depth: int = 0) -> str:
        """Return a text with names in place of what is filled in; "" where none of it is written here."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else ""
        if isinstance(node, ast.JoinedStr):
            return "".join(self.text(part, depth) for part in node.values)
        if isinstance(node, ast.FormattedValue):
            return self.text(node.value, depth + 1) or placeholder(node.value)
        if isinstance(node, ast.BinOp):
            return (self.text(node.left, depth) or placeholder(node.left)) + (
                self.text(node.right, depth) or placeholder(node.right)
            )
        if isinstance(node, ast.IfExp):
            both = [re.sub(f"[{LEFT}{RIGHT}]", "", self.text(part, depth)) for part in (node.body, node.orelse)]
            either = " / ".join(part for part in both if part)
            return f"{LEFT}{either}{RIGHT}" if either else ""
        if depth > 2:
            return ""
        if isinstance(node, ast.Name):
            return next((self.text(value, depth + 1) for value in self.assigned(node.id)), "")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return next((self.text(value, depth + 1) for value in self.returned(node.func.id)), "")
        return ""

    def assigned(self, name: str) -> Iterator[ast.expr]:
        """Yield the texts that a name is given, in the function at hand or in the file."""
        for scope in (self.scopes[-1], self.tree):
            for node in ast.walk(scope):
                if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
                    yield node.value

    def returned(self, name: str) -> Iterator[ast.expr]:
        """Yield the texts that a function of this file returns."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                yield from (each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value)


def placeholder(node: ast.expr) -> str:
    """Return what stands for a value: the last name in the expression."""
    names = [
        n.attr if isinstance(n, ast.Attribute) else n.id
        for n in ast.walk(node)
        if isinstance(n, ast.Attribute | ast.Name)
    ]
    kept = next((name.strip("_") for name in names if name not in PLAIN and not hasattr(builtins, name)), "")
    return f"{LEFT}{(kept or 'value').lower().replace('_', ' ')}{RIGHT}"


def messages() -> list[Message]:
    """Return all messages, in the order of the files."""
    found: list[Message] = []
    for file in sorted(SOURCE.rglob("*.py")):
        if file.relative_to(SOURCE).parts[0] not in ("testing", "errors.py"):
            reader = Reader(file)
            reader.visit(reader.tree)
            found += reader.found
    return found


def page() -> str:
    """Return the messages as tables, room by room."""
    every, parts = messages(), list[str]()
    kinds = [
        [f"`{name}`", (vars(errors)[name].__doc__ or "").split("\n")[0], remedy] for name, remedy in REMEDIES.items()
    ]
    parts += [table(("class", "means", "what to do where the line does not say"), kinds)]
    for room, heading in ROOMS.items():
        rows = sorted(
            {
                (literal(m.said), literal(m.remedy) or REMEDIES.get(m.kind, ""), f"`{m.kind}`")
                for m in every
                if m.room == room
            }
        )
        if rows:
            parts += [f"## {heading}", table(("message", "what to do", "in Python"), rows)]
    return "\n\n".join(parts)


def literal(text: str) -> str:
    """Return a text that Markdown shows as it stands; a table escapes its own bars."""
    return re.sub(r"([\\`*_~#])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;")
