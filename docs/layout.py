"""A layered layout of a directed graph: nodes in rows, few crossings of edges, long edges straight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

WIDTH, LEFT, BOX, GAP, LANE = 920.0, 90.0, 134.0, 16.0, 14.0
CENTRE = 0.4
"""Pull of the middle on every node, beside 1 of a node that it is joined to."""


@dataclass
class Node:
    """A room, or the lane of a long edge that passes a row."""

    name: str
    row: int
    width: float
    x: float = 0.0
    above: list[Node] = field(default_factory=list)
    below: list[Node] = field(default_factory=list)


def reduced(graph: Mapping[str, set[str]], order: Sequence[str]) -> dict[str, set[str]]:
    """Return the edges that do not follow from others (transitive reduction)."""
    below: dict[str, set[str]] = {}
    kept: dict[str, set[str]] = {}
    for room in reversed(order):
        indirect = set().union(*(below[other] for other in graph[room]))
        kept[room] = graph[room] - indirect
        below[room] = graph[room] | indirect
    return kept


def placed(order: Sequence[str], graph: Mapping[str, set[str]], row: Mapping[str, int]) -> list[list[Node]]:
    """Return the rows of nodes, ordered so that edges cross little, with their x set."""
    count = 1 + max(row.values())
    table: list[list[Node]] = [[] for _ in range(count)]
    rooms = {room: Node(room, row[room], BOX) for room in order}
    for room in order:
        table[row[room]].append(rooms[room])
    for room in order:
        for other in sorted(graph[room], key=order.index):
            last = rooms[room]
            for level in range(row[room] + 1, row[other]):
                lane = Node(f"{room}>{other}", level, LANE)
                table[level].append(lane)
                last.below.append(lane)
                lane.above.append(last)
                last = lane
            last.below.append(rooms[other])
            rooms[other].above.append(last)
    best, fewest = table, sum(len(line) for line in table) ** 3
    for sweep in range(40):
        down = sweep % 2 == 0
        for line in table if down else reversed(table):
            index = {id(node): number for other in table for number, node in enumerate(other)}
            line.sort(key=lambda node: _mean([index[id(other)] for other in (node.above if down else node.below)]
                                              or [index[id(node)]]))  # fmt: skip
        if (crossed := _crossings(table)) < fewest:
            best, fewest = [list(line) for line in table], crossed
    for line in best:
        spread = [(number + 0.5) * (WIDTH - LEFT) / len(line) + LEFT for number in range(len(line))]
        _line_up(line, spread, [1.0] * len(line))
    for sweep in range(80):
        for line in best if sweep % 2 == 0 else reversed(best):
            middle = (CENTRE, (LEFT + WIDTH) / 2)
            pulls = [[middle, *((_pull(node, other), other.x) for other in node.above + node.below)]
                     for node in line]  # fmt: skip
            weights = [sum(weight for weight, _ in pull) for pull in pulls]
            goals = [sum(weight * x for weight, x in pull) / total for pull, total in zip(pulls, weights, strict=True)]
            _line_up(line, goals, weights)
    return best


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _crossings(table: Sequence[Sequence[Node]]) -> int:
    total = 0
    for upper, lower in pairwise(table):
        at = {id(node): number for number, node in enumerate(lower)}
        ends = [(number, at[id(other)]) for number, node in enumerate(upper) for other in node.below]
        total += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(ends) for c, d in ends[:i])
    return total


def _pull(node: Node, other: Node) -> float:
    """Return how much an edge wants to be straight: most between lanes, which have nothing else to be near to."""
    return (1.0, 2.0, 8.0)[(node.width == LANE) + (other.width == LANE)]


def _line_up(line: Sequence[Node], goals: Sequence[float], weights: Sequence[float]) -> None:
    """Set x as near to the goals as order, widths and gaps allow (pool adjacent violators)."""
    offsets = [0.0]
    for before, node in pairwise(line):
        offsets.append(offsets[-1] + before.width / 2 + GAP + node.width / 2)
    pools: list[tuple[float, float, int]] = []  # weighted sum of goals, sum of weights, number of nodes
    for goal, weight, offset in zip(goals, weights, offsets, strict=True):
        pools.append(((goal - offset) * weight, weight, 1))
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            last, before_last = pools.pop(), pools.pop()
            pools.append((last[0] + before_last[0], last[1] + before_last[1], last[2] + before_last[2]))
    starts = [total / weight for total, weight, number in pools for _ in range(number)]
    low, high = LEFT + line[0].width / 2, WIDTH - 12 - line[-1].width / 2 - offsets[-1]
    for node, start, offset in zip(line, starts, offsets, strict=True):
        node.x = min(max(start, low), max(high, low)) + offset
