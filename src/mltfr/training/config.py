"""Settings of the training loop."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mltfr.config import Config
from mltfr.evaluation.metrics import Metric

REMOVED_SETTINGS = {
    "refresh_every": "shortlists are refreshed before every epoch",
    "refresh_histories": "fusion.filter.refresh_queries says how many users' queries choose the shortlists",
}
"""Settings of earlier versions that are gone, and what stands in their place."""

Beta = Annotated[float, Field(ge=0, lt=1)]
"""How much of a running mean of Adam a step keeps."""


class AdvancedTrainingConfig(Config):
    """Settings of the training loop that rarely need to be changed."""

    bucket: int = Field(16, ge=1)
    """Batches that are sorted by length together: more wastes less on padding, one shuffles freely."""
    window_targets: int = Field(8, ge=1)
    """Last positions of a window that have a target, with `samples = "windows"`."""
    validate_every: int = Field(1, ge=1)
    """Epochs between two validations."""
    item_updates: Literal["auto", "dense", "sparse"] = "auto"
    """How Adam updates the item embedding: every row in every step (dense), or a row's pending updates when it is next
    looked up (sparse: equal but for rounding, and several times faster with a large catalogue; needs a loss with
    negatives, and no weight decay). auto is sparse where possible, from 100,000 items on."""
    fisher_examples: int = Field(2048, ge=1)
    """Maximum number of training samples from which the Fisher information is estimated between the rounds: one for 50
    that round 1 has trained on (with `fusion.site = "items"`, one for 10 of its steps), and at least 32; on a CPU that
    takes about a tenth of the round or less. Fusion mltfr-reference takes all samples, in batches, as published."""
    cuda_graphs: bool = True
    """Whether steps on a CUDA device are captured as CUDA graphs, one for each of a few shapes of batch, and replayed:
    small models train several times faster. Not with `shards`, sparse item updates, a training objective, a teacher, a
    fusion other than mltfr and its controls, a fusion at the items together with a loss with negatives, or a fusion
    together with item dropout and additive names."""
    checkpoint_seconds: float = Field(60.0, ge=0)
    """Minimum time between two checkpoints within an epoch; one is always written after an epoch."""


class TrainingConfig(Config):
    """How a recommender is trained; everything is chosen on the validation split."""

    samples: Literal["auto", "prefixes", "windows", "positions"] = "auto"
    """Training samples of a causal backbone: every prefix of a history with its next item (strongest where histories
    are short); windows whose last `advanced.window_targets` positions have a target (as strong where histories are
    long, and several times faster); or whole histories with a target at every position (fastest, and weaker). auto is
    windows where a prefix would read more than 16 items on average, else prefixes, and prefixes with a training
    objective; the run's config.toml says which. Backbones with a mask token are always trained by masking."""
    mask_ratio: float = Field(0.2, gt=0, lt=1)
    """Share of the items that are masked, for backbones with a mask token."""
    mask_last: float = Field(0.5, ge=0, le=1)
    """Share of the samples that mask the last item only, which is how the model is read, for backbones with a mask
    token."""
    empty_prefix: bool = False
    """Whether a history's first item is a target too, predicted from nothing, as in the published code of BSARec and
    FMLP-Rec; with `samples = "prefixes"`."""
    epochs: int = Field(30, ge=1)
    """Maximum number of epochs of a round, and of the second one where there are two; `--epochs` is that of both."""
    first_round_epochs: int = Field(5, ge=1)
    """Maximum number of epochs of round 1, where there are two, and at most `epochs`: its experts only have to be good
    enough to merge."""
    second_round: Literal["fresh", "warm"] = "fresh"
    """Whether round 2 starts from new parameters or from those of round 1."""
    keep_rounds: bool = False
    """Whether round 1's best model is kept, where there are two rounds, and the run is the blend of both, with weights
    chosen on validation: that costs no training, and a request takes about twice as long."""
    patience: int = Field(8, ge=1)
    """Validations in a row without a better score after which a round ends."""
    metric: Metric = "ndcg@10"
    """Validation metric that chooses the best epoch: `hr`, `ndcg`, `mrr`, `recall`, `precision` or `map`, with any
    cutoff."""
    validation_examples: int | None = Field(None, ge=1)
    """Validation examples that choose the epoch (with `evaluation.average = "users"`, users), drawn once; all if not
    given."""
    batch_size: int = Field(256, ge=1)
    """Samples in a batch; with `samples = "windows"` it counts their targets, so that a batch has an eighth as many:
    of windows, and with a mask token of masked histories."""
    shards: int = Field(1, ge=1)
    """Shards of every batch, each with random numbers of its own: with more than one, the result does not depend on
    how many processes share them (their number must divide this), and a step's memory is that of one shard. A
    contrastive objective compares the samples of a shard."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam, or Adam with decoupled weight decay."""
    learning_rate: float = Field(1e-3, gt=0)
    """Peak learning rate."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """How much of its running means of the gradient and of its square Adam keeps in a step (beta1 and beta2), each from
    0 to below 1."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Learning rate schedule after the warm-up; the last two end at zero."""
    warmup_steps: int = Field(0, ge=0)
    """Steps in which the learning rate grows from zero."""
    gradient_clip: float = Field(5.0, ge=0)
    """Largest gradient norm; 0 leaves gradients alone."""
    precision: Literal["32", "bf16"] = "32"
    """Arithmetic of the step: 32 for float32, or bf16 for matrix products in bfloat16 and the rest in float32
    (mixed): faster on a GPU and on a CPU with bfloat16 instructions (AMX, AVX512-BF16), slower on any other CPU."""
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$", examples=["auto", "cpu", "cuda:1"])
    """Device to train on: auto (cuda where there is one, else cpu), cpu, cuda, cuda:1, or mps (Apple silicon: not
    tested)."""
    check_memory: bool = True
    """Whether a training that is estimated to need more memory than there is stops before it begins."""
    tensorboard: bool = False
    """Also write TensorBoard event files into the run folder (needs the extra `tensorboard`)."""
    advanced: AdvancedTrainingConfig = AdvancedTrainingConfig()
    """Settings that rarely need to be changed."""

    @property
    def samples_of_a_batch(self) -> int:
        """Samples in a batch."""
        targets = self.advanced.window_targets if self.samples == "windows" else 1
        return max(1, self.batch_size // targets)

    def targets_of(self, length: int) -> int:
        """Return how many positions of a sample have a target, at most, where a causal backbone reads `length`."""
        return {"windows": min(self.advanced.window_targets, length), "positions": length}.get(self.samples, 1)

    @model_validator(mode="before")
    @classmethod
    def _moved_settings(cls, values: Any) -> Any:
        """Say where a setting of earlier versions is now."""
        for name in values if isinstance(values, dict) else ():
            if name in AdvancedTrainingConfig.model_fields:
                raise ValueError(f"{name} is now training.advanced.{name}: write it under [training.advanced].")
            if name in REMOVED_SETTINGS:
                raise ValueError(f"{name} is no longer a setting: {REMOVED_SETTINGS[name]}. Remove it.")
        return values

    @model_validator(mode="after")
    def _empty_prefixes_are_prefixes(self) -> Self:
        if self.empty_prefix and self.samples in ("windows", "positions"):
            raise ValueError(f"empty_prefix needs samples = 'prefixes', and samples is '{self.samples}'. Change one.")
        return self

    @field_validator("precision", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return "32" if value == 32 and not isinstance(value, bool) else value  # in TOML, 32 is a number
