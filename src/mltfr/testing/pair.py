"""The contract of a backbone with a fusion plugged in: inherit `PairContract` and name the two.

A backbone and a fusion know nothing of each other, so what each keeps alone has to hold for every pair.
"""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mltfr.backbones import BACKBONES
from mltfr.fusion import FUSIONS, FusionInputs
from mltfr.fusion.init import Seeded
from mltfr.interactions import InteractionLog
from mltfr.model import Prepared, SequentialModel
from mltfr.pipeline import RunConfig, fit, load_artifact
from mltfr.testing.toy import random_table
from mltfr.training import Callback, Interrupted

HIDDEN = 16
ITEMS = 30
LENGTH = 6
TABLES = tuple(random_table(name, 60, 12) for name in ("a", "b"))


class StopAfter(Callback):
    """Asks training to stop after a number of batches.

    Args:
        batches: that many, counted over all epochs and rounds.
    """

    def __init__(self, batches: int) -> None:
        self.left = batches
        self.stop = Event()

    def on_batch_end(self, epoch: int, batch: int) -> None:
        """Count a batch."""
        self.left -= 1
        if self.left == 0:
            self.stop.set()


class PairContract:
    """What every backbone must satisfy with every fusion.

    A subclass gives the fixtures `backbone` and `fusion` (registered names), `settings` (of the fusion), and for the
    test of a whole fit `config` (small settings of the pair) and `log`.
    """

    @pytest.fixture
    def item_vectors(self) -> Tensor:
        """Vectors of all items that a fusion of such vectors gets, `[I + 1, W]`."""
        vectors = torch.randn(ITEMS + 1, 9, generator=torch.Generator().manual_seed(3))
        vectors[0] = 0
        return vectors

    @pytest.fixture
    def items(self) -> Tensor:
        """Histories of different lengths, `[3, LENGTH]`."""
        items = torch.randint(1, ITEMS + 1, (3, LENGTH), generator=torch.Generator().manual_seed(2))
        items[1, :2] = 0
        items[2, :-2] = 0
        return items

    @pytest.fixture
    def model(self, backbone: str, fusion: str, settings: dict[str, Any], item_vectors: Tensor) -> SequentialModel:
        """A fresh model in evaluation mode."""
        return self.build(backbone, fusion, settings, item_vectors)

    def build(
        self, backbone: str, fusion: str | None, settings: dict[str, Any], item_vectors: Tensor
    ) -> SequentialModel:
        """Return a fresh model, its backbone and item vectors the same at every call."""
        entry = BACKBONES.get(backbone)
        config = entry.config.model_validate({"name": entry.name, "hidden": HIDDEN, "max_length": 10, "dropout": 0.3})
        with Seeded(5) as drawn:
            encoder = entry.cls(config)
            if fusion is None:
                return SequentialModel(ITEMS, encoder).eval()
            inputs = FusionInputs(HIDDEN, encoder.is_causal, TABLES, seed=3, item_vectors=item_vectors)
            with drawn.copy():
                plugged = FUSIONS.get(fusion).cls(
                    FUSIONS.get(fusion).config.model_validate({"name": fusion, **settings}), inputs
                )
            return SequentialModel(ITEMS, encoder, plugged, settings.get("site", 0)).eval()

    def awake(self, model: SequentialModel) -> SequentialModel:
        """Move the fusion's parameters away from their start, so that it changes something."""
        generator = torch.Generator().manual_seed(1)
        if model.fusion is not None:
            model.fusion.train()  # what is held for inference is made anew
            with torch.no_grad():
                for parameter in model.fusion.parameters():
                    parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
            model.fusion.eval()
        return model

    def test_initial_values_take_no_numbers_from_other_threads(
        self, backbone: str, fusion: str, settings: dict[str, Any], item_vectors: Tensor
    ) -> None:
        before = torch.get_rng_state()
        self.build(backbone, fusion, settings, item_vectors)
        assert torch.equal(torch.get_rng_state(), before)

    def test_a_new_fusion_changes_no_score(
        self, model: SequentialModel, backbone: str, items: Tensor, item_vectors: Tensor
    ) -> None:
        bare = self.build(backbone, None, {}, item_vectors)
        assert torch.equal(model.user_embedding(items), bare.user_embedding(items))

    def test_scores_do_not_depend_on_the_batch(self, model: SequentialModel, items: Tensor) -> None:
        model = self.awake(model)
        alone = torch.cat([model.user_embedding(row[row != 0].unsqueeze(0)) for row in items])
        torch.testing.assert_close(model.user_embedding(items), alone, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("training", [False, True])
    def test_a_causal_backbone_stays_causal(self, model: SequentialModel, items: Tensor, training: bool) -> None:
        if not model.backbone.is_causal:
            pytest.skip("every position of this backbone sees all others")
        model = self.awake(model).train(training)
        changed = items.clone()
        changed[:, 4:] = changed[:, 4:] % ITEMS + 1
        before = (items != 0)[:, :4]
        states = []
        for batch in (items, changed):
            torch.manual_seed(11)
            step = Prepared(model.item_vectors(whole=True))
            states.append(model.encode(batch, prepared=step)[:, :4][before])
        torch.testing.assert_close(states[0], states[1], rtol=1e-5, atol=1e-6)

    def test_every_parameter_gets_a_gradient(self, model: SequentialModel, items: Tensor) -> None:
        model = self.awake(model).train()
        if model.mask_token is not None:
            items = torch.cat([items, items.new_full((len(items), 1), model.mask_token)], dim=1)
        hidden = model.encode(items)[items != 0]
        scores = hidden @ model.scoring_matrix()[1:].T
        torch.autograd.backward(cross_entropy(scores, torch.arange(len(scores)) % ITEMS))
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().max() > 0, name

    def test_its_state_comes_back(
        self,
        model: SequentialModel,
        backbone: str,
        fusion: str,
        settings: dict[str, Any],
        items: Tensor,
        item_vectors: Tensor,
    ) -> None:
        model = self.awake(model)
        other = self.build(backbone, fusion, settings, item_vectors)
        other.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()})
        assert torch.equal(other.user_embedding(items), model.user_embedding(items))

    def test_an_interrupted_fit_resumes_to_the_bit(
        self, config: RunConfig, log: InteractionLog, tmp_path: Path
    ) -> None:
        straight = fit(config, log, tmp_path / "straight")
        batches = straight.history[-1]["step"] // straight.history[-1]["epoch"]
        interrupt = StopAfter(batches * (len(straight.history) - 1) + batches // 2)
        with pytest.raises(Interrupted):
            fit(config, log, tmp_path / "stopped", callback=interrupt, stop=interrupt.stop)
        fit(config, log, tmp_path / "stopped", resume=True)
        bits = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("straight", "stopped")]
        assert bits[0] == bits[1]
        loaded, history = load_artifact(tmp_path / "stopped"), np.array([1, 2, 3], np.int32)
        states = [fitted.model.scorer().queries([history]) for fitted in (loaded, straight)]
        assert torch.equal(states[0], states[1])
