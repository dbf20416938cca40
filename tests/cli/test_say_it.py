"""`mltfr recommend` answers whom it can, says on stderr who got less, and ends with exit code 0."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from support.command_line import refused, run


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """Return a folder with the run of a log in whose ids there are spaces, and whose user u7 has every item."""
    folder = tmp_path_factory.mktemp("said")
    rows = [(f"u {user}", f"i {(user + step) % 9}", step) for user in range(9) for step in range(4)]
    rows += [("u7", f"i {item}" + " " * (item == 3), item) for item in range(9)]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    table.write_csv(folder / "log.csv")
    done = run("fit", folder / "log.csv", "--out", folder / "run", "--backbone", "item-knn", home=store)
    note = "log.csv: white space was stripped off values of item_id: 1, as in 'i 3 '; ids written in several ways"
    assert done.stderr.count(note) == 1
    assert note.split(": ", 1)[1] in json.loads((folder / "run" / "manifest.json").read_text())["notes"][0]
    return folder


def test_who_gets_less_is_counted(tmp_path: Path, store: Path, fitted: Path) -> None:
    out = tmp_path / "best.csv"
    done = run("recommend", fitted / "run", "--out", out, "-k", "5", home=store)
    assert done.stdout == f"9 users, 45 rows written to {out}\n"
    assert done.stderr.splitlines() == ["mltfr: users who get no item, since none is a candidate for them: 1 (u7)."]
    done = run("recommend", fitted / "run", "--out", out, "-k", "6", "--overwrite", home=store)
    assert "mltfr: users who get fewer than 6 items, since no more are candidates: 9." in done.stderr.splitlines()


def test_one_stale_id_does_not_stop_the_job(tmp_path: Path, store: Path, fitted: Path) -> None:
    (tmp_path / "users").write_text("u 3 \nnobody\r\n\n\tu 1\nnone\n", encoding="utf-8")
    (tmp_path / "deny").write_text("i 3\r\n")
    out = tmp_path / "best.csv"
    options = ("--users", tmp_path / "users", "--deny", tmp_path / "deny", "--include-seen", "-k", "7")
    done = run("recommend", fitted / "run", "--out", out, *options, home=store)
    assert done.stdout.startswith("2 users, 14 rows written")
    assert done.stderr.splitlines() == [
        f"mltfr: {tmp_path / 'users'}: white space was stripped off ids: 2, as in 'u 3 '.",
        "mltfr: users who are not in the training log and get no items: 2 (nobody, none). To recommend to them, give "
        "their histories.",
    ]
    table = pl.read_csv(out)
    assert table["user_id"].unique(maintain_order=True).to_list() == ["u 3", "u 1"]
    assert "i 3" not in table["item_id"]


def test_lists_of_any_encoding(tmp_path: Path, store: Path, fitted: Path) -> None:
    texts = []
    for name, content in (
        ("plain", b"u 3\nu 1\n"),
        ("windows", "u 3\r\nu 1\r\n".encode("utf-16")),
        ("packed", gzip.compress(b"\xef\xbb\xbfu 3\nu 1")),
    ):
        (tmp_path / name).write_bytes(content)
        out = tmp_path / f"{name}.csv"
        done = run("recommend", fitted / "run", "--out", out, "--users", tmp_path / name, "-k", "3", home=store)
        assert done.stderr == ""
        texts.append(out.read_text())
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.parametrize("k", ["0", "-1", "1.5", "true"])
def test_k_is_a_whole_number(tmp_path: Path, store: Path, fitted: Path, k: str) -> None:
    assert "'-k'" in refused(tmp_path, store, "recommend", fitted / "run", "--out", tmp_path / "best.csv", "-k", k)
