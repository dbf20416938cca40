"""The errors page has the message of every place that raises, as the code writes it."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import error_messages
from mltfr import Recommender, errors, load_interactions
from mltfr.pipeline import resolve
from support.walks import write_log

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "errors.md").read_text("utf-8")
FILES = [path for path in sorted((ROOT / "src" / "mltfr").rglob("*.py")) if "testing" not in path.parts]
CLASSES = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}


def letters(text: str) -> str:
    """Return a text's letters and digits: how a page marks, escapes and splits it does not count."""
    return re.sub(r"[\W_]", "", html.unescape(text))


def raised(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the fixed pieces of every message that a file raises as an error of ours."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        made = node.exc if isinstance(node, ast.Raise) else None
        if isinstance(made, ast.Call) and isinstance(made.func, ast.Name) and made.func.id in CLASSES:
            whole = made.args[0] if made.args else None
            parts = whole.values if isinstance(whole, ast.JoinedStr) else [whole]
            texts = [part.value for part in parts if isinstance(part, ast.Constant)]
            yield from ((node.lineno, text) for text in texts if isinstance(text, str))


def test_every_message_that_is_raised_is_on_the_page() -> None:
    found = [(f"{path.relative_to(ROOT)}:{line}", text) for path in FILES for line, text in raised(path)]
    page = letters(PAGE)
    assert len(found) > 900
    assert [(where, text) for where, text in found if letters(text) not in page] == []


def test_every_class_is_explained() -> None:
    kinds = {name for name in CLASSES if issubclass(getattr(errors, name), errors.MltfrError)}
    assert kinds == set(error_messages.REMEDIES)


def patterns() -> list[re.Pattern[str]]:
    """Return the messages of the page, what is filled in left open."""
    rows = re.findall(r"^\| (.*?) \| .* \| `\w+` \|$", PAGE.partition("\n## ")[2], re.MULTILINE)
    plain = [html.unescape(re.sub(r"\\([\\`*_\[\]~#|])", r"\1", row)) for row in rows]
    return [re.compile(re.sub(r"‹[^›]*›", ".*", re.escape(text)), re.DOTALL) for text in plain]


@pytest.mark.parametrize("wrong", [
    lambda folder: load_interactions(folder / "nothing.csv"),
    lambda folder: load_interactions(folder / "log.csv", format="excel"),
    lambda folder: load_interactions(folder / "log.csv", where="rating >"),
    lambda folder: resolve(overrides=["training.epoch=3"]),
    lambda folder: resolve(overrides=["split.validation_from=0.9", "split.test_from=0.8", "split.method=global-time"]),
    lambda folder: Recommender.load(folder / "nothing"),
    lambda folder: Recommender().recommend(users=["u1"]),
], ids=range(7))  # fmt: skip
def test_what_is_raised_can_be_found_on_the_page(wrong: Callable[[Path], object], tmp_path: Path) -> None:
    write_log(tmp_path / "log.csv")
    with pytest.raises(errors.MltfrError) as caught:
        wrong(tmp_path)
    said = " ".join(str(caught.value).split())
    found = [pattern.pattern for pattern in patterns() if pattern.search(said) and len(letters(pattern.pattern)) > 8]
    assert found, said


def test_a_message_is_read_as_the_code_writes_it(tmp_path: Path) -> None:
    file = error_messages.SOURCE / "storage" / "made_up.py"
    code = tmp_path / "made_up.py"
    code.write_text(
        "class OwnError(DataError):\n    pass\n\n"
        "def f(path, n):\n    tail = 'Remove it, or write it again.'\n"
        "    raise OwnError(\n"
        "        f'{path}, line {n}: {len(path):,} rows; expected ' + ('a' if n else 'b') + f'. {tail}')\n"
        "def g():\n    raise KeyError('no')\n"
    )
    reader = error_messages.Reader(code)
    reader.file = file
    reader.visit(reader.tree)
    (found,) = reader.found
    assert (found.kind, found.room, found.line) == ("OwnError", "storage", 6)
    assert found.text == "‹path›, line ‹n›: ‹path› rows; expected ‹a / b›. Remove it, or write it again."
    assert found.remedy == "Remove it, or write it again."
