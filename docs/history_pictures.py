"""Draws what a split takes of histories, and what one training sample is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from shapes import svg

TIMES = ((0, 2, 3, 5, 7), (1, 4, 6, 8, 9), (3, 4, 5, 10, 11))
"""Moments of three users' interactions, in twelfths of the time of a log."""
BORDERS = (6.5, 9.5)
"""Moments from which on `global-time` takes validation and test, likewise."""
PARTS = {"training": "Data", "validation": "Use", "test": "Method"}
COLUMN, LEFT, TOP, STEP, LINE = 400.0, 84.0, 40.0, 24.0, 30.0
"""Width of half the picture, where its marks begin, and how far these are apart."""


def splits() -> str:
    """Return leave-one-out beside global-time, for the same three users."""
    drawn = []
    for column, (title, part) in enumerate((("leave-one-out", _leave_one_out), ("global-time", _global_time))):
        x = COLUMN * column
        drawn.append(f'<text class="title" x="{x + 16}" y="24">{title}</text>')
        for row, times in enumerate(TIMES):
            y = TOP + 16 + LINE * row
            drawn.append(f'<text class="side" x="{x + 16}" y="{y + 4}">user {row + 1}</text>')
            drawn += [_mark(x + LEFT + STEP * time, y, PARTS[part(times, time)]) for time in times]
    for border in BORDERS:
        x = COLUMN + LEFT + STEP * border
        drawn.append(f'<path class="edge" stroke-dasharray="4 3" d="M{x} {TOP} V{TOP + LINE * len(TIMES)}"/>')
    return svg(
        [*drawn, *_legend(PARTS, TOP + LINE * len(TIMES) + 22)], 160, "Which interactions are held out", 2 * COLUMN
    )


def _leave_one_out(times: Sequence[int], time: int) -> str:
    return {times[-1]: "test", times[-2]: "validation"}.get(time, "training")


def _global_time(_: Sequence[int], time: int) -> str:
    return list(PARTS)[sum(time > border for border in BORDERS)]


def samples() -> str:
    """Return what the first samples of a history of six items are, by each kind of sample."""
    kinds: list[tuple[str, str, list[tuple[range, range]]]] = [
        ("positions", "one sample", [(range(5), range(1, 6))]),
        ("prefixes", "five samples", [(range(end), range(end, end + 1)) for end in range(1, 6)]),
        ("windows", "of 2 targets: three samples",
         [(range(1), range(1, 2)), (range(3), range(2, 4)), (range(5), range(4, 6))]),
    ]  # fmt: skip
    drawn, width = [], 800.0 / len(kinds)
    for column, (title, note, rows) in enumerate(kinds):
        x = width * column + 16
        drawn.append(f'<text class="title" x="{x}" y="24">{title}</text>')
        drawn.append(f'<text class="side" x="{x + 86}" y="24">{note}</text>')
        for row, (read, asked) in enumerate(rows):
            for place in range(6):
                kind = "Data" if place in read else ""
                drawn.append(_mark(x + 12 + STEP * place, TOP + 14 + LINE * row, kind, place in asked))
    legend = _legend(
        {"read": "Data", "target": "", "read, and target of what is before it": "Data"}, 214, ringed=(1, 2)
    )
    return svg([*drawn, *legend], 232, "What one training sample is", 800)


def _mark(x: float, y: float, colour: str, ringed: bool = False) -> str:
    inner = (
        f'<circle class="bar {colour}" cx="{x}" cy="{y}" r="6"/>'
        if colour
        else f'<circle class="row" cx="{x}" cy="{y}" r="3"/>'
    )
    return inner + (f'<circle class="box Method" fill-opacity="0" cx="{x}" cy="{y}" r="9"/>' if ringed else "")


def _legend(parts: dict[str, str], y: float, ringed: Sequence[int] = ()) -> Iterator[str]:
    x = 28.0
    for number, (name, colour) in enumerate(parts.items()):
        yield _mark(x, y, colour, number in ringed)
        yield f'<text class="side" x="{x + 16}" y="{y + 4}">{name}</text>'
        x += 46 + 7 * len(name)


PICTURES: dict[str, Callable[[], str]] = {"docs/splits.svg": splits, "docs/samples.svg": samples}
