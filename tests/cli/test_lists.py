"""Lists for people: on stdout, with names, for users of whom some are unknown, and items that are similar."""

from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl
import pytest

from support.command_line import refused, run
from support.forks import Forked
from support.walks import write_log


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """Return a folder with a log, a run of it, and names of its items; only to be read."""
    place = tmp_path_factory.mktemp("lists")
    write_log(place / "log.csv")
    run("fit", place / "log.csv", "--out", place / "run", "--backbone", "item-knn", home=store)
    (place / "names.csv").write_text("itemId,title\n" + "".join(f'i{n},"Film {n}, part 1"\n' for n in range(1, 25)))
    return place


def test_csv_on_stdout_is_that_of_a_file(tmp_path: Path, store: Path, folder: Path) -> None:
    recommend = ("recommend", folder / "run", "-k", "3", "--add-names", folder / "names.csv", "--part-users", "25")
    said = run(*recommend, "--out", tmp_path / "best.csv", home=store)
    process = Forked(*recommend, "--out", "-", said=tmp_path, environment={"MLTFR_HOME": str(store)})
    _, out, errors = process.ended()
    assert out == (tmp_path / "best.csv").read_text()
    assert errors.splitlines() == [*said.stderr.splitlines(), "60 users, 180 rows written to stdout"]
    assert said.stderr == f"mltfr: {folder}/names.csv: items without a name: 1 of 25 (i0).\n"
    assert not Path("-").exists()
    table = pl.read_csv(io.StringIO(out))
    assert table.columns == ["user_id", "rank", "item_id", "name", "score"]
    for item, name in table.select("item_id", "name").rows():
        assert name == (None if item == "i0" else f"Film {item[1:]}, part 1")
    for more in ("--parts", "--resume", "--overwrite"):
        assert "Leave out --parts, --resume and --overwrite" in refused(tmp_path, store, *recommend, "--out", "-", more)


def test_unknown_users(tmp_path: Path, store: Path, folder: Path) -> None:
    (tmp_path / "some").write_text("u7\nnobody\nu3\n")
    (tmp_path / "none").write_text("nobody\n")

    def ask(users: str, *more: str) -> tuple[str, ...]:
        return ("recommend", folder / "run", "--users", tmp_path / users, "-k", "1", "--out", "-", *more)  # type: ignore[return-value]

    for choice in ((), ("--unknown-users", "skip")):
        done = run(*ask("some", *choice), home=store)
        assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["user_id", "u7", "u3"]
        assert "users who are not in the training log and get no items: 1 (nobody)" in done.stderr
    done = run(*ask("none", "--unknown-users", "skip"), home=store)
    assert done.stdout == "user_id,rank,item_id,score\n"
    assert "users who are not in the training log and get no items: 1 (nobody)" in done.stderr
    message = "user 'nobody' is not in the training log (1 of {} are not). Give ids as the log writes them"
    assert message.format(3) in refused(tmp_path, store, *ask("some", "--unknown-users", "error"))
    assert message.format(1) in refused(tmp_path, store, *ask("none"))
    for out in ("empty.csv", "empty.parquet", "empty.jsonl", "folder"):
        run(*ask("none", "--unknown-users", "skip", "--out", str(tmp_path / out)), home=store)
    assert (tmp_path / "empty.csv").read_text() == "user_id,rank,item_id,score\n"
    for file in ("empty.parquet", "folder/part-00000.parquet"):
        table = pl.read_parquet(tmp_path / file)
        assert (len(table), table.columns) == (0, ["user_id", "rank", "item_id", "score"])


def test_jobs_with_other_names_are_not_one(tmp_path: Path, store: Path, folder: Path) -> None:
    (tmp_path / "names.csv").write_text("item_id,name\ni1,One\n")
    recommend = ("recommend", folder / "run", "--out", tmp_path / "best", "-k", "1")
    run(*recommend, "--add-names", folder / "names.csv", home=store)
    again = run(*recommend, "--add-names", folder / "names.csv", "--resume", home=store)
    assert "1 of 1 parts are finished and kept" in again.stderr
    for other in ((), ("--add-names", tmp_path / "names.csv")):
        assert "best: was begun with another names." in refused(tmp_path, store, *recommend, *other, "--resume")
    (tmp_path / "names.csv").write_text("item_id,name\nx,One\n")
    error = refused(tmp_path, store, *recommend[:2], "--out", tmp_path / "x.csv", "--add-names", tmp_path / "names.csv")
    assert "names.csv: none of its 1 ids is an item of the run (the run has " in error


def test_similar(tmp_path: Path, store: Path, folder: Path) -> None:
    similar = ("similar", folder / "run")
    found = json.loads(run(*similar, "i3", "i5", "-k", "2", "--json", home=store).stdout)
    assert [(row["similar_to"], row["rank"]) for row in found] == [("i3", 1), ("i3", 2), ("i5", 1), ("i5", 2)]
    (tmp_path / "items").write_text("i3\ni5\n")
    out = tmp_path / "similar.parquet"
    done = run(*similar, "--items", tmp_path / "items", "-k", "2", "--out", out, home=store)
    assert "2 items, 4 rows written to" in done.stderr
    assert pl.read_parquet(out).to_dicts() == found
    assert "exists. Choose another --out" in refused(tmp_path, store, *similar, "i3", "--out", out)
    named = run(*similar, "i3", "-k", "1", "--add-names", folder / "names.csv", "--out", "-", home=store).stdout
    assert named.splitlines()[0] == "similar_to,similar_to_name,rank,item_id,name,similarity"
    printed = run(*similar, "i3", "zz", "-k", "2", home=store)
    assert len(printed.stdout.splitlines()) == 3
    assert "no similar items: 1 (zz)" in printed.stderr
    for wrong, message in (
        (("zz",), "Item 'zz' does not occur in the training data"),
        ((), "Give item ids, or a file of them with --items"),
        (("i3", "--items", str(tmp_path / "items")), "Give item ids, or a file of them with --items"),
        (("i3", "--json", "--out", "-"), "Give --json or --out, not both"),
        (("i3", "--out", "x.txt"), "the ending says the format"),
    ):
        assert message in refused(tmp_path, store, *similar, *wrong)


def test_histories_may_be_a_log_of_events(tmp_path: Path, store: Path, folder: Path) -> None:
    """The log of yesterday and of strangers, as it is; what one row a user gives is the same."""
    events = pl.DataFrame({"who": ["u1", "new", "u1"], "item_id": ["i3", "i7", "i4"], "time": [1, 2, 3]})
    events.write_csv(tmp_path / "events.csv")
    lists = pl.DataFrame({"user_id": ["u1", "new"], "items": [["i3", "i4"], ["i7"]]})
    lists.write_ndjson(tmp_path / "lists.jsonl")
    recommend = ("recommend", folder / "run", "--out", "-", "-k", "4", "--histories")
    found = run(*recommend, tmp_path / "events.csv", "--user-column", "who", home=store)
    assert found.stdout == run(*recommend, tmp_path / "lists.jsonl", home=store).stdout
    assert found.stderr == "2 users, 8 rows written to stdout\n"
    assert "Name the column with --user-column" in refused(tmp_path, store, *recommend, tmp_path / "events.csv")
    error = refused(tmp_path, store, *recommend[:-1], "--item-column", "item_id")
    assert "The options of reading a log are for --histories FILE" in error
