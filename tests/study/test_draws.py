"""Draws of a control's random vectors: which cells they are, and the rank of the real tables among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from mltfr.errors import ConfigError
from mltfr.report.draws import draw_table, rank_p, ranked_draws
from mltfr.report.frames import Labels, read_draws, read_results
from mltfr.report.markdown import markdown
from mltfr.study import make_plan, run_study
from mltfr.study.config import StudyConfig
from mltfr.study.draws import real_cell
from mltfr.study.selection import select
from support.small_study import LaunchedHere, small, write

FILTER = {"fusion": {"filter": {"shortlist": 16, "keep": 2}}}
FUSIONS: dict[str, Any] = {"none": {}, "mltfr": FILTER, "random": FILTER, "shuffled": FILTER, "constant": {}}


MADE_UP: dict[str, Any] = small()["data"]["made-up"]


def plan(**changes: Any) -> list[Any]:
    return make_plan(StudyConfig.parse(small(**{"fusions": FUSIONS, "seeds": [3, 4], "draws": 3, **changes})))


def test_each_draw_is_a_cell_with_vectors_of_its_own() -> None:
    cells = plan(settings__tokens={"width": 8, "control_seed": 7})
    drawn = [cell for cell in cells if cell.group.draw]
    assert [(cell.group.fusion, cell.group.draw, cell.seed) for cell in drawn] == [
        ("random", 1, 3), ("shuffled", 1, 3), ("random", 2, 3), ("shuffled", 2, 3)
    ]  # fmt: skip
    assert cells[-len(drawn) :] == drawn, "what they are ranked with comes first"
    assert [cell.config.tokens.control_seed for cell in drawn] == [8, 8, 9, 9]
    assert len({cell.name for cell in cells}) == len(cells) == 10 + 4
    first = next(cell for cell in cells if (cell.group.fusion, cell.seed) == ("random", 3))
    assert drawn[0].config.model_dump(exclude={"tokens"}) == first.config.model_dump(exclude={"tokens"})
    assert str(drawn[0].group) == "made-up / sasrec / random / one / draw-1"
    assert "draw" not in first.name
    assert [cell.group.draw for cell in select(cells, ["draw=0", "fusion=random"])] == [0, 0]


def test_draws_with_all_seeds() -> None:
    drawn = [(cell.group.fusion, cell.group.draw, cell.seed) for cell in plan(draw_seeds="all") if cell.group.draw]
    assert len(drawn) == len(set(drawn)) == 2 * 2 * 2


def test_the_real_one_differs_in_the_vectors_alone() -> None:
    cells = plan()
    for cell in cells:
        if cell.group.fusion in ("random", "shuffled"):
            real = real_cell(cell, cells)
            assert (real.group.fusion, real.seed, real.group.draw) == ("mltfr", cell.seed, 0)


def test_names_are_drawn_as_tables_are() -> None:
    ids = {"file": "ids", "read": "tables"}
    named = {"names": ids}
    fusions = {
        "none": {}, "names": {"fusion": {"name": "none"}, **named},
        "random": {"fusion": {"name": "none"}, "names": {**ids, "control": "random"}},
        "both": {"fusion": {"name": "random"}, "names": {**ids, "control": "permuted"}},
        "mltfr": {"fusion": {"name": "mltfr"}, **named},
        "bag": {"fusion": {"name": "none"}, "names": {"file": "ids", "read": "words"}},
    }  # fmt: skip
    cells = plan(fusions=fusions, draws=2)
    drawn = {cell.group.fusion: real_cell(cell, cells).group.fusion for cell in cells if cell.group.draw}
    assert drawn == {"random": "names", "both": "mltfr"}


def test_without_names_what_is_set_of_them_makes_no_difference() -> None:
    """A fusion with names stands for the one without where a data set has none."""
    named, bare = {"made-up": {**MADE_UP, "settings": {"names": {"file": "ids"}}}}, {"bare": MADE_UP}
    fusions = {
        "none": {"names": {"use": "none"}}, "mltfr": {"names": {"use": "none"}},
        "mltfr-names": {"fusion": {"name": "mltfr"}}, "random-names": {"fusion": {"name": "random"}},
    }  # fmt: skip
    for data in (bare | named, named | bare):
        cells = plan(fusions=fusions, draws=2, data=data)
        drawn = {cell.group.data: real_cell(cell, cells).group.fusion for cell in cells if cell.group.draw}
        assert drawn == {"bare": "mltfr", "made-up": "mltfr-names"}
    fusions = {name: fusions[name] for name in ("none", "mltfr", "random-names")}
    for data in (bare | named, named | bare):
        with pytest.raises(ConfigError, match="on 'made-up' no fusion differs from 'random-names'"):
            plan(fusions=fusions, draws=2, data=data)


@pytest.mark.parametrize(
    ("fusions", "message"),
    [
        ({"none": {}, "mltfr": FILTER}, r"draws is 3, but no fusion of the study reads random vectors\. Add one"),
        ({"none": {}, "random": FILTER}, r"differs from 'random' in the vectors alone.*Add \[fusions\.mltfr\]"),
        ({"none": {}, "random": FILTER, "mltfr": {}}, r"with the same settings, or remove draws"),
        ({"none": {}, "direct-random": {}, "mltfr": {}}, r"Add \[fusions\.direct\]"),
    ],
)
def test_draws_that_nothing_is_ranked_with(fusions: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(fusions=fusions)


def frames(real: float, draws: list[float], seeds: int = 1, windows: tuple[str, ...] = ("",)) -> list[pl.DataFrame]:
    """Return results and draws with these means, the seeds and windows around them."""
    labels = {"data": "d", "data_fingerprint": "f", "protocol": "p", "backbone": "b", "tables": "t"}
    labels["metric"] = "ndcg@10"
    places = [(seed, window) for seed in range(seeds) for window in windows]
    around = np.linspace(-0.01, 0.01, len(places)) if len(places) > 1 else [0.0]

    def rows(fusion: str, value: float, **more: Any) -> list[dict[str, Any]]:
        return [
            {**labels, **more, "fusion": fusion, "seed": seed, "window": window, "value": value + off}
            for (seed, window), off in zip(places, around, strict=True)
        ]

    results = [row for name, value in (("mltfr", real), ("random", draws[0])) for row in rows(name, value, part="test")]
    further = [row for n, value in enumerate(draws[1:], 1) for row in rows("random", value, draw=n, real="mltfr")]
    return [pl.DataFrame(results), pl.DataFrame(further)]


@pytest.mark.parametrize(("seeds", "windows"), [(1, ("",)), (2, ("w1", "w2", "w3"))])
def test_the_rank_is_counted_among_all_draws(seeds: int, windows: tuple[str, ...]) -> None:
    draws = [0.11, 0.1, 0.14, 0.12, 0.09]
    results, further = frames(0.13, draws, seeds, windows)
    (row,) = ranked_draws(results, further, "ndcg@10")
    assert (row["real"], row["fusion"], row["rank"], row["seeds"]) == ("mltfr", "random", 2, seeds)
    assert row["p"] == pytest.approx(2 / 6)
    assert row["draws"] == pytest.approx(draws)
    text = markdown(draw_table(results, further, Labels(), "ndcg@10"))
    assert "| d | b | t | mltfr | .1300 | random | 5 | .1120 ± .0192 | .1400 | 2 of 6 | .333 |" in text
    assert "With 5 draws it cannot be below .167; 19 are needed for .05." in text
    assert "not corrected" not in text, "there is one row"
    twice = [pl.concat([frame, frame.with_columns(backbone=pl.lit("c"))]) for frame in (results, further)]
    assert "p is not corrected for their number" in markdown(draw_table(*twice, Labels(), "ndcg@10"))


def test_what_is_not_whole_is_not_ranked() -> None:
    results, further = frames(0.13, [0.1, 0.2, 0.3], seeds=2)
    missing = further.filter((pl.col("draw") != 2) | (pl.col("seed") != 1))
    (row,) = ranked_draws(results, missing, "ndcg@10")
    assert row["draws"] == pytest.approx([0.1, 0.2])
    assert ranked_draws(results.filter(pl.col("fusion") != "mltfr"), further, "ndcg@10") == []
    assert draw_table(results, None, Labels(), "ndcg@10") is None


def test_a_draw_like_the_others_is_rarely_first() -> None:
    """Its p is uniform on the ranks, whatever the scores are distributed like; equals rank before it."""
    random = np.random.default_rng(0)
    found = [rank_p(values[0], list(values[1:]))[1] for values in random.pareto(1, size=(4000, 20))]
    low, high = stats.binom.ppf([0.001, 0.999], 4000, 0.05) / 4000
    assert low <= np.mean(np.less_equal(found, 0.05)) <= high
    assert rank_p(0.5, [0.5, 0.4]) == (2, 2 / 3)


@pytest.mark.slow
def test_a_study_with_draws_ranks_the_real_tables(tmp_path: Path) -> None:
    fusions = {"mltfr": FILTER, "random": FILTER}
    file, out = write(tmp_path, fusions=fusions, compare_with="mltfr", draws=2), tmp_path / "out"
    outcome = run_study(file, out, jobs=1, launch=LaunchedHere())
    assert (outcome.cells, outcome.done) == (3, 3)
    results, draws = read_results(out), read_draws(out)
    assert set(results["cell"]) == {cell.name for cell in make_plan(StudyConfig.parse(small(
        fusions=fusions, compare_with="mltfr", draws=2))) if not cell.group.draw}  # fmt: skip
    (row,) = ranked_draws(results, draws, "ndcg@10")
    own = results.filter(part="test", metric="ndcg@10", fusion="mltfr")["value"].item()
    assert (row["value"], len(row["draws"])) == (own, 2)
    assert row["draws"][0] != row["draws"][1], "both draws have the same vectors"
    assert row["rank"] == 1 + sum(value >= own for value in row["draws"])
    assert f"{row['rank']} of 3" in (out / "summary.md").read_text()
    assert outcome.winners[0].title == "sasrec / mltfr / one" or "random" in outcome.winners[0].title
    assert run_study(write(tmp_path, fusions=fusions, compare_with="mltfr"), out, resume=True).done == 2
    assert read_draws(out) is None
