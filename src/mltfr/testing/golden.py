"""Compare the fusion `mltfr-reference` with numbers of the published arithmetic that were computed elsewhere.

`python -m mltfr.testing.golden FILE.npz` prints the largest error of every quantity and exits with 1 if one
is above 1e-5, with 2 if the file cannot be used.
"""

from __future__ import annotations

import math
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from mltfr.config import Config
from mltfr.errors import ConfigError, DataError, MltfrError
from mltfr.fusion import FusionInputs
from mltfr.fusion.fisher import estimate_fisher_of_batches
from mltfr.fusion.reference import ReferenceConfig, ReferenceFusion
from mltfr.storage.parse import parse_json
from mltfr.tokens.table import PreparedTable

TOLERANCE = 1e-5
Arrays = Mapping[str, npt.NDArray[Any]]


class GoldenMeta(Config):
    """The settings that a golden file was computed with; further entries are ignored."""

    model_config = ConfigDict(extra="ignore")

    heads: int
    """Heads of an expert (H)."""
    temperature: float
    """Temperature of the Gumbel softmax (tau)."""
    tokens_per_user: int
    """Tokens kept per user (K)."""
    consensus_group: tuple[int, ...] = Field(min_length=1)
    """Numbers of the tables whose experts are merged."""
    consensus_weight: float
    """Weight of the consensus expert (lambda)."""


def main(arguments: list[str]) -> int:
    """Check one file and print what was found; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m mltfr.testing.golden FILE.npz", file=sys.stderr)  # noqa: T201
        return 2
    try:
        errors = compare(Path(arguments[0]))
    except MltfrError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    for quantity, largest in errors.items():
        print(f"{quantity:<20} {largest:.2e}{'' if largest <= TOLERANCE else '  above 1e-5'}")  # noqa: T201
    return int(any(not largest <= TOLERANCE for largest in errors.values()))


def compare(path: Path) -> dict[str, float]:
    """Return the largest error of every quantity in a golden file.

    An error is absolute, or relative to the largest value of the array (for Fisher values: of the expert's
    arrays) where that is below 1: gradients and Fisher values are far below 1e-5, so that an absolute
    comparison of them could not fail.

    Raises:
        DataError: the file is missing, unreadable, or lacks an array.
    """
    arrays = _read(path)
    try:
        meta = parse_json(str(arrays["meta"]))
    except KeyError as error:
        raise DataError(f"{path}: 'meta' is missing..") from error
    except ValueError as error:
        raise DataError(f"{path}: 'meta' is not JSON: {error}.") from error
    try:
        return _compare(arrays, GoldenMeta.parse(meta, "meta"))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except KeyError as error:
        raise DataError(f"{path}: array {error} is missing.") from error
    except (ValueError, IndexError, RuntimeError, ConfigError) as error:
        line = str(error).strip().split("\n")[0]
        raise DataError(f"{path}: the arrays do not fit each other: {line}") from error


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                return {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})..") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not an .npz file, or damaged..") from error
    raise DataError(f"{path}: one array, expected an .npz file of named arrays..")


def _compare(arrays: Arrays, meta: GoldenMeta) -> dict[str, float]:
    tables, batches = _count(arrays, r"tokens(\d+)\.embeddings"), _count(arrays, r"batch(\d+)\.hidden")
    if not tables or not batches:
        raise KeyError("tokens0.embeddings" if not tables else "batch0.hidden")
    names = [f"table{number:04d}" for number in range(tables)]  # sorted as they are numbered
    arrays = {name: np.sort(a, axis=-1) if ".selected" in name else a for name, a in arrays.items()}
    fusion = _fusion(arrays, meta, names)
    errors: dict[str, float] = {}

    def note(quantity: str, ours: Tensor, golden: str, scale: float | None = None) -> None:
        error = _error(ours, arrays[golden], golden, scale)
        errors[quantity] = error if math.isnan(error) else max(errors.get(quantity, 0.0), error)

    inputs = [_batch(arrays, number, names) for number in range(batches)]
    for number, (x, mask, target, uniform) in enumerate(inputs):
        batch = f"batch{number}"
        for index, name in enumerate(names):
            token_filter = fusion.filters.of(name)
            similarity = token_filter.similarity(fusion.query(x, mask))
            note("similarity", similarity, f"{batch}.similarity{index}")
            _, ids = token_filter.select(similarity, uniform[name])
            note("selected", ids.sort(-1).values, f"{batch}.selected{index}")
        leaf = x.clone().requires_grad_()
        output = fusion(leaf, mask, uniform)
        loss = _loss(output, mask, target)
        note("router_weights", fusion.router_weights(x), f"{batch}.router_weights")
        note("output", output, f"{batch}.output")
        note("loss", loss, f"{batch}.loss")
        note("grad_hidden", torch.autograd.grad(loss, leaf)[0], f"{batch}.grad_hidden")

    fisher = estimate_fisher_of_batches(
        fusion,
        fusion.fisher_parameters(),
        lambda x, mask, target, uniform: _loss(fusion(x, mask, uniform), mask, target),
        inputs,
    )
    for index, name in enumerate(names):
        parts = list(_compared_parts(fusion.experts.of(name).state_dict()))
        largest = max(float(np.abs(arrays[f"fisher{index}.{part}"]).max()) for part in parts)
        for part in parts:
            note("fisher", fisher[f"experts.{name}.{part}"], f"fisher{index}.{part}", largest)
    if "round2.output" not in arrays:
        return errors

    merged = fusion.merge_experts(fisher)
    for part in _compared_parts(merged):
        note("consensus", merged[part], f"consensus.{part}")
    fusion.add_consensus(merged)
    x, mask, _, uniform = inputs[0]
    note("round2.routed", fusion.routed(x, fusion.select(x, mask, uniform)), "round2.routed")
    note("round2.output", fusion(x, mask, uniform), "round2.output")
    return errors


def _fusion(arrays: Arrays, meta: GoldenMeta, names: list[str]) -> ReferenceFusion:
    """Return the fusion with the file's tables, settings and parameters, in double precision."""
    tables = [PreparedTable(name, arrays[f"tokens{n}.embeddings"], ()) for n, name in enumerate(names)]
    config = ReferenceConfig(
        keep=meta.tokens_per_user,
        temperature=meta.temperature,
        heads=meta.heads,
        consensus_group=tuple(names[number] for number in meta.consensus_group),
        consensus_weight=meta.consensus_weight,
    )
    hidden = arrays["router.weight"].shape[1]
    fusion = ReferenceFusion(config, FusionInputs(hidden=hidden, is_causal=True, tables=tables))
    golden = {"router.weight": "router.weight", "router.bias": "router.bias"}
    for number, name in enumerate(names):
        for part in ("weight", "bias"):
            golden[f"filters.{name}.projection.{part}"] = f"filter{number}.{part}"
        for part in fusion.experts.of(name).state_dict():
            golden[f"experts.{name}.{part}"] = f"expert{number}.{part}"
    state = {own: torch.from_numpy(arrays[theirs]) for own, theirs in golden.items()}
    fusion.load_state_dict(state)
    return fusion.double().eval()


def _batch(arrays: Arrays, number: int, names: list[str]) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    batch = f"batch{number}"
    uniform = {name: _double(arrays[f"{batch}.uniform{index}"]) for index, name in enumerate(names)}
    mask = torch.from_numpy(arrays[f"{batch}.items"]) != 0
    return _double(arrays[f"{batch}.hidden"]), mask, _double(arrays[f"{batch}.target"]), uniform


def _loss(output: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    return (output - target)[mask].square().mean()


def _compared_parts(names: Mapping[str, Any]) -> Iterator[str]:
    return (name for name in names if name != "key.bias")  # it cancels in the softmax: its Fisher is rounding


def _error(ours: Tensor, golden: npt.NDArray[Any], name: str, scale: float | None = None) -> float:
    theirs = _double(golden)
    if ours.shape != theirs.shape:
        raise DataError(f"{name} has shape {tuple(theirs.shape)}, expected {tuple(ours.shape)}.")
    largest = float(theirs.abs().max()) if scale is None else scale
    return float((ours.detach().double() - theirs).abs().max()) / (min(1.0, largest) or 1.0)


def _double(array: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float64))


def _count(arrays: Arrays, pattern: str) -> int:
    return sum(re.fullmatch(pattern, name) is not None for name in arrays)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
