"""mltfr and another library, the same model on the same data, in turn: ours, theirs, ours, theirs.

Each is a process of its own for the whole row. RePlay and RecTools have the block of the SASRec paper with one head,
whole histories as samples and a target at every position; RecBole has BERT's block with two heads and every prefix as
a sample. mltfr is set to the same each time. RecBole has no BCE; its sampled loss is BPR. Theirs over ours is the
ratio of CPU seconds, of each pair of measurements.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from harness.data import read_split
from harness.result import Result
from harness.settings import Settings, Skipped
from peers.client import OURS, Client, PeerError, write_codes
from peers.environments import PEERS

Answers = dict[str, list[dict[str, Any]]]
SIZE = {"hidden": 64, "blocks": 2, "length": 50, "batch": 128}
PAPER = {"block": "paper", "heads": 1, "dropout": 0.2, "samples": "positions"}
BERT = {"block": "default", "heads": 2, "dropout": 0.5, "samples": "prefixes"}


def replay_bce(settings: Settings) -> list[Result]:
    """One negative at every position."""
    return _compare(settings, "replay", "bce", PAPER)


def replay_cross_entropy(settings: Settings) -> list[Result]:
    """All items."""
    return _compare(settings, "replay", "cross_entropy", PAPER)


def rectools_bce(settings: Settings) -> list[Result]:
    """One negative at every position."""
    return _compare(settings, "rectools", "bce", PAPER)


def rectools_cross_entropy(settings: Settings) -> list[Result]:
    """All items."""
    return _compare(settings, "rectools", "cross_entropy", PAPER)


def recbole_bpr(settings: Settings) -> list[Result]:
    """One negative for every prefix."""
    return _compare(settings, "recbole", "bpr", BERT)


def recbole_cross_entropy(settings: Settings) -> list[Result]:
    """All items, for every prefix."""
    return _compare(settings, "recbole", "cross_entropy", BERT)


def _compare(settings: Settings, peer: str, loss: str, way: dict[str, Any]) -> list[Result]:
    if not PEERS[peer].is_installed():
        raise Skipped(f"{peer} is not installed; python benchmarks/peers/install.py {peer}")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "codes.npz"
        write_codes(read_split(settings), data)
        told = {**SIZE, **way, "data": str(data), "loss": loss, "threads": settings.threads, "seed": settings.seed}
        try:
            return _measured(settings, peer, told)
        except PeerError as error:
            raise RuntimeError(str(error)) from error


def _measured(settings: Settings, peer: str, told: dict[str, Any]) -> list[Result]:
    names = (OURS, peer)
    starts: Answers = {name: [] for name in names}
    for _ in range(settings.repeats):  # the one that is kept is started besides, and fills the disk cache
        for name in names:
            with Client(name, told) as client:
                starts[name].append({"cpu": client.start_cpu, "wall": client.start_wall})
    with Client(OURS, told) as ours, Client(peer, told) as theirs:
        clients = {OURS: ours, peer: theirs}
        batches = {name: int(client.ask("count")["batches"]) for name, client in clients.items()}
        bounds = {OURS: None, peer: settings.peer_batches}

        def epoch(name: str) -> dict[str, Any]:
            done = clients[name].ask("epoch", batches=bounds[name])
            share = done["batches"] / batches[name]
            return {"cpu": done["cpu"] / share, "wall": done["wall"] / share, "batches": done["batches"]}

        epochs = _in_turn(names, epoch, settings.repeats)
        evaluated = _in_turn(names, lambda name: clients[name].ask("evaluate"), settings.repeats)
        peaks = {name: client.ask("memory")["peak"] for name, client in clients.items()}
        listed = _in_turn(names, lambda name: clients[name].ask("recommend"), settings.repeats)
    title = f"{told['loss']}, samples = {told['samples']}"
    done = {name: epochs[name][0]["batches"] for name in names}
    parts = {name: "all" if done[name] == batches[name] else f"the first {done[name]}" for name in names}
    note = "; ".join(f"{name}: {parts[name]} of {batches[name]} counted batches" for name in names)
    scaled = "" if done[peer] == batches[peer] else ", scaled up to the epoch"
    rows = [
        *_pair(f"epoch, {title}", epochs, peer, note + scaled),
        *_pair("full-ranking evaluation of the test part", evaluated, peer, REMARKS.get(peer, "")),
        *_pair("top 20 of all users", listed, peer, REMARKS.get(peer, "")),
        *_pair("process start to first training step", starts, peer, "", wall=True),
    ]
    what = f"memory of training and evaluation, {title}"
    rows += [Result(f"{name}: {what}", "MB", [peaks[name]], "peak") for name in names]
    rows.append(Result(f"{peer} over {OURS}: {what}", "x", [peaks[peer] / peaks[OURS]], "peak"))
    return rows


REMARKS = {
    "recbole": "recbole leaves the seen items in",
    "rectools": "rectools ranks by its top lists: recommend, then calc_metrics",
}
"""What is not the same work, for the two rows that score."""


def _in_turn(names: tuple[str, ...], action: Callable[[str], dict[str, Any]], repeats: int) -> Answers:
    answers: Answers = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            answers[name].append(action(name))
    return answers


def _pair(what: str, answers: Answers, peer: str, note: str, wall: bool = False) -> list[Result]:
    """Return both sides and their ratio."""
    results = []
    for name in (OURS, peer):
        cpu, clock = ([answer[kind] for answer in answers[name]] for kind in ("cpu", "wall"))
        figures, basis = (clock, "wall") if wall else (cpu, "CPU")
        said = f"CPU {median(cpu):.2f} s" if wall else note if name == peer else ""
        results.append(Result(f"{name}: {what}", "s", figures, basis, wall=[] if wall else clock, note=said))
    pairs = zip(results[1].values, results[0].values, strict=True)
    ratios = [theirs / own for theirs, own in pairs]
    basis = "ratio of wall" if wall else "ratio of CPU"
    return [*results, Result(f"{peer} over {OURS}: {what}", "x", ratios, basis)]
