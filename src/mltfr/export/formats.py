"""The formats of an export: an ONNX graph for onnxruntime, or a program of torch's own that needs nothing else."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind

from mltfr.errors import ConfigError, MissingExtraError, one_of
from mltfr.export.graph import INPUTS, OUTPUTS, ExportGraph, torch_version
from mltfr.kernels import plain_twins

MODEL = {"onnx": "model.onnx", "torch": "model.pt2"}
"""The file that holds the model, by format."""
OPSET = 18
"""Version of the ONNX operators, which torch writes without a conversion; onnxruntime has read it since 1.14."""
NEEDED = ("onnx", "onnxscript", "onnxruntime")
"""Packages of the extra `export`; a program of torch needs none of them."""
LARGEST = 1_800_000_000
"""Bytes of weights up to which they are in model.onnx itself: a protobuf file has at most 2 GiB."""


def check_format(format: str) -> None:
    """Refuse what cannot be exported to, before any work is done.

    Raises:
        ConfigError: the format is unknown, or needs a newer torch.
        MissingExtraError: it needs the extra `export`.
    """
    if format not in MODEL:
        raise ConfigError(f"Unknown format '{format}'. {one_of(format, MODEL)}")
    if torch_version() < (2, 9):
        raise ConfigError(
            f"An export needs torch 2.9 or newer, and this is {torch.__version__}. Install it: pip install 'torch>=2.9'"
        )
    for package in NEEDED if format == "onnx" else ():
        if find_spec(package) is None:
            raise MissingExtraError(package, "export")


def write_model(graph: ExportGraph, format: str, folder: Path) -> dict[str, Any]:
    """Write the model into a folder and return what the manifest says of it."""
    program, path = trace(graph), folder / MODEL[format]
    if format == "torch":
        torch.export.save(program, path)
        return {"format": format, "torch": torch.__version__}
    with _silent():
        written = torch.onnx.export(
            program, (), dynamo=True, opset_version=OPSET, verbose=False, input_names=INPUTS, output_names=OUTPUTS
        )
        weights = sum(tensor.nbytes for tensor in (*program.state_dict.values(), *program.constants.values()))
        written.save(path, external_data=weights > LARGEST)  # type: ignore[union-attr]
    return {"format": format, "opset": OPSET, "torch": torch.__version__, "onnx": version("onnx")}


def trace(graph: ExportGraph) -> ExportedProgram:
    """Return a graph as a program for all batch sizes, lengths, and numbers of excluded items."""
    batch, length, excluded = Dim("batch"), Dim("length"), Dim("excluded")
    code = torch.tensor(1)  # of sizes that are neither 0 nor 1, which would be taken for constants
    example = code.repeat(3, 5), torch.tensor([5, 0, 2]), code.repeat(3, 4)
    shapes = {0: batch, 1: length}, {0: batch}, {0: batch, 1: excluded}
    with torch.no_grad(), plain_twins(), _silent():
        program = torch.export.export(graph.eval(), example, dynamic_shapes=shapes, strict=False)
    _drop_unread(program)
    return program


def _drop_unread(program: ExportedProgram) -> None:
    """Empty the weights that the graph does not read, since it holds what follows from them."""
    read = {node.name for node in program.graph.nodes if node.op == "placeholder" and node.users}
    for given in program.graph_signature.input_specs:
        if given.kind in (InputKind.PARAMETER, InputKind.BUFFER) and given.arg.name not in read:
            name = str(given.target)
            held: dict[str, Any] = program.state_dict if name in program.state_dict else program.constants
            empty = held[name].detach().new_empty(0)
            held[name] = nn.Parameter(empty, False) if isinstance(held[name], nn.Parameter) else empty


@contextmanager
def _silent() -> Iterator[None]:
    """Keep to itself what torch says of its own inner life while it traces."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
