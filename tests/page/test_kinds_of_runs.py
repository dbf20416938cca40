"""Pages of every kind of run: they have its own numbers, say what is not there, and are as long for many users."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mltfr.explain.effects import IS_A_CONTROL
from mltfr.interactions import Examples, Histories, Split
from mltfr.page.fusion import CONTROL
from mltfr.page.render import render
from mltfr.page.run_page import run_page
from mltfr.pipeline.artifact import load_artifact, open_run, save_artifact
from support.command_line import run
from support.read_page import assert_numbers_of, read
from support.valid_html import faults

LARGEST, GROWTH = 2_000_000, 0.05
"""Bytes of a page, at most, and how much larger ten times the users may make it."""
TOLD = {
    "blend": ("mltfr blend", "(best member)", "Tokens kept most often of alpha", CONTROL),
    "updated": ("The run is an update", "mltfr update AGAIN", "Tokens kept most often of beta", CONTROL),
    "one-table": ("Tokens kept most often of alpha", "Router share by length", CONTROL),
    "random": (IS_A_CONTROL, "Router share by length"),
    "item-knn": ("Nothing was trained by epochs", "This run has no fusion"),
    "name-knn": ("Nothing was trained by epochs", "names.file", "ids"),
}
"""What the page of a kind of run says."""


@pytest.mark.parametrize("kind", TOLD)
def test_every_kind_of_run_has_its_own_numbers(kind: str, kinds: Path, store: Path, tmp_path: Path) -> None:
    run("report", kinds / kind, "--out", tmp_path / "page.html", home=store)
    page = read(tmp_path / "page.html")
    document = json.loads((kinds / kind / "metrics.json").read_text())
    assert_numbers_of(document, page, fused="knn" not in kind)
    assert faults((tmp_path / "page.html").read_text(encoding="utf-8")) == []
    text = "".join(page.text)
    for told in TOLD[kind]:
        assert told in text
    assert ("Tokens kept most often" in text) == ("Tokens kept most often" in "".join(TOLD[kind]))


def test_ten_times_the_users_make_a_page_hardly_larger(runs: Path, tmp_path: Path) -> None:
    """How long a page of a large run takes is measured by benchmarks/report.py."""
    fitted = load_artifact(runs / "mltfr")
    with open_run(tmp_path / "mltfr", resume=False):
        save_artifact(replace(fitted, split=ten_times(fitted.split)), tmp_path / "mltfr")
    page = render(run_page(tmp_path / "mltfr"))
    size, grown = len(render(run_page(runs / "mltfr")).encode()), len(page.encode())
    assert max(size, grown) < LARGEST
    assert grown / size - 1 < GROWTH
    assert "600 users" in page


def ten_times(split: Split) -> Split:
    """Return a split with every user ten times, under ids of as many letters."""
    users, lengths = len(split.user_ids), np.diff(split.histories.offsets)

    def examples(found: Examples) -> Examples:
        user = np.concatenate([found.user + copy * users for copy in range(10)]).astype(found.user.dtype)
        return replace(found, user=user, cut=np.tile(found.cut, 10))

    offsets = np.concatenate([[0], np.cumsum(np.tile(lengths, 10))]).astype(split.histories.offsets.dtype)
    return replace(
        split,
        user_ids=[f"{copy}{user}" for copy in range(10) for user in split.user_ids],
        vocabulary=replace(split.vocabulary, counts=10 * split.vocabulary.counts),
        histories=Histories(offsets, np.tile(split.histories.items, 10)),
        train_length=np.tile(split.train_length, 10),
        validation=examples(split.validation),
        test=examples(split.test),
        training=None,
        others=None,
    )
