"""`mltfr baselines`: all of them, each a run, in one table; and what `fit` prints beside its own scores."""

from __future__ import annotations

import json

import pytest

from mltfr.baselines import BASELINES, ease
from support.command_line import SMALL, files_of, refused, run
from support.walks import write_log


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, store):
    folder = tmp_path_factory.mktemp("all")
    write_log(folder / "log.csv")
    return folder, run("baselines", folder / "log.csv", "--out", folder / "all", home=store)


def table(text: str) -> list[list[str]]:
    """Return the cells of the printed table, row by row."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line.startswith("│")]


def test_every_baseline_is_a_run_and_a_row(fitted, store):
    folder, done = fitted
    found = {row[0]: row[1:] for row in table(done.stdout)}
    assert sorted(found) == sorted(entry.name for entry in BASELINES if not entry.cls.reads_names)
    assert [row[-1] for row in found.values()] == sorted((row[-1] for row in found.values()), reverse=True)
    for name, row in found.items():
        document = json.loads(run("evaluate", folder / "all" / name, "--json", home=store).stdout)
        assert row[1] == f"{document['metrics']['ndcg@10']:.4f}"
    best = next(iter(found))
    assert f"Best on validation: {best}. Runs written to" in done.stdout
    assert f"Next: mltfr recommend {folder / 'all' / best} --out lists.csv" in done.stdout


def test_neighbours_by_names_take_part_where_there_are_names(fitted, store, tmp_path):
    folder, _ = fitted
    items = sorted({line.split(",")[1] for line in (folder / "log.csv").read_text().splitlines()[1:]})
    names = "".join(f"{item},word{number % 5}\n" for number, item in enumerate(items))
    (tmp_path / "names.csv").write_text("item_id,title\n" + names)
    named = ("--item-names", tmp_path / "names.csv")
    done = run("baselines", folder / "log.csv", "--out", tmp_path / "all", *named, home=store)
    assert sorted(row[0] for row in table(done.stdout)) == sorted(BASELINES.names())
    missing = ("baselines", folder / "log.csv", "--out", tmp_path / "none", "--item-names", tmp_path / "gone.csv")
    assert "gone.csv" in refused(tmp_path, store, *missing)


def test_each_equals_the_run_that_fit_makes(fitted, store, tmp_path):
    folder, _ = fitted
    run("fit", folder / "log.csv", "--out", tmp_path / "run", "--backbone", "item-knn", "--no-baselines", home=store)
    ours, theirs = files_of(tmp_path / "run"), files_of(folder / "all/item-knn")
    for name in ("weights.safetensors", "config.toml", "histories.parquet"):
        assert ours[name] == theirs[name]


def test_what_is_finished_stays(fitted, store):
    folder, _ = fitted
    before = files_of(folder / "all")
    arguments = ("baselines", folder / "log.csv", "--out", folder / "all")
    assert "holds a finished run" in refused(folder, store, *arguments)
    assert table(run(*arguments, "--resume", home=store).stdout)
    assert files_of(folder / "all") == before


def test_filters_and_split_come_from_the_file_of_any_run(fitted, store, tmp_path):
    folder, _ = fitted
    (tmp_path / "run.toml").write_text('backbone = "gru4rec"\nfusion = "mltfr"\n[filters]\ncore = 2\n')
    settings = ("--config", tmp_path / "run.toml", "--set", "split.method=global-time")
    run("baselines", folder / "log.csv", "--out", tmp_path / "all", *settings, home=store)
    manifest = json.loads((tmp_path / "all/markov/manifest.json").read_text())
    assert manifest["split"].startswith("global-time")
    assert "core = 2" in (tmp_path / "all/markov/config.toml").read_text()


def test_one_that_does_not_fit_into_memory_is_left_out(fitted, store, tmp_path, monkeypatch):
    monkeypatch.setattr(ease, "available_memory", lambda: 0)
    done = run("baselines", fitted[0] / "log.csv", "--out", tmp_path / "all", home=store)
    assert "ease was left out: Baseline 'ease' needs about 0.5 GB for" in done.stdout
    assert not (tmp_path / "all/ease").exists()
    assert (tmp_path / "all/item-knn/manifest.json").exists()


def test_a_wrong_setting_is_one_line(fitted, store, tmp_path):
    arguments = ("baselines", fitted[0] / "log.csv", "--out", tmp_path / "all", "--set", "filters.cor=2")
    assert "unknown setting 'filters.cor'. Did you mean 'core'?" in refused(tmp_path, store, *arguments)


def test_a_run_goes_on_without_its_baselines(fitted, store, tmp_path):
    run("fit", fitted[0] / "log.csv", "--out", tmp_path / "run", "--backbone", "markov", home=store)
    arguments = ("fit", fitted[0] / "log.csv", "--out", tmp_path / "run", "--backbone", "markov", "--resume")
    done = run(*arguments, "--no-baselines", home=store)
    assert "this run is finished; nothing was left to do" in done.stderr
    assert "test, item-knn" in done.stdout


ROWS = {
    "none": (("--fusion", "none", *SMALL[:4], "--epochs", "1"), ["popularity", "markov", "item-knn"]),
    "popularity": (("--backbone", "popularity"), ["markov", "item-knn"]),
    "item-knn": (("--backbone", "item-knn"), ["popularity", "markov"]),
    "alone": (("--backbone", "popularity", "--no-baselines"), []),
    "mltfr": (("--tokens", "alpha,beta", *SMALL, "--epochs", "1", "--no-baselines"), ["zero branch", "popularity"]),
}


@pytest.mark.parametrize("case", ROWS)
def test_fit_prints_no_row_twice(fitted, store, tmp_path, case):
    arguments, names = ROWS[case]
    done = run("fit", fitted[0] / "log.csv", "--out", tmp_path / "run", *arguments, home=store)
    assert [row[0] for row in table(done.stdout)] == ["test", *(f"test, {name}" for name in names), "validation"]
    last = done.stdout.splitlines()[-2:]
    assert last[0].startswith("Next, ")
    assert last[1].startswith("Run written to")
