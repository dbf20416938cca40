from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mltfr import Recommender
from mltfr.cli.main import app

TOLD = (
    "columns: user_id = visitor_id, item_id = sku, timestamp = event_time; not read: event",
    "times: dates without an offset, taken for UTC; they are shown in UTC, and dates of filters and splits are UTC",
)


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    rows = [f"v{user},S-{(user * step) % 7},view,2024-03-{step:02} 10:{user:02}:00" for step in range(1, 6)
            for user in range(1, 9)]  # fmt: skip
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join(["visitor_id,sku,event,event_time", *rows, ""]))
    return path


def run(*arguments: str | Path) -> tuple[str, str]:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_what_was_read_is_told_by_every_command(clicks: Path, tmp_path: Path) -> None:
    _, told = run("fit", clicks, "--out", tmp_path / "run", "--backbone", "popularity", "--no-baselines")
    assert told.splitlines()[:2] == list(TOLD)
    documents = [json.loads((tmp_path / "run" / name).read_text()) for name in ("metrics.json", "manifest.json")]
    assert documents[0]["read_as"] == documents[1]["read_as"]
    assert documents[0]["read_as"]["columns"][0]["not_read"] == ["event"]

    _, told = run("data", "prepare", clicks, "--out", tmp_path / "set")
    assert [line for line in told.splitlines() if line in TOLD] == list(TOLD)
    run("fit", tmp_path / "set", "--out", tmp_path / "again", "--backbone", "popularity", "--no-baselines")
    assert json.loads((tmp_path / "again" / "metrics.json").read_text())["read_as"] == documents[0]["read_as"]

    _, told = run("baselines", clicks, "--out", tmp_path / "all")
    assert [line for line in told.splitlines() if line in TOLD] == list(TOLD)

    for source in (clicks, tmp_path / "set"):
        table = " ".join(run("data", "describe", source)[0].replace("│", " ").split())
        assert f"{TOLD[0].replace(':', '', 1)} times dates without an offset" in table
        assert json.loads(run("data", "describe", source, "--json")[0])["read_as"] == documents[0]["read_as"]


def test_what_was_read_of_new_rows_is_told(clicks: Path, tmp_path: Path) -> None:
    run("fit", clicks, "--out", tmp_path / "run", "--backbone", "popularity", "--no-baselines")
    new = tmp_path / "new.csv"
    new.write_text("visitor_id,sku,price,event_time\nv1,S-1,5,2024-04-01T10:00Z\nv2,S-2,5,2024-04-01T11:00Z\n")
    columns = "columns: user_id = visitor_id, item_id = sku, timestamp = event_time; not read: price"
    printed, told = run("evaluate", tmp_path / "run", "--data", new, "--json")
    assert told.splitlines()[0] == columns
    assert json.loads(printed)["read_as"]["times"] == {
        "unit": "s", "form": "dates", "without_offset": 0, "with_offset": 2, "units": [],
    }  # fmt: skip
    _, told = run("update", tmp_path / "run", new, "--out", tmp_path / "updated")
    assert told.splitlines()[0] == columns
    manifest = json.loads((tmp_path / "updated" / "manifest.json").read_text())
    assert manifest["read_as"]["columns"][0]["not_read"] == ["price"]


def test_a_recommender_in_python_tells_it(clicks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pandas

    fitted = Recommender(backbone="popularity").fit(pandas.read_csv(clicks))
    assert capsys.readouterr().err.splitlines()[:2] == list(TOLD)
    assert fitted.metrics["read_as"]["columns"][0]["user"] == "visitor_id"
