"""The contract of a fusion: inherit `FusionContract` in a test file and name the fusion.

The suite sees a fusion as the model does, plugged into a small backbone, and as `(x, mask) -> delta`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mltfr.fusion import FUSIONS, Fusion, FusionInputs
from mltfr.model import Prepared, SequentialModel
from mltfr.testing.toy import HIDDEN, ITEMS, LENGTH, ToyBackbone, ToyBidirectional, fusion_batch, random_table
from mltfr.tokens.table import PreparedTable


class FusionContract:
    """What every fusion must satisfy. A subclass sets `name`, and `settings` where it needs some.

    Tables have different sizes and widths. Checks that do not apply to a fusion (its class says that it
    needs no tables, or keeps none in its state) are skipped.
    """

    name: ClassVar[str]
    """Registered name of the fusion."""
    settings: ClassVar[dict[str, Any]] = {}
    """Its settings."""
    starts_at_zero: ClassVar[bool] = True
    """Whether a fresh fusion changes nothing."""

    @pytest.fixture(params=[True, False], ids=["causal", "bidirectional"])
    def is_causal(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture
    def tables(self) -> list[PreparedTable]:
        return [random_table("b", 60, 12), random_table("a.1", 50, 8), random_table("c", 40, 12)]

    def build(
        self,
        tables: Sequence[PreparedTable],
        is_causal: bool,
        seed: int = 3,
        item_vectors: Tensor | None = None,
    ) -> Fusion:
        entry = FUSIONS.get(self.name)
        config = entry.config.model_validate({"name": self.name, **self.settings})
        if item_vectors is None and entry.cls.reads_items:
            item_vectors = self.item_vectors()
        inputs = FusionInputs(HIDDEN, is_causal, tables, seed, item_vectors)
        return entry.cls(config, inputs)

    def item_vectors(self) -> Tensor:
        """Return vectors `[I + 1, W]` of the items, for a fusion that reads them."""
        vectors = torch.randn(ITEMS + 1, 9, generator=torch.Generator().manual_seed(6))
        vectors[0] = 0
        return vectors

    def delta(
        self, fusion: Fusion, x: Tensor, mask: Tensor, last: int | None = None, prepared: Any = None
    ) -> Tensor:
        """Return `delta` as a model gets it; item codes and item vectors, where they are read, follow from `x`."""
        codes = (x[..., 0].detach().abs() * 1000).long() % ITEMS + 1            # [B, L]
        more: tuple[Any, ...] = (codes * mask,) if fusion.reads_items else ()
        more += (x.flip(-1),) if fusion.reads_item_vectors else ()
        more = more if prepared is None else (*more, prepared)
        if last is not None:
            return fusion.last(x, mask, last, *more)
        return fusion(x, mask, *more)

    def awake(self, tables: Sequence[PreparedTable], is_causal: bool) -> Fusion:
        """Return a fusion whose parameters have moved away from their start, so that `delta` is not zero."""
        fusion = self.build(tables, is_causal)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in fusion.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        return fusion

    def model(self, fusion: Fusion | None, is_causal: bool) -> SequentialModel:
        """Return a model on the toy backbone, its fusion at the site of the settings; item vectors start alike."""
        torch.manual_seed(0)
        backbone = (ToyBackbone if is_causal else ToyBidirectional)()
        return SequentialModel(ITEMS, backbone, fusion, self.settings.get("site", 0))

    def histories(self) -> Tensor:
        """Return codes `[B, L]`, right-aligned."""
        _, mask = fusion_batch(users=6)
        codes = torch.randint(1, ITEMS + 1, mask.shape, generator=torch.Generator().manual_seed(2))
        return codes * mask

    def test_fresh_recommender_equals_its_bare_backbone_to_the_bit(
        self, tables: list[PreparedTable], is_causal: bool
    ) -> None:
        if not self.starts_at_zero:
            pytest.skip("a fresh one does not start at zero")
        fusion = self.build(tables, is_causal)
        for mode in (False, True):
            model = self.model(fusion, is_causal).train(mode)
            bare = self.model(None, is_causal).train(mode)
            assert torch.equal(model.encode(self.histories()), bare.encode(self.histories()))

    def test_scores_do_not_depend_on_the_batch(self, tables: list[PreparedTable], is_causal: bool) -> None:
        fusion = self.awake(tables, is_causal).eval()
        x, mask = fusion_batch()
        together = self.delta(fusion, x, mask) * mask.unsqueeze(-1)
        for user in range(len(x)):
            own = mask[user]
            alone = self.delta(fusion, x[user : user + 1, own], mask[user : user + 1, own])  # without padding too
            torch.testing.assert_close(together[user, own], alone[0], rtol=1e-5, atol=1e-5)

    def test_padding_before_a_history_changes_nothing(
        self, tables: list[PreparedTable], is_causal: bool
    ) -> None:
        fusion = self.awake(tables, is_causal).eval()
        x, mask = fusion_batch()
        longer = self.delta(fusion, nn.functional.pad(x, (0, 0, 4, 0)), nn.functional.pad(mask, (4, 0)))[:, 4:]
        torch.testing.assert_close(longer[mask], self.delta(fusion, x, mask)[mask], rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("count", [1, 3, LENGTH])
    @pytest.mark.parametrize("gradient", [False, True], ids=["without gradient", "with gradient"])
    def test_the_last_positions_alone_are_a_slice_of_all(
        self, tables: list[PreparedTable], is_causal: bool, count: int, gradient: bool
    ) -> None:
        fusion = self.awake(tables, is_causal).eval()
        x, mask = fusion_batch()
        x = x.requires_grad_(gradient)
        with torch.set_grad_enabled(gradient):
            torch.manual_seed(9)  # the same noise in both, where some is drawn at evaluation
            last = self.delta(fusion, x, mask, count)
            torch.manual_seed(9)
            delta = self.delta(fusion, x, mask)[:, -count:]
        observed = mask[:, -count:]
        assert last.shape == delta.shape
        torch.testing.assert_close(last[observed], delta[observed], rtol=1e-5, atol=1e-5)
        if gradient and delta.requires_grad:
            leaves = [x, *fusion.parameters()]
            ours, theirs = (
                torch.autograd.grad(each[observed].sin().sum(), leaves, allow_unused=True, materialize_grads=True)
                for each in (last, delta)
            )
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
    def test_a_later_item_never_changes_an_earlier_position(
        self, tables: list[PreparedTable], training: bool
    ) -> None:
        fusion = self.awake(tables, is_causal=True)
        if fusion.needs_prefixes:
            assert FUSIONS.get(self.name).config.model_validate({"name": self.name, **self.settings}).knows_later_items
            pytest.skip("it says that later items matter, so it is never trained on whole histories")
        model = self.model(fusion, is_causal=True).train(training)
        codes = torch.randint(1, ITEMS + 1, (4, LENGTH), generator=torch.Generator().manual_seed(4))
        for place in range(1, LENGTH):
            changed = codes.clone()
            changed[:, place:] = codes[:, place:] % ITEMS + 1
            states = []
            for each in (codes, changed):
                torch.manual_seed(9)  # the same noise and dropout in both, and the same item vectors
                step = Prepared(model.item_vectors(whole=True))
                states.append(model.encode(each, prepared=step)[:, :place])
            torch.testing.assert_close(*states, rtol=1e-5, atol=1e-5)

    def test_what_is_prepared_changes_no_result(self, tables: list[PreparedTable], is_causal: bool) -> None:
        fusion = self.awake(tables, is_causal).eval()
        x, mask = fusion_batch()
        with torch.inference_mode():
            prepared = fusion.prepare()
            if prepared is None:
                pytest.skip("it prepares nothing")
            for last in (None, 1):
                held = self.delta(fusion, x, mask, last, prepared)
                torch.testing.assert_close(held, self.delta(fusion, x, mask, last), rtol=1e-5, atol=1e-5)

    def test_two_identical_requests_get_identical_answers(
        self, tables: list[PreparedTable], is_causal: bool
    ) -> None:
        fusion = self.awake(tables, is_causal).eval()
        x, mask = fusion_batch()
        assert torch.equal(self.delta(fusion, x, mask), self.delta(fusion, x, mask))

    def test_every_parameter_gets_a_gradient_from_the_second_step_on(
        self, tables: list[PreparedTable], is_causal: bool
    ) -> None:
        fusion = self.build(tables, is_causal)
        self.train(fusion, is_causal, steps=1)
        fusion.zero_grad()
        self.train(fusion, is_causal, steps=1)
        without = [
            name for name, parameter in fusion.named_parameters()
            if parameter.grad is None or float(parameter.grad.abs().max()) < 1e-12
        ]  # fmt: skip
        assert without == []
        assert all(not buffer.requires_grad for buffer in fusion.buffers())

    def test_training_leaves_the_tables_as_they_are(
        self, tables: list[PreparedTable], is_causal: bool
    ) -> None:
        before = [table.vectors.tobytes() for table in tables]
        fusion = self.build(tables, is_causal)
        buffers = {name: buffer.clone() for name, buffer in fusion.named_buffers()}
        self.train(fusion, is_causal, steps=3)
        assert [table.vectors.tobytes() for table in tables] == before
        for name, buffer in fusion.named_buffers():
            assert torch.equal(buffer, buffers[name]), name
        largest = max(table.vectors.size for table in tables)
        assert all(p.numel() != largest for p in fusion.parameters()), "a table is a parameter"

    def test_a_saved_state_scores_without_the_tables(
        self, tables: list[PreparedTable], is_causal: bool
    ) -> None:
        fusion = self.awake(tables, is_causal).eval()
        if not fusion.tables_in_state:
            pytest.skip("its state does not hold what scoring needs of the tables")
        x, mask = fusion_batch()
        fusion.refresh([(x, mask)])
        placeholders = [PreparedTable.placeholder(t.name, *t.shape) for t in tables]
        nothing = torch.zeros_like(self.item_vectors())
        loaded = self.build(placeholders, is_causal, item_vectors=nothing).eval()
        loaded.load_state_dict({name: value.clone() for name, value in fusion.state_dict().items()})
        assert torch.equal(self.delta(loaded, x, mask), self.delta(fusion, x, mask))

    def test_the_order_of_the_tables_does_not_matter(
        self, tables: list[PreparedTable], is_causal: bool
    ) -> None:
        deltas = []
        for order in (tables, tables[::-1]):
            fusion = self.build(order, is_causal)
            self.train(fusion, is_causal, steps=2)
            deltas.append(self.delta(fusion.eval(), *fusion_batch()))
        torch.testing.assert_close(deltas[0], deltas[1], rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_any_number_of_tables_works(self, tables: list[PreparedTable], count: int) -> None:
        fusion = self.build(tables[:count], is_causal=True)
        self.train(fusion, is_causal=True, steps=2)
        delta = self.delta(fusion.eval(), *fusion_batch())
        assert delta.shape == (5, LENGTH, HIDDEN)
        assert torch.isfinite(delta).all()

    def test_a_user_without_observed_items_gets_finite_numbers(
        self, tables: list[PreparedTable], is_causal: bool
    ) -> None:
        fusion = self.awake(tables, is_causal)
        x = torch.zeros(2, LENGTH, HIDDEN, requires_grad=True)
        delta = self.delta(fusion, x, torch.zeros(2, LENGTH, dtype=torch.bool))
        (gradient,) = torch.autograd.grad(delta.sum() + x.sum(), x)
        assert torch.isfinite(delta).all()
        assert torch.isfinite(gradient).all()

    def test_diagnostics_are_numbers(self, tables: list[PreparedTable], is_causal: bool) -> None:
        fusion = self.build(tables, is_causal)
        self.train(fusion, is_causal, steps=2)
        for name, value in fusion.diagnostics().items():
            values = value.values() if not isinstance(value, float) else [value]
            assert all(np.isfinite(number) for number in values), name

    def train(self, fusion: Fusion, is_causal: bool, steps: int) -> None:
        """Train the whole toy model for a few steps towards random targets; leaves the last gradients."""
        model = self.model(fusion, is_causal).train()
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        targets = torch.randn(6, LENGTH, HIDDEN, generator=torch.Generator().manual_seed(5))
        for _ in range(steps):
            optimiser.zero_grad()
            torch.autograd.backward((model.encode(self.histories()) - targets).square().mean())
            optimiser.step()
