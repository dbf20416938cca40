"""What a training holds in memory, part by part, counted from its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mltfr.inference.top_k import BLOCK_SCORES
from mltfr.products import compiled_bytes

FLOAT = 4
MODULES = 60_000_000
"""Bytes of program code that training loads, and of small things that nobody counts (measured)."""
BESIDE = 1.4
"""Activations, with what the backward pass makes beside them and what the allocator does not give back (measured: 1.0
to 2.0)."""
ROWS = 256
"""Histories that validation scores together, at most."""
SAMPLE = 40
"""Bytes that a sample takes: where it begins and ends, and its place in an epoch's order."""


@dataclass(frozen=True)
class Sizes:
    """What decides the memory of a training.

    Attributes:
        items: number of items I.
        width: numbers of an item's vector, its bias among them.
        trained: trained numbers beside the item vectors.
        frozen: bytes of buffers and frozen parameters.
        batch: samples in the largest batch.
        samples: training samples.
        codes: codes of histories and views in the largest batch.
        positions: positions with a target in the largest batch.
        negatives: negatives that the largest batch looks up.
        encoder: bytes that the encoder keeps for the backward pass.
        loss: bytes of the loss: scores, or what it looks up.
        full_loss: whether the loss reads all item vectors.
        sparse: whether a step moves only the item vectors that it touches.
    """

    items: int
    width: int
    trained: int
    frozen: int
    batch: int
    samples: int
    codes: int
    positions: int
    negatives: int
    encoder: int
    loss: int
    full_loss: bool
    sparse: bool

    @property
    def table(self) -> int:
        """Bytes of the item vectors."""
        return FLOAT * (self.items + 1) * self.width

    @property
    def weights(self) -> int:
        """Bytes of all that the model consists of."""
        return self.table + FLOAT * self.trained + self.frozen


def footprint(sizes: Sizes) -> Mapping[str, int]:
    """Return the bytes of every part at the moment when they are most; their sum is what training adds.

    Either a step is that moment, or validation, which scores while the gradients of the last step still exist.
    A step with a dense gradient holds it twice (two places where item vectors are read, added up), with a loss over
    all items three times (what the loss computed, times what comes from above, added to the gradient of the input).
    """
    rest = FLOAT * sizes.trained
    activations = int(BESIDE * sizes.encoder)
    touched = sizes.codes + sizes.positions + sizes.negatives
    if sizes.sparse:
        rows = min(touched, 2 * sizes.items)
        kept = rows * (FLOAT * sizes.width + 8)
        step = 3 * kept  # as looked up, put together, without repetitions
    else:
        kept = sizes.table
        step = sizes.table * (3 if sizes.full_loss else 2)
    step_scores, validation_scores = sizes.loss, 3 * FLOAT * max(min(BLOCK_SCORES, ROWS * sizes.items), sizes.items)
    # scores over all items are gone before the backward pass makes the second and third gradient
    backward = step + rest + activations + (0 if sizes.full_loss else step_scores)
    forward = kept + rest + activations + step_scores
    validation = kept + rest + validation_scores
    held = {
        "item vectors": sizes.table,
        "other weights": sizes.weights - sizes.table,
        "optimiser": 2 * (sizes.table + rest) + (FLOAT * sizes.items if sizes.sparse else 0),
        "best weights": sizes.weights,
        "samples": SAMPLE * sizes.samples,
        "program": MODULES + compiled_bytes(sizes.width),
    }
    if validation >= max(backward, forward):
        moment = {"gradients": kept + rest, "validation scores": validation_scores}
    elif forward > backward:
        moment = {"gradients": kept + rest, "scores": step_scores, "activations": activations}
    else:
        scores = 0 if sizes.full_loss else step_scores
        moment = {"gradients": step + rest, "scores": scores, "activations": activations}
    return MappingProxyType(held | moment)
