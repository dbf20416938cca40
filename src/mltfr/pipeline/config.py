"""Everything that decides a run's result, in one closed model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from mltfr.backbones import BACKBONES, BackboneConfig
from mltfr.backbones.sasrec import SASRecConfig
from mltfr.baselines import BASELINES, BaselineConfig
from mltfr.config import Config, component
from mltfr.config.component import ComponentConfig
from mltfr.evaluation.metrics import USUAL, metric_names, split_metric
from mltfr.evaluation.protocol import Average, Cutoffs, EvaluationProtocol, Metrics
from mltfr.fusion import FUSIONS, FusionConfig
from mltfr.fusion.mltfr import MltfrConfig
from mltfr.fusion.reference import ReferenceConfig
from mltfr.interactions import FilterConfig, ReadingConfig, SplitConfig
from mltfr.interactions.splits.new_items import NEW_ITEMS
from mltfr.losses import LOSSES, LossConfig
from mltfr.losses.cross_entropy import CrossEntropyConfig
from mltfr.losses.distillation import DistillationConfig
from mltfr.names.config import NamesConfig
from mltfr.objectives import OBJECTIVES, ObjectiveConfig
from mltfr.objectives.none import NoObjectiveConfig
from mltfr.tokens import TokensConfig
from mltfr.training import TrainingConfig

Preset = Literal["default", "reference"]


class EvaluationConfig(Config):
    """How scores are measured; the rest of the protocol is fixed."""

    remove_seen: bool = True
    """Whether items of the history are no candidates, in evaluation and in recommendations."""
    average: Average = "examples"
    """What a score is the mean over: `examples`, each predicting one item from all before it, or `users`, each with one
    list against all of their items in the split."""
    metrics: Metrics = USUAL
    """What is measured. With `average = "examples"`, or one held-out item a user, recall is HR, MAP is MRR, and
    precision is HR / k."""
    cutoffs: Cutoffs = (5, 10, 20)
    """Lengths k of the lists that are measured, ascending."""
    max_examples: int | None = Field(None, ge=1)
    """Maximum number of examples of a split (with `average = "users"`, of users) that are measured, drawn once for all
    runs; all if not given."""
    baselines: bool = True
    """Whether `fit` also fits and scores the baselines that take seconds on the log; a study's runs never do."""

    @property
    def metric_names(self) -> list[str]:
        """Name of every metric that is measured: "hr@5" to "mrr@20"."""
        return metric_names(self.metrics, self.cutoffs)

    def protocol(self, split: str) -> EvaluationProtocol:
        """Return how scores are measured on a split, by its name with parameters (`Split.method`)."""
        return EvaluationProtocol(split=split, **self.model_dump(exclude={"baselines"}))


class BlendConfig(ComponentConfig):
    """A blend, in the place of a backbone: what `mltfr blend` makes of fitted runs."""

    name: Literal["blend"] = "blend"
    members: tuple[RunConfig, ...] = Field(min_length=1)
    """Settings of the members, none of them a blend."""


class RunConfig(Config):
    """A run: from the interaction log to the test score."""

    preset: Preset = "default"
    """Preset that the settings began from; the settings below are complete without it."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Random seed."""
    reading: ReadingConfig = ReadingConfig()
    """How the log is read."""
    filters: FilterConfig = FilterConfig()
    """Which interactions are kept."""
    split: SplitConfig = SplitConfig()
    """How the log is split into training, validation and test."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How scores are measured."""
    tokens: TokensConfig = TokensConfig()
    """Token tables, and how they are prepared."""
    names: NamesConfig = NamesConfig()
    """Names of the items, which networks can begin with."""
    backbone: Annotated[
        SerializeAsAny[BackboneConfig | BaselineConfig | BlendConfig], component(BACKBONES, BASELINES)
    ] = (
        SASRecConfig()
    )
    """Sequence encoder, or a baseline: with one, fusion is none, and of loss and training only `training.metric` has a
    meaning, by which runs are judged."""
    fusion: Annotated[SerializeAsAny[FusionConfig], component(FUSIONS)] = MltfrConfig()
    """Plug-in that draws on the token tables."""
    loss: Annotated[SerializeAsAny[LossConfig], component(LOSSES)] = CrossEntropyConfig()
    """Training loss."""
    objective: Annotated[SerializeAsAny[ObjectiveConfig], component(OBJECTIVES)] = NoObjectiveConfig()
    """What is added to the training loss; if no name is given, what the backbone's paper adds."""
    distillation: DistillationConfig = DistillationConfig()
    """What is learned from a teacher, another run of the same log."""
    training: TrainingConfig = TrainingConfig()
    """The training loop."""
    trackers: tuple[Literal["mlflow", "wandb", "trackio"], ...] = ()
    """Experiment trackers that a fit's settings, epochs and scores are sent to; each is an extra."""

    def deciding(self) -> dict[str, Any]:
        """Return the settings that decide what is fitted, as JSON; baselines beside it and trackers do not."""
        return self.model_dump(mode="json", exclude={"evaluation": {"baselines"}, "trackers": True})

    @property
    def title(self) -> str:
        """Backbone, fusion and token tables in a few words."""
        if isinstance(self.backbone, BlendConfig):
            return f"blend of {', '.join(member.title for member in self.backbone.members)}"
        fusion = f" + {self.fusion.name}" if self.fusion.name != "none" else ""
        names = " + names" if self.names.are_used and BACKBONES.find(self.backbone.name) else ""
        return self.backbone.name + fusion + names + f" on {', '.join(self.tokens.tables)}" * bool(self.tokens.tables)

    @property
    def fusions(self) -> str:
        """Name of the fusion, or those of a blend's members; "none" where there is none."""
        names = dict.fromkeys(single.fusion.name for single in self.singles)
        return " and ".join(name for name in names if name != "none") or "none"

    @property
    def singles(self) -> tuple[RunConfig, ...]:
        """Settings of a blend's members; of another run its own."""
        return self.backbone.members if isinstance(self.backbone, BlendConfig) else (self,)

    @property
    def depends_on_batch(self) -> bool:
        """Whether scores depend on chance and on the histories beside them, as in the published arithmetic."""
        return any(isinstance(single.fusion, ReferenceConfig) for single in self.singles)

    @property
    def judged_by(self) -> str:
        """What fitted runs are judged by: `training.metric`, or where that is not measured, what is most like it."""
        name, cutoff = split_metric(self.training.metric)

        def unlike(measured: str) -> tuple[bool, int]:
            other, other_cutoff = split_metric(measured)
            return other != name, abs(other_cutoff - cutoff)

        return min(self.evaluation.metric_names, key=unlike)

    @model_validator(mode="before")
    @classmethod
    def _read_a_blend(cls, values: Any) -> Any:
        """Read the settings of a blend, which is no registered component: nobody chooses it by its name."""
        backbone = values.get("backbone") if isinstance(values, Mapping) else None
        if not isinstance(backbone, Mapping) or backbone.get("name") != "blend":
            return values
        return {**values, "backbone": BlendConfig.model_validate(backbone)}

    @model_validator(mode="before")
    @classmethod
    def _objective_of_the_backbone(cls, values: Any) -> Any:
        """Name the objective that the backbone's paper adds, where none is named."""
        given = values.get("objective", {}) if isinstance(values, Mapping) else None
        if not isinstance(given, Mapping) or "name" in given:
            return values
        backbone = values.get("backbone", cls.model_fields["backbone"].default)
        name = backbone.get("name") if isinstance(backbone, Mapping) else getattr(backbone, "name", backbone)
        entry = BACKBONES.find(str(name))
        if entry is None:  # a baseline; what is unknown is told by the backbone's own validation
            return values
        return {**values, "objective": {"name": entry.cls.objective, **given}}

    @model_validator(mode="after")
    def _a_baseline_stands_alone(self) -> Self:
        name = self.backbone.name
        if BACKBONES.find(name) is not None:
            return self
        reads_names = (entry := BASELINES.find(name)) is not None and entry.cls.reads_names
        named = self.names.are_used and not reads_names
        if reads_names and not self.names.are_used:
            raise ValueError(
                f"baseline '{name}' is made of the names of items, and none are given. Give --item-names FILE, or "
                "--item-names ids where the ids themselves are words."
            )
        if reads_names and self.names.new_items:
            raise ValueError(
                f"baseline '{name}' keeps nothing of items that training has not seen. Leave out --new-items, or "
                "choose a backbone such as 'sasrec'."
            )
        if self.fusion.name != "none" or self.tokens.tables or named:
            given = f"fusion '{self.fusion.name}'" if self.fusion.name != "none" else "token tables"
            given = "item names" if named else given
            raise ValueError(
                f"backbone '{name}' is a baseline without hidden states, so {given} cannot be used with it. "
                "Leave out fusion, token tables and names, or choose a backbone such as 'sasrec'."
            )
        return self

    @model_validator(mode="after")
    def _a_teacher_has_a_pupil(self) -> Self:
        entry = BACKBONES.find(self.backbone.name) if self.distillation.teacher else None
        if self.distillation.teacher and (entry is None or entry.cls.uses_mask_token):
            why = "is a baseline, which is not trained" if entry is None else "is trained by masking"
            raise ValueError(
                f"backbone '{self.backbone.name}' {why}, so it cannot learn from a teacher. Leave out the teacher, or "
                "choose a causal backbone such as 'sasrec'."
            )
        return self

    @model_validator(mode="after")
    def _items_can_be_corrected(self) -> Self:
        if self.fusion.site == "items" and not FUSIONS.get(self.fusion.name).cls.corrects_items:
            those = ", ".join(entry.name for entry in FUSIONS if entry.cls.corrects_items)
            raise ValueError(
                f"fusion.site = 'items' corrects item vectors, which fusion '{self.fusion.name}' does not. "
                f"Set fusion.site to a block, such as 0, or choose one of: {those}."
            )
        return self

    @model_validator(mode="after")
    def _new_items_can_be_read(self) -> Self:
        if self.names.new_items and FUSIONS.get(self.fusion.name).cls.reads_items:
            raise ValueError(
                f"fusion '{self.fusion.name}' reads a vector of every item, and items that training has not seen have "
                "none. Leave out --new-items, or choose another fusion."
            )
        two = FUSIONS.get(self.fusion.name).cls.rounds_of(self.fusion) > 1
        if self.names.new_items and self.training.keep_rounds and two:
            raise ValueError(
                "training.keep_rounds makes the run a blend of two rounds, and a blend keeps no vectors of items that "
                "training has not seen. Leave out --new-items, or set training.keep_rounds = false."
            )
        return self

    @model_validator(mode="after")
    def _new_items_are_named(self) -> Self:
        if self.split.method == NEW_ITEMS and not self.names.new_items:
            raise ValueError(
                f"split.method '{NEW_ITEMS}' asks for items that training has not seen, which are candidates by their "
                "names. Give --item-names FILE --new-items, or choose another split."
            )
        return self

    @model_validator(mode="after")
    def _tables_are_named(self) -> Self:
        if FUSIONS.get(self.fusion.name).cls.needs_tables and not self.tokens.tables:
            raise ValueError(
                f"fusion '{self.fusion.name}' reads token tables, but tokens.tables is empty. "
                "Name some (see `mltfr tokens list`), or choose fusion 'none'."
            )
        return self

    @model_validator(mode="after")
    def _names_can_be_read(self) -> Self:
        if self.names.read_tables and not self.tokens.tables and BACKBONES.find(self.backbone.name):
            raise ValueError(
                "names are read with token tables, but tokens.tables is empty. Name some (see `mltfr tokens list`), or "
                "set names.read = 'words', which reads none."
            )
        by_words = self.names.are_used and not self.names.by_tables and BACKBONES.find(self.backbone.name)
        if self.names.control == "random" and by_words:
            raise ValueError(
                "names.control = 'random' replaces the rows of token tables, but names are read as words. Set "
                "names.read = 'tables', or names.control = 'permuted'."
            )
        if self.names.shared_space and not (self.names.read_tables and isinstance(self.fusion, MltfrConfig)):
            raise ValueError(
                "names.shared_space puts tokens where names put them, so it needs --item-names, names.read = 'tables' "
                "and fusion 'mltfr'. Leave it out, or give these."
            )
        hidden = getattr(self.backbone, "hidden", None)
        most = None if hidden is None else hidden - self.names.null_space
        if self.names.are_used and most is not None and (self.names.dimensions or 0) > most:
            free = ", of which names.null_space leaves items one at least" if self.names.null_space else ""
            raise ValueError(
                f"names.dimensions is {self.names.dimensions}, but the backbone's hidden width is {hidden}{free}. "
                "Lower it."
            )
        return self



BlendConfig.model_rebuild()  # it and a run's settings hold each other
