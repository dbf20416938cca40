"""The device, its precision, an optimiser that leaves torch's compiler alone, and the settings."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from mltfr.errors import ConfigError
from mltfr.pipeline import RunConfig, resolve
from mltfr.training import TrainingConfig
from mltfr.training.device import make_device
from mltfr.training.optim.adam import Adam, AdamW
from mltfr.training.step import OptimizationStep

CHILD = """
import sys
import torch
from mltfr.errors import ConfigError
from mltfr.pipeline import resolve
from mltfr.training import TrainingConfig
from mltfr.training.optim.adam import Adam, AdamW
from mltfr.fusion.mltfr.model import Attention
from mltfr.fusion.fisher import estimate_fisher
from mltfr.training.step import OptimizationStep
for kind in (Adam, AdamW):
    layer = torch.nn.Linear(2, 2)
    optimizer = kind(layer.parameters(), fused=True)
    optimizer.zero_grad()
    torch.autograd.backward(layer(torch.ones(1, 2)).sum())
    torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
estimate_fisher(layer, dict(layer.named_parameters()), lambda x: layer(x).sum(), [(torch.ones(3, 2),)])
with torch.device("meta"):  # as the consensus expert is made
    Attention(8, 2, 0.1, null_key=False)
print([name for name in ("torch._dynamo", "sympy", "lightning_fabric") if name in sys.modules])
"""


@pytest.mark.slow
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


class Scored(nn.Module):
    """Stands in for a training loss: a layer's sum, as a scalar loss of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.sparse = nn.Linear(3, 3), False

    def forward(self, batch: Tensor) -> Tensor:
        return self.layer(batch).sum()


def make_step(**settings: object) -> tuple[OptimizationStep, nn.Linear]:
    loss = Scored()
    step = OptimizationStep(loss, TrainingConfig(**settings), torch.device("cpu"))  # type: ignore[arg-type]
    return step, loss.layer


@pytest.mark.parametrize(("precision", "inside"), [("32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_is_that_of_the_products(precision: str, inside: torch.dtype) -> None:
    seen: list[torch.dtype] = []
    step, layer = make_step(precision=precision)
    layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    loss = step(torch.ones(2, 3))  # type: ignore[arg-type]
    assert (seen, loss.dtype, layer.weight.dtype) == ([inside], torch.float32, torch.float32)
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_gradients_are_clipped_to_a_norm_and_a_small_one_is_left_alone() -> None:
    for norm, expected in ((0.5, 0.5), (4.0, 3.0)):
        step, layer = make_step(gradient_clip=norm)
        for weight in layer.parameters():
            weight.grad = torch.full_like(weight, 3.0 / 12**0.5)  # 12 numbers: norm 3
        step.update()
        got = torch.cat([p.grad.flatten() for p in layer.parameters() if p.grad is not None]).norm()
        assert got.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps"])
def test_a_missing_device_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"training.device is '{name}', but torch finds no such device here"):
        make_device(TrainingConfig(device=name))


def test_mps_is_used_by_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert make_device(TrainingConfig(device="mps")) == torch.device("mps")
    assert make_device(TrainingConfig()) == torch.device("cpu")
    for name in ("mps:0", "metal"):
        with pytest.raises(ConfigError, match="device"):
            TrainingConfig.parse({"device": name})


@pytest.mark.parametrize(("given", "expected"), [("32", "32"), (32, "32"), ("bf16", "bf16")])
def test_precision_may_be_written_as_a_number(given: object, expected: str) -> None:
    assert TrainingConfig.parse({"precision": given}).precision == expected
    assert resolve(overrides=[f"training.precision={given}"]).training.precision == expected


def test_other_precisions_are_refused() -> None:
    with pytest.raises(ConfigError, match="precision"):
        TrainingConfig.parse({"precision": 16})


@pytest.mark.parametrize("name", ["bucket", "validate_every", "item_updates", "fisher_examples", "cuda_graphs",
                                  "checkpoint_seconds"])  # fmt: skip
def test_a_setting_that_has_moved_says_where_it_is(name: str) -> None:
    value = TrainingConfig().advanced.model_dump()[name]
    with pytest.raises(ConfigError, match=rf"^config.toml: training: {name} is now training.advanced.{name}"):
        RunConfig.parse({"training": {name: value}}, "config.toml")
    assert RunConfig.parse({"training": {"advanced": {name: value}}}) == RunConfig.parse({})


@pytest.mark.parametrize("name", ["refresh_every", "refresh_histories"])
def test_a_setting_that_is_gone_says_what_decides_now(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is no longer a setting: .* Remove it"):
        resolve(overrides=[f"training.{name}=1"])
