"""The two moments of a global-time split, for numbered interactions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltfr.errors import DataError
from mltfr.interactions.prepared.encode import Encoded
from mltfr.interactions.prepared.layout import write_array
from mltfr.interactions.raw import TIME
from mltfr.interactions.splitters import SplitConfig
from mltfr.interactions.splitters.global_time import at_share, nothing_before, who_is_left_out
from mltfr.interactions.splitters.parts import Ints


@dataclass
class Moments:
    """Where validation and test begin, and which users have a training interaction.

    Attributes:
        validation_from: time at which validation starts.
        test_from: time at which the test starts.
        known: bool, of every user number.
        unknown: users without a training interaction.
    """

    validation_from: float
    test_from: float
    known: npt.NDArray[np.bool_]
    unknown: int

    @classmethod
    def of(cls, log: Encoded, config: SplitConfig, source: str, size: int) -> Moments:
        """Find the moments.

        Raises:
            DataError: the log has no times, or nothing happened before validation.
        """
        if TIME not in log.schema:
            raise DataError(f"{source}: a global-time split needs timestamps. Use leave-one-out, or add them.")
        validation_from, test_from = config.validation_from, config.test_from

        def time_at(row: int) -> float | int:
            return log.rows.read(row, row + 1)["time"][0].item()

        if config.as_quantiles:
            shares = (validation_from, test_from)
            validation_from, test_from = (float(time_at(at_share(len(log.rows), share))) for share in shares)
        known, there = np.zeros(len(log.users), np.bool_), np.zeros(len(log.users), np.bool_)
        for _, records in log.rows.chunks(size):
            there[records["user"]] = True
            known[records["user"][records["time"] < validation_from]] = True
        if not known.any():
            raise nothing_before(source, validation_from, time_at(0), time_at(len(log.rows) - 1))
        return cls(validation_from, test_from, known, int((there & ~known).sum()))

    def known_users_only(self, log: Encoded, size: int) -> Encoded:
        """Drop the interactions of users without a known history."""
        if not self.unknown:
            return log
        path = log.rows.path.with_name("known.rows")
        return Encoded(
            log.rows.kept(path, size, lambda records: self.known[records["user"]]),
            log.users, log.items, log.schema, log.skipped,
        )  # fmt: skip

    def parts(self, log: Encoded, order: Ints, size: int) -> tuple[Ints, dict[str, int], int]:
        """Return training lengths `[U]` of the users `order`, who is left out, and how many test examples there are."""
        totals = [np.zeros(len(log.users), np.int64) for _ in range(3)]
        for _, records in log.rows.chunks(size):
            for total, chosen in zip(totals, self._masks(records["time"]), strict=True):
                total += np.bincount(records["user"][chosen], minlength=len(total))
        training, validation, test = (total[order] for total in totals)
        left_out = who_is_left_out(self.unknown, int((validation == 0).sum()), int((test == 0).sum()))
        return training, left_out, int(test.sum())

    def take(self, user: npt.NDArray[np.int32], position: Ints, time: npt.NDArray[Any], work: Path) -> None:
        """Keep the examples of a group of users, in the order of users."""
        _, validation, test = self._masks(time)
        for name, chosen in (("validation", validation), ("test", test)):
            for field, values in (("user", user.astype(np.int64)), ("cut", position)):
                with (work / f"{name}-{field}").open("ab") as file:
                    values[chosen].tofile(file)

    def write(self, path: Path, part: str, work: Path) -> None:
        """Write the examples of a part."""
        fields = [np.memmap(f, np.int64, "r") if f.stat().st_size else np.zeros(0, np.int64)
                  for f in (work / f"{part}-user", work / f"{part}-cut")]  # fmt: skip
        write_array(path, np.int64, (2, len(fields[0])), fields)

    def _masks(self, time: npt.NDArray[Any]) -> tuple[npt.NDArray[np.bool_], ...]:
        training, test = np.asarray(time < self.validation_from), np.asarray(time >= self.test_from)
        return training, ~test & ~training, test


