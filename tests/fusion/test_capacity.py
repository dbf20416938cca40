"""The capacity controls: the contract, a count as near to mltfr's as an MLP can come, and what they read."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch

from mltfr.fusion import FUSIONS, FusionInputs, TwoRoundFusion
from mltfr.fusion.capacity import trained_parameters
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.testing.fusion import FusionContract
from mltfr.testing.toy import HIDDEN, fusion_batch, random_table

SMALL: dict[str, Any] = {"filter": {"shortlist": 16, "keep": 4}}


class TestCapacity(FusionContract):
    name = "capacity"
    settings: ClassVar[dict[str, Any]] = SMALL


class TestCapacityHistory(FusionContract):
    name = "capacity-history"
    settings: ClassVar[dict[str, Any]] = SMALL


class TestCapacityOfAnExponentialQuery(FusionContract):
    name = "capacity-history"
    settings: ClassVar[dict[str, Any]] = {"filter": {**SMALL["filter"], "query": "exponential"}}

    @pytest.fixture
    def is_causal(self) -> bool:
        return True


class TestCapacityOfOneQueryASequence(FusionContract):
    name = "capacity-history"
    settings: ClassVar[dict[str, Any]] = {"filter": {**SMALL["filter"], "granularity": "sequence"}}


def build(name: str, hidden: int = HIDDEN, count: int = 3, is_causal: bool = True, **settings: Any) -> Any:
    entry = FUSIONS.get(name)
    tables = [random_table(table, 60, 12) for table in ("a", "b", "c")[:count]]
    return entry.cls(entry.config.parse({**SMALL, **settings}), FusionInputs(hidden, is_causal, tables, seed=1))


@pytest.mark.parametrize("name", ["capacity", "capacity-history"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("hidden", [16, 64])
@pytest.mark.parametrize("ablation", [{}, {"filter": {"granularity": "static", "keep": 4}}, {"router": "mean"}])
def test_it_has_as_many_parameters_as_mltfr(name: str, count: int, hidden: int, ablation: dict[str, Any]) -> None:
    control, mltfr = (build(each, hidden, count, **ablation) for each in (name, "mltfr"))
    assert isinstance(mltfr, MltfrFusion)
    difference = trained_parameters(control) - trained_parameters(mltfr)
    unit = sum(value.numel() for value in control.parameters()) - hidden
    unit //= control.inner.out_features
    assert abs(difference) <= unit / 2, "another hidden unit would come nearer"
    assert control.report() == {"mltfr_parameters": trained_parameters(mltfr), "more_parameters": difference}
    assert not isinstance(control, TwoRoundFusion)


@pytest.mark.parametrize("name", ["capacity", "capacity-history"])
def test_its_settings_differ_from_mltfrs_in_the_name_only(name: str) -> None:
    own, other = FUSIONS.get(name).config().model_dump(), MltfrConfig().model_dump()
    assert own.pop("name") == name
    assert other.pop("name") == "mltfr"
    assert own == other


@pytest.mark.parametrize("is_causal", [True, False])
def test_the_history_reaches_the_one_and_not_the_other(is_causal: bool) -> None:
    x, mask = fusion_batch()
    changed = x.clone()
    changed[:, :-1] += mask[:, :-1, None]
    for name, moves in (("capacity", False), ("capacity-history", True)):
        control = build(name, is_causal=is_causal).eval()
        with torch.no_grad():
            control.output.weight.normal_(generator=torch.Generator().manual_seed(0))
        last = [control(each, mask)[:, -1] for each in (x, changed)]
        longer = mask.sum(1) > 1
        assert torch.equal(*last) != moves
        assert not moves or (last[0] != last[1]).any(1)[longer].all()


def test_it_reads_the_mean_that_mltfr_asks_with() -> None:
    x, mask = fusion_batch()
    control, mltfr = build("capacity-history"), build("mltfr")
    read = control.read(x, mask, 2, x.flip(-1))[..., HIDDEN:]                   # [B, 2, D]
    torch.testing.assert_close(torch.nn.functional.normalize(read, dim=-1), mltfr.query(x, mask, 2, x.flip(-1)))
