"""A finished run that is asked for again, which has to be of the same log with the same settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mltfr.config import differences
from mltfr.errors import RunError
from mltfr.interactions import InteractionLog, PreparedSet
from mltfr.pipeline.artifact import load_artifact
from mltfr.pipeline.config import RunConfig
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.inputs import split_log
from mltfr.pipeline.names import FINGERPRINT, are_at_hand, read_names
from mltfr.pipeline.teacher import teacher_facts
from mltfr.training import Callback

ORIGINS = {
    "chain": "the run before is another one",
    "data_fingerprint": "the log is another one",
    FINGERPRINT: "the names of the items are others",
}
"""What differs where the manifests of two runs differ in these."""
LISTED = 5
"""Settings that differ which a message names."""


def finished_run(
    config: RunConfig, log: InteractionLog | PreparedSet, folder: Path, callback: Callback, names: Any = None
) -> FittedModel:
    """Return the finished run of a folder, which was fitted to the same log and names with the same settings.

    Names that are gone are not asked for: a finished run does without.

    Raises:
        RunError: it was not, or it is damaged.
    """
    config, data, facts = split_log(config, log)
    texts = read_names(config, data.vocabulary, names) if are_at_hand(config, names) else None
    more = {} if texts is None else {FINGERPRINT: texts.fingerprint()}
    if config.distillation.teacher and Path(config.distillation.teacher).exists():  # it is needed no more
        more |= teacher_facts(config)
    return finished_from(config, facts | more, folder, callback)


def finished_from(config: RunConfig, facts: Mapping[str, Any], folder: Path, callback: Callback) -> FittedModel:
    """Return the finished run of a folder, which was made of the same log, and run, with the same settings.

    Args:
        config: every setting.
        facts: what the manifest says of the log and the names, where these are known, and of the runs before it.
        folder: the run folder.
        callback: told that nothing was left to do.

    Raises:
        RunError: it was not, or it is damaged.
    """
    fitted = load_artifact(folder)
    known = {FINGERPRINT: fitted.facts.get(FINGERPRINT), **facts}
    other = [text for key, text in ORIGINS.items() if known.get(key) != fitted.facts.get(key)]
    if "teacher" in facts and facts["teacher"] != fitted.facts.get("teacher"):
        other.append("the teacher is another one")
    other += differences(fitted.config.deciding(), config.deciding())
    if other:
        raise RunError(
            f"{folder}: holds a finished run of something else ({listed(other)}). Look at it: mltfr evaluate "
            f"{folder}. Or choose another --out."
        )
    callback.message(f"{folder}: this run is finished; nothing was left to do.")
    return fitted


def listed(differences: list[str]) -> str:
    """Return differences of settings as a message lists them: the first few."""
    more = len(differences) - LISTED
    return "; ".join(differences[:LISTED]) + (f"; and {more} more" if more > 0 else "")
