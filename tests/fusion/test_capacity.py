"""The capacity control: the contract, and a count as near to mltfr's as an MLP can come."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from mltfr.fusion import FusionInputs, TwoRoundFusion
from mltfr.fusion.capacity import CapacityConfig, CapacityFusion, trained_parameters
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.testing.fusion import FusionContract
from mltfr.testing.toy import random_table

SMALL: dict[str, Any] = {"filter": {"shortlist": 16, "keep": 4}}


class TestCapacity(FusionContract):
    name = "capacity"
    settings: ClassVar[dict[str, Any]] = SMALL


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("hidden", [16, 64])
@pytest.mark.parametrize("ablation", [{}, {"filter": {"granularity": "static", "keep": 4}}, {"router": "mean"}])
def test_it_has_as_many_parameters_as_mltfr(count: int, hidden: int, ablation: dict[str, Any]) -> None:
    tables = [random_table(name, 60, 12) for name in ("a", "b", "c")[:count]]
    inputs = FusionInputs(hidden, True, tables, seed=1)
    control = CapacityFusion(CapacityConfig.parse({**SMALL, **ablation}), inputs)
    mltfr = MltfrFusion(MltfrConfig.parse({**SMALL, **ablation}), inputs)
    difference = trained_parameters(control) - trained_parameters(mltfr)
    assert abs(difference) <= hidden + 1, "another hidden unit would come nearer"
    assert control.report() == {"mltfr_parameters": trained_parameters(mltfr), "more_parameters": difference}
    assert not isinstance(control, TwoRoundFusion)


def test_its_settings_differ_from_mltfrs_in_the_name_only() -> None:
    own, other = CapacityConfig().model_dump(), MltfrConfig().model_dump()
    assert own.pop("name") == "capacity"
    assert other.pop("name") == "mltfr"
    assert own == other
