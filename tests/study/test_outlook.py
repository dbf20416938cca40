"""What a study says that it can see: by baselines before it runs, by its own cells once some are finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mltfr.evaluation import evaluate
from mltfr.evaluation.power import Spread, visible
from mltfr.evaluation.significance import per_user
from mltfr.pipeline.inputs import split_log
from mltfr.pipeline.quick_baselines import fit_beside
from mltfr.report.comparisons import measured
from mltfr.report.frames import read_users
from mltfr.storage.progress import SILENT
from mltfr.study import make_plan
from mltfr.study.config import StudyConfig
from mltfr.study.data import open_log
from mltfr.study.folder import StudyFolder
from mltfr.study.outlook import MORE_SEEDS, SEEDS_MOVE, Outlook, look_ahead
from support.made_up_study import write_study
from support.small_study import small


def outlook(folder: Path, **changes: Any) -> Outlook:
    study = StudyConfig.parse(small(**{"seeds": [0, 1, 2], **changes}))
    (found,) = look_ahead(study, make_plan(study), ["made-up"], StudyFolder(folder), SILENT)
    return found


def test_before_it_runs_two_baselines_stand_for_two_recommenders(tmp_path: Path) -> None:
    found = outlook(tmp_path)
    study = StudyConfig.parse(small())
    config, data, _ = split_log(make_plan(study)[0].config, open_log(study.data["made-up"]))
    protocol = config.evaluation.protocol(data.method)
    scores = [
        per_user(evaluate(fit_beside(name, data), data, "validation", protocol), "ndcg@10")
        for name in ("markov", "item-knn")
    ]
    best = max(values.mean() for values in scores)
    spread = Spread(np.std(scores[0] - scores[1], ddof=1), seeds=(SEEDS_MOVE * best,) * 2)
    assert (found.users, found.seeds, found.score) == (120, 3, best)
    assert found.seen == visible(spread, 120, (3, 3))
    assert found.more == visible(spread, 120, (MORE_SEEDS,) * 2).smallest < found.seen.smallest
    text = str(found)
    assert text.startswith("made-up: 120 test users, 3 seeds. A gain in ndcg@10 will have a standard error of about")
    assert "Assumed: from user to user two recommenders differ as markov and item-knn do on validation" in text
    assert "the standard deviation over seeds is 5 % of the score." in text
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_one_seed_and_given_seeds_have_no_variance_over_seeds(tmp_path: Path) -> None:
    one, given = outlook(tmp_path, seeds=[0]), outlook(tmp_path, test="t")
    assert one.seen == given.seen
    assert one.more is given.more is None
    assert "with one seed that is about these trainings alone" in str(one)
    assert one.seen.smallest / one.seen.standard_error == pytest.approx(2.84, rel=0.03)


def test_finished_cells_say_it_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path, data=["made-up"], backbones=["sasrec"], study=False)
    monkeypatch.setattr("mltfr.study.outlook.gather", lambda *_: 9)
    monkeypatch.setattr("mltfr.study.outlook.open_log", None)
    found = outlook(tmp_path)
    rows = measured(read_users(tmp_path).filter(pl.col("fusion") != ""), "ndcg@10")
    bare = rows["sasrec", "", "none"].values
    each = [visible(Spread.of(rows["sasrec", "three", name].values, bare), 60, (3, 3)) for name in ("mltfr", "random")]
    assert found.seen.smallest == pytest.approx(np.median([one.smallest for one in each]))
    assert found.seen.standard_error == pytest.approx(np.median([one.standard_error for one in each]))
    assert (found.users, found.score) == (60, pytest.approx(bare.mean()))
    assert str(found).endswith("By the 2 comparisons whose cells are finished.")


def test_a_data_set_that_does_not_run_is_not_opened(tmp_path: Path) -> None:
    study = StudyConfig.parse(small(data__other={"file": "not there.csv"}))
    found = look_ahead(study, make_plan(study), ["made-up"], StudyFolder(tmp_path), SILENT)
    assert [one.data for one in found] == ["made-up"]


def test_nobody_to_compare_on_is_no_outlook(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id\n" + "".join(f"u,i{n}\nv{n},i{n}\n" for n in range(5)))
    study = StudyConfig.parse(small(data={"made-up": {"file": str(tmp_path / "log.csv")}}))
    assert look_ahead(study, make_plan(study), ["made-up"], StudyFolder(tmp_path), SILENT) == []
