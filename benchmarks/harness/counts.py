"""How much work a model of given shapes has to do, counted and not measured.

A matrix product of `[a, b]` and `[b, c]` has `2abc` floating-point operations. Training does three products for each
one of the forward pass: the forward one, and one for the gradient of each factor. What is counted is what the
mathematics asks for, at the true length `n` of every history: padding costs nothing, and norms, activations, dropout
and residual sums cost nothing, since they can be done while a product's result is in the cache.

SASRec, forward, a history of length n, width D, inner width F, T of whose positions are read at the end:

- every block but the last: query, key, value `2n * 3D^2`, attention `2 * 2n^2 D`, its output `2n D^2`, feed-forward
  net `2 * 2n D F`;
- the last block: key and value of all positions `2n * 2D^2`, all else of the T read ones only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from mltfr.pipeline import RunConfig

Lengths = npt.NDArray[np.int64]
FLOAT = 4
"""Bytes of a number."""
CACHE = 8_000_000
"""Bytes up to which a matrix that is read again and again is taken to stay in the processor's cache."""


@dataclass(frozen=True)
class Work:
    """What has to be done, by what limits it.

    Attributes:
        products: floating-point operations of matrix products of the width of the model.
        logits: those of matrix products with all items.
        exponentials: exponentials of logits.
        moved: bytes read or written by what does nothing but move them: optimiser, gathers.
        scanned: bytes read once, in order, from memory.
        cached: the same, from the processor's cache.
    """

    products: float = 0
    logits: float = 0
    exponentials: float = 0
    moved: float = 0
    scanned: float = 0
    cached: float = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, times: float) -> Self:
        return type(self)(*(getattr(self, f.name) * times for f in fields(self)))


@dataclass(frozen=True)
class Shapes:
    """The shapes that decide the work.

    Attributes:
        items: number of items I.
        hidden: width D.
        blocks: number of blocks.
        inner: width F inside the feed-forward net.
        length: longest history that is read.
    """

    items: int
    hidden: int
    blocks: int
    inner: int
    length: int

    @classmethod
    def of(cls, config: RunConfig, items: int) -> Self:
        """Return the shapes of a SASRec."""
        backbone = config.backbone.model_dump()
        hidden = backbone["hidden"]
        return cls(items, hidden, backbone["blocks"], hidden * backbone["inner"], backbone["max_length"])

    def encoder(self, lengths: Lengths, read: Lengths) -> float:
        """Return the operations of reading histories, forward.

        Args:
            lengths: of the histories `[N]`; only the last `length` items are read.
            read: how many positions of each are read at the end `[N]`.
        """
        n = np.minimum(lengths, self.length).astype(np.float64)
        all_but_last = (self.blocks - 1) * (n * self._position() + 4 * n * n * self.hidden)
        keys = 4 * n * self.hidden**2
        last = keys + read * (self._position() - 4 * self.hidden**2) + 4 * read * n * self.hidden
        return float((all_but_last + last).sum())

    def gathered(self, rows: float, trained: bool) -> float:
        """Return the bytes of looking item vectors up: read and written; trained, their gradients are read, and
        added to rows that are read and written."""
        return rows * self.hidden * FLOAT * (5 if trained else 2)

    def _position(self) -> float:
        """Operations of a position in a block, without the attention: four square products, and the net."""
        return 8 * self.hidden**2 + 4 * self.hidden * self.inner


def optimiser(parameters: int) -> Work:
    """Return the work of one step of Adam: weight and both moments are read and written, the gradient is read."""
    return Work(moved=7 * FLOAT * parameters)


def training(
    shapes: Shapes, lengths: Lengths, targets: Lengths, loss: str, negatives: int, parameters: int, batch: int
) -> Work:
    """Return the work of one epoch.

    Args:
        shapes: of the model.
        lengths: how many items each sample's encoder reads `[N]`.
        targets: how many positions of each sample have a target `[N]`.
        loss: "cross_entropy" over all items, "sampled_softmax" over shared negatives, or a loss whose positions
            have negatives of their own ("bce", "bpr").
        negatives: of a position, or of a step where they are shared.
        parameters: trained parameters.
        batch: samples in a step.
    """
    read, predicted = float(np.minimum(lengths, shapes.length).sum()), float(targets.sum())
    steps = -(-len(lengths) // batch)
    work = Work(products=3 * shapes.encoder(lengths, targets), moved=shapes.gathered(read, trained=True))
    work += optimiser(parameters) * steps
    compared = 3 * 2 * predicted * shapes.hidden  # times the candidates
    if loss == "cross_entropy":
        return work + Work(logits=compared * shapes.items, exponentials=predicted * shapes.items)
    if loss == "sampled_softmax":
        candidates = Work(products=compared * (1 + negatives), exponentials=predicted * negatives)
        return work + candidates + Work(moved=shapes.gathered(predicted + steps * negatives, trained=True))
    own = Work(products=compared * (1 + negatives), moved=shapes.gathered(predicted * (1 + negatives), trained=True))
    return work + own


def inference(shapes: Shapes, lengths: Lengths) -> Work:
    """Return the work of reading histories and scoring all items for each; choosing the best of them is not counted."""
    read = float(np.minimum(lengths, shapes.length).sum())
    one = np.ones_like(lengths)
    logits = 2.0 * len(lengths) * shapes.items * shapes.hidden
    return Work(shapes.encoder(lengths, one), logits, moved=shapes.gathered(read, trained=False))


def request(shapes: Shapes, length: int) -> Work:
    """Return the work of one history alone: the item matrix is read once, which takes longer than its products."""
    work = inference(shapes, np.array([length]))
    size = float(shapes.items * shapes.hidden * FLOAT)
    near = size <= CACHE
    return Work(work.products, moved=work.moved, scanned=0.0 if near else size, cached=size if near else 0.0)


def fusion(
    positions: float, steps: int, hidden: int, widths: list[int], shortlist: int, keep: int, trained: bool = True
) -> Work:
    """Return the work that fusion `mltfr` adds in round 1: position by position, and once a step.

    Of every table: its M shortlisted rows, of width W, are projected for the filter and for the expert, `2M W D` each
    (no gradient flows to the rows), and made keys and values, `2 * 2M D^2`. Of every position: choosing compares it
    with the shortlist, `2M D`, without a gradient; query and output `2 * 2D^2`; the K kept tokens are scored, attended
    to and summed, `3 * 2K D`; the router `2D`.

    Args:
        positions: positions of an epoch, or of all requests.
        steps: steps of an epoch; 0 where the rows are prepared already.
        hidden: width D.
        widths: width W of every table.
        shortlist: tokens M.
        keep: tokens K.
        trained: whether there is a backward pass.
    """
    times = 3 if trained else 1
    work = Work()
    for width in widths:
        rows = (2 if trained else 1) * 2 * 2 * shortlist * width * hidden + times * 4 * shortlist * hidden**2
        place = times * (4 * hidden**2 + 6 * keep * hidden + 2 * hidden) + 2 * shortlist * hidden
        work += Work(products=steps * rows + positions * place)
    return work
