"""What follows from weights alone, computed once for as long as they stay the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from torch import Tensor, nn

V = TypeVar("V")


class Remembered(Generic[V]):
    """A value made from the weights of a module, made again when one of them is not what it was.

    A weight is what it was if it is the same tensor, at the same place in memory, of the same version, which torch
    counts up with every change in place: by an optimiser, `load_state_dict` or `copy_`. What is remembered is not
    copied or pickled with its owner.
    """

    def __init__(self) -> None:
        self._found: tuple[tuple[nn.Module, ...], list[Tensor], list[tuple[int, int]], V] | None = None

    def get(self, owner: nn.Module, make: Callable[[], V]) -> V:
        """Return the value, from `make` if the parameters or buffers of `owner` have changed.

        Whoever adds or replaces a part of the owner has to call `forget`.
        """
        found = self._found
        if found is not None:
            modules, tensors, marks, value = found
            now = _tensors(modules)
            if len(now) == len(tensors) and all(map(_is, now, tensors)) and _marks(now) == marks:
                return value
        modules = tuple(owner.modules())
        tensors = _tensors(modules)
        value = make()
        if not any(tensor.is_inference() for tensor in tensors):  # of which torch counts no versions
            self._found = modules, tensors, _marks(tensors), value
        return value

    def forget(self) -> None:
        """Let the value be made again at the next call."""
        self._found = None

    def __deepcopy__(self, memo: dict[int, object]) -> Remembered[V]:
        return Remembered()

    def __reduce__(self) -> tuple[type[Remembered[V]], tuple[()]]:
        return Remembered, ()


def _tensors(modules: Iterable[nn.Module]) -> list[Tensor]:
    found: list[Tensor] = []
    for module in modules:
        found += [tensor for tensor in module._parameters.values() if tensor is not None]
        found += [tensor for tensor in module._buffers.values() if tensor is not None]
    return found


def _marks(tensors: Iterable[Tensor]) -> list[tuple[int, int]]:
    return [(tensor._version, tensor.data_ptr()) for tensor in tensors]


def _is(one: Tensor, other: Tensor) -> bool:
    return one is other
