"""A study's remark on unlike training samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltfr.config import dump_toml
from mltfr.study import load_study, make_plan
from mltfr.study.folder import StudyFolder
from mltfr.study.notes import samples_notes

SMOKE = Path(__file__).parents[2] / "studies" / "smoke.toml"


@pytest.mark.parametrize("unlike", [False, True])
def test_unlike_samples_are_remarked_on_by_what_the_runs_came_to(tmp_path, unlike):
    folder, cells = StudyFolder(tmp_path), [cell for cell in make_plan(load_study(SMOKE)) if not cell.baseline]
    assert samples_notes(folder, cells) == []  # none is finished
    for number, cell in enumerate(cells):
        run = folder.run(cell)
        run.mkdir(parents=True)
        (run / "manifest.json").write_text("{}")
        kind = "prefixes" if unlike and not number else "windows"
        training = cell.config.training.model_copy(update={"samples": kind})
        (run / "config.toml").write_text(dump_toml(cell.config.model_copy(update={"training": training})))
    notes = samples_notes(folder, cells)
    assert len(notes) == unlike
    if unlike:
        group = cells[0].group
        assert f"Data set {group.data}: not all recommenders" in notes[0]
        assert f"prefixes: {group.backbone} + {group.fusion}; windows: " in notes[0]
