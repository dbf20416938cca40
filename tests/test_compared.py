"""What the page about other libraries says of them is read in their wheels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import compared

PAGE = """
| | mltfr 0.1.0 | one 1.0 | two-rec 2.1.0 |
| --- | --- | --- | --- |
| service | yes | no: `fastapi`, `flask` | yes, of a kind: `two/serve.py` |
| search | yes | by trials: `one/search.py` | no: `optuna` |

| another | table |
| --- | --- |
| `x/y.py` | no: `z` |
"""


def wheel(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, text in files.items():
            made.writestr(name.replace("__", "/") + ".py", text)
    return path


def test_paths_must_exist_and_words_must_not(tmp_path: Path) -> None:
    good = {"one 1.0": wheel(tmp_path / "a.whl", one__search="import flas"),
            "two-rec 2.1.0": wheel(tmp_path / "b.whl", two__serve="import fastapi")}  # fmt: skip
    assert compared.wrong(PAGE, good) == []
    bad = {"one 1.0": wheel(tmp_path / "c.whl", one__find="from Flask import x"),
           "two-rec 2.1.0": wheel(tmp_path / "d.whl", two__other="optuna.create_study")}  # fmt: skip
    assert compared.wrong(PAGE, bad) == [
        "one 1.0, service: flask is in one/find.py",
        "two-rec 2.1.0, service: has no two/serve.py",
        "one 1.0, search: has no one/search.py",
        "two-rec 2.1.0, search: optuna is in two/other.py",
    ]


def test_every_cell_about_another_library_has_a_source() -> None:
    text = compared.PAGE.read_text("utf-8")
    cells = list(compared.claims(text))
    assert len(cells) == 4 * 21
    without = [(library, row) for library, row, (_, *marked) in cells if not marked]
    assert without == [("recbole 1.2.1", "significance")]  # a script beside the package: linked
