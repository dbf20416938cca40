"""Names as a part of item vectors that stays: what is learned of the words, beside what is learned of the item."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NamePath(nn.Module):
    """What names add to item vectors: `e_i = id_i + W t_i`, with `W` `[D, d]`, which begins as the identity.

    `t_i` `[d]` are frozen, and zero for whatever has no name, which keeps its own vector.

    With `null_space`, the own vectors of items with a name have no part along the first `d` components, which names
    take up, and learn in the `D - d` others (AlphaFuse, Hu et al. 2025).

    Args:
        vectors: float32 `[I + 1, d]`, of the items' names; zero at padding and where there is none.
        rows: rows R of the item embedding; those behind the items have no name.
        hidden: width D.
        rate_factor: of the learning rate of `W`; with 0 it stays as it is.
        null_space: whether items with a name learn beside the names only.

    Raises:
        ValueError: names are wider than items, or leave them no component.
    """

    def __init__(
        self, vectors: Tensor, rows: int, hidden: int, rate_factor: float = 1.0, null_space: bool = False
    ) -> None:
        super().__init__()
        width = vectors.shape[1]
        if width > hidden - int(null_space):
            raise ValueError(f"names have {width} components, items {hidden}.")
        names = torch.zeros(rows, width)
        names[: len(vectors)] = vectors
        self.names: Tensor
        self.register_buffer("names", names)                             # [R, d]
        self.weight = nn.Parameter(torch.eye(hidden, width), requires_grad=rate_factor > 0)     # [D, d]
        self.rate_factor, self.null_space = rate_factor or 1.0, null_space

    def forward(self, codes: Tensor, vectors: Tensor) -> Tensor:  # [R], [R, D] -> [R, D]
        """Return item vectors with their names."""
        names = self.names[codes]                                        # [R, d]
        if self.null_space:
            own = (names == 0).all(dim=1, keepdim=True)                  # [R, 1], without a name
            taken = torch.arange(vectors.shape[1], device=codes.device) < names.shape[1]     # [D]
            vectors = torch.where(own | ~taken, vectors, 0.0)
        return vectors + names @ self.weight.T
