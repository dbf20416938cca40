"""Names of items through the command line: fit, say how far they reach, and do without them afterwards."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mltfr.errors import RunError
from mltfr.recommender import Recommender
from mltfr.training import Interrupted
from support.command_line import refused, run
from support.stopping import StopAt
from support.walks import write_log

SMALL = ("--set", "backbone.hidden=16", "--set", "backbone.max_length=10", "--set", "training.batch_size=32",
         "--set", "tokens.width=8", "--set", "names.scale=0.5",
         "--set", "names.components=variance")  # fmt: skip
TABLES = ("--set", "names.read=tables")
NONE = ("--fusion", "none", "--tokens", "alpha,beta", *TABLES, *SMALL, "--epochs", "2")
WORDS = [f"{letter}{pair}{n}" for n, (letter, pair) in enumerate(zip("abcdefghijkl", "xyzuvwabcdxy", strict=True))]
"""The first words of the tables of the tests."""


def names(folder: Path) -> Path:
    """Write names of all items but i24, of two words each."""
    lines = [f"i{n},{WORDS[n % 12]} {WORDS[n % 5]},{n}" for n in range(24)]
    (folder / "names.csv").write_text("\n".join(["item_id,title,price", *lines, "elsewhere,qqqq,3"]) + "\n")
    return folder / "names.csv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """Return a folder with a log, names, and the run of both."""
    folder = tmp_path_factory.mktemp("names")
    write_log(folder / "log.csv")
    fit(folder, store, folder / "run")
    return folder


def fit(folder: Path, store: Path, out: Path, *more: str | Path) -> str:
    command = ("fit", folder / "log.csv", "--out", out, "--item-names", names(folder), *NONE, *more)
    return run(*command, home=store).stderr


def manifest(where: Path) -> dict:
    return json.loads((where / "manifest.json").read_text())


def weights(where: Path) -> bytes:
    return (where / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("given", [("--item-names", "titles.csv"), ("--teacher", "teacher"),
                                   ("--fusion", "adapter", "--item-vectors", "vectors.parquet")])  # fmt: skip
def test_a_file_that_is_not_there_is_missed_at_once(given: tuple[str, ...], store: Path, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("no log\n")
    said = refused(tmp_path, store, "fit", "log.csv", "--out", "out", *given)
    assert f"{given[-1]}: no such file or folder" in said


def test_the_fit_says_how_far_the_names_reach(folder: Path, store: Path, tmp_path: Path) -> None:
    said = fit(folder, store, tmp_path / "again")
    assert "names of names.csv (title): 24 of 25 items have one; without one: i24; 43 words, 12 different" in said
    assert "alpha: 100% of the words are one token" in said
    assert weights(tmp_path / "again") == weights(folder / "run")
    facts, metrics = manifest(folder / "run"), json.loads((folder / "run/metrics.json").read_text())
    assert facts["names"]["coverage"] == metrics["names"]
    assert metrics["names"]["named"] == 24
    assert [table["name"] for table in facts["names"]["tables"]] == ["alpha", "beta"]
    config = tomllib.loads((folder / "run/config.toml").read_text())
    assert config["names"]["file"].endswith("names.csv")
    assert config["tokens"]["tables"] == ["alpha", "beta"]


ADDITIVE = ("--set", "names.use=additive", "--set", "names.rate_factor=3", "--set", "loss.name=sampled_softmax",
            "--set", "training.advanced.item_updates=sparse")  # fmt: skip


@pytest.mark.parametrize("more", [(), ADDITIVE], ids=["start", "additive, sparse"])
def test_a_run_needs_neither_the_names_nor_the_tables_afterwards(
    folder: Path, store: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    fit(folder, store, tmp_path / "run", *more)
    (folder / "names.csv").unlink()
    try:
        empty = tmp_path / "no store here"
        document = json.loads(run("evaluate", tmp_path / "run", "--json", home=empty).stdout)
        assert document["metrics"] == json.loads((tmp_path / "run/metrics.json").read_text())["metrics"]
        run("recommend", tmp_path / "run", "--out", tmp_path / "lists.csv", home=empty)
        steps = [(user, time, item) for user in range(9) for time, item in enumerate(("i3", "i4", "fresh"))]
        rows = [f"u{user},{item},{100 + user + time}" for user, time, item in steps]
        (tmp_path / "new.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
        run("update", tmp_path / "run", tmp_path / "new.csv", "--out", tmp_path / "next", "--epochs", "1", home=empty)
        assert manifest(tmp_path / "next")["names"] == manifest(tmp_path / "run")["names"]
        before, after = (load_file(tmp_path / name / "weights.safetensors") for name in ("run", "next"))
        if more:
            assert (after["names.names"][:26] == before["names.names"]).all()
            assert not after["names.names"][26].any()
        assert len(after["item_embedding.weight"]) == len(before["item_embedding.weight"]) + 1
        again = ("fit", folder / "log.csv", "--out", tmp_path / "run", "--item-names", folder / "names.csv", *NONE)
        assert "this run is finished" in run(*again, *more, "--resume", home=empty).stderr
    finally:
        names(folder)


@pytest.mark.parametrize("use", ["start", "additive"])
def test_an_interrupted_run_goes_on_with_the_same_names_only(
    folder: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    monkeypatch.setenv("MLTFR_HOME", str(store))
    config, texts = tomllib.loads((folder / "run/config.toml").read_text()), {f"i{n}": WORDS[n % 7] for n in range(25)}
    config["names"]["use"] = use
    Recommender(config=config, item_names=texts).fit(folder / "log.csv", tmp_path / "whole")
    callback = StopAt(3)
    with pytest.raises(Interrupted):
        Recommender(config=config, item_names=texts).fit(
            folder / "log.csv", tmp_path / "run", callback=callback, stop=callback.stop
        )
    others = {**texts, "i3": "other words"}
    with pytest.raises(RunError):
        Recommender(config=config, item_names=others).fit(folder / "log.csv", tmp_path / "run", resume=True)
    Recommender(config=config, item_names=texts).fit(folder / "log.csv", tmp_path / "run", resume=True)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")
    with pytest.raises(RunError, match="the names of the items are others"):
        Recommender(config=config, item_names=others).fit(folder / "log.csv", tmp_path / "run", resume=True)
    loaded = Recommender.load(tmp_path / "run")
    assert loaded.config.names.file == "memory"
    assert loaded.recommend(users=["u1"], k=3).height == 3


def test_a_prepared_set_gives_the_run_of_its_log(folder: Path, store: Path, tmp_path: Path) -> None:
    run("data", "prepare", folder / "log.csv", "--out", tmp_path / "set", home=store)
    command = ("fit", tmp_path / "set", "--out", tmp_path / "run", "--item-names", folder / "names.csv", *NONE)
    run(*command, home=store)
    assert weights(tmp_path / "run") == weights(folder / "run")


@pytest.mark.parametrize(("setting", "before", "value"), [
    ("control", "none", "random"), ("control", "none", "permuted"), ("read", "tables", "words"),
])  # fmt: skip
def test_what_names_are_read_as_is_a_setting(
    folder: Path, store: Path, tmp_path: Path, setting: str, before: str, value: str
) -> None:
    fit(folder, store, tmp_path / value, "--set", f"names.{setting}={value}")
    assert weights(tmp_path / value) != weights(folder / "run")
    before_it, with_it = (
        tomllib.loads((run / "config.toml").read_text()) for run in (folder / "run", tmp_path / value)
    )
    assert before_it["names"].pop(setting) == before
    assert with_it["names"].pop(setting) == value
    if value == "words":
        assert (before_it["tokens"].pop("tables"), with_it["tokens"].pop("tables")) == (["alpha", "beta"], [])
    assert with_it == before_it


def test_words_need_no_table(folder: Path, tmp_path: Path) -> None:
    command = ("fit", folder / "log.csv", "--out", tmp_path / "run", "--item-names", names(folder), "--fusion", "none")
    said = run(*command, *SMALL, "--epochs", "1", home=tmp_path / "no store here").stderr
    assert "names of names.csv (title): 24 of 25 items have one" in said
    assert "of the words are one token" not in said
    assert (manifest(tmp_path / "run")["tables"], manifest(tmp_path / "run")["names"]["tables"]) == ([], [])


def test_names_stand_beside_a_fusion(folder: Path, store: Path, tmp_path: Path) -> None:
    filtered = ("--fusion", "mltfr", "--set", "fusion.filter.shortlist=16", "--set", "fusion.filter.keep=4")
    fit(folder, store, tmp_path / "run", *filtered, "--set", "names.use=additive", "--set", "names.shared_space=true")
    assert manifest(tmp_path / "run")["rounds"] == 2
    assert "sasrec + mltfr + names on alpha, beta" in str(Recommender.load(tmp_path / "run"))


def test_names_that_cannot_be_used(folder: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "others.csv").write_text("item_id,title\nx,y z\n")
    common = ("fit", folder / "log.csv", "--out", tmp_path / "run")

    def say(*more: str | Path) -> str:
        return refused(tmp_path, store, *common, *more)

    others = say("--item-names", tmp_path / "others.csv", *NONE)
    assert "none of the 1 ids of these names is an item of the log" in others
    assert "nope.csv: no such file or folder" in say("--item-names", tmp_path / "nope.csv", *NONE)
    assert "no column 'brand'" in say("--item-names", names(folder), "--name-columns", "brand", *NONE)
    assert "columns names title, but no names are given" in say("--name-columns", "title", *NONE)
    assert "no item id holds a word" in say("--item-names", "ids", *NONE)
    assert "names.dimensions is 20, but the backbone's hidden width is 16" in say(
        "--item-names", names(folder), *NONE, "--set", "names.dimensions=20"
    )
    wrong = say("--item-names", names(folder), "--backbone", "ease")
    assert "backbone 'ease' is a baseline without hidden states, so item names cannot be used with it" in wrong
    empty = say("--item-names", names(folder), *NONE, "--set", "tokens.tables=[]")
    assert "names are read with token tables, but tokens.tables is empty" in empty


def test_how_a_text_is_split(store: Path) -> None:
    done = run("tokens", "show", "alpha", "--text", f"{WORDS[0].upper()}, {WORDS[1]} 日本", home=store)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["word", "tokens", "number", "nearest"]
    assert lines[1].split()[:3] == [WORDS[0], WORDS[0], "1"]
    assert len(lines[1].split()) == 3 + 4
    assert [line.split() for line in lines[3:]] == [["日", "none"], ["本", "none"]]


def test_names_begin_where_they_lie(folder: Path) -> None:
    vectors = load_file(folder / "run/weights.safetensors")["item_embedding.weight"]
    assert np.isfinite(vectors).all()
    assert vectors[1:25].std() > 0.2  # what nobody trained that far


def test_new_items_are_candidates_when_they_are_asked_for(folder: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text(names(folder).read_text() + f"fresh,{WORDS[1]} {WORDS[3]},\n")
    given = ("--item-names", tmp_path / "names.csv", "--new-items")
    said = run("fit", folder / "log.csv", "--out", tmp_path / "run", *given, *NONE, home=store).stderr
    assert "new items: 1 that training has not seen get vectors from their names" in said
    assert weights(tmp_path / "run") == weights(folder / "run")
    answers = {}
    for more in ((), ("--new-items",)):
        run("recommend", tmp_path / "run", "--out", tmp_path / "all.csv", "-k", 30, "--overwrite", *more, home=store)
        answers[more] = (tmp_path / "all.csv").read_text()
    assert "fresh" in answers["--new-items",]
    assert "fresh" not in answers[()]
    similar = run("similar", tmp_path / "run", "fresh", "-k", 3, "--new-items", "--json", home=store).stdout
    assert len(json.loads(similar)) == 3
    assert "does not occur in the training data" in refused(tmp_path, store, "similar", tmp_path / "run", "fresh")
    assert "Fit it with their names" in refused(tmp_path, store, "similar", folder / "run", "i1", "--new-items")
