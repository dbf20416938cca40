"""One device, its precision, and an optimiser that leaves torch's compiler where it is."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from mltfr.errors import ConfigError
from mltfr.pipeline import resolve
from mltfr.training import TrainingConfig
from mltfr.training.adam import Adam, AdamW
from mltfr.training.fabric import Fabric

CHILD = """
import sys
import torch
from mltfr.errors import ConfigError
from mltfr.pipeline import resolve
from mltfr.training import TrainingConfig
from mltfr.training.adam import Adam, AdamW
from mltfr.fusion.mltfr.model import Attention
from mltfr.fusion.fisher import estimate_fisher
from mltfr.training.fabric import Fabric
for kind in (Adam, AdamW):
    layer = torch.nn.Linear(2, 2)
    fabric = Fabric(torch.device("cpu"))
    step, optimizer = fabric.setup(layer, kind(layer.parameters(), fused=True))
    optimizer.zero_grad()
    fabric.backward(step(torch.ones(1, 2)).sum())
    fabric.clip_gradients(step, 1.0)
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
estimate_fisher(layer, dict(layer.named_parameters()), lambda x: layer(x).sum(), [(torch.ones(3, 2),)])
with torch.device("meta"):  # as the consensus expert is made
    Attention(8, 2, 0.1)
print([name for name in ("torch._dynamo", "sympy", "lightning_fabric") if name in sys.modules])
"""


def test_training_does_not_load_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("own", "torchs"), [(Adam, torch.optim.Adam), (AdamW, torch.optim.AdamW)])
@pytest.mark.parametrize("fused", [True, False])
def test_the_optimiser_is_torchs_to_the_bit(own: type, torchs: type, fused: bool) -> None:
    final: list[tuple[Tensor, ...]] = []
    for kind in (own, torchs):
        torch.manual_seed(0)
        weights = [nn.Parameter(torch.randn(5, 3)), nn.Parameter(torch.randn(4))]
        optimizer = kind(weights, lr=0.1, weight_decay=0.01, fused=fused)
        for step in range(6):
            if step == 3:  # as after a resume
                state = optimizer.state_dict()
                optimizer = kind(weights, lr=0.1, weight_decay=0.01, fused=fused)
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            torch.autograd.backward(sum((weight**2).sum() for weight in weights))  # type: ignore[arg-type]
            optimizer.step()
        state = optimizer.state_dict()["state"]
        final.append((*weights, *(state[n][key] for n in state for key in sorted(state[n]))))
    assert all(torch.equal(*pair) for pair in zip(*final, strict=True))


@pytest.mark.parametrize(("precision", "inside"), [("32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_is_that_of_the_products(precision: str, inside: torch.dtype) -> None:
    seen: list[torch.dtype] = []
    layer = nn.Linear(3, 3)
    layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    step, optimizer = Fabric(torch.device("cpu"), precision).setup(layer, Adam(layer.parameters()))  # type: ignore[arg-type]
    output = step(torch.ones(2, 3))
    assert (seen, output.dtype, layer.weight.dtype) == ([inside], torch.float32, torch.float32)
    Fabric(torch.device("cpu")).backward(output.sum())
    optimizer.step()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_gradients_are_clipped_to_a_norm_and_a_small_one_is_left_alone() -> None:
    layer = nn.Linear(3, 3)
    for norm, expected in ((0.5, 0.5), (4.0, 3.0)):
        for weight in layer.parameters():
            weight.grad = torch.full_like(weight, 3.0 / 12**0.5)  # 12 numbers: norm 3
        Fabric(torch.device("cpu")).clip_gradients(layer, norm)
        got = torch.cat([p.grad.flatten() for p in layer.parameters() if p.grad is not None]).norm()
        assert got.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("given", "expected"), [("32", "32"), (32, "32"), ("bf16", "bf16")])
def test_precision_may_be_written_as_a_number(given: object, expected: str) -> None:
    assert TrainingConfig.parse({"precision": given}).precision == expected
    assert resolve(overrides=[f"training.precision={given}"]).training.precision == expected


def test_other_precisions_are_refused() -> None:
    with pytest.raises(ConfigError, match="precision"):
        TrainingConfig.parse({"precision": 16})
