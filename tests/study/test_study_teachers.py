"""A study's cell may learn from a teacher: its path begins at the study file, and another teacher is another cell."""

from __future__ import annotations

from pathlib import Path

from mltfr.study.config import load_study
from mltfr.study.fingerprint import files_of

STUDY = """
[data.made-up]
file = "log.csv"

[backbones.sasrec]

[fusions.none]

[fusions.taught]
fusion = {name = "none"}
distillation = {teacher = "runs/blend"}
"""


def test_the_path_begins_at_the_study_file_and_the_teacher_counts(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    settings = load_study(tmp_path / "study.toml").fusions["taught"]
    teacher = tmp_path / "runs" / "blend"
    assert settings["distillation"]["teacher"] == str(teacher)
    of_a_run = {"fusion": {"name": "none"}, **settings}
    assert files_of(of_a_run) == {}  # its fit says that there is none
    teacher.mkdir(parents=True)
    found = []
    for text in ("one", "another"):
        (teacher / "manifest.json").write_text(text)
        found.append(files_of(of_a_run)["distillation.teacher"])
    assert len(set(found)) == 2
