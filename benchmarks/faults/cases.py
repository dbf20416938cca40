"""A case: one try of a section, made again from its seed and number alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One try: its section and number decide, with the seed, everything about it.

    Attributes:
        section: which part of the soak ("kills").
        kind: row of the table ("fit").
        number: within the section.
        seed: of the whole soak.
        scale: of the whole soak, which decides what a number stands for.
        scratch: folder of its own, to be filled.
        given: what the section decided already.
    """

    section: str
    kind: str
    number: int
    seed: int
    scale: float
    scratch: Path
    given: dict[str, Any] = field(default_factory=dict)

    def random(self) -> np.random.Generator:
        """Return the case's random numbers."""
        return np.random.default_rng([self.seed, self.number, *self.section.encode()])

    @property
    def material(self) -> Path:
        """The folder that `make_material` filled."""
        return self.scratch.parents[1] / "material"

    @property
    def right(self) -> Path:
        """The folder that the section prepared."""
        return self.scratch.parents[1] / f"{self.section}-right"

    @property
    def again(self) -> str:
        """The command that tries this case alone."""
        scale = "" if self.scale == 1 else f" --scale {self.scale:g}"
        return f"python benchmarks/soak.py --only {self.section} --seed {self.seed}{scale} --case {self.number}"


@dataclass(frozen=True)
class Outcome:
    """How a case ended: a word for the table, and what is wrong with it, if anything."""

    what: str
    wrong: str = ""


Attempt = Callable[[Case], Outcome]


def prepare_nothing(material: Path, folder: Path, kinds: set[str]) -> None:
    """Prepare nothing, for a section that needs no folder of its own."""


def wordless(error: Exception, told: str = "") -> str:
    """Return what is wrong with a refusal that says nothing, behind what was tried; empty if it says something."""
    return "" if str(error).strip() else f"{told}refused without a word"
