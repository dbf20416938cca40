"""The fusions against inputs, weights and outputs that an earlier, independent implementation computed.

Each file of `fusions/` holds a fusion's settings, a batch, and for both rounds its state, `delta` and gradients; of
round 1 also the Fisher information and the merged expert. User 3 of the batch has no history; in bidirectional cases
two positions are mask tokens.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from mltfr.fusion import FUSIONS, FusionInputs, TwoRoundFusion
from mltfr.fusion.fisher import estimate_fisher, estimate_fisher_of_batches
from mltfr.fusion.mltfr import MltfrConfig
from mltfr.kernels import plain_twins
from mltfr.pipeline.upgrade import FILTER_BEFORE
from mltfr.tokens.table import PreparedTable

HIDDEN = 8
SHAPES = {"a": (20, 6), "b.2": (9, 8), "c": (24, 6), "d": (16, 5)}
FILES = sorted((Path(__file__).parent / "fusions").glob("*.safetensors"))
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
pytestmark = pytest.mark.filterwarnings("ignore:The published consensus expert")


def table(name: str) -> PreparedTable:
    random = np.random.default_rng([7, *name.encode()])
    vectors = random.normal(size=SHAPES[name])
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    return PreparedTable(name, vectors, tuple(f"w{row}" for row in range(len(vectors))))


class Case:
    def __init__(self, path: Path) -> None:
        with safe_open(path, "pt") as file:
            meta = file.metadata()
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.name, self.settings = meta["fusion"], json.loads(meta["settings"])
        self.tables, self.is_causal = json.loads(meta["tables"]), meta["causal"] == "True"
        self.x, self.mask, self.here, self.target = (self.tensors[n] for n in ("x", "mask", "here", "target"))

    def build(self) -> TwoRoundFusion:
        entry = FUSIONS.get(self.name)
        settings = {"name": self.name, **self.settings}
        if issubclass(entry.config, MltfrConfig):
            settings["filter"] = {**FILTER_BEFORE, **settings.get("filter", {})}
        config = entry.config.model_validate(settings)
        fusion = entry.cls(config, FusionInputs(HIDDEN, self.is_causal, [table(name) for name in self.tables], 1))
        assert isinstance(fusion, TwoRoundFusion)
        return fusion

    def restored(self, number: int) -> TwoRoundFusion:
        fusion = self.build()
        if number == 2:
            fusion.add_consensus(self.under("merged"))
        fusion.load_state_dict(self.under(f"round{number}.state"))
        fusion.set_progress(1e9)
        return fusion

    def under(self, prefix: str) -> dict[str, Tensor]:
        return {n.removeprefix(f"{prefix}."): t for n, t in self.tensors.items() if n.startswith(f"{prefix}.")}


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_a_fresh_fusion_starts_with_the_same_values(case: Case) -> None:
    state = case.build().state_dict()
    assert state.keys() == case.under("fresh").keys()
    for name, tensor in case.under("fresh").items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("mode", ["inference", "evaluation", "training", "plain twins"])
def test_delta_and_gradients_are_the_same(case: Case, number: int, mode: str) -> None:
    fusion = case.restored(number).train(mode == "training")
    x = case.x.clone().requires_grad_()
    torch.manual_seed(5)
    if mode == "inference":
        with torch.inference_mode():
            prepared = fusion.prepare()
            delta = fusion(case.x, case.mask, **({} if prepared is None else {"prepared": prepared}))
            torch.testing.assert_close(delta * case.here.unsqueeze(-1), case.tensors[f"round{number}.delta"], **CLOSE)
        return
    if mode == "plain twins":
        with plain_twins():
            delta = fusion(x, case.mask)
    else:
        delta = fusion(x, case.mask)
    torch.testing.assert_close(delta * case.here.unsqueeze(-1), case.tensors[f"round{number}.delta"], **CLOSE)
    names = [name for name, _ in fusion.named_parameters()]
    gradients = torch.autograd.grad(
        (delta * case.target)[case.here].sum(), [x, *fusion.parameters()], allow_unused=True, materialize_grads=True
    )
    found = dict(zip(["x", *names], gradients, strict=True))
    expected = case.under(f"round{number}.gradient")
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-5 * max(1.0, float(gradient.abs().max())))


def test_fisher_information_and_the_merged_expert_are_the_same(case: Case) -> None:
    fusion = case.restored(1).eval()

    def loss(x: Tensor, mask: Tensor, here: Tensor, target: Tensor) -> Tensor:
        return ((fusion(x, mask) - target).square() * here.unsqueeze(-1)).mean()

    estimate = estimate_fisher if fusion.fisher_estimator == "per-example" else estimate_fisher_of_batches
    torch.manual_seed(5)
    fisher = estimate(fusion, fusion.fisher_parameters(), loss, [(case.x, case.mask, case.here, case.target)])
    expected = case.under("fisher")
    assert fisher.keys() == expected.keys()
    for name, values in expected.items():
        if not name.endswith("key.bias"):  # it cancels in the softmax: what is computed is rounding
            torch.testing.assert_close(fisher[name], values, rtol=1e-5, atol=1e-8)
    merged = fusion.merge_experts(expected)
    assert merged.keys() == case.under("merged").keys()
    for name, values in case.under("merged").items():
        torch.testing.assert_close(merged[name], values, **CLOSE)


def test_the_training_users_choose_the_same_shortlists(case: Case) -> None:
    fusion, before = case.build(), case.under("round1.state")
    with torch.no_grad():
        for name, parameter in fusion.named_parameters():
            parameter.copy_(before[name])
    fusion.refresh([(case.x, case.mask)])
    ids = {name: tensor for name, tensor in fusion.state_dict().items() if name.endswith("shortlist.ids")}
    for name, tensor in ids.items():
        assert torch.equal(tensor, before[name])
