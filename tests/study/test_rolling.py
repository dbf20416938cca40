"""Rolling splits: where a log is cut, what a study refuses, and a backtest that sees nothing of the future."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mltfr.errors import ConfigError, DataError
from mltfr.interactions import FilterConfig, InteractionLog, load_interactions
from mltfr.study import make_plan
from mltfr.study.config import StudyConfig
from mltfr.study.notes import notes_on
from mltfr.study.rolling import RollingConfig, cut, windows_of
from mltfr.study.selection import select
from support.small_study import small


def log_of(*times: object) -> InteractionLog:
    return load_interactions(
        pl.DataFrame({"user_id": "u", "item_id": [f"i{n}" for n in range(len(times))], "timestamp": times})
    )


def borders(log: InteractionLog, since: Any = None, **settings: Any) -> list[tuple[Any, ...]]:
    found = cut(RollingConfig.parse(settings, "rolling"), log, since, "data.mine.rolling")
    assert all(set(window) == {"split", "filters"} for window in found)
    assert {window["split"]["method"] for window in found} == {"global-time"}
    return [(w["split"]["validation_from"], w["split"]["test_from"], w["filters"]["until"]) for w in found]


SECONDS = (1_700_000_000, 1_709_300_000)  # 2023-11-14 22:13 to 2024-03-01 13:33


@pytest.mark.parametrize("scale", [1, 1_000, 1_000_000, 1_000_000_000])
def test_windows_end_on_the_day_after_the_last_row_whatever_the_unit(scale: int) -> None:
    log = log_of(*(time * scale for time in SECONDS))
    assert borders(log, windows=3, span="7d") == [
        ("2024-02-03", "2024-02-10", "2024-02-17"), ("2024-02-10", "2024-02-17", "2024-02-24"),
        ("2024-02-17", "2024-02-24", "2024-03-02"),
    ]  # fmt: skip
    assert borders(log, windows=2, span="1W", step="1d")[0] == ("2024-02-16", "2024-02-23", "2024-03-01")
    assert borders(log, windows=1, span="2d", until="2024-01-31") == [("2024-01-27", "2024-01-29", "2024-01-31")]


def test_dates_and_shorter_spans() -> None:
    log = log_of("2024-01-01 00:00:00", "2024-03-01 13:33:20")
    hours = ("2024-02-29T14:00:00", "2024-03-01T02:00:00", "2024-03-01T14:00:00")
    assert borders(log, windows=1, span="12h") == [hours]
    assert borders(log, windows=1, span="90 min")[0][2] == "2024-03-01T13:33:21"
    assert borders(log, windows=2, span="1d", step="0.5d")[0][2] == "2024-03-01T02:00:00"


def test_a_counter_is_cut_by_numbers() -> None:
    assert borders(log_of(1, 2, 50, 100), windows=2, span=10) == [(71, 81, 91), (81, 91, 101)]
    assert borders(log_of(0.5, 2.25, 9.75), windows=1, span=2.5) == [(5, 7.5, 10)]


@pytest.mark.parametrize(("settings", "times", "message"), [
    ({"windows": 9, "span": "14d"}, SECONDS, r"first of 9 windows has nothing to train on.*2023-11-14 22:13 to "
     r"2024-03-01 13:33 UTC\). Take a shorter span, or at most 6 windows\."),
    ({"windows": 1, "span": "60d"}, SECONDS, r"Take a shorter span\."),
    ({"windows": 1, "span": 28}, SECONDS, r"span is 28, but .* a clock. Give a time such as 28d or 12h"),
    ({"windows": 1, "span": "28d"}, (1, 2, 3), r"span is '28d', but .* go from 1 to 3, a counter. Give a number"),
    ({"windows": 1, "span": "28"}, SECONDS, r"span: '28' is no length of time. It is 28d or 12h"),
    ({"windows": 1, "span": "-3d"}, SECONDS, "is no length of time"),
    ({"windows": 1, "span": "1d", "step": 0}, SECONDS, "step: 0 is no length"),
    ({"windows": 1, "span": "1d", "step": 3}, SECONDS, r"span \('1d'\) and step \(3\) must both be times"),
    ({"windows": 0, "span": "1d"}, SECONDS, "windows: "),
    ({"windows": 1, "span": "1d", "until": "soon"}, SECONDS, "until: 'soon' is neither"),
])  # fmt: skip
def test_what_cannot_be_cut_is_said(settings: dict[str, Any], times: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        borders(log_of(*times), **settings)


def test_the_most_windows_that_are_named_fit() -> None:
    log = log_of(*SECONDS)
    assert len(borders(log, windows=6, span="14d")) == 6
    with pytest.raises(ConfigError, match="at most 2 windows"):
        borders(log, since="2024-01-10", windows=3, span="14d")


def test_logs_without_times_or_with_a_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^data.mine.rolling: .* has no times to cut windows by"):
        borders(load_interactions(pl.DataFrame({"user_id": ["u"], "item_id": ["i"]})), windows=1, span="1d")
    for name in ("train", "test"):
        (tmp_path / f"{name}.txt").write_text(f"u {name}\n")
    with pytest.raises(ConfigError, match="comes with a split of its own"):
        windows_of(RollingConfig(windows=1, span="1d"), load_interactions(tmp_path), FilterConfig(), "")
    with pytest.raises(DataError, match=r"rolling\.until"):
        borders(log_of(1, 2, 3), windows=1, span=1, until="2024-01-01")


@pytest.mark.parametrize(("times", "message"), [
    ((1, 2, 95), r"window w1: The global-time.* split has no test example"),
    ((1, 2, 85, 95), r"window w1: No user with a row before 66 has one in the validation behind it. Or take a longer"),
])  # fmt: skip
def test_a_window_without_examples_is_refused_before_anything_runs(times: tuple[int, ...], message: str) -> None:
    log, rolling = log_of(*times), RollingConfig(windows=2, span=10)
    with pytest.raises(ConfigError, match=r"^data.mine.rolling, " + message):
        windows_of(rolling, log, FilterConfig(), "data.mine.rolling")
    whole = log_of(1, 70, 80, 85, 95)
    assert windows_of(rolling, whole, FilterConfig(), "") == cut(rolling, whole, None, "")


ROLLING = {"windows": 3, "span": "2d"}


def test_every_cell_runs_in_every_window() -> None:
    study = StudyConfig.parse(small(data__mine={"name": "synthetic", "rolling": ROLLING}, baselines=["popularity"],
                                    seeds=[0, 1]))  # fmt: skip
    windows = {"mine": cut(study.data["mine"].rolling, log_of(*SECONDS), None, "")}
    cells = make_plan(study, windows)
    mine = [cell for cell in cells if cell.group.data == "mine"]
    assert [(cell.group.window, cell.group.fusion, cell.seed) for cell in mine if cell.seed or cell.baseline] == [
        *((window, "", 0) for window in ("w1", "w2", "w3")),
        *((window, fusion, 1) for window in ("w1", "w2", "w3") for fusion in ("none", "mltfr")),
    ]
    assert {cell.config.split.test_from for cell in mine if cell.group.window == "w2"} == {"2024-02-27"}
    assert {cell.config.filters.until for cell in mine if cell.group.window == "w2"} == {"2024-02-29"}
    assert [cell.name for cell in make_plan(study)] == [cell.name for cell in cells]  # before the log is open
    assert {cell.group.window for cell in select(cells, ["window=w2,w3"])} == {"w2", "w3"}
    assert next(cell.name for cell in cells if cell.group.data == "made-up") == "made-up-popularity-s0-f071c4"
    with_others = make_plan(StudyConfig.parse(small(settings__filters={"core": 2}, data__mine=study.data["mine"])))
    assert {cell.config.filters.core for cell in with_others} == {2}


@pytest.mark.parametrize(("changes", "message"), [
    ({"settings__split": {"method": "global-time"}},
     r"\[settings\] sets 'split.method', but that belongs into data.made-up.rolling, or into \[data.LABEL.settings\]"),
    ({"data__made-up__settings": {"filters": {"until": "2024-01-01"}}},
     r"\[data.made-up.settings\] sets 'filters.until', but that belongs into data.made-up.rolling.until"),
    ({"data__made-up__rolling": {"span": "1d"}}, "rolling.windows"),
])  # fmt: skip
def test_borders_of_its_own_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan(StudyConfig.parse(small(**{"data__made-up__rolling": ROLLING, **changes})))


def test_a_search_belongs_to_its_window() -> None:
    search = {"trials": 2, "space": {"backbone.dropout": [0.1, 0.3]}}
    study = StudyConfig.parse(small(**{"data__made-up__rolling": ROLLING, "tuning": search}))
    cells = make_plan(study)
    assert len({cell.group for cell in cells}) == len(cells) == 6  # trials belong to groups
    assert any("Every window has a search of its own" in note for note in notes_on(study, cells, {}, {}))
