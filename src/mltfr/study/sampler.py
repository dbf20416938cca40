"""Optuna's TPE sampler (Bergstra et al., NeurIPS 2011), one trial at a time (ask and tell)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mltfr.errors import MissingExtraError
from mltfr.study.space import Range, Value

STARTUP = 5
"""Trials of a study's search that are drawn at random before the sampler learns from them."""


class Sampler:
    """Proposes settings; the same values lead to the same proposals.

    Args:
        space: choices or range of every setting.
        seed: seed of the sampler.
        startup: trials that are drawn at random before it learns from them.

    Raises:
        MissingExtraError: Optuna is not installed.
    """

    def __init__(self, space: Mapping[str, Range | tuple[Value, ...]], seed: int, startup: int = STARTUP) -> None:
        try:
            import optuna
        except ImportError as error:
            raise MissingExtraError("optuna", "study") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = dict(space)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.distributions: dict[str, Any] = {key: _distribution(at) for key, at in self.space.items()}
        self.trial: Any = None

    def ask(self) -> dict[str, Value]:
        """Return the settings of the next trial."""
        self.trial = self.study.ask(self.distributions)
        return dict(self.trial.params)

    def tell(self, value: float | None) -> None:
        """Record the value of the trial that was asked for; None if it failed."""
        from optuna.trial import TrialState

        self.study.tell(self.trial, value, state=TrialState.FAIL if value is None else None)

    def add(self, settings: Mapping[str, Value], value: float) -> None:
        """Record settings that were not asked for; those outside the space are ignored."""
        from optuna.trial import create_trial

        if all(_holds(self.space[key], value_of) for key, value_of in settings.items()):
            trial = create_trial(params=dict(settings), distributions=self.distributions, value=value)
            self.study.add_trial(trial)


def _distribution(choices: Range | tuple[Value, ...]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(choices, Range):
        return CategoricalDistribution(choices)
    if choices.whole:
        return IntDistribution(int(choices.low), int(choices.high), log=choices.log)
    return FloatDistribution(choices.low, choices.high, log=choices.log)


def _holds(choices: Range | tuple[Value, ...], value: Value) -> bool:
    if not isinstance(choices, Range):
        return value in choices
    return isinstance(value, int | float) and choices.low <= value <= choices.high
