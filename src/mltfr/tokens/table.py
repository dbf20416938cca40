"""Token tables: as an LLM ships them, and prepared for a fusion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class TokenTable:
    """The token-embedding matrix of one LLM.

    Attributes:
        name: name in the store.
        embeddings: `[V, W]`, float16 or float32, often a read-only memory map.
        vocabulary: the string of every token, as the tokenizer writes it ("Ġchocolate", "##ing").
        provenance: where it came from: source, file, tensor, licence, SHA-256.
        special: rows of the tokenizer's control tokens.
    """

    name: str
    embeddings: npt.NDArray[Any]
    vocabulary: tuple[str, ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    special: frozenset[int] = frozenset()

    @property
    def shape(self) -> tuple[int, int]:
        """`(V, W)`."""
        return self.embeddings.shape[0], self.embeddings.shape[1]


@dataclass(frozen=True)
class PreparedTable:
    """A token table as a fusion reads it: text tokens only, reduced to the common width and aligned.

    Attributes:
        name: name of the table it was made from.
        vectors: `[V, W]`, float16 or float32, a read-only memory map where it comes from the store.
        words: text of the `V` tokens.
        report: kept variance, alignment quality, tokens dropped, settings.
        fingerprint: SHA-256 over content and settings.
    """

    name: str
    vectors: npt.NDArray[np.floating[Any]]
    words: tuple[str, ...]
    report: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    @classmethod
    def placeholder(cls, name: str, size: int, width: int) -> Self:
        """Return a table of zeros that takes no memory, of the shape that a saved fusion is rebuilt with."""
        return cls(name, np.broadcast_to(np.float16(0), (size, width)), ("",) * size)

    @property
    def shape(self) -> tuple[int, int]:
        """`(V, W)`."""
        return self.vectors.shape[0], self.vectors.shape[1]

    @property
    def is_placeholder(self) -> bool:
        """Whether it has a shape only; see `placeholder`."""
        return not any(self.words)
