"""Section on the fusion: router shares over epochs and by length, kept tokens as words, Fisher weights, tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mltfr.explain.effects import IS_A_CONTROL
from mltfr.explain.kept import is_control
from mltfr.explain.variants import mltfr_members
from mltfr.page.content import Column, Figure, Section, Table, Value
from mltfr.page.looked_at import LookedAt, look
from mltfr.page.svg import bars
from mltfr.page.training import series_figure
from mltfr.pipeline.fitted import FittedModel

TITLE = "Fusion"
WORDS = 12
"""Tokens of each table that are shown."""
CONTROL = (
    "Whether tables with random rows do as well is not known from one run: a study tells (fusion random beside mltfr). "
    "Where they do, these words mean nothing."
)
LOOKS = "What the model looks at is not what its score comes from: mltfr explain measures that for an item."
FISHER = (
    "Fisher weights of the experts: the run keeps the consensus expert that they made, not the weights themselves."
)


def fusion(fitted: FittedModel) -> Section:
    """Return what is known of a run's fusion."""
    if fitted.config.fusions == "none":
        reads = "; names of items read them before the training" if fitted.config.tokens.tables else ""
        return Section("fusion", TITLE, absent=(f"This run has no fusion, so no router and no kept tokens{reads}.",))
    shares = [one.get("router_share") for one in fitted.history]
    figures, absent = [], []
    names = list(dict.fromkeys(name for one in shares for name in one or ()))
    if names:
        values = {name: [(one or {}).get(name) for one in shares] for name in names}
        note = "Means over training positions."
        figures.append(series_figure(fitted.history, "router", "Router share", values, note))
    elif fitted.config.backbone.name == "blend":
        absent.append("Router shares by epoch are with the runs that were blended; a blend is not trained.")
    else:
        absent.append(f"Fusion {fitted.config.fusions} logs no router shares.")
    found = look(fitted)
    if not len(fitted.split.user_ids):
        absent.append("Which tokens are kept is counted over histories, and the run was shared without its users.")
    tables: list[Table] = [*_of_tables(fitted)]
    if found is not None:
        figures.append(_by_length(found))
        figures += _kept(fitted, found)
        absent += _missing_words(fitted, found)
    elif not mltfr_members(fitted.model):
        absent.append(f"Tokens are kept by a network with fusion mltfr; this run is {fitted.config.title}.")
    if len({one["round"] for one in fitted.history}) > 1:
        absent.append(FISHER)
    verdict = fitted.verdict
    said = verdict.branches.in_words(verdict.fusion, verdict.metric) if verdict and verdict.branches else ""
    paragraphs = [*([said] if said else ["No control of this run's fusion was measured."]), CONTROL, LOOKS]
    parts = {"figures": tuple(figures), "tables": tuple(tables), "absent": tuple(absent)}
    return Section("fusion", TITLE, tuple(paragraphs), **parts)  # type: ignore[arg-type]


def _by_length(found: LookedAt) -> Figure:
    rows: list[tuple[Value, ...]] = [(name, count, *means) for name, (count, means) in found.shares.items()]
    table = Table(
        "router-by-length",
        "Router share by length of the history",
        (Column("length"), Column("histories", ",d"), *(Column(name, ".4f") for name in found.tables)),
        tuple(rows),
        (f"Means at the newest position of {found.histories:,} histories, evenly spaced.",),
    )
    drawn = [
        (f"{name}: {table_name}", share, f"{share:.4f}")
        for name, (_, means) in found.shares.items()
        for table_name, share in zip(found.tables, means, strict=True)
    ]
    strong = {number for number in range(len(drawn)) if (number // len(found.tables)) % 2 == 0}
    return Figure(bars(table.title, drawn, strong=strong), table)


def _kept(fitted: FittedModel, found: LookedAt) -> list[Figure]:
    figures = []
    for number, name in enumerate(found.tables, 1):
        words, best = found.words.get(name), list(found.tokens.get(name, ()))[:WORDS]
        if words is None or not best:
            continue
        rows = [(words[row], row, share) for row, share in best]
        table = Table(
            f"kept-{number}",
            f"Tokens kept most often of {name}",
            (Column("word"), Column("row", "d"), Column("share of histories", ".3f")),
            tuple(rows),
            (f"At the newest position of {found.histories:,} histories, evenly spaced.",),
        )
        drawn = [(word, share, f"{share:.3f}") for word, _, share in rows]
        figures.append(Figure(bars(table.title, drawn, strong=()), table))
    return figures


def _missing_words(fitted: FittedModel, found: LookedAt) -> list[str]:
    if is_control(fitted.config):
        return [IS_A_CONTROL]
    lost = [name for name in found.tables if name not in found.words]
    told = f"Words of {', '.join(lost)}: the tables do not lie here as the run read them (mltfr tokens list)."
    return [told] if lost else []


def _of_tables(fitted: FittedModel) -> list[Table]:
    """Return what the manifest says of the token tables."""
    read: list[Mapping[str, Any]] = fitted.facts.get("tables", [])
    if not read:
        return []
    rows: list[tuple[Value, ...]] = [
        (one["name"], one["shape"][0], one["shape"][1], one.get("width_in_source"), one.get("kept_variance"),
         (one.get("alignment") or {}).get("accuracy"), one["fingerprint"][:16])
        for one in read
    ]  # fmt: skip
    columns = (
        Column("table"), Column("tokens", ",d"), Column("width", "d"), Column("width before", "d"),
        Column("variance kept", ".3f"), Column("alignment", ".3f"), Column("fingerprint"),
    )  # fmt: skip
    note = "Alignment: share of held-out shared words whose nearest neighbour in the reference table is themselves."
    return [Table("token-tables", "Token tables", columns, tuple(rows), (note,))]
