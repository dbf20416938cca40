"""Compare fitted runs on their test split."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import realpath
from pathlib import Path

from mltfr.errors import ConfigError
from mltfr.evaluation import evaluate
from mltfr.evaluation.comparison import Comparison, check_metric, compare, require_alike
from mltfr.evaluation.evaluate import examples_digest
from mltfr.pipeline.alike import WITH_USERS
from mltfr.pipeline.artifact import load_artifact
from mltfr.storage.progress import SILENT, Progress


def compare_runs(folders: Sequence[Path], metric: str = "ndcg@10", progress: Progress = SILENT) -> Comparison:
    """Score the test split of several run folders, and compare every two of them by one metric.

    Before anything is scored, all of them are checked; one at a time is in memory.

    Args:
        folders: at least two run folders.
        metric: what to compare by.
        progress: receives how many users are done.

    Raises:
        ConfigError: there are fewer than two, one is given twice, or the metric is unknown.
        ProtocolError: they differ in protocol, users, targets or candidates.
        RunError: a folder holds no finished run, or a damaged one.
    """
    if len(folders) < 2:
        raise ConfigError("A comparison needs at least two runs: mltfr compare RUN RUN")
    runs = names_of(folders)
    checked = []
    for name, folder in runs.items():
        fitted = load_artifact(folder).for_test()
        fitted.split.require_users(WITH_USERS)
        protocol = fitted.protocol()
        check_metric(metric, protocol)
        checked.append((name, protocol, examples_digest(fitted.split, "test", protocol)))
        require_alike(checked[0], checked[-1])
    evaluations = {}
    for name, folder in runs.items():
        fitted = load_artifact(folder).for_test()
        evaluations[name] = evaluate(fitted.scorer(), fitted.split, "test", fitted.protocol(), progress=progress)
    return compare(evaluations, metric)


def names_of(folders: Sequence[Path]) -> dict[str, Path]:
    """Return the folders by name: the last part of their paths, or as many as tell them apart.

    Raises:
        ConfigError: one is given twice.
    """
    paths = [Path(realpath(folder)) for folder in folders]
    twice = [folder for folder, path in zip(folders, paths, strict=True) if paths.count(path) > 1]
    if twice:
        raise ConfigError(f"{twice[0]}: given twice. Name each run once.")
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        named = {str(Path(*path.parts[-length:])): path for path in paths}
        if len(named) == len(paths):
            break
    return named
