"""Draw `docs/architecture.svg`, from the imports, and `docs/method.svg`: `python docs/draw.py [--check]`.

The rooms of `src/mltfr` stand on the floors that the import rules of `pyproject.toml` give them, an importer above what
it imports. Arrows that follow from others are left out: where A imports B and C, and B imports C, only A -> B -> C is
drawn. With `--check` nothing is written; the exit code is 1 if a picture is out of date.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from colours import style
from layout import BOX, WIDTH, placed, reduced

ROOT = Path(__file__).parents[1]
FLOORS = {"cli": "Product", "training": "Use", "model": "Method", "tokens": "Data", "config": "Ground"}
"""The first room of every floor, in the order of the import rules."""
CAPTIONS = {
    "cli": "the commands",
    "cluster": "Ray",
    "serve": "a run over HTTP",
    "study": "grids of runs",
    "recommender": "the public object",
    "report": "tables, plots",
    "batch": "many users, in parts",
    "pipeline": "log to fitted model",
    "training": "loop, step, rounds",
    "objectives": "contrastive terms",
    "evaluation": "ranks, metrics",
    "baselines": "popularity to EASE",
    "inference": "scores, rules, top k",
    "memory": "needed, available",
    "model": "backbone + fusion",
    "losses": "BCE to full softmax",
    "fusion": "MLTFR and peers",
    "backbones": "SASRec and others",
    "kernels": "gathers, dropout",
    "prefixes": "of tensor names",
    "tokens": "token tables of LLMs",
    "interactions": "log to split",
    "config": "settings, registry",
    "storage": "files, folders, locks",
    "threads": "cores, waiting",
    "errors": "what goes wrong",
}
HIGH, ROW = 40.0, 72.0
# --- what imports what -------------------------------------------------------------------------------------------


def layers() -> list[str]:
    """Return the rooms in the order of the import rules, importers first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    found = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [name.removeprefix("mltfr.") for name in found if name != "mltfr.version"]


def imports(rooms: Sequence[str], source: Path = ROOT / "src" / "mltfr") -> dict[str, set[str]]:
    """Return the rooms that each room imports, in functions too; imports for types alone do not count."""
    found: dict[str, set[str]] = {room: set() for room in rooms}
    for path in sorted(source.rglob("*.py")):
        room = path.relative_to(source).parts[0].removesuffix(".py")
        if room in found:
            modules = [name.split(".") for name in _modules(ast.parse(path.read_text("utf-8")))]
            found[room] |= {parts[1] for parts in modules if parts[0] == "mltfr" and len(parts) > 1}
            found[room] &= set(rooms) - {room}
    return found


def _modules(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (name.name for name in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and child.level == 0:
            yield from (f"{child.module}.{name.name}" for name in child.names)
        yield from _modules(child)


# --- where things stand ------------------------------------------------------------------------------------------


def floors(order: Sequence[str]) -> dict[str, str]:
    """Return the floor of every room: the last of `FLOORS` whose first room stands at it or above it."""
    found, title = {}, ""
    for room in order:
        title = FLOORS.get(room, title)
        found[room] = title
    return found


def rows(order: Sequence[str], graph: Mapping[str, set[str]], floor: Mapping[str, str]) -> dict[str, int]:
    """Return every room's row from the top: below its importers, on its floor, as low as its floor allows."""
    found: dict[str, int] = {}
    base = 0
    for title in FLOORS.values():
        depth: dict[str, int] = {}
        inside = [room for room in order if floor[room] == title]
        for room in reversed(inside):
            depth[room] = 1 + max((depth[other] for other in graph[room] if other in depth), default=-1)
        highest = max(depth.values())
        found |= {room: base + highest - depth[room] for room in inside}
        base += highest + 1
    return found


# --- what is drawn -----------------------------------------------------------------------------------------------


def box(x: float, y: float, name: str, note: str, floor: str, width: float = BOX) -> str:
    """Return a box around (x, y); one without a floor is a file."""
    kind = f'class="box {floor}"' if floor else 'class="file"'
    return (
        f'<rect {kind} x="{x - width / 2:.1f}" y="{y - HIGH / 2:.1f}" width="{width:.1f}" height="{HIGH:.1f}" rx="7"/>'
        f'<text class="name" x="{x:.1f}" y="{y - 3:.1f}">{escape(name)}</text>'
        f'<text class="note" x="{x:.1f}" y="{y + 13:.1f}">{escape(note)}</text>'
    )


def data_way(floor: Mapping[str, str], top: float) -> Iterator[str]:
    """Yield the way of the data from files to a run folder and recommendations."""
    width, x, y = 128.0, [12 + 64 + (WIDTH - 24 - 128) / 5 * number for number in range(6)], (top + 62, top + 140)
    stops = [
        (0, 0, "interactions.csv", "users, items, times", ""),
        (0, 1, "LLM checkpoint", "its token embeddings", ""),
        (1, 0, "interactions", "Split: histories", "interactions"),
        (1, 1, "tokens", "PreparedTable", "tokens"),
        (2, 1, "model", "SequentialModel", "model"),
        (3, 0, "training", "loss, step, rounds", "training"),
        (4, 1, "inference", "scores, rules, top k", "inference"),
        (4, 0, "evaluation", "ranks, metrics", "evaluation"),
        (5, 0, "run folder", "weights, metrics", ""),
        (5, 1, "top k lists", "user, rank, item", ""),
    ]
    ways = [(0, 0, 1, 0), (0, 1, 1, 1), (1, 1, 2, 1), (1, 0, 3, 0), (2, 1, 3, 0), (3, 0, 4, 1), (4, 0, 5, 0),
            (4, 1, 5, 1)]  # fmt: skip
    yield f'<text class="title" x="12" y="{top + 20:.1f}">The way of the data</text>'
    for a, b, c, d in ways:
        x1, y1, x2, y2 = x[a] + width / 2, y[b], x[c] - width / 2 - 7, y[d]
        y2 += 9 * ((b > d) - (b < d))  # two ways may end at one box
        bend = (x2 - x1) / 2
        path = f"M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        yield f'<path class="way" marker-end="url(#end)" d="{path}"/>'
    yield f'<path class="way" marker-end="url(#end)" d="M{x[4]:.1f} {y[1] - HIGH / 2:.1f} V{y[0] + HIGH / 2 + 7:.1f}"/>'
    for column, line, name, note, room in stops:
        yield box(x[column], y[line], name, note, floor[room] if room else "", width)


def house(order: Sequence[str], floor: Mapping[str, str], top: float) -> tuple[list[str], float]:
    """Return the floors with their rooms and arrows, and the height that they take."""
    graph = reduced(imports(order), order)
    row = rows(order, graph, floor)
    table = placed(order, graph, row)
    y = [top + 58 + ROW * number for number in range(len(table))]
    drawn = [f'<text class="title" x="12" y="{top + 18:.1f}">The rooms, and what imports what</text>']
    for title in FLOORS.values():
        levels = sorted({row[room] for room in order if floor[room] == title})
        start, end = y[levels[0]] - ROW / 2 + 3, y[levels[-1]] + ROW / 2 - 3
        drawn.append(f'<rect class="band" x="0" y="{start:.1f}" width="{WIDTH}" height="{end - start:.1f}" rx="8"/>')
        drawn.append(f'<text class="floor {title}" x="14" y="{start + 24:.1f}">{title}</text>')
    for place in (place for line in table for place in line if place.name in row):
        leaving = sorted(place.below, key=lambda other: other.x)
        for number, step in enumerate(leaving):
            at, down, before = place.x + _port(number, len(leaving)), y[place.row] + HIGH / 2, place
            path = f"M{at:.1f} {down:.1f}"
            while step.name not in row:  # through the lanes of the rows between
                path += _curve(at, down, step.x, y[step.row] - HIGH / 2) + f" V{y[step.row] + HIGH / 2:.1f}"
                at, down, before, step = step.x, y[step.row] + HIGH / 2, step, step.below[0]
            coming = sorted(step.above, key=lambda other: other.x)
            end = step.x + _port(next(n for n, other in enumerate(coming) if other is before), len(coming))
            path += _curve(at, down, end, y[step.row] - HIGH / 2 - 6)
            drawn.append(f'<path class="edge" marker-end="url(#head)" d="{path}"/>')
    for line in table:
        drawn += [box(p.x, y[p.row], p.name, CAPTIONS.get(p.name, ""), floor[p.name]) for p in line if p.name in row]
    return drawn, y[-1] + ROW / 2 - top


def _port(number: int, count: int) -> float:
    """Return where on a box's edge the arrow `number` of `count` starts or ends, from the middle."""
    return (number - (count - 1) / 2) * min(16.0, 100 / count)


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    middle = (y1 + y2) / 2
    return f" C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"


def architecture() -> str:
    """Return the way of the data and the house."""
    order = layers()
    floor = floors(order)
    drawn, height = house(order, floor, 186)
    return svg([*data_way(floor, 4), *drawn], 186 + height + 8, "The way of the data, and the rooms with their imports")


def method() -> str:
    """Return what MLTFR does to the hidden states of a backbone."""
    drawn, middle = [], 150.0
    tables = ((70.0, "LLM 1"), (150.0, "LLM 2"), (230.0, "LLM N"))

    def way(x1: float, y1: float, x2: float, y2: float) -> str:
        bend = (x2 - x1) / 2
        path = f"M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2 - 7:.1f} {y2:.1f}"
        return f'<path class="way" marker-end="url(#end)" d="{path}"/>'

    x = {"history": 76.0, "table": 235.0, "filter": 388.0, "expert": 541.0, "sum": 690.0, "out": 846.0}
    for y, name in tables:
        drawn += [way(x["table"] + 62, y, x["filter"] - 62, y), way(x["filter"] + 62, y, x["expert"] - 62, y)]
        drawn.append(way(x["expert"] + 62, y, x["sum"] - 58, middle + (y - middle) / 8))
        drawn.append(box(x["table"], y, name, "token table, frozen", "", 124))
        drawn.append(box(x["filter"], y, "filter", "keeps K tokens", "Data", 124))
        drawn.append(box(x["expert"], y, "expert", "attends to them", "Method", 124))
    over, under, low = 20.0, 290.0, tables[-1][0] + HIGH / 2
    at, filters, router, out = x["history"], x["filter"], x["sum"], x["out"]
    lines = [
        f"M{at} {middle - HIGH / 2} V{over + 10} Q{at} {over} {at + 10} {over} H{router - 10} "
        f"Q{router} {over} {router} {over + 10} V{middle - HIGH / 2 - 7}",
        *(f"M{x[column]} {over} V{tables[0][0] - HIGH / 2 - 7}" for column in ("filter", "expert")),
        f"M{filters} {low} V{under - 10} Q{filters} {under} {filters + 10} {under} H{x['expert'] - 69}",
        f"M{x['expert'] + 62} {under} H{out - 10} Q{out} {under} {out} {under - 10} V{middle + HIGH / 2 + 7}",
    ]
    drawn += [f'<path class="way" marker-end="url(#end)" d="{line}"/>' for line in lines]
    drawn += [
        f'<text class="note" x="{(at + filters) / 2}" y="{over - 6}">query: mean of the history so far</text>',
        box(at, middle, "history", "stack's input x", "Use", 116),
        box(x["expert"], under, "consensus", "merged, frozen", "Product", 124),
        way(router + 58, middle, out - 58, middle),
        box(router, middle, "router", "weighs the experts", "Method", 116),
        box(out, middle, "h + delta", "into the next block", "Use", 116),
    ]
    return svg(drawn, 322, "How MLTFR corrects the hidden states of a backbone")


def svg(drawn: Sequence[str], height: float, label: str) -> str:
    """Return what is drawn as an SVG file."""
    markers = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="{size}" markerHeight="{size}" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0 0 L8 4 L0 8 z"/></marker>'
        for name, size in (("head", 7), ("end", 9))
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-label="{label}">',
        f"<style>{style(FLOORS.values())}</style>",
        f"<defs>{markers}</defs>",
        f'<rect class="paper" width="{WIDTH:.0f}" height="{height:.0f}"/>',
        *drawn,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


PICTURES = {"docs/architecture.svg": architecture, "docs/method.svg": method}


def main(arguments: list[str]) -> int:
    """Write the pictures, or check them; return the exit code."""
    drawn = {name: picture() for name, picture in PICTURES.items()}
    files = {name: ROOT / name for name in drawn}
    stale = [name for name, file in files.items() if not file.exists() or file.read_text("utf-8") != drawn[name]]
    for name in stale:
        if not arguments:
            (ROOT / name).write_text(drawn[name], "utf-8")
        sys.stdout.write(f"{name}: {'is out of date' if arguments else 'written'}\n")
    return int(bool(stale and arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
