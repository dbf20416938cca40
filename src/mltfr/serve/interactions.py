"""Interactions newer than the training, in memory: what users chose since, which extends their histories at once."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock

from mltfr.interactions import Split


class NewInteractions:
    """What users chose since the training, in the order in which it was sent; threads may share it.

    Args:
        limit: interactions that are kept; of more, the oldest of whoever was quiet the longest give way.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._of: OrderedDict[str, deque[str]] = OrderedDict()  # those who were quiet the longest first
        self._gone: Counter[str] | None = None  # between `held_by` and `drop`: of every user, how many gave way
        self._count = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return self._count

    def __contains__(self, user: str) -> bool:
        return user in self._of

    def add(self, interactions: Iterable[tuple[str, str]]) -> int:
        """Take further ones, as users and items; return how many older ones gave way."""
        dropped = 0
        with self._lock:
            for user, item in interactions:
                self._of.setdefault(user, deque()).append(item)
                self._of.move_to_end(user)
                self._count += 1
            while self._count > self.limit:
                first = next(iter(self._of))
                self._of[first].popleft()
                if self._gone is not None:
                    self._gone[first] += 1
                self._count -= 1
                dropped += 1
                if not self._of[first]:
                    del self._of[first]
        return dropped

    def of(self, user: str) -> Sequence[str]:
        """Return a user's items, oldest first."""
        with self._lock:
            return tuple(self._of.get(user, ()))

    def held_by(self, before: Split, after: Split) -> dict[str, int]:
        """Return of every user how many of the first ones that were sent another run has in its histories already.

        Where a user's history has grown, it ends in the first ones that were sent, as far as training knows of them:
        as many as its end repeats are held. Others may add until `drop`, and wait for nothing: what gives way
        meanwhile is counted.

        Args:
            before: the log of the run until now.
            after: that of the next one.
        """
        with self._lock:
            sent = {user: tuple(items) for user, items in self._of.items()}
            self._gone = Counter()
        counts = ((user, _repeated(user, items, before, after)) for user, items in sent.items())
        return {user: count for user, count in counts if count}

    def drop(self, held: Mapping[str, int]) -> int:
        """Drop what another run holds, as the last `held_by` said; return how many there still were."""
        dropped = 0
        with self._lock:
            gone, self._gone = self._gone or Counter(), None
            for user, count in held.items():
                if (still := count - gone[user]) <= 0:
                    continue
                now = self._of[user]
                for _ in range(still):
                    now.popleft()
                self._count -= still
                dropped += still
                if not now:
                    del self._of[user]
        return dropped


def _repeated(user: str, items: Sequence[str], before: Split, after: Split) -> int:
    """Return how many of the first ones that were sent the end of a user's history in the next run repeats."""
    if (row := after.rows.get(user)) is None:
        return 0
    old = before.rows.get(user)
    length = len(after.histories[row])
    grown = length - (0 if old is None else len(before.histories[old]))
    end = after.histories[row][max(0, length - len(items)) :].tolist()
    codes = after.vocabulary.encode(items).tolist()
    return next((n for n in range(min(grown, len(items), len(end)), 0, -1) if end[-n:] == codes[:n]), 0)
