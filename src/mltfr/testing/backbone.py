"""The contract of a backbone: inherit `BackboneContract` in a test file and name the backbone.

The suite sees a backbone as everything else does: through `SequentialModel`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from mltfr.backbones import BACKBONES
from mltfr.fusion import Fusion
from mltfr.model import SequentialModel

HIDDEN = 16
ITEMS = 30
LENGTH = 6
MAX_LENGTH = 10


class ToyFusion(Fusion):
    """Adds a multiple of a linear map of the stack's input, position by position."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.linear = nn.Linear(HIDDEN, HIDDEN)
        self.factor = factor

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # [B, L, D], [B, L] -> [B, L, D]
        """Return the correction."""
        return self.factor * self.linear(x)


def pad(items: Tensor, number: int) -> Tensor:
    """Return codes `[B, L]` with `number` columns of padding in front."""
    return torch.cat([items.new_zeros(len(items), number), items], dim=1)


class BackboneContract:
    """What every backbone must satisfy. A subclass sets `name`, and `settings` where it needs some."""

    name: ClassVar[str]
    """Registered name of the backbone."""
    settings: ClassVar[dict[str, Any]] = {}
    """Its settings, besides the width, the length and the dropout."""

    def model(self, dropout: float = 0.0, fusion: Fusion | None = None, site: int = 0) -> SequentialModel:
        """Return a model in evaluation mode, its parameters moved away from their start."""
        torch.manual_seed(5)
        entry = BACKBONES.get(self.name)
        given = {"name": self.name, "hidden": HIDDEN, "max_length": MAX_LENGTH, "dropout": dropout}
        backbone = entry.cls(entry.config.model_validate({**given, **self.settings}))
        model = SequentialModel(ITEMS, backbone, fusion, site)
        with torch.no_grad():
            for part in (model.backbone, model.item_embedding):
                for parameter in part.parameters():
                    parameter.add_(0.3 * torch.randn(parameter.shape))
            model.item_embedding.weight[0] = 0
        return model.eval()

    @pytest.fixture
    def items(self) -> Tensor:
        """Histories of different lengths, `[3, LENGTH]`."""
        items = torch.randint(1, ITEMS + 1, (3, LENGTH), generator=torch.Generator().manual_seed(2))
        items[1, :2] = 0
        items[2, :-1] = 0
        return items

    def test_shapes(self, items: Tensor) -> None:
        model = self.model()
        matrix = model.scoring_matrix()
        assert matrix.shape[0] == ITEMS + 1
        assert model.encode(items).shape == (3, LENGTH, matrix.shape[1])
        assert model.user_embedding(items).shape == (3, matrix.shape[1])
        assert torch.isfinite(model.encode(items)).all()

    def test_a_history_may_fill_the_whole_length(self) -> None:
        items = torch.randint(1, ITEMS + 1, (2, MAX_LENGTH))
        assert torch.isfinite(self.model().user_embedding(items)).all()

    def test_the_input_of_the_stack_is_zero_at_padding(self, items: Tensor) -> None:
        model = self.model()
        mask = items != 0
        x, _ = model.backbone.encode_input(model.item_embedding(items), mask)
        assert (x[~mask] == 0).all()
        assert (x[mask] != 0).any()

    @pytest.mark.parametrize("number", [1, MAX_LENGTH - LENGTH])
    def test_padding_in_front_changes_nothing(self, items: Tensor, number: int) -> None:
        model = self.model()
        trimmed, padded = model.encode(items), model.encode(pad(items, number))[:, number:]
        torch.testing.assert_close(padded[items != 0], trimmed[items != 0], rtol=1e-4, atol=1e-5)

    def test_what_stands_at_padding_changes_nothing(self, items: Tensor) -> None:
        model = self.model()
        mask = items != 0
        clean = model.item_embedding(items)
        dirty = torch.where(mask.unsqueeze(-1), clean, torch.full_like(clean, 100.0))
        torch.testing.assert_close(self.run(model, dirty, mask)[mask], self.run(model, clean, mask)[mask])

    @pytest.mark.parametrize("last", [1, 3, LENGTH])
    def test_the_last_positions_alone_are_the_same(self, items: Tensor, last: int) -> None:
        blocks = len(self.model().backbone.blocks)
        for site in range(blocks):
            model = self.model(fusion=ToyFusion(0.5), site=site)
            expected = model.encode(items)[:, -last:]
            torch.testing.assert_close(model.encode(items, last), expected, rtol=1e-4, atol=1e-5)

    def test_a_history_does_not_depend_on_the_batch(self, items: Tensor) -> None:
        model = self.model()
        alone = torch.cat([model.user_embedding(row[row != 0].unsqueeze(0)) for row in items])
        torch.testing.assert_close(model.user_embedding(items), alone, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("training", [False, True])
    def test_later_items(self, items: Tensor, training: bool) -> None:
        """A causal backbone never sees them, not even in training; any other has to."""
        model = self.model(dropout=0.3).train(training)
        changed = items.clone()
        changed[:, 4:] = changed[:, 4:] % ITEMS + 1
        before = (items != 0)[:, :4]
        with torch.random.fork_rng():
            first, second = (self.seeded(model, batch)[:, :4][before] for batch in (items, changed))
        if model.backbone.is_causal:
            torch.testing.assert_close(first, second, rtol=0, atol=0)
        else:
            assert (first - second).abs().amax(-1).min() > 0

    def test_every_earlier_item_and_the_order_count(self) -> None:
        model = self.model()
        items = torch.arange(1, LENGTH + 1).unsqueeze(0)
        state = model.user_embedding(items)
        for position in range(LENGTH):
            changed = items.clone()
            changed[0, position] = ITEMS
            assert not torch.allclose(model.user_embedding(changed), state, rtol=1e-5, atol=1e-6)
        assert not torch.allclose(model.user_embedding(items[:, [1, 0, 2, 3, 4, 5]]), state, rtol=1e-5, atol=1e-6)

    def test_dropout_acts_in_training_only(self, items: Tensor) -> None:
        model = self.model(dropout=0.5)
        assert torch.equal(model.encode(items), model.encode(items))
        model.train()
        assert not torch.equal(model.encode(items), model.encode(items))

    def test_gradients_reach_every_parameter_and_no_padding(self, items: Tensor) -> None:
        model = self.model().train()
        if model.mask_token is not None:
            items = torch.cat([items, items.new_full((len(items), 1), model.mask_token)], dim=1)
        self.loss(model, items).backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().max() > 0, name
        assert model.item_embedding.weight.grad is not None
        assert (model.item_embedding.weight.grad[0] == 0).all()

    def test_a_fusion_fits_at_every_site(self, items: Tensor) -> None:
        bare = self.model()
        for site in range(-1, len(bare.backbone.blocks)):
            still = self.model(fusion=ToyFusion(0.0), site=site)
            moving = self.model(fusion=ToyFusion(1.0), site=site)
            assert torch.equal(still.encode(items), bare.encode(items))
            difference = (moving.encode(items) - bare.encode(items))[items != 0]
            assert (difference.abs().amax(-1) > 0).all()
            torch.testing.assert_close(moving.encode(items, 2), moving.encode(items)[:, -2:], rtol=1e-5, atol=1e-5)

    def test_state_dict_round_trip(self, items: Tensor) -> None:
        model = self.model()
        other = self.model()
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        other.load_state_dict(model.state_dict())
        assert torch.equal(other.user_embedding(items), model.user_embedding(items))

    def test_per_example_gradients_by_vmap_equal_a_loop(self, items: Tensor) -> None:
        model = self.model(dropout=0.5)  # evaluation mode: no dropout
        parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}

        def loss(values: dict[str, Tensor], row: Tensor) -> Tensor:
            hidden: Tensor = functional_call(_Encoder(model), values, (row.unsqueeze(0),))
            return hidden.square().where((row != 0).unsqueeze(-1), torch.zeros(())).sum()

        named = {f"model.{name}": value for name, value in parameters.items()}
        together = vmap(grad(loss), in_dims=(None, 0))(named, items)
        for index, row in enumerate(items):
            for name, gradient in grad(loss)(named, row).items():
                torch.testing.assert_close(together[name][index], gradient, rtol=1e-3, atol=1e-3)

    def test_runs_in_bfloat16(self, items: Tensor) -> None:
        model = self.model()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = model.encode(items)
        torch.testing.assert_close(hidden.float(), model.encode(items), rtol=0.2, atol=0.5)

    def run(self, model: SequentialModel, vectors: Tensor, mask: Tensor) -> Tensor:
        """Return the backbone's output for given item vectors."""
        x, context = model.backbone.encode_input(vectors, mask)
        for block in model.backbone.blocks:
            x = block(x, context)
        return model.backbone.project_output(x, mask)

    def seeded(self, model: SequentialModel, items: Tensor) -> Tensor:
        """Return the hidden states under fixed random numbers."""
        torch.manual_seed(11)
        return model.encode(items)

    def loss(self, model: SequentialModel, items: Tensor) -> Tensor:
        """Return a loss that every position and every item takes part in."""
        hidden = model.encode(items)[items != 0]
        scores = hidden @ model.scoring_matrix()[1:].T
        return cross_entropy(scores, torch.arange(len(scores)) % ITEMS)


class _Encoder(nn.Module):
    def __init__(self, model: SequentialModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, items: Tensor) -> Tensor:
        return self.model.encode(items)
