"""Draw the pictures: `python docs/draw.py [--check]`. `docs/architecture.svg` is drawn here, from the imports.

The rooms of `src/mltfr` stand on the floors that the import rules of `pyproject.toml` give them, an importer above what
it imports. Arrows that follow from others are left out: where A imports B and C, and B imports C, only A -> B -> C is
drawn. With `--check` nothing is written; the exit code is 1 if a picture is out of date.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from history_pictures import PICTURES as OF_HISTORIES
from layout import WIDTH, placed, reduced
from method_picture import method
from shapes import FLOORS, HIGH, box, svg
from speed_picture import speed

ROOT = Path(__file__).parents[1]
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
ROW = 72.0
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


PICTURES = {"docs/architecture.svg": architecture, "docs/method.svg": method, "docs/speed.svg": speed, **OF_HISTORIES}


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
