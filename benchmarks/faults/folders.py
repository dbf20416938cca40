"""The folders that are damaged, and what they are used for: every answer and fact that they give."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.children import in_child
from faults.jobs import JOBS, command, contents, inside
from faults.operations import Operations, kill_self

Answers = dict[str, Any]


@dataclass(frozen=True)
class Folder:
    """A kind of folder.

    Attributes:
        damaged: the folder whose files are damaged, in the place that `make` filled.
        make: makes it, in a place that holds the material.
        use: returns what it answers in a place.
    """

    damaged: str
    make: Callable[[], int | None]
    use: Callable[[Path], Answers]


def make_folders(material: Path, base: Path, kinds: set[str]) -> None:
    """Make the folders of some kinds, each in a place of its own with all material."""
    for kind in kinds:
        place = base / kind
        shutil.copytree(material, place)
        ended = in_child(inside(place, FOLDERS[kind].make))
        assert ended.code in (0, -9), ended
        assert any((place / FOLDERS[kind].damaged).iterdir())


def _use_run(place: Path) -> Answers:
    from mltfr import Recommender
    from mltfr.pipeline import load_inference_model

    run = Recommender.load(place / "fitted")
    histories = {"a": ["i1", "i2", "i3"], "b": ["i7"]}
    return {
        "lists": run.recommend(k=5).rows(),
        "lists of histories": run.recommend(histories=histories, k=5).rows(),
        "scores": run.evaluate().to_json(),
        "metrics": run.metrics,
        "facts": run.fitted.facts,
        "log": run.fitted.history,
        "facts for recommending": load_inference_model(place / "fitted").facts,
    }


def _use_index(place: Path) -> Answers:
    from mltfr import Recommender

    run = Recommender.load(place / "fitted")
    return {"lists": run.recommend(k=5, index="ivf").rows()}


def _use_store(place: Path) -> Answers:
    from mltfr.tokens.config import TokensConfig
    from mltfr.tokens.load import load_tables
    from mltfr.tokens.store import TokenStore

    store = TokenStore(place / "home" / "tokens")
    prepared = load_tables(TokensConfig(tables=("alpha", "beta"), width=8), store)
    tables = [store.open(name) for name in ("alpha", "beta")]
    return {
        "prepared values": [_hash(table.vectors) for table in prepared],
        "words": [table.words for table in prepared],
        "fingerprints": [table.fingerprint for table in prepared],
        "reports": [table.report for table in prepared],
        "values": [_hash(table.embeddings) for table in tables],
        "tokens": [(table.vocabulary, sorted(table.special)) for table in tables],
        "provenance": [store.provenance(name) for name in ("alpha", "beta")],
        "names": store.names(),
    }


def _use_set(place: Path) -> Answers:
    from dataclasses import asdict

    from mltfr.interactions import load_interactions
    from mltfr.interactions.statistics import describe_prepared

    prepared = load_interactions(place / "set")
    split = prepared.split
    facts = asdict(describe_prepared(prepared))
    return {
        "facts": {name: value for name, value in facts.items() if name not in ("folder", "bytes")},
        "settings": [prepared.filters, prepared.split_config, prepared.report, prepared.source, prepared.skipped],
        "ids": [list(split.user_ids), list(split.vocabulary.item_ids), split.vocabulary.counts.tolist()],
        "histories": [_hash(part) for each in (split.histories, split.training) for part in (each.items, each.offsets)],
        "examples": [_hash(part) for each in (split.test, split.validation) for part in (each.user, each.cut)],
    }


def _use_interrupted(place: Path) -> Answers:
    here(place, JOBS["fit"].resume)
    found = contents(place / "run")
    return {name: _hash(content) for name, content in found.items() if ".lock" not in name}


def _use_recommendations(place: Path) -> Answers:
    here(place, JOBS["recommend in parts"].resume)
    return {name: _hash(content) for name, content in contents(place / "parts").items() if ".lock" not in name}


def _use_study(place: Path) -> Answers:
    import mltfr.report.write as report
    from mltfr.errors import RunError
    from mltfr.study import run_study
    from mltfr.study.launch import Ended

    report.draw_all = lambda *given: []  # type: ignore[assignment]  # pictures take seconds
    os.chdir(place)
    os.environ["MLTFR_HOME"] = str(place / "home")
    outcome = run_study(Path("study.toml"), Path("study"), resume=True, jobs=1, launch=lambda *given: Ended(1, "again"))
    if outcome.failures:
        raise RunError("A cell is damaged, and made again.")
    found = contents(place / "study")
    kept = (name for name in found if name.endswith((".md", ".tex", "comparisons.parquet", "metrics.json")))
    return {name: _hash(found[name]) for name in kept}


def here(place: Path, work: Callable[[], int | None]) -> None:
    """Run a job of the command line in this process; a refusal is raised as what it is.

    Raises:
        MltfrError: the job was refused.
    """
    from mltfr.cli import main as module

    refused: list[Exception] = []
    fail = module._fail
    os.chdir(place)
    os.environ.update(MLTFR_HOME=str(place / "home"), MLTFR_OFFLINE="1")
    out, errors = sys.stdout, sys.stderr
    with Path(os.devnull).open("w") as nowhere:
        sys.stdout = sys.stderr = nowhere

        def keep(message: str, code: int) -> int:
            refused.append(module.MltfrError(message))
            return fail(message, code)

        module._fail = keep
        try:
            work()
        except SystemExit as ended:
            if refused and ended.code == 2:
                raise refused[-1] from ended
            if ended.code:
                raise RuntimeError(f"exit code {ended.code}: {refused}") from ended
        finally:
            module._fail = fail
            sys.stdout, sys.stderr = out, errors


def _hash(value: Any) -> str:
    import numpy as np

    return hashlib.sha256(value if isinstance(value, bytes) else np.ascontiguousarray(value).tobytes()).hexdigest()


def _halfway() -> None:
    """Fit, and be killed in the second round."""
    Operations(150, kill_self("after")).install()
    JOBS["fit"].begin()


def _some_parts() -> None:
    """Recommend, and be killed after some parts."""
    Operations(60, kill_self("after")).install()
    JOBS["recommend in parts"].begin()


def _nothing() -> None:
    """Leave the material as it is."""


FOLDERS = {
    "run": Folder("fitted", _nothing, _use_run),
    "token store": Folder("home/tokens", _nothing, _use_store),
    "prepared set": Folder("set", JOBS["data prepare"].begin, _use_set),
    "interrupted run": Folder("run", _halfway, _use_interrupted),
    "recommendations": Folder("parts", _some_parts, _use_recommendations),
    "finished recommendations": Folder("parts", JOBS["recommend in parts"].begin, _use_recommendations),
    "study": Folder("study", JOBS["study"].begin, _use_study),
    "index": Folder(
        "fitted", command("recommend", "fitted", "--out", "list.csv", "--overwrite", "--index", "ivf"), _use_index
    ),
}
