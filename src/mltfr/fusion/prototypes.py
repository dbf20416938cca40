"""A few prototype rows of a whole token table, made by an MLP over its vocabulary axis."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

from mltfr.tokens.table import PreparedTable


class Prototypes(nn.Module):
    """`MLP(E^T)^T`: a table `[V, W]` becomes `[S, W]`, every column on its own, with ReLU between the layers.

    The table is a float16 buffer outside `state_dict`. What the MLP makes of it depends on no input, so
    inference takes it from the buffer `held`, which is saved: a loaded run needs no table. It is made when
    evaluation begins after a step of training.

    Args:
        table: the prepared table, `[V, W]`.
        widths: widths of the layers; the last is the number of prototypes S.
    """

    table: Tensor
    held: Tensor

    def __init__(self, table: PreparedTable, widths: Sequence[int]) -> None:
        super().__init__()
        rows, width = table.shape
        columns = np.array(table.vectors.T, dtype=np.float16, order="C")        # [W, V], writable
        self.register_buffer("table", torch.from_numpy(columns), persistent=False)
        self.register_buffer("held", torch.zeros(widths[-1], width))            # [S, W]
        sizes = pairwise((rows, *widths))
        linears = [skip_init(nn.Linear, *size) for size in sizes]  # type: ignore[no-untyped-call]
        self.layers = nn.ModuleList(linears)
        self._is_current = False
        self._reset(float(np.square(columns, dtype=np.float32).mean()))
        self.register_load_state_dict_post_hook(_loaded)  # type: ignore[no-untyped-call]

    def forward(self) -> Tensor:
        """Return the prototypes `[S, W]`; in evaluation as they were held, so no gradient reaches the MLP then."""
        if not self.training:
            return self.held
        self._is_current = False  # a step follows
        return self.compute()

    def compute(self) -> Tensor:
        """Return the prototypes `[S, W]` of the weights as they are."""
        layers = self._linears()
        hidden = self.table.to(layers[0].weight.dtype)                          # [W, V]
        for number, layer in enumerate(layers):
            hidden = layer(hidden if number == 0 else functional.relu(hidden))  # [W, n]
        return hidden.T

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation; the latter makes the prototypes anew where they are not current."""
        if not mode and not self._is_current:
            with torch.no_grad():
                self.held.copy_(self.compute())
            self._is_current = True
        return super().train(mode)

    def _linears(self) -> list[nn.Linear]:
        return cast(list[nn.Linear], list(self.layers))

    def _reset(self, square: float) -> None:
        """Draw initial values that keep the variance (He et al. 2015), the first layer's for rows of any scale.

        Args:
            square: mean square of the table's values.
        """
        with torch.no_grad():
            for number, layer in enumerate(self._linears()):
                gain = 2.0 if number else 1 / (square or 1.0)  # a ReLU has halved the square of what comes in
                nn.init.normal_(layer.weight, std=(gain / layer.in_features) ** 0.5)
                nn.init.zeros_(layer.bias)


def _loaded(module: Prototypes, keys: Any) -> None:
    module._is_current = True  # `held` came with the weights
