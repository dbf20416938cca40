"""The time that a round's steps and validations take."""

from __future__ import annotations


class RoundTimes:
    """Seconds of a round's steps, and of its validations beside them; the first step, which may warm up, begins them.

    Attributes:
        last: when a step or a validation ended last; None before the first step.
        steps: steps in `stepping`.
        stepping: seconds of steps.
        validations: validations in `validating`.
        validating: seconds of validations.
    """

    def __init__(self) -> None:
        self.last: float | None = None
        self.steps, self.stepping, self.validations, self.validating = 0, 0.0, 0, 0.0

    @property
    def seconds(self) -> float:
        """Seconds of steps and validations so far."""
        return self.stepping + self.validating

    def step(self, now: float, steps: int = 1) -> None:
        """Count steps that have ended now."""
        if self.last is not None:
            self.steps, self.stepping = self.steps + steps, self.stepping + now - self.last
        self.last = now

    def validation(self, now: float) -> None:
        """Count a validation that has ended now."""
        if self.last is not None:
            self.validations, self.validating, self.last = self.validations + 1, self.validating + now - self.last, now

    def of(self, steps: int, validations: int) -> float:
        """Return the seconds of so many steps and validations at this pace; a step must have been timed."""
        return steps * self.stepping / self.steps + validations * self.validating / max(1, self.validations)
