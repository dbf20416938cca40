"""The studies that ship: each plans what its head says, and nothing in it is unknown or unfair."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltfr.backbones import BACKBONES
from mltfr.study import load_study, make_plan

FOLDER = Path(__file__).parents[2] / "studies"
FILES = sorted(FOLDER.glob("*.toml"))
DONE = sorted(FOLDER.parent.glob("benchmarks/results/studies/*/study.toml"))


def labels(name, axis):
    return list(getattr(load_study(FOLDER / f"{name}.toml"), axis))


def test_the_studies_of_the_papers_claims_are_there():
    assert {"empirical", "main", "ablation", "tables", "controls", "smoke"} <= {path.stem for path in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_it_plans(file):
    study = load_study(file)
    cells = make_plan(study)
    fusions = {cell.group.fusion for cell in cells if not cell.baseline}
    assert fusions == {*study.fusions, *study.blends}
    assert study.compare_with in fusions
    head = file.read_text().partition("\n\n")[0]
    assert f"mltfr study studies/{file.name} --out " in head
    for label, data in study.data.items():
        assert data.name is not None or f"--data {label}=" in head, "the command in its head does not run"


@pytest.mark.parametrize("file", DONE, ids=lambda path: path.parent.name)
def test_a_study_of_the_results_can_be_run_again(file):
    study = load_study(file)
    assert {cell.group.fusion for cell in make_plan(study) if not cell.baseline} == {*study.fusions, *study.blends}


def test_main_has_every_backbone():
    assert sorted(labels("main", "backbones")) == BACKBONES.names()


def test_the_controls_differ_from_mltfr_in_one_line_each():
    plan = make_plan(load_study(FOLDER / "controls.toml"))
    cells = {cell.group.fusion: cell for cell in plan if cell.seed == cell.group.draw == 0}
    dumps = {name: cell.config.model_dump(mode="json") for name, cell in cells.items()}
    differences = {
        name: [f"{part}.{key}" for part in dumps["mltfr"] if isinstance(dumps["mltfr"][part], dict)
               for key in dumps["mltfr"][part] if dumps[name][part].get(key) != dumps["mltfr"][part][key]]
        for name in ("random", "shuffled", "capacity", "capacity-history")
    }  # fmt: skip
    assert differences == {name: ["fusion.name"] for name in ("random", "shuffled", "capacity", "capacity-history")}


def test_every_ablation_differs_from_mltfr():
    cells = [cell for cell in make_plan(load_study(FOLDER / "ablation.toml")) if cell.seed == 0 and not cell.baseline]
    assert len({cell.config.model_dump_json() for cell in cells}) == len(cells) == 26


def test_worth_has_every_arm_and_its_controls():
    study = load_study(FOLDER / "worth.toml")
    cells = {(cell.group.data, cell.label): cell for cell in make_plan(study) if cell.seed == 0}
    names = cells["beauty", "names"].config
    assert names.names.read == "tables"
    controls = {"names-random": {"control": "random"}, "names-permuted": {"control": "permuted"},
                "bag-of-words": {"read": "words"}}  # fmt: skip
    for label, control in controls.items():
        own = cells["beauty", label].config
        assert own.names == names.names.model_copy(update=control)
        assert (own.backbone, own.fusion, own.training, own.loss) == (
            names.backbone, names.fusion, names.training, names.loss
        )  # fmt: skip
    for label in ("none", "mltfr", "random", "constant", "capacity-history"):
        assert not cells["beauty", label].config.names.are_used
    assert cells["beauty", "mltfr-names"].config.names.are_used
    assert list(cells["beauty", "blend"].needs) == ["names", "item-knn", "markov", "name-knn"]
    assert list(cells["amazon_pantry", "blend"].needs) == ["none", "item-knn", "markov"]
    assert list(cells["beauty", "distilled"].needs) == ["blend"]
    assert ("amazon_pantry", "names") not in cells
