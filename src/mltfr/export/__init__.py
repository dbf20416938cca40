"""A fitted model as a folder that works without mltfr: an ONNX graph, or a program of torch."""

from mltfr.export.exportable import Exportable
from mltfr.export.parity import Parity

__all__ = ["Exportable", "Parity"]
