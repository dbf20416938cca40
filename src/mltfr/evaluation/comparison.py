"""Compare the evaluations of several recommenders, pair by pair, and say which is better in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from textwrap import fill
from typing import Any, Literal

import numpy as np

from mltfr.errors import ConfigError, ProtocolError, one_of
from mltfr.evaluation.bootstrap import is_real
from mltfr.evaluation.evaluate import Evaluation
from mltfr.evaluation.metrics import split_metric
from mltfr.evaluation.protocol import EvaluationProtocol, require_same
from mltfr.evaluation.significance import PairedTest, holm, paired_test, per_user

NEGLIGIBLE = 0.01
"""Two recommenders are as good where the whole interval is within this share of the better one's score."""
WIDTH = 80
"""Characters of a line of the text."""

Verdict = Literal["better", "undecided", "as good"]


@dataclass(frozen=True)
class Pair:
    """Two recommenders by one metric, user by user.

    Attributes:
        first: name of the one with the higher mean.
        second: name of the other.
        metric: what they are compared by ("ndcg@10").
        score: mean of the metric over the users, of the first.
        test: first minus second, its 95 % interval, and p values of this pair alone.
        p: of the paired t-test, corrected for the number of pairs (Holm 1979).
        pairs: number of pairs that were tested.
    """

    first: str
    second: str
    metric: str
    score: float
    test: PairedTest
    p: float
    pairs: int = 1

    @property
    def verdict(self) -> Verdict:
        """Whether the first is better, both are as good, or the users do not suffice to tell.

        Without a significant difference two recommenders are as good only where the interval leaves room for
        nothing else: all of it within `NEGLIGIBLE` of the score. Where it is wider, nothing is decided.
        """
        if is_real(self.p):
            return "better"
        within = NEGLIGIBLE * self.score
        return "as good" if -within <= self.test.low and self.test.high <= within else "undecided"

    def __str__(self) -> str:
        test, p = self.test, f"p = {self.p:.2g}" if self.p >= 1e-4 else "p < 0.0001"
        corrected = f" after Holm over {self.pairs} pairs" if self.pairs > 1 else ""
        if test.low == test.high == 0:
            return f"{self.first} and {self.second} have the same {self.metric} for every user."
        interval = f"95 % interval {test.low:.4f} to {test.high:.4f}; {p}{corrected}."
        if self.verdict == "better":
            return f"{self.first} is better than {self.second} by {test.difference:.4f} {self.metric}, {interval}"
        ahead = f"{self.first} is ahead by {test.difference:.4f} {self.metric}, {interval}"
        if self.verdict == "undecided":
            return f"Undecided between {self.first} and {self.second}: {ahead}"
        return f"{self.first} and {self.second} are as good: {ahead}"

    def to_json(self) -> dict[str, Any]:
        """Return the pair as `mltfr compare --json` prints it."""
        return {
            "first": self.first, "second": self.second, "verdict": self.verdict, **asdict(self.test), "p": self.p,
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; as text it is one table and a sentence for every pair.

    Attributes:
        metric: what was compared by.
        evaluations: those that were compared, by name, best first.
        pairs: every two of them, the better one first.
    """

    metric: str
    evaluations: Mapping[str, Evaluation]
    pairs: Sequence[Pair]

    def __str__(self) -> str:
        texts = [fill(text, WIDTH, subsequent_indent="  ") for text in (*map(str, self.pairs), self._how())]
        return "\n".join([*self._table(), "", *texts[:-1], "", texts[-1]])

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mltfr compare --json` prints."""
        one = next(iter(self.evaluations.values()))
        return {
            "metric": self.metric,
            "split": one.split,
            "users": len(np.unique(one.user)),
            "examples": len(one.user),
            "protocol": one.protocol.document(),
            "protocol_hash": one.protocol.hash,
            "runs": {name: dict(evaluation.metrics) for name, evaluation in self.evaluations.items()},
            "pairs": [pair.to_json() for pair in self.pairs],
        }

    def _table(self) -> list[str]:
        """Return the scores as lines: the metric that decides, then others with its cutoff, then other cutoffs."""
        known = list(next(iter(self.evaluations.values())).metrics)
        cutoff = self.metric.partition("@")[2]
        columns = sorted(known, key=lambda name: (name != self.metric, name.partition("@")[2] != cutoff))[:5]
        widths = [max(len(column), 6) + 2 for column in columns]
        room = WIDTH - sum(widths)
        name_width = min(room, max(len(name) for name in ("run", *self.evaluations)))
        lines = ["run".ljust(name_width) + "".join(map(str.rjust, columns, widths))]
        for name, evaluation in self.evaluations.items():
            shown = name if len(name) <= room else f"...{name[3 - room:]}"
            cells = [f"{evaluation.metrics[column]:.4f}" for column in columns]
            lines.append(shown.ljust(name_width) + "".join(map(str.rjust, cells, widths)))
        return lines

    def _how(self) -> str:
        one = next(iter(self.evaluations.values()))
        users, examples = len(np.unique(one.user)), len(one.user)
        means = (
            f"A user with several examples counts by their mean, so differences are those of {users:,} users and the "
            f"table is the mean of {examples:,} examples. "
            if users < examples
            else ""
        )
        return (
            f"Paired t-test and bootstrap over {users:,} users of the {one.split} split; protocol {one.protocol.hash}. "
            f"{means}Another seed can give other scores: a study (mltfr study) tests over seeds too."
        )


def compare(evaluations: Mapping[str, Evaluation], metric: str = "ndcg@10", *, seed: int = 0) -> Comparison:
    """Compare every two of several evaluations by one metric, users being pairs.

    A user with several examples counts by their mean.

    Args:
        evaluations: at least two, by the names that the result calls them.
        metric: what to compare by.
        seed: seed of the bootstrap.

    Raises:
        ConfigError: there are fewer than two, or the metric was not measured.
        ProtocolError: protocols or splits differ, or the users, their targets or the candidates do.
        DataError: there are fewer than two users.
    """
    if len(evaluations) < 2:
        raise ConfigError(f"A comparison needs at least two evaluations, got {len(evaluations)}.")
    name, first = next(iter(evaluations.items()))
    check_metric(metric, first.protocol)
    for other, evaluation in evaluations.items():
        require_alike((name, first.protocol, first.examples_digest),
                      (other, evaluation.protocol, evaluation.examples_digest))  # fmt: skip
        if evaluation.split != first.split:
            raise ProtocolError(f"{name} was measured on {first.split}, {other} on {evaluation.split}.")
    values = {name: per_user(evaluation, metric) for name, evaluation in evaluations.items()}
    names = sorted(values, key=lambda name: -float(values[name].mean()))
    tests = {pair: paired_test(values[pair[0]], values[pair[1]], seed=seed) for pair in combinations(names, 2)}
    p = holm({pair: test.t_test for pair, test in tests.items()})
    return Comparison(
        metric,
        {name: evaluations[name] for name in names},
        [
            Pair(*pair, metric, float(values[pair[0]].mean()), test, p[pair], len(tests))
            for pair, test in tests.items()
        ],
    )


def check_metric(metric: str, protocol: EvaluationProtocol) -> None:
    """Check that a metric is one of those that a protocol measures.

    Raises:
        ConfigError: it is not; the message names all that are.
    """
    if metric in (names := protocol.metric_names):
        return
    try:
        split_metric(metric)
    except ConfigError as error:
        raise ConfigError(f"Unknown metric '{metric}'. {one_of(metric, names)}") from error
    raise ConfigError(
        f"{metric} was not measured. Name it before the fit, by evaluation.metrics and evaluation.cutoffs, or take one "
        f"that was. {one_of(metric, names)}"
    )


def require_alike(first: tuple[str, EvaluationProtocol, str], second: tuple[str, EvaluationProtocol, str]) -> None:
    """Check that two evaluations, each given by name, protocol and `Evaluation.examples_digest`, may be compared.

    Raises:
        ProtocolError: they may not.
    """
    require_same(first[1], second[1], (first[0], second[0]))
    if first[2] != second[2]:
        raise ProtocolError(
            f"{first[0]} and {second[0]} were measured on different examples: their users, targets or candidates are "
            "not the same. Fit both on the same log with the same filters and split."
        )
