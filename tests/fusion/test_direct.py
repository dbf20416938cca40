"""Direct injection: the contract, the formula, and what a saved state holds."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from mltfr.errors import ConfigError
from mltfr.fusion import FusionInputs
from mltfr.fusion.direct import DirectConfig, DirectFusion
from mltfr.fusion.prototypes import Prototypes
from mltfr.testing.fusion import FusionContract
from mltfr.testing.toy import HIDDEN, fusion_batch, random_table

SMALL: dict[str, Any] = {"layers": [20, 11, 6]}


class TestDirect(FusionContract):
    name = "direct"
    settings: ClassVar[dict[str, Any]] = SMALL


def build(tables: list[Any], **settings: object) -> DirectFusion:
    return DirectFusion(DirectConfig.parse({**SMALL, **settings}), FusionInputs(HIDDEN, True, tables, seed=1))


def awake(tables: list[Any]) -> DirectFusion:
    fusion = build(tables)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return fusion


def numpy_of(linear: torch.nn.Linear) -> tuple[np.ndarray, np.ndarray | float]:
    bias = linear.bias.detach().numpy() if linear.bias is not None else 0.0
    return linear.weight.detach().numpy(), bias


def test_delta_equals_a_plain_formula() -> None:
    tables = [random_table("a", 40, 8), random_table("b.2", 30, 12)]
    fusion = awake(tables).eval()
    x, mask = fusion_batch()
    expected = np.zeros(x.shape)
    for table in tables:
        injection = fusion.injections.of(table.name)
        hidden = table.vectors.astype(np.float32).T                              # [W, V]
        for number, layer in enumerate(injection.prototypes.layers):
            weight, bias = numpy_of(layer)
            hidden = (np.maximum(hidden, 0) if number else hidden) @ weight.T + bias
        prototypes = hidden.T                                                   # [S, W]
        attention = injection.attention
        (q, qb), (k, _), (v, vb), (o, ob) = (
            numpy_of(part) for part in (attention.query, attention.key, attention.value, attention.output)
        )
        query, key, value = x.numpy() @ q.T + qb, prototypes @ k.T, prototypes @ v.T + vb
        read, width = np.zeros(x.shape), HIDDEN // 4
        for head in range(4):
            part = slice(head * width, (head + 1) * width)
            logits = query[..., part] @ key[:, part].T / np.sqrt(width)
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            read[..., part] = weights / weights.sum(-1, keepdims=True) @ value[:, part]
        expected += (read @ o.T + ob) / len(tables)
    delta = fusion(x, mask).detach().numpy()
    np.testing.assert_allclose(delta[mask], expected[mask], rtol=1e-4, atol=1e-5)


def test_the_default_layers_are_the_papers() -> None:
    assert DirectConfig().layers == (1024, 1024, 512, 256, 128, 50)


def test_a_fresh_stack_keeps_the_variance_whatever_the_scale_of_the_table() -> None:
    vectors = np.random.default_rng(0).normal(size=(3000, 32)).astype(np.float16)
    for scale in (0.02, 1.0):
        table = random_table("a", 3000, 32)
        object.__setattr__(table, "vectors", (vectors * np.float16(scale)))
        torch.manual_seed(0)
        square = Prototypes(table, DirectConfig().layers).compute().square().mean().item()
        assert 0.2 < square < 5


def test_prototypes_are_made_once_for_inference_and_anew_after_training(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compute = Prototypes.compute
    monkeypatch.setattr(Prototypes, "compute", lambda self: calls.append(1) or compute(self))
    fusion = awake([random_table("a", 40, 8)])
    x, mask = fusion_batch()
    before = fusion.eval()(x, mask)
    fusion(x, mask)
    fusion.train().eval()(x, mask)
    assert len(calls) == 1
    fusion.train()(x, mask)
    with torch.no_grad():
        fusion.injections.of("a").prototypes.layers[0].weight.mul_(1.5)
    after = fusion.eval()(x, mask)
    assert len(calls) == 3
    assert not torch.equal(before, after)


def test_the_table_is_no_part_of_the_state() -> None:
    fusion = build([random_table("a", 40, 8)])
    names = {name.rpartition(".")[2] for name in fusion.state_dict()}
    assert names == {"weight", "bias", "held"}
    assert fusion.injections.of("a").prototypes.table.dtype == torch.float16


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"fusion\.heads is 5, not a divisor of backbone\.hidden, which is 16"):
        build([random_table("a", 40, 8)], heads=5)
    with pytest.raises(ConfigError, match="at least one token table"):
        build([])
    with pytest.raises(ConfigError, match=r"layers\.0: Input should be greater than 0"):
        build([random_table("a", 40, 8)], layers=[0, 3])
