"""The page of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mltfr.batch.users import run_fingerprint
from mltfr.errors import RunError
from mltfr.interactions.item_names import ItemNames
from mltfr.page.compared import compared
from mltfr.page.content import Page
from mltfr.page.examples import examples
from mltfr.page.fusion import fusion
from mltfr.page.refit import refit_lines, scores_before
from mltfr.page.repeat import repeat
from mltfr.page.scores import differences, scores, slices, verdict_lines
from mltfr.page.training import cost, curves, data
from mltfr.pipeline.artifact import CONFIG, load_artifact, read_manifest
from mltfr.pipeline.models import REFIT
from mltfr.version import __version__


def run_page(
    folder: Path,
    title: str | None = None,
    count: int = 5,
    names: ItemNames | None = None,
    others: Sequence[Path] = (),
) -> Page:
    """Return the page of a run: its own words and numbers, and what its model says of some users.

    Args:
        folder: the run folder.
        title: the heading; the run's name if not given.
        count: users that are shown as examples; 0 for a page without any id of a user or a held-out item.
        names: what items are called; None for what the run itself knows.
        others: run folders of the same protocol that are put beside it.

    Raises:
        ProtocolError: another run differs in protocol, users, targets or candidates.
        RunError: there is no finished run, a damaged one, or one without scores that is no refit or is compared.
        DataError: none of the names is of an item.
    """
    fitted = load_artifact(folder)
    manifest, document = read_manifest(folder, [CONFIG]), fitted.metrics
    refitted = REFIT in fitted.facts
    if "metrics" not in document and (others or not refitted):
        why = "it learned from all of its log" if refitted else "its log was too short for any"
        raise RunError(
            f"{folder}: has no scores, since {why}. {'Compare' if others else 'Report'} a run that has some."
        )
    verdict, more = verdict_lines(fitted.verdict) if not refitted else refit_lines(fitted.facts[REFIT])
    added = differences(fitted.verdict)
    beside = compared(folder, others, fitted.config.judged_by) if others else None
    if fitted.verdict is None and beside is not None:
        verdict, more = beside.paragraphs[0], beside.paragraphs[1:]
        beside = replace(beside, paragraphs=())
    own = ", but for the scores before the refit" if refitted else ""
    counts = f"{fitted.split.users}, {len(fitted.split.vocabulary):,} items"
    return Page(
        title=title or folder.resolve().name,
        about=f"{fitted.config.title}; {fitted.facts.get('source', 'a log in memory')}, {counts}",
        verdict=verdict,
        more=more,
        sections=(
            *(section for section in (added, beside) if section is not None),
            scores(fitted, document) if not refitted else scores_before(fitted.facts[REFIT]),
            data(fitted, document, quotes=count > 0),
            curves(fitted.history, refitted),
            fusion(fitted),
            *([slices(document, fitted.config.judged_by)] if not refitted else []),
            examples(fitted, count, names),
            cost(fitted),
            repeat(fitted, manifest, run_fingerprint(folder), quotes=count > 0),
        ),
        foot=f"Written by mltfr {__version__} from the run folder alone; every number is the run's own{own}.",
    )
