"""Every fusion through the command line: fit, score from the folder alone, repeat, resume."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

from mltfr.recommender import Recommender
from mltfr.training import Interrupted
from support.command_line import refused, run
from support.stopping import StopAt
from support.walks import write_log

SMALL = ("--set", "backbone.hidden=16", "--set", "backbone.max_length=10", "--set", "training.batch_size=32")
FILTER = ("--set", "fusion.filter.shortlist=16", "--set", "fusion.filter.keep=4")
TABLES = ("--tokens", "alpha,beta", "--set", "tokens.width=8")
LAYERS = ("--set", "fusion.layers=[12, 6, 4]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a log, words and item vectors."""
    folder = tmp_path_factory.mktemp("fusions")
    write_log(folder / "log.csv")
    (folder / "words.txt").write_text("# of the table\nax0 by1\n\nqqqq\n")
    items = {f"i{n}": row for n, row in enumerate(np.random.default_rng(0).normal(size=(25, 6)).astype(np.float32))}
    pl.DataFrame({"item_id": list(items), "v": [row.tolist() for row in items.values()]}).write_parquet(
        folder / "vectors.parquet"
    )
    save_file(items, folder / "vectors.safetensors")
    return folder


CASES = {
    "direct": (*TABLES, *LAYERS),
    "external": (*TABLES, "--words", "words.txt", "--set", "fusion.neighbours=2"),
    "capacity": (*TABLES, *FILTER),
    "capacity-history": (*TABLES, *FILTER),
    "constant": (),
    "random": (*TABLES, *FILTER),
    "shuffled": (*TABLES, *FILTER),
    "adapter": ("--item-vectors", "vectors.parquet", "--set", "fusion.kind=whitening"),
}


def fit(folder: Path, store: Path, name: str, out: str, *more: str, epochs: str = "1") -> Path:
    options = [str(folder / word) if word in ("words.txt", "vectors.parquet") else word for word in CASES[name]]
    where = folder / out
    arguments = ("--fusion", name, *SMALL, *options, "--set", f"training.epochs={epochs}", *more)
    run("fit", folder / "log.csv", "--out", where, *arguments, home=store)
    return where


@pytest.fixture(scope="module")
def runs(folder: Path, store: Path) -> dict[str, Path]:
    """Return a finished run of every fusion."""
    return {name: fit(folder, store, name, name) for name in CASES}


def manifest(where: Path) -> dict:
    return json.loads((where / "manifest.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_a_run_scores_without_tables_and_files(name: str, runs: dict[str, Path], tmp_path: Path) -> None:
    done = run("evaluate", runs[name], "--json", home=tmp_path / "no store here")
    document = json.loads((runs[name] / "metrics.json").read_text())
    assert json.loads(done.stdout)["metrics"] == document["metrics"]


@pytest.mark.parametrize("name", ["mltfr-reference", "random-reference", "shuffled-reference"])
def test_a_run_whose_weights_lack_its_tables_finds_them_again(name: str, folder: Path, store: Path) -> None:
    """They are compared with what the run's manifest says, which of a control is said of the table that it replaces."""
    given = ("--fusion", name, *TABLES, *SMALL, "--epochs", "2", "--no-baselines")
    run("fit", folder / "log.csv", "--out", folder / name, *given, home=store)
    document = json.loads(run("evaluate", folder / name, "--json", home=store).stdout)
    assert document["users"] == json.loads((folder / name / "metrics.json").read_text())["users"]


@pytest.mark.parametrize("name", CASES)
def test_a_saved_config_repeats_the_run(name: str, runs: dict[str, Path], folder: Path, store: Path) -> None:
    again = folder / f"{name}-again"
    run("fit", folder / "log.csv", "--out", again, "--config", runs[name] / "config.toml", home=store)
    assert (again / "weights.safetensors").read_bytes() == (runs[name] / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_the_fusion_trains(name: str, runs: dict[str, Path]) -> None:
    tensors = load_file(runs[name] / "weights.safetensors")
    outputs = [value for key, value in tensors.items() if key.startswith("fusion.") and "output" in key]
    assert outputs
    assert all(value.any() for value in outputs)


def test_the_manifest_counts_the_parameters_that_train(runs: dict[str, Path]) -> None:
    for name, where in runs.items():
        tensors = load_file(where / "weights.safetensors")
        counts = manifest(where)["parameters"]
        frozen = (".held", ".ids", ".vectors", ".there")
        own = [
            value.size for key, value in tensors.items()
            if key.startswith("fusion.") and not key.endswith(frozen) and ".consensus." not in key
        ]  # fmt: skip
        assert counts["fusion"] == sum(own), name
        rest = sum(value.size for key, value in tensors.items() if not key.startswith("fusion."))
        assert counts["total"] == rest + counts["fusion"], name


def test_the_controls_differ_from_mltfr_in_one_line(folder: Path, store: Path, runs: dict[str, Path]) -> None:
    options = ("--fusion", "mltfr", *SMALL, *CASES["random"], "--set", "training.epochs=1")
    run("fit", folder / "log.csv", "--out", folder / "mltfr", *options, home=store)
    lines = (folder / "mltfr/config.toml").read_text().splitlines()
    for name in ("random", "shuffled"):
        other = (runs[name] / "config.toml").read_text().splitlines()
        assert [(a, b) for a, b in zip(lines, other, strict=True) if a != b] == [
            ('name = "mltfr"', f'name = "{name}"')
        ]
        assert manifest(runs[name])["parameters"] == manifest(folder / "mltfr")["parameters"]
    for name, most in (("capacity", 17), ("capacity-history", 25)):
        lines_of_control = (runs[name] / "config.toml").read_text().splitlines()
        assert [(a, b) for a, b in zip(lines, lines_of_control, strict=True) if a != b] == [
            ('name = "mltfr"', f'name = "{name}"')
        ]
        report = manifest(runs[name])["fusion"]
        assert report["mltfr_parameters"] == manifest(folder / "mltfr")["parameters"]["fusion"]
        assert abs(report["more_parameters"]) <= most


def test_the_manifest_says_which_words_were_found(runs: dict[str, Path]) -> None:
    config = tomllib.loads((runs["external"] / "config.toml").read_text())
    assert config["fusion"]["words"] == ["ax0 by1", "qqqq"]
    words = manifest(runs["external"])["fusion"]["words"]
    assert set(words) == {"alpha", "beta"}
    for found in words.values():
        assert (found["whole_words"], found["words_in_pieces"], found["missing_words"]) == (2, 0, ["qqqq"])


def test_words_that_cannot_be_used(folder: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n\n")
    (tmp_path / "foreign.txt").write_text("日本\n")
    common = ("fit", folder / "log.csv", "--out", tmp_path / "run", *SMALL, *TABLES)

    def say(*more: str | Path) -> str:
        return refused(tmp_path, store, *common, *more)

    external = ("--fusion", "external")
    assert "nope.txt: cannot be read (No such file" in say(*external, "--words", tmp_path / "nope.txt")
    assert "empty.txt: empty. Give one word or phrase a line." in say(*external, "--words", tmp_path / "empty.txt")
    assert "is found in token table 'alpha'" in say(*external, "--words", tmp_path / "foreign.txt")
    assert "words is empty. Give one with --words FILE" in say(*external)
    assert "--words is read by fusion 'external', but the fusion is 'mltfr'" in say("--words", folder / "words.txt")


def test_item_vectors_of_either_format_give_one_run(folder: Path, store: Path, runs: dict[str, Path]) -> None:
    options = ("--fusion", "adapter", *SMALL, "--epochs", "1", "--set", "fusion.kind=whitening")
    out = folder / "tensors"
    done = run(
        "fit", folder / "log.csv", "--out", out, "--item-vectors", folder / "vectors.safetensors", *options, home=store
    )
    assert "item vectors of vectors.safetensors: 25 of 25 items, width 6" in done.stderr
    assert (out / "weights.safetensors").read_bytes() == (runs["adapter"] / "weights.safetensors").read_bytes()
    facts = manifest(out)["item_vectors"]
    assert (facts["source"], facts["width"], facts["coverage"]) == ("vectors.safetensors", 6, 1.0)
    assert manifest(out)["tables"] == []


def test_item_vectors_that_cannot_be_used(folder: Path, store: Path, tmp_path: Path) -> None:
    pl.read_parquet(folder / "vectors.parquet").head(20).write_parquet(tmp_path / "some.parquet")
    common = ("fit", folder / "log.csv", "--out", tmp_path / "run", *SMALL, "--fusion")
    adapter = (*common, "adapter", "--item-vectors", tmp_path / "some.parquet")
    assert "5 of the 25 items have no vector (first: i2" in refused(tmp_path, store, *adapter)
    assert "Give a Parquet or safetensors file with --item-vectors" in refused(tmp_path, store, *common, "adapter")
    wrong = refused(tmp_path, store, *common, "none", "--item-vectors", tmp_path / "some.parquet")
    assert "--item-vectors is read by fusion 'adapter', but the fusion is 'none'. Add --fusion adapter" in wrong
    done = run(*adapter, "--set", "fusion.missing=zero", "--epochs", "1", home=store)
    assert "item vectors of some.parquet: 20 of 25 items" in done.stderr
    assert manifest(tmp_path / "run")["item_vectors"]["missing"] == 5


@pytest.mark.parametrize("batches", [2, 3, 7])
def test_direct_resumed_ends_with_the_same_bits(
    batches: int, folder: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = folder / "direct-straight"
    if not straight.exists():
        fit(folder, store, "direct", straight.name, "--set", "training.samples=positions", epochs="4")
    monkeypatch.setenv("MLTFR_HOME", str(store))
    recommender = Recommender(config=straight / "config.toml")
    callback = StopAt(batches)
    with pytest.raises(Interrupted):
        recommender.fit(str(folder / "log.csv"), tmp_path / "run", callback=callback, stop=callback.stop)
    resumed = ("--config", straight / "config.toml", "--resume")
    run("fit", folder / "log.csv", "--out", tmp_path / "run", *resumed, home=store)
    assert (tmp_path / "run/weights.safetensors").read_bytes() == (straight / "weights.safetensors").read_bytes()
