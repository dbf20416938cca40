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
    verdicts = [
        (document["reached_now"], document["reached_later"]) for document in (time.to_json(), rate.to_json())
    ]
    assert verdicts == [(True, False), (False, True)]
    assert result.Result.from_json(time.to_json()) == time
