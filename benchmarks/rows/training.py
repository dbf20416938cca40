"""An epoch of training by the project's own loop, and the memory of training and evaluation."""

from __future__ import annotations

from harness.clock import peak_megabytes
from harness.data import read_split
from harness.floor import floor_megabytes, floor_seconds
from harness.models import PAPER_BLOCK, configure, epoch_work
from harness.result import Budget, Result
from harness.settings import Settings
from harness.tables import get_tables
from harness.trainer import train_epochs
from mltfr.evaluation import evaluate
from mltfr.inference import ModelScorer

SIZE = "D 64, 2 blocks, length 50, batch 128"


def bce(settings: Settings) -> list[Result]:
    """One-negative BCE at every position: the setting that the budget is for."""
    return _train(settings, "bce", "positions", Budget(12, 5), Budget(800, 500))


def bce_paper_block(settings: Settings) -> list[Result]:
    """The same with the block of the SASRec paper, which other libraries have: a quarter of the inner width."""
    return _train(settings, "bce", "positions", Budget(), Budget(), *PAPER_BLOCK, label="SASRec as in its paper")


def bce_prefixes(settings: Settings) -> list[Result]:
    """One-negative BCE where every prefix is a sample."""
    return _train(settings, "bce", "prefixes", Budget(), Budget(), epochs=1)


def cross_entropy(settings: Settings) -> list[Result]:
    """Cross-entropy over all items at every position: the setting that the budget is for."""
    return _train(settings, "cross_entropy", "positions", Budget(40, 17), Budget(800, 600))


def cross_entropy_prefixes(settings: Settings) -> list[Result]:
    """Cross-entropy over all items where every prefix is a sample: the default way of training."""
    return _train(settings, "cross_entropy", "prefixes", Budget(), Budget(), epochs=1)


def cross_entropy_mltfr(settings: Settings) -> list[Result]:
    """Round 1 with three tables, the refresh of the shortlists included, and its memory."""
    label, memory = "mltfr, 3 tables", Budget(800, 600)
    one_round = "fusion.consensus_weight=0"
    return _train(settings, "cross_entropy", "positions", Budget(), memory, one_round, number=3, epochs=1, label=label)


def _train(
    settings: Settings,
    loss: str,
    samples: str,
    time: Budget,
    memory: Budget,
    *more: str,
    number: int = 0,
    epochs: int | None = None,
    label: str = "bare SASRec",
) -> list[Result]:
    split = read_split(settings)
    tables, origin = get_tables(settings, number) if number else ([], "")
    config = configure(settings, *more, loss=loss, samples=samples, tables=tables, fusion="mltfr" if tables else "none")
    model, times = train_epochs(config, split, epochs or settings.repeats, tables)
    evaluate(ModelScorer(model), split, "test")
    peak = peak_megabytes()
    parameters = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    work = epoch_work(config, split, parameters, tables)
    rest = floor_megabytes(settings, parameters, len(split.histories.items))
    what = f"{label}, {loss}, samples = {samples}, {SIZE}"
    return [
        Result(
            f"training epoch: {what}",
            "s",
            times.cpu,
            wall=times.wall,
            budget=time,
            note=origin,
            floor=floor_seconds(settings, work),
        ),
        Result(
            f"memory of training and evaluation: {what}", "MB", [peak], "peak", budget=memory, note=origin, floor=rest
        ),
    ]
