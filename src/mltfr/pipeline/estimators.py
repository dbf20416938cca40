"""How a run fits its model: a network is trained, a baseline is computed in one pass."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from mltfr.backbones import BACKBONES
from mltfr.baselines import BASELINES, Baseline
from mltfr.errors import ConfigError, RunError
from mltfr.evaluation import EvaluationProtocol, evaluate
from mltfr.evaluation.evaluate import Shard
from mltfr.evaluation.metrics import split_metric
from mltfr.inference import ModelScorer
from mltfr.interactions import Split
from mltfr.memory import TrainingMemory
from mltfr.model import SequentialModel
from mltfr.pipeline.blend_weights import Weighed, weigh
from mltfr.pipeline.build import build_loss, build_model, build_objective, count_parameters, training_memory
from mltfr.pipeline.config import BlendConfig, RunConfig
from mltfr.pipeline.estimator import Estimator, Fit, Session
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.inputs import Tables
from mltfr.pipeline.models import BLEND, WEIGHTS, BlendModel, NeuralModel
from mltfr.prefixes import under_prefix
from mltfr.storage.progress import Progress
from mltfr.tokens import TokenStore
from mltfr.tokens.origin import is_made_from
from mltfr.training import (
    Checkpoint,
    Interrupted,
    ProcessGroup,
    Trained,
    add_consensus,
    grown,
    make_process_group,
    train,
    warm_start,
)
from mltfr.training.asking import unseen_histories
from mltfr.training.samples import make_samples
from mltfr.training.training_lock import training_lock


class BaselineEstimator:
    """Computes a baseline from the training split in one pass; there is nothing to choose and nothing to continue."""

    def __init__(self, config: RunConfig) -> None:
        self.config: Any = config.backbone
        self.entry = BASELINES.get(self.config.name)

    def check(self, data: Split) -> None:
        """Accept any split."""

    def main_process_first(self) -> AbstractContextManager[None]:
        """Return a context in which nobody waits: a baseline is fitted by every process on its own."""
        return nullcontext()

    def check_processes(self, fingerprint: str) -> None:
        """Accept any processes."""

    def memory(self, data: Split) -> None:
        """Return None."""

    def fit(self, data: Split, tables: Tables, session: Session) -> Fit:
        """Return the baseline; a stop is noticed once it is computed."""
        started = time.monotonic()
        session.callback.start(f"fitting {self.entry.name}")
        model = self.entry.cls.fit(self.config, data.train_histories(), data.vocabulary.counts, tables.words)
        if session.stop is not None and session.stop.is_set():
            raise Interrupted
        session.callback.message(f"{self.entry.name} fitted in {time.monotonic() - started:.1f} s")
        return Fit(model, {"rounds": 0})

    def restore(self, items: int, tables: Tables, weights: Mapping[str, Tensor]) -> Baseline:
        """Return the baseline of these weights."""
        baseline = self.entry.cls(self.config, weights)
        if baseline.items != items:
            raise ValueError(f"the weights are for {baseline.items} items, but the run has {items}")
        return baseline


class NeuralEstimator:
    """Trains a backbone with its fusion, in one process or several, and keeps the best epoch on validation."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config

    @cached_property
    def group(self) -> ProcessGroup:
        """The processes that train together."""
        return make_process_group(self.config.training)

    def check(self, data: Split) -> None:
        """Raise ConfigError where the validation split is empty."""
        if not len(data.validation):
            raise ConfigError(
                "The validation split is empty, so no epoch can be chosen. Give a log with longer histories."
            )

    def main_process_first(self) -> AbstractContextManager[None]:
        """Return the context in which the other processes wait for the main one."""
        return self.group.main_process_first()

    def check_processes(self, fingerprint: str) -> None:
        """Raise RunError where a process does not have the main one's fingerprint."""
        if self.group.broadcast(fingerprint) != fingerprint:
            raise RunError(
                f"Process {self.group.rank} does not have the first one's data, item vectors, names or versions of "
                "mltfr and torch. All processes must read the same files."
            )

    def memory(self, data: Split) -> TrainingMemory:
        """Return the memory estimate of the training."""
        return training_memory(self.config, data)

    def fit(self, data: Split, tables: Tables, session: Session) -> Fit:
        """Train through all rounds of the fusion.

        Raises:
            RunError: another thread of this process trains.
        """
        with training_lock(), torch.inference_mode(False), torch.enable_grad():  # whatever mode the caller is in
            return self._fit(data, tables, session)

    def _fit(self, data: Split, tables: Tables, session: Session) -> Fit:
        config, items = self.config, len(data.vocabulary)
        shard = self.group.share_ranks(config.seed)
        checkpoint = session.checkpoint
        if checkpoint is None and session.parent is not None:
            checkpoint = self._warm_start(session.parent, data, tables, shard, session.callback)
        unseen = None
        if not session.ends:
            unseen = unseen_histories(data, config.backbone.max_length, config.seed)  # type: ignore[union-attr]
        trained = train(
            lambda: build_model(config, items, tables.tokens, tables.item_vectors, tables.names),
            build_loss(config, data.vocabulary.counts),
            data.train_histories(),
            lambda model: self._validate(model, data, shard, session.callback),
            config.training,
            seed=config.seed,
            group=self.group,
            objective=build_objective(config, items),
            teacher=session.teacher,
            checkpoints=session.checkpoints,
            checkpoint=checkpoint,
            unseen=unseen,
            fingerprint=session.fingerprint,
            callback=session.callback,
            stop=session.stop,
            enough=session.enough,
            ends=session.ends,
            rounds=int(session.parent.facts["rounds"]) if session.parent is not None else None,
        )
        model = cast(NeuralModel, trained.model.eval())
        facts = {"rounds": trained.rounds, "best_epoch": trained.best_epoch, "parameters": count_parameters(model)}
        if trained.pace is not None:
            facts["pace"] = trained.pace.to_json()
        if model.fusion is not None and (report := model.fusion.report()):
            facts["fusion"] = dict(report)
        if trained.kept:
            both = self._blend_rounds(trained, model, data, tables, session.callback)
            facts[BLEND] = both.facts([{"run": "round 1"}, {"run": "round 2"}])
            return Fit(both.model, facts, trained.history)
        return Fit(model, facts, trained.history)

    def _blend_rounds(
        self, trained: Trained, last: NeuralModel, data: Split, tables: Tables, progress: Progress
    ) -> Weighed:
        """Return the blend of the best models of both rounds."""
        config = self.config
        first = build_model(config, len(data.vocabulary), tables.tokens, tables.item_vectors, tables.names)
        first.load_state_dict(trained.kept)
        first.to(self.group.device).eval()
        return weigh([first, last], data, config.evaluation.protocol(data.method), config.judged_by, progress=progress)

    def _warm_start(
        self, parent: FittedModel, data: Split, tables: Tables, shard: Shard | None, progress: Progress
    ) -> Checkpoint:
        """Return the checkpoint from which training goes on from a fitted model; data may hold more items.

        Raises:
            RunError: the token tables of the store are not those of the fit.
        """
        config, items = self.config, len(data.vocabulary)
        _check_same_tables(parent.facts, tables.facts)
        before = parent.model
        if isinstance(before, BlendModel):
            progress.message("training goes on from the last round's model alone, and the one before is left out")
            before = before.members[-1]
        model = build_model(config, items, tables.tokens, tables.item_vectors, tables.names)
        weights = before.state_dict()
        add_consensus(model, weights)
        if model.fusion is not None:
            model.fusion.continue_from(under_prefix("fusion", weights))
        model.load_state_dict(grown(weights, model.state_dict(), len(parent.split.vocabulary)))
        model.to(self.group.device).eval()
        samples = make_samples(config.training, model, data.train_histories(), build_objective(config, items))
        return warm_start(
            model.state_dict(),
            rounds=int(parent.facts["rounds"]),
            epoch=int(parent.facts["best_epoch"]),
            batches=-(-len(samples) // config.training.samples_of_a_batch),
            best=self._validate(model, data, shard, progress)[config.training.metric],
            seed=config.seed,
            history=parent.history,
        )

    def restore(self, items: int, tables: Tables, weights: Mapping[str, Tensor]) -> NeuralModel | BlendModel:
        """Return the model in evaluation mode, or the blend of its rounds."""
        if WEIGHTS in weights:
            return BlendModel.of_state(weights, lambda _, state: self.restore(items, tables, state))
        with torch.inference_mode(False):  # inference tensors keep no version, by which a scorer sees that they changed
            model = build_model(self.config, items, tables.tokens, tables.item_vectors, tables.names)
            add_consensus(model, weights)
            model.load_state_dict(weights)
            return model.eval()

    def _validate(
        self, model: SequentialModel, data: Split, shard: Shard | None, progress: Progress
    ) -> dict[str, float]:
        """Return the metrics of the validation split, of a sample of it where the settings say so."""
        name, k = split_metric(self.config.training.metric)
        protocol = EvaluationProtocol(
            split=data.method,
            remove_seen=self.config.evaluation.remove_seen,
            average=self.config.evaluation.average,
            metrics=("hr", name),
            cutoffs=tuple(sorted({10, k})),
            max_examples=self.config.training.validation_examples,
            sample_seed=self.config.seed,
        )
        scorer = ModelScorer(model, model.item_embedding.weight.device)
        return dict(evaluate(scorer, data, "validation", protocol, progress=progress, shard=shard).metrics)


def _check_same_tables(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that a fusion goes on with the token tables that it was trained on, by what a manifest says of both."""
    store, fitted = TokenStore(), {table["name"]: table for table in before.get("tables", ())}
    for table in now.get("tables", ()):
        name, own = table["name"], fitted.get(table["name"], table)
        if own["fingerprint"] != table["fingerprint"] and not is_made_from(own, store.provenance(name)):
            raise RunError(
                f"Token table '{name}' in the store is not the one that the run was fitted with, so that training "
                "cannot go on. Import the former one under this name again, fit anew, or update without epochs."
            )


def make_estimator(config: RunConfig) -> Estimator:
    """Return what fits a run's backbone or baseline.

    Raises:
        ConfigError: the settings are a blend's, whose members are fitted before.
    """
    if isinstance(config.backbone, BlendConfig):
        raise ConfigError(
            "A blend is made of fitted runs and is not trained itself. Fit or update its members (mltfr fit, mltfr "
            "update MEMBER NEW --epochs N), then blend them: mltfr blend RUN RUN --out BLEND."
        )
    return (NeuralEstimator if BACKBONES.find(config.backbone.name) else BaselineEstimator)(config)
