"""Rows picked by a condition, in every format and on every way that a log is read."""

from __future__ import annotations

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from mltfr import Recommender
from mltfr.cli.data import app
from mltfr.errors import ConfigError, DataError
from mltfr.interactions import FilterConfig, InteractionLog, apply_filters, load_interactions, prepare
from mltfr.interactions.filter_steps import FilterStep
from mltfr.interactions.picking import Picked
from mltfr.pipeline import resolve
from mltfr.pipeline.inputs import split_log
from mltfr.storage.progress import SILENT
from mltfr.study.config import DataConfig, StudyConfig
from mltfr.study.data import open_log
from mltfr.study.inputs import StudyInputs

pytestmark = pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
EVENTS = ["view", "cart", "buy", "buy", "view", "buy"]
TABLE = pl.DataFrame(
    {
        "event": EVENTS * 20,
        "item_id": [f"i{(7 * n) % 11}" for n in range(120)],
        "price": [None if n % 10 == 3 else float(n) for n in range(120)],
        "user_id": [f"u{n // 20}" for n in range(120)],
        "timestamp": list(range(1_700_000_000, 1_700_000_120)),
        "member": [n % 2 == 0 for n in range(120)],
    }
)
WHERE = "event in buy,cart and price < 110 and member = true"
KEPT = TABLE.filter(
    pl.col("event").is_in(["buy", "cart"]) & (pl.col("price") < 110).fill_null(False) & pl.col("member")
).select("item_id", "user_id", "timestamp")


def sizes(name: str, table: pl.DataFrame) -> FilterStep:
    return FilterStep(name, len(table), table["user_id"].n_unique(), table["item_id"].n_unique())


PICKED = Picked(WHERE, sizes("before", TABLE), sizes("where", KEPT))


def written(folder, form):
    path = folder / f"log.{form}"
    match form:
        case "parquet":
            TABLE.write_parquet(path, row_group_size=20)
        case "parts":
            (path / "day=1").mkdir(parents=True)
            TABLE[:50].write_parquet(path / "day=1" / "a.parquet")
            TABLE[50:].write_parquet(path / "day=1" / "b.parquet")
        case "jsonl":
            TABLE.write_ndjson(path)
        case "csv":
            TABLE.with_columns(event=pl.format(" {}", "event")).write_csv(path, separator=";", quote_style="always")
        case "tsv":
            TABLE.write_csv(path, separator="\t")
        case "inter":
            names = {name: f"{name}:token" for name in TABLE.columns} | {"timestamp": "timestamp:float"}
            TABLE.rename(names).write_csv(path, separator="\t")
    return path


@pytest.mark.parametrize("form", ["parquet", "parts", "jsonl", "csv", "tsv", "inter"])
def test_every_format(tmp_path, form):
    path = written(tmp_path, form)
    log = load_interactions(path, where=WHERE)
    assert log.frame.select(KEPT.columns).cast(KEPT.schema).equals(KEPT)
    assert log.picked == PICKED
    assert log.notes[-1] == f"{len(KEPT)} of 120 rows meet the condition '{WHERE}'; the others are left out."
    made = prepare(path, tmp_path / "set", filters=FilterConfig(where=WHERE), memory=1 << 20)
    assert made.fingerprint() == log.fingerprint()
    assert (made.notes, made.filters.where) == (log.notes, WHERE)
    assert made.report.steps == (PICKED.before, PICKED.after)


def test_tables_in_memory():
    log = load_interactions(TABLE, where=WHERE)
    assert log.frame.equals(KEPT.select(log.frame.columns))
    pandas = load_interactions(TABLE.to_pandas().astype({"event": "category", "member": object}), where="member = True")
    assert len(pandas) == 60


def test_a_header_and_columns_of_the_roles(tmp_path):
    (tmp_path / "log.dat").write_text("u1::i1::5::10\nu1::i2::1::11\nu2::i1::4::12\n")
    log = load_interactions(tmp_path / "log.dat", columns="user,item,rating,time", where="rating >= 4 and user != u2")
    assert log.frame.rows() == [("u1", "i1", 10)]


def test_rows_that_are_left_out_are_not_checked_and_errors_name_the_line(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('user_id,item_id,event\nu,a,view\n,b,view\n"u\n1",c,buy\nu,,buy\n')
    assert len(load_interactions(path, where="event = view and user_id = u")) == 1
    with pytest.raises(DataError, match=r"log.csv, line 6: item_id is empty"):
        load_interactions(path, where="event = buy")
    with pytest.raises(DataError, match=r"log.csv, line 6: item_id is empty"):
        prepare(path, tmp_path / "set", filters=FilterConfig(where="event = buy"))
    assert load_interactions(path, where="event = buy", skip_invalid=True).skipped == 1


def test_values_that_are_no_numbers_are_counted(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('user_id,item_id,rating\nu,a,4\nu,b,"4,5"\nu,c,\nu,d,5\nu,e,good\n')
    log = load_interactions(path, where="rating >= 4")
    assert log.frame["item_id"].to_list() == ["a", "d"]
    assert log.notes[1] == "2 values of column 'rating' are no numbers, as '4,5', and stand in no order to one."


def test_formats_without_columns(tmp_path):
    (tmp_path / "log.txt").write_text("u a b c\nv b c\n")
    with pytest.raises(DataError, match=r"log.txt: no column 'rating': the format has none with names. C"):
        load_interactions(tmp_path / "log.txt", where="rating > 3")


def test_a_given_split(tmp_path):
    TABLE[:100].write_csv(tmp_path / "train.csv")
    TABLE[100:].write_csv(tmp_path / "test.csv")
    log = load_interactions(tmp_path, where="event = buy")
    assert (len(log), len(log.test)) == (50, 10)
    bought = sizes("where", TABLE.filter(pl.col("event") == "buy"))  # users and items of both files together
    assert log.picked == Picked("event = buy", sizes("before", TABLE), bought)
    assert apply_filters(log, FilterConfig(where="event = buy"))[0] is log


def test_settings_and_log_must_agree():
    read, other = load_interactions(TABLE, where="event = buy"), load_interactions(TABLE)
    for log in (read, other):
        with pytest.raises(ConfigError, match=r"filters.where is 'event = cart'.* with (None|'event = buy'). Give"):
            apply_filters(log, FilterConfig(where="event = cart"))
    config, _, facts = split_log(resolve(), read)
    assert config.filters.where == "event = buy"
    assert facts["notes"] == ["60 of 120 rows meet the condition 'event = buy'; the others are left out."]


def test_a_recommender_reads_a_table_as_its_settings_say(tmp_path):
    settings = ["filters.where=event in buy,cart"]
    recommender = Recommender("popularity", settings=settings).fit(TABLE, tmp_path / "run")
    assert recommender.config.filters.where == "event in buy,cart"
    assert 'where = "event in buy,cart"' in (tmp_path / "run" / "config.toml").read_text()
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert [(step["name"], step["interactions"]) for step in manifest["filters"]] == [("before", 120), ("where", 80)]


def test_the_command_line(tmp_path):
    path = written(tmp_path, "csv")
    both = ["--where", "event = buy", "--where", "price < 50 or price > 100"]
    printed = CliRunner().invoke(app, ["describe", str(path), "--json", *both])
    expected = TABLE.filter((pl.col("event") == "buy") & ((pl.col("price") < 50) | (pl.col("price") > 100)))
    assert json.loads(printed.stdout)["interactions"] == len(expected)
    assert CliRunner().invoke(app, ["prepare", str(path), "--out", str(tmp_path / "set"), *both]).exit_code == 0
    made = load_interactions(tmp_path / "set")
    assert len(made) == len(expected)
    refused = CliRunner().invoke(app, ["describe", str(tmp_path / "set"), "--where", "event = buy"])
    assert "is a prepared set, filtered before. Leave out --set and --where." in str(refused.exception)


def test_a_study_reads_its_logs_as_its_settings_say(tmp_path):
    buys = {"filters": {"where": "event = buy"}}
    study = StudyConfig.parse(
        {
            "data": {"buys": {"file": str(written(tmp_path, "csv")), "settings": buys}},
            "backbones": {"sasrec": {}},
            "fusions": {"none": {}},
        },
        "study",
    )
    assert StudyInputs(study, study.data, SILENT).interactions == {"buys": 60}
    assert len(open_log(DataConfig(file=str(tmp_path / "log.csv")), FilterConfig(where="event = view"))) == 40


def log_of(sizes: dict[str, int]) -> InteractionLog:
    rows = [(user, f"i{n}") for user, size in sizes.items() for n in range(size)]
    return InteractionLog(pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row"))


def test_users_with_more_are_removed(tmp_path):
    log = log_of({"robot": 30, "a": 5, "b": 6, "c": 1})
    kept, report = apply_filters(log, FilterConfig(max_user_interactions=5, min_user_interactions=2))
    assert set(kept.frame["user_id"]) == {"a"}
    counts = [(step.name, step.interactions, step.users) for step in report.steps]
    assert counts == [("before", 42, 4), ("max_user_interactions", 6, 2), ("min_user_interactions", 5, 1)]
    log.frame.write_csv(tmp_path / "log.csv")
    made = prepare(tmp_path / "log.csv", tmp_path / "set", filters=FilterConfig(max_user_interactions=6))
    assert [step.interactions for step in made.report.steps] == [42, 12]
    with pytest.raises(ConfigError, match=r"max_user_interactions \(4\) leaves no user, since 5 are needed"):
        FilterConfig.parse({"max_user_interactions": 4, "core": 5})
