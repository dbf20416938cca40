"""A fitted recommender, and its way to and from a run folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from mltfr.baselines import Baseline
from mltfr.baselines.popularity import Popularity
from mltfr.config import dump_toml, load_toml
from mltfr.errors import RunError
from mltfr.evaluation import EvaluationProtocol
from mltfr.fusion import FUSIONS
from mltfr.inference import FallbackScorer, Retriever, Scorer
from mltfr.interactions import Split, Vocabulary
from mltfr.model import SequentialModel
from mltfr.pipeline.build import load_run_tables
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.data import check_split, load_split, load_vocabulary, save_split
from mltfr.pipeline.folder import (
    CONFIG,
    LOG,
    MANIFEST,
    METRICS,
    WEIGHTS,
    damage,
    read_manifest,
    write_json,
    write_manifest,
    write_text,
)
from mltfr.pipeline.kinds import Kind, kind_of, restore
from mltfr.pipeline.supplied import placeholder_vectors
from mltfr.storage.files import atomic_file
from mltfr.tokens import PreparedTable


@dataclass(frozen=True)
class Served:
    """A fitted model and the items that it knows, without the users it was fitted to: enough to recommend.

    Attributes:
        config: every setting.
        model: a network in evaluation mode, with its best weights, or a baseline.
        vocabulary: the items of the training part.
        facts: what the manifest says of the fit.
    """

    config: RunConfig
    model: SequentialModel | Baseline
    vocabulary: Vocabulary
    facts: dict[str, Any]

    def scorer(self) -> Scorer:
        """Return what scores items: the model, and popularity for histories without a known item."""
        return FallbackScorer(kind_of(self.model).scorer(), Popularity.of_counts(self.vocabulary.counts))


@dataclass(frozen=True)
class Fitted:
    """A model with the data it was fitted to.

    Attributes:
        config: every setting.
        model: a network in evaluation mode, with its best weights, or a baseline.
        split: the interaction log, divided.
        facts: what the manifest says of the fit: fingerprints, tables, best epoch, wall time.
        metrics: the document of `metrics.json`.
        history: one record per epoch, as in `log.jsonl`.
    """

    config: RunConfig
    model: SequentialModel | Baseline
    split: Split
    facts: dict[str, Any]
    metrics: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    def scorer(self) -> Scorer:
        """Return what scores items: the model, and popularity for histories without a known item."""
        return self.served().scorer()

    @cached_property
    def retriever(self) -> Retriever:
        """What finds the best items for one request after another."""
        return Retriever(self.scorer)

    def kind(self) -> Kind:
        """Return what else the model can be asked, whatever it is."""
        return kind_of(self.model)

    def popularity(self) -> Popularity:
        """Return the sanity baseline."""
        return Popularity.of_counts(self.split.vocabulary.counts)

    def served(self) -> Served:
        """Return the part of it that scores, without the users."""
        return Served(self.config, self.model, self.split.vocabulary, self.facts)

    def protocol(self) -> EvaluationProtocol:
        """Return how this recommender is measured."""
        settings = self.config.evaluation
        return EvaluationProtocol(
            split=self.split.method, remove_seen=settings.remove_seen, max_examples=settings.max_examples
        )


def save_fitted(fitted: Fitted, folder: Path) -> None:
    """Write a run folder; the manifest comes last, so a folder without one is not finished.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    write_text(folder / CONFIG, dump_toml(fitted.config))
    save_split(folder, fitted.split)
    write_json(folder / METRICS, fitted.metrics)
    write_text(folder / LOG, "".join(json.dumps(record) + "\n" for record in fitted.history))
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in fitted.model.state_dict().items()}
    with atomic_file(folder / WEIGHTS) as path:
        save_file(weights, path)
    write_manifest(folder, fitted.facts)


def load_fitted(folder: Path) -> Fitted:
    """Read a run folder, after checking every file.

    Raises:
        RunError: there is no finished run, it is damaged, or from another version.
    """
    manifest = read_manifest(folder)
    with damage(folder):
        split = load_split(folder, manifest["split"], manifest["left_out"])
        metrics, history = _documents(folder)
    served = _load_model(folder, manifest, split.vocabulary)
    return Fitted(served.config, served.model, split, served.facts, metrics, history)


def load_served(folder: Path) -> Served:
    """Read of a run folder what recommending needs, after checking every file; its users are not read.

    Raises:
        RunError: there is no finished run, it is damaged, or from another version.
    """
    manifest = read_manifest(folder)
    with damage(folder):
        vocabulary = load_vocabulary(folder)
        check_split(folder, manifest["split"], manifest["left_out"])
        _documents(folder)
    return _load_model(folder, manifest, vocabulary)


def _documents(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the metrics and the log of training."""
    history = [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]
    return json.loads((folder / METRICS).read_text(encoding="utf-8")), history


def _load_model(folder: Path, manifest: dict[str, Any], vocabulary: Vocabulary) -> Served:
    with damage(folder / CONFIG):
        config = RunConfig.parse(load_toml(folder / CONFIG))
    if FUSIONS.get(config.fusion.name).cls.tables_in_state:
        with damage(folder / MANIFEST):
            tables = [PreparedTable.placeholder(t["name"], *t["shape"]) for t in manifest["tables"]]
    else:
        tables = load_run_tables(config)
        with damage(folder / MANIFEST):
            fingerprints = [t["fingerprint"] for t in manifest["tables"]]
        if [t.fingerprint for t in tables] != fingerprints:
            raise RunError(f"{folder}: was fitted with other token tables than those in the store. Fit it again.")
    with damage(folder / MANIFEST):
        vectors = placeholder_vectors(manifest, len(vocabulary))
    with damage(folder / WEIGHTS):
        model = restore(config, len(vocabulary), tables, vectors, load_file(folder / WEIGHTS))
    facts = {key: value for key, value in manifest.items() if key not in ("files", "format")}
    return Served(config, model, vocabulary, facts)
