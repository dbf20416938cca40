"""Recommenders that can be taken out of the library."""

from __future__ import annotations

from pathlib import Path

from mltfr.explain import Explainable
from mltfr.export.folder import write_export
from mltfr.export.parity import Parity
from mltfr.storage.progress import SILENT, Progress


class Exportable(Explainable):
    """A recommender that can be written as a model that works without mltfr."""

    def export(
        self,
        folder: str | Path,
        format: str = "onnx",
        k: int = 10,
        *,
        overwrite: bool = False,
        progress: Progress = SILENT,
    ) -> Parity:
        """Write a folder with the model, its items' ids, and an example that recommends without mltfr.

        The model is one graph from a history to the k best items; excluded items are an input, and batches and
        histories may have any size. What the folder answers is compared with what the run answers, for its own
        held-out users, and returned: where they differ, nothing is written.

        Args:
            folder: the folder to write.
            format: "onnx", for numpy and onnxruntime; or "torch", a program that torch alone runs.
            k: items of a list at most.
            overwrite: whether an export that is there is replaced.
            progress: receives how many histories are compared.

        Raises:
            ConfigError: the run is a baseline, of the published arithmetic, or a blend with one of these; or an unknown
                format.
            MissingExtraError: the extra `export` is not installed.
            OutputError: `folder` holds something else, or cannot be written.
            MltfrError: the exported model does not answer as the run does.
            RunError: nothing is fitted yet.
        """
        return write_export(self.fitted, Path(folder), format, k, overwrite=overwrite, progress=progress)
