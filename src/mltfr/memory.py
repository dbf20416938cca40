"""Memory of a training: what it needs, what is available, and what to do where it does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from mltfr.errors import ConfigError
from mltfr.storage.main_memory import available_memory, readable, used_memory

FLOAT = 4
ACTIVATIONS = 24  # floats kept per position, block and hidden unit (measured: 9 to 29, mostly 16), and their gradients
LOOKUPS = 3  # copies of the item embeddings that a loss with negatives reads: forward, product, gradient
SCORES, SORTED = 6, 28  # floats of a sampled score and its gradient; with the places of items looked up once (measured)
DROPPED, UNIT = 3, 6  # copies of an item vector in item dropout and in cosines, and their gradients (measured: 3, 6)
CORRECTED = 20  # the same where a fusion corrects item vectors, for each of its tables (measured: 18)
VALIDATION_SCORES = 3 << 24  # a block of scores, its copy and the candidates left of it
PROGRAM = 60_000_000  # bytes of code that training loads, and of small tensors (measured)
SAMPLED_NEGATIVES, SMALL_CHUNK, MIN_INTERACTIONS = 512, 8, 5
WORTH_NAMING = 0.95  # a suggestion is named if it needs at most this share
OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory")  # torch's, on a CPU and on MPS


@dataclass(frozen=True)
class TrainingMemory:
    """Memory estimate of a training, from the sizes of its largest tensors: item table, logits, optimiser state.

    A fusion counts where it corrects item vectors; an out-of-memory error is explained by `explain_out_of_memory`.

    Attributes:
        items: number of items I.
        hidden: hidden width D.
        blocks: blocks of the backbone.
        batch_size: samples of a batch, B.
        positions: positions of a batch that the backbone encodes, at most.
        targets: positions of a batch that have a target, at most.
        negatives: negatives of a loss with negatives; None for a loss over all items.
        shared_negatives: whether all positions have the same negatives.
        chunk: positions whose logits over all items exist at a time.
        sparse: whether a step updates only the item embeddings that it reads.
        by_lookup: whether a step changes only the item vectors that it reads, where it changes any.
        looks_up_once: whether an item is looked up once, however many positions have it among negatives of their own.
        item_copies: copies of an item vector that a step makes where it changes item vectors; 0 where it does not.
        can_be_sparse: whether updates can be sparse with a loss with negatives: no weight decay.
        frequent_items: items with at least 5 interactions; 0 where a filter asks for that already.
        device: where the model trains.
    """

    items: int
    hidden: int
    blocks: int
    batch_size: int
    positions: int
    targets: int
    negatives: int | None
    shared_negatives: bool
    chunk: int
    sparse: bool
    can_be_sparse: bool
    frequent_items: int
    device: torch.device
    by_lookup: bool = False
    looks_up_once: bool = False
    item_copies: int = 0

    @property
    def parts(self) -> Mapping[str, int]:
        """Bytes of each part when all of it is largest; their sum is what training adds to the memory in use."""
        table = FLOAT * (self.items + 1) * self.hidden
        activations = FLOAT * ACTIVATIONS * self.positions * self.hidden * self.blocks
        changed = self.items
        if self.negatives is None:
            scores = FLOAT * min(self.chunk, self.targets) * self.items
            gradient, backward = table, 2 * table        # the logits are gone when the second and third copy are made
        else:
            drawn = self.negatives * (1 if self.shared_negatives else self.targets)
            looked_up = min(self.positions + self.targets + drawn, 2 * self.items)
            once = self.looks_up_once and not self.shared_negatives
            vectors, of_a_score = (min(drawn, self.items), SORTED) if once else (drawn, SCORES)
            scores = FLOAT * (of_a_score * self.targets * self.negatives + LOOKUPS * vectors * self.hidden)
            gradient = FLOAT * looked_up * self.hidden if self.sparse else table
            changed = min(looked_up, self.items) if self.by_lookup else self.items
            backward = scores + gradient
        activations += FLOAT * self.item_copies * changed * self.hidden
        validation = FLOAT * max(VALIDATION_SCORES, 3 * self.items)
        held = {
            "item embedding": table,
            "optimiser": 2 * table + (FLOAT * self.items if self.sparse else 0),
            "gradients, scores and activations": gradient + max(validation, activations + max(scores, backward)),
        }
        return held if self.device.type == "cuda" else held | {"best weights": table, "program": PROGRAM}

    @property
    def needed(self) -> int:
        """Bytes that training adds to what is in use."""
        return sum(self.parts.values())

    @property
    def peak(self) -> int:
        """Bytes of the process, or of what it holds on an accelerator, at its largest."""
        return self.needed + (0 if self.device.type == "cuda" else used_memory())

    @property
    def available(self) -> int | None:
        """Bytes that can still be used where the model trains; None where the system does not say."""
        return torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else available_memory()

    def __str__(self) -> str:
        part, size = max(self.parts.items(), key=lambda part: part[1])
        return f"estimate: {readable(self.peak)} of memory at the peak (most: {part} {readable(size)})"

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {readable(size)}" for name, size in self.parts.items())
        return f"TrainingMemory({readable(self.needed)} more than now: {parts})"

    def to_json(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return {"peak_bytes": self.peak, "parts": dict(self.parts)}

    def require(self) -> None:
        """Raise ConfigError, which names settings that need less, where training does not fit."""
        available = self.available
        if available is not None and self.needed > available:
            raise ConfigError(
                f"Training would need {readable(self.needed)} more memory, and {readable(available)} are available, "
                f"for {self.items:,} items. {self.advice()}To try all the same: --set training.check_memory=false."
            )

    def advice(self) -> str:
        """Return the settings that would need less memory, in a sentence; "" where there are none."""
        smaller = [pair for pair in self.suggestions() if pair[1].needed <= WORTH_NAMING * self.needed]
        named = [f"{setting} ({readable(estimate.needed)})" for setting, estimate in smaller]
        return f"What would need less: {', '.join(named)}. " if named else ""

    def suggestions(self) -> Iterator[tuple[str, TrainingMemory]]:
        """Yield settings that need less memory, the least harmful first, with the estimates that they lead to."""
        if self.negatives is None:
            sparse = self.can_be_sparse
            sampled = replace(
                self, negatives=SAMPLED_NEGATIVES, shared_negatives=True, sparse=sparse, by_lookup=sparse
            )
            yield "--set loss.name=sampled_softmax", sampled
        elif not self.sparse and self.can_be_sparse:
            yield "--set training.advanced.item_updates=sparse", replace(self, sparse=True, by_lookup=True)
        if self.negatives is not None and self.negatives > 1 and not self.shared_negatives:
            setting = "--set loss.name=sampled_softmax --set loss.shared=true"
            yield setting, replace(self, shared_negatives=True)
        if self.negatives is None and min(self.chunk, self.targets) > SMALL_CHUNK:
            setting = f"--set loss.name=cross_entropy --set loss.chunk={SMALL_CHUNK}"  # a loss's settings need its name
            yield setting, replace(self, chunk=SMALL_CHUNK)
        if self.batch_size >= 8:
            batch, positions, targets = self.batch_size // 4, self.positions // 4, self.targets // 4
            fewer = replace(self, batch_size=batch, positions=positions, targets=targets)
            yield f"--set training.batch_size={batch}", fewer
        if self.hidden >= 16:
            yield f"--set backbone.hidden={self.hidden // 2}", replace(self, hidden=self.hidden // 2)
        if self.frequent_items:
            yield f"--set filters.min_item_interactions={MIN_INTERACTIONS}", replace(self, items=self.frequent_items)


@contextmanager
def explain_out_of_memory(estimate: TrainingMemory | None) -> Iterator[None]:
    """Raise ConfigError, with the estimate's suggestions, where torch, NumPy or Python runs out of memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error).strip().split("\n")[0]
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not OUT_OF_MEMORY.search(text):
            raise
        advice = estimate.advice() if estimate is not None else ""
        raise ConfigError(f"The memory ran out ({text or type(error).__name__}). {advice}") from error
