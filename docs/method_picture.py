"""Draws the method: the backbone as it is below, the plug-in that corrects its hidden states above."""

from __future__ import annotations

from collections.abc import Iterator

from shapes import HIGH, box, svg

WIDE, TALL = 860.0, 424.0
ROWS = ((104.0, "LLM 1"), (166.0, "LLM 2"), (228.0, "LLM N"))
CONSENSUS, BACKBONE = 284.0, 374.0
"""Heights of the consensus expert and of the backbone."""
ASK, TABLE, FILTER, EXPERT, MIX, NEXT, END = 76.0, 214.0, 360.0, 516.0, 672.0, 672.0, 796.0
"""Where the columns stand."""
CHIPS = ("i3", "i9", "i4", "i7")


def method() -> str:
    """Return what MLTFR does to the hidden states of a backbone, for somebody who sees it for the first time."""
    drawn = [*_bands(), *_asking(), *_tables(), *_mixing(), *_backbone()]
    return svg(drawn, TALL, "How MLTFR corrects the hidden states of an unmodified backbone", WIDE)


def _bands() -> Iterator[str]:
    """Yield the two floors with their titles, and the headings of the columns."""
    for top, height, title in ((4, 316, "plug-in: MLTFR"), (328, 92, "")):
        yield f'<rect class="band" x="4" y="{top}" width="{WIDE - 8:.0f}" height="{height}" rx="10"/>'
        if title:
            yield f'<text class="title" x="18" y="{top + 24}">{title}</text>'
    heads = ((TABLE, "1", "token tables"), (FILTER, "2", "filters"), (EXPERT, "3", "experts"), (MIX, "4", "router"))
    for x, number, title in heads:
        yield f'<text class="heading" x="{x}" y="28">{number} {title}</text>'


def _asking() -> Iterator[str]:
    """Yield the query, and its ways to the filters, the experts and the router."""
    rail = 56.0
    yield box(ASK, ROWS[1][0], "query", "mean of the history", "Use", 124)
    yield way(f"M{ASK} {BACKBONE - 20} V{ROWS[1][0] + HIGH / 2 + 8}")
    yield way(f"M{ASK} {ROWS[1][0] - HIGH / 2} V{rail + 10} Q{ASK} {rail} {ASK + 10} {rail} H{MIX - 10} "
              f"Q{MIX} {rail} {MIX} {rail + 10} V{ROWS[1][0] - HIGH / 2 - 8}")  # fmt: skip
    for x in (FILTER, EXPERT):
        yield way(f"M{x} {rail} V{ROWS[0][0] - HIGH / 2 - 8}")
    yield f'<text class="note" x="{(ASK + TABLE) / 2}" y="{rail - 8}">what matters here?</text>'


def _tables() -> Iterator[str]:
    """Yield every table with its filter and its expert."""
    for y, name in ROWS:
        yield from _matrix(TABLE, y, name)
        yield way(f"M{TABLE + 56} {y} H{FILTER - 58 - 8}")
        yield way(f"M{FILTER + 58} {y} H{EXPERT - 58 - 8}")
        yield box(FILTER, y, "filter", "keeps K tokens", "Data", 116)
        yield box(EXPERT, y, "expert", "attends to them", "Method", 116)
        for step in (-4, 3):
            yield f'<rect class="kept" x="{FILTER + 70:.1f}" y="{y + step - 10:.1f}" width="16" height="4" rx="1"/>'


def _matrix(x: float, y: float, name: str) -> Iterator[str]:
    """Yield a token table: rows of numbers, two of which its filter keeps."""
    left, wide, lines = x - 56, 112.0, 6
    yield f'<rect class="file" x="{left}" y="{y - HIGH / 2}" width="{wide}" height="{HIGH}" rx="4"/>'
    for line in range(lines):
        kind = "kept" if line in (1, 4) else "row"
        top = y - HIGH / 2 + 4.5 + 5.5 * line
        yield f'<rect class="{kind}" x="{left + 62:.1f}" y="{top:.1f}" width="44" height="3.5" rx="1"/>'
    yield f'<text class="name" x="{left + 31}" y="{y - 2}">{name}</text>'
    yield f'<text class="note" x="{left + 31}" y="{y + 12}">frozen</text>'


def _mixing() -> Iterator[str]:
    """Yield the router and the consensus expert, and their sum on the way down."""
    middle = ROWS[1][0]
    for y, _ in ROWS:
        end = middle + (y - middle) / 8
        yield way(f"M{EXPERT + 58} {y} C{EXPERT + 84} {y} {MIX - 90} {end} {MIX - 58 - 8} {end}")
    low = ROWS[-1][0] + HIGH / 2
    yield way(f"M{FILTER} {low} V{CONSENSUS - 10} Q{FILTER} {CONSENSUS} {FILTER + 10} {CONSENSUS} H{EXPERT - 75 - 8}")
    yield way(f"M{EXPERT + 75} {CONSENSUS} H{MIX - 13 - 8}")
    yield way(f"M{MIX} {middle + HIGH / 2} V{CONSENSUS - 13 - 8}")
    yield way(f"M{MIX} {CONSENSUS + 13} V{BACKBONE - 13 - 8}")
    yield box(MIX, middle, "router", "weighs the experts", "Method", 116)
    yield box(EXPERT, CONSENSUS, "consensus expert", "the experts merged, frozen", "Product", 150)
    yield from plus(MIX, CONSENSUS)
    yield f'<text class="note" x="{FILTER + 8}" y="{CONSENSUS + 18}">of all tables</text>'
    yield f'<text class="heading" x="{MIX + 66}" y="{CONSENSUS + 5}">5 correction</text>'


def _backbone() -> Iterator[str]:
    """Yield the backbone from the history to the next item, with the place where it is corrected."""
    y = BACKBONE
    for number, name in enumerate(CHIPS):
        x = ASK - 48 + 32 * number
        yield f'<rect class="box Use" x="{x - 14}" y="{y - 14}" width="28" height="28" rx="5"/>'
        yield f'<text class="note" x="{x}" y="{y + 4}">{name}</text>'
    yield f'<text class="note" x="{ASK}" y="{y + 32}">history of item ids</text>'
    yield way(f"M{ASK + 64} {y} H{FILTER - 58 - 8}")
    yield way(f"M{FILTER + 58} {y} H{NEXT - 13 - 8}")
    yield way(f"M{NEXT + 13} {y} H{END - 50 - 8}")
    yield box(FILTER, y, "first block", "hidden states", "Ground", 116)
    yield box(END, y, "other blocks", "score all items", "Ground", 100)
    yield from plus(NEXT, y)
    yield f'<text class="heading" x="{(FILTER + NEXT) / 2}" y="{y + 34}">backbone, unmodified: SASRec or another</text>'


def way(path: str) -> str:
    """Return an arrow along a path."""
    return f'<path class="way" marker-end="url(#end)" d="{path}"/>'


def plus(x: float, y: float) -> Iterator[str]:
    """Yield a circle with a plus in it."""
    yield f'<circle class="box Method" cx="{x}" cy="{y}" r="13"/>'
    yield f'<path class="way" d="M{x - 6} {y} H{x + 6} M{x} {y - 6} V{y + 6}"/>'
