"""The Python part of docs/reference.md: signatures with types, and the objects that are returned."""

from __future__ import annotations

import inspect
import re
from typing import Any

from mltfr import Recommender, load_interactions, prepare
from mltfr.evaluation.comparison import Comparison
from mltfr.evaluation.evaluate import Evaluation
from mltfr.explain import Explainable
from mltfr.explain.explanation import Explanation
from mltfr.explain.fidelity import Fidelity
from mltfr.export.parity import Parity
from mltfr.inference.index import IndexReport
from mltfr.interactions.log import InteractionLog
from mltfr.memory import TrainingMemory
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.loadable import Loadable
from mltfr.pipeline.updatable import Updatable

RETURNED = (InteractionLog, Evaluation, Comparison, Explanation, Fidelity, FittedModel, IndexReport, Parity,
            TrainingMemory)  # fmt: skip
"""What the functions above return, beside a `Recommender` and polars tables."""


def api() -> str:
    """Return the signatures and docstrings of what `import mltfr` offers, and of what it returns."""
    parts = ["### `load_interactions`", described(load_interactions, "load_interactions")]
    parts += ["### `prepare`", described(prepare, "prepare")]
    parts += ["### `Recommender`", described(Recommender, "Recommender")]
    for name, member in (vars(Recommender) | vars(Updatable) | vars(Loadable) | vars(Explainable)).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            parts += [f"#### `Recommender.{name}`", docstring(member.__doc__)]
        else:
            bound = getattr(Recommender, name)
            parts += [f"#### `Recommender.{name}`", described(bound, f"Recommender.{name}")]
    parts.append("### Returned objects")
    for kind in RETURNED:
        parts += [f"#### `{kind.__name__}`", docstring(kind.__doc__)]
    return "\n\n".join(parts)


def described(member: Any, name: str) -> str:
    """Return a signature with its types, an argument a line where it is long, and the docstring."""
    signature = inspect.signature(member)
    found = [each for each in signature.parameters.values() if each.name != "self"]
    kept = [
        each if each.annotation is each.empty else each.replace(annotation=Written(each.annotation)) for each in found
    ]
    returned = signature.return_annotation
    ends = "" if returned in (inspect.Signature.empty, None, "None") else f" -> {returned}"
    text = f"{name}{inspect.Signature(kept)}{ends}"
    if len(text) > 100:
        lines = [str(each) for each in kept]
        star = next((number for number, each in enumerate(kept) if each.kind is each.KEYWORD_ONLY), None)
        lines[star:star] = ["*"] if star is not None else []
        text = f"{name}(\n" + "".join(f"    {line},\n" for line in lines) + f"){ends}"
    return f"```python\n{text}\n```\n\n{docstring(member.__doc__)}"


class Written(str):
    """An annotation as the code writes it: without quotes in a signature."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def docstring(text: str | None) -> str:
    """Return a docstring with its sections as lists."""
    lines = []
    for line in inspect.cleandoc(text or "").split("\n"):
        if re.fullmatch(r"(Args|Returns|Raises|Attributes):", line):
            lines += [f"**{line}**", ""]
        elif match := re.fullmatch(r" {4}(\w+): (.*)", line):
            lines.append(f"- `{match[1]}`: {match[2]}")
        else:
            lines.append(f"  {line.strip()}" if line.startswith(" ") else line)
    return "\n".join(lines)
