"""The benchmark's rows can be found; nothing is timed here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_every_row_has_its_own_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    rows = import_module("rows").ROWS
    functions = [(row.module, row.function) for row in rows.values()]
    assert len(set(functions)) == len(functions)
    for module, function in functions:
        assert callable(getattr(import_module(module), function))


def test_a_budget_knows_which_side_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    result = import_module("harness.result")
    figures = [1.0, 9.0, 3.0]
    time = result.Result("time", "s", figures, budget=result.Budget(4, 2))
    rate = result.Result("rate", "users/s", figures, budget=result.Budget(4, 2, at_least=True))
    assert time.median == rate.median == 3.0
    verdicts = [(document["reached_now"], document["reached_later"]) for document in (time.to_json(), rate.to_json())]
    assert verdicts == [(True, False), (False, True)]
    assert result.Result.from_json(time.to_json()) == time


def test_a_figure_is_so_many_times_its_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    result = import_module("harness.result")
    time = result.Result("time", "s", [6.0], floor=2.0)
    rate = result.Result("rate", "users/s", [50.0], budget=result.Budget(4, at_least=True), floor=200.0)
    assert (time.over_floor, rate.over_floor) == (3.0, 4.0)
    assert result.Result("time", "s", [6.0]).over_floor is None
    report = import_module("harness.report")
    line = dict(zip(report.COLUMNS, report.lines("row", [time])[0], strict=True))
    assert (line["floor"], line["over floor"]) == ("2 s", "3 x")


def test_growth_is_drawn_where_there_are_two_points(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    result, draw = import_module("harness.result").Result, import_module("harness.plot").draw_growth
    points = [result("step", "ms", [at / 10], series="items / step", at=at).to_json() for at in (10, 100)]
    out = tmp_path / "growth.png"
    assert not draw({"row": {"results": points[:1]}}, out)
    assert not out.exists()
    assert draw({"row": {"points": [{"results": [point]} for point in points]}}, out)
    assert out.read_bytes().startswith(b"\x89PNG")
