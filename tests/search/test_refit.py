"""What a search has chosen, fitted anew to all of the log."""

from __future__ import annotations

import shutil
from dataclasses import replace
from threading import Event

import numpy as np
import polars as pl
import pytest

from mltfr import Recommender
from mltfr.errors import ConfigError, DataError, RunError
from mltfr.hub.card import card
from mltfr.hub.remote import HubName
from mltfr.interactions import load_interactions
from mltfr.memory import TrainingMemory
from mltfr.page.fusion import fusion
from mltfr.page.render import render
from mltfr.page.run_page import run_page
from mltfr.pipeline import fit, load_artifact, resolve
from mltfr.pipeline.artifact import open_run, remove_run, save_artifact
from mltfr.pipeline.blend import blend
from mltfr.pipeline.inputs import split_log
from mltfr.pipeline.refit import epochs_of_rounds, refit
from mltfr.pipeline.shared import to_share
from mltfr.pipeline.update import weights_checksum
from mltfr.search import refit as module
from mltfr.search.refit import refit_best
from mltfr.serve.info import about
from mltfr.serve.loaded import LoadedRun
from mltfr.storage.progress import SILENT
from mltfr.training import Callback
from support.small_search import SETTINGS, search_here, write_log
from support.valid_html import faults


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search whose log has an item that training has not seen."""
    folder = tmp_path_factory.mktemp("refit")
    log = write_log(folder / "log.csv")
    frame = pl.read_csv(log, schema_overrides={"item_id": pl.String})
    last = pl.int_range(pl.len()) == pl.len() - 1
    frame.with_columns(item_id=pl.when(last).then(pl.lit("late")).otherwise("item_id")).write_csv(log)
    return log, folder / "out", search_here(log, folder / "out", preset="quick", trials=0, refit=True)


def split_of(log, fitted):
    """Return the log, split as a run's."""
    return split_log(fitted.config, load_interactions(log))[1]


def test_the_chosen_run_is_refitted_on_everything_and_recommends(searched):
    log, out, outcome = searched
    best, refitted = load_artifact(out / "best"), load_artifact(out / "refitted")
    rows = pl.read_csv(log).height
    assert refitted.split.training_interactions == rows > best.split.training_interactions
    assert "late" in refitted.split.vocabulary.codes
    assert not len(refitted.split.validation)
    assert not len(refitted.split.test)
    assert not refitted.metrics.get("metrics")
    assert best.metrics["metrics"]
    assert refitted.facts["refit"]["interactions"] == rows
    assert refitted.facts["left_out"] == {}
    assert outcome.refitted == "refitted"
    assert f"refitted on all {rows:,} interactions" in outcome.lines[-1]
    served = about(LoadedRun.load(out / "refitted"))
    assert served["test"] == {}
    assert served["refit"] == refitted.facts["refit"]
    assert about(LoadedRun.load(out / "best"))["refit"] is None
    with pytest.raises(DataError, match=r"holds no example: .* refitted on all of its log\..*the run before the refit"):
        Recommender.load(out / "refitted").evaluate()
    with pytest.raises(RunError, match=r"has no scores, since it learned from all of its log\. Compare a run"):
        run_page(out / "refitted", others=[out / "best"])
    lists = Recommender.load(out / "refitted").recommend(k=3)
    assert set(lists["user_id"]) == set(map(str, refitted.split.user_ids))


def test_the_scores_before_are_kept_and_named_so(searched):
    """Nobody takes them for those of the refitted run: neither the card, nor what is served."""
    out = searched[1]
    best, refitted = load_artifact(out / "best"), load_artifact(out / "refitted")
    told = refitted.facts["refit"]
    assert told["judged_by"] == "ndcg@10"
    before = told["scores_before"]
    assert before["metrics"] == best.metrics["metrics"]
    assert before["validation"] == best.metrics["validation"]["metrics"]
    assert before["popularity"] == best.metrics["popularity"]
    assert (before["run"], before["split"]) == ("best", "test")
    assert refitted.metrics == {}
    shared = to_share(refitted)
    text = card(shared, HubName("a/b"), "mit", (), with_users=False)
    score = f"{best.metrics['metrics']['ndcg@10']:.4f}"
    (line,) = (line for line in text.split("\n") if line.startswith("| the run before it was refitted, test |"))
    assert score in line
    assert "| the run before it was refitted, validation, on which it was chosen |" in text
    assert "this run, " not in text
    assert f"The scores above are of the run before it was refitted, by protocol `{before['protocol_hash']}`." in text
    assert "results:" not in text.split("---")[1]
    assert "the run before" not in card(to_share(best), HubName("a/b"), "mit", (), with_users=False)


def test_its_page_says_that_it_has_no_scores_and_where_those_before_are(searched):
    out = searched[1]
    best, page = load_artifact(out / "best"), run_page(out / "refitted")
    assert page.verdict.startswith("This run has no scores: it was fitted on all ")
    assert page.more == (
        "Those of the run before it was refitted (best) are in that run's metrics.json, and below. That run was "
        "chosen by ndcg@10 on validation.",
    )
    sections = {section.name: section for section in page.sections}
    assert list(sections) == ["scores", "data", "training", "fusion", "examples", "cost", "repeat"]
    (table,) = sections["scores"].tables
    column = [column.name for column in table.columns].index("ndcg@10")
    assert [(row[0], row[1], row[column]) for row in table.rows] == [
        ("the run before it was refitted", "test", best.metrics["metrics"]["ndcg@10"]),
        ("popularity, fitted to what that run was", "test", best.metrics["popularity"]["ndcg@10"]),
        ("the run before it was refitted", "validation", best.metrics["validation"]["metrics"]["ndcg@10"]),
    ]
    (table,) = sections["data"].tables
    assert table.rows[0][1] == load_artifact(out / "refitted").split.training_interactions
    assert page.foot.endswith("the run's own, but for the scores before the refit.")
    assert sections["repeat"].commands == ("mltfr auto log.csv --out SEARCH --resume --refit",)
    assert faults(render(page)) == []


def test_it_learns_from_what_was_held_out(searched):
    """Counts of the whole log, and a transition that only test has."""
    log, out, outcome = searched
    runs = {row.name: load_artifact(out / row.run) for row in outcome.rows if row.name in ("popularity", "markov")}
    data = split_of(log, runs["popularity"]).everything()
    model = refit(runs["popularity"], data, Callback()).model
    counts = pl.read_csv(log, schema_overrides={"item_id": pl.String})["item_id"].value_counts()
    scores = model.scorer().scores(model.scorer().queries([np.array([1], np.int32)]), 1, model.items + 1)[0]
    order = sorted(counts.iter_rows(), key=lambda pair: scores[data.vocabulary.codes[pair[0]] - 1], reverse=True)
    assert [count for _, count in order] == sorted(counts["count"], reverse=True)
    late = data.vocabulary.codes["late"]
    before = next(history for history in data.histories if history[-1] == late)
    model = refit(runs["markov"], data, Callback()).model
    scores = model.scorer().scores(model.scorer().queries([before[:-1]]), 1, model.items + 1)[0]
    assert scores[late - 1] > 0


def test_what_is_told_is_what_was_chosen(searched, tmp_path):
    """A network that was paused may lead the leaderboard."""
    log, out, outcome = searched
    copy = shutil.copytree(out, tmp_path / "out")
    paused = replace(outcome.rows[0], name="a paused one", state="paused", run="runs/none")
    fitted = load_artifact(copy / "best")
    said = refit_best(copy, [paused, *outcome.rows], "ndcg@10", split_of(log, fitted), SILENT, Event())
    assert said.startswith(f"{outcome.rows[0].name} was refitted")


def test_an_error_of_the_refit_hides_no_search(searched, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise ConfigError("no memory")

    log, out, outcome = searched
    copy = shutil.copytree(out, tmp_path / "out")
    remove_run(copy / "refitted")
    monkeypatch.setattr(module, "refit", fail)
    again = search_here(log, copy, preset="quick", trials=0, resume=True, refit=True)
    assert again.failures["refitted"] == "no memory"
    assert [row.name for row in again.rows] == [row.name for row in outcome.rows]
    assert again.refitted is None


def chosen(out, folder, fitted):
    """Make a copy of a search whose choice is another run."""
    copy = shutil.copytree(out, folder / "out")
    for run in ("best", "refitted"):
        remove_run(copy / run)
    with open_run(copy / "best", resume=False):
        save_artifact(fitted, copy / "best")
    return copy


def test_a_network_is_trained_as_long_as_validation_had_it(searched, tmp_path):
    log, out, outcome = searched
    row = next(row for row in outcome.rows if row.name == "sasrec")
    fitted = load_artifact(out / row.run)
    copy = chosen(out, tmp_path, fitted)
    refit_best(copy, [row], "ndcg@10", split_of(log, fitted), SILENT, Event())
    refitted = load_artifact(copy / "refitted")
    (ends,) = epochs_of_rounds(fitted)
    assert [record["epoch"] for record in refitted.history] == list(range(1, ends + 1))
    assert not any("validation" in record for record in refitted.history)
    assert refitted.facts["best_epoch"] == ends
    assert refitted.model.items == fitted.model.items + 1
    page = {section.name: section for section in run_page(copy / "refitted", count=0).sections}
    assert page["training"].absent == ("There are as many epochs as validation had chosen before.",)
    assert "as many as validation had chosen before the refit" in dict(page["cost"].facts)["epochs"]
    assert len(Recommender.load(copy / "refitted").recommend(k=3))


def test_both_rounds_end_where_validation_had_ended_them(searched):
    """The second one's Fisher information is of the first one's last weights."""
    tables = {"fusion": {"name": "mltfr"}, "tokens": {"tables": ["synthetic", "synthetic-2"]}}
    training = {**SETTINGS["training"], "epochs": 3, "first_round_epochs": 3}
    log = load_interactions(searched[0])
    config = resolve(file={**SETTINGS, **tables, "training": training}, where="a test")
    fitted = fit(config, log, measure=lambda *_: {})
    best = [record.get("best", False) and record["round"] == 1 and record["epoch"] < 3 for record in fitted.history]
    shorter = [{**record, "best": early} for record, early in zip(fitted.history, best, strict=True)]
    shorter[-1]["best"] = True
    before = {**fitted.facts, "estimate": {"peak_bytes": 1}, "pace": {}}
    data = split_of(searched[0], fitted).everything()
    refitted = refit(replace(fitted, history=shorter, facts=before), data, Callback())
    ends = epochs_of_rounds(replace(fitted, history=shorter))
    assert len(ends) == refitted.facts["rounds"] == 2
    assert ends[0] < 3
    assert [(record["round"], record["epoch"]) for record in refitted.history] == [
        (number, epoch) for number, last in enumerate(ends, 1) for epoch in range(1, last + 1)
    ]
    assert refitted.facts["refit"]["epochs"] == list(ends)
    assert "estimate" not in refitted.facts  # they are of the training before
    assert "pace" not in refitted.facts
    assert fusion(refitted).figures[1].table.name == "router-by-length"


def test_every_member_of_a_blend_is_refitted_and_weights_stay(searched, tmp_path):
    log, out, outcome = searched
    rows = [row for row in outcome.rows if row.name in ("sasrec", "markov")]
    runs = {row.name: load_artifact(out / row.run) for row in rows}
    fitted = blend(runs, weights=[0.3, 0.7], measure=lambda *_: {})
    copy = chosen(out, tmp_path, fitted)
    ranked = [replace(rows[0], name="blend", run="best"), *rows]
    refit_best(copy, ranked, "ndcg@10", split_of(log, fitted), SILENT, Event())
    refitted = load_artifact(copy / "refitted")
    assert refitted.model.weights.tolist() == pytest.approx([0.3, 0.7])
    for before, after in zip(fitted.model.members, refitted.model.members, strict=True):
        assert type(before) is type(after)
        assert after.items == before.items + 1
    told = [member["weights_sha256"] for member in refitted.facts["blend"]["members"]]
    assert told == [weights_checksum(member) for member in refitted.model.members]
    assert not refitted.metrics.get("metrics")
    assert len(Recommender.load(copy / "refitted").recommend(k=3))


def test_a_finished_search_is_refitted_by_resume_and_once(searched, tmp_path, monkeypatch):
    log, out, _ = searched
    copy = shutil.copytree(out, tmp_path / "out")
    more = {"preset": "quick", "trials": 0, "resume": True}
    remove_run(copy / "refitted")
    assert search_here(log, copy, **more).refitted is None
    assert search_here(log, copy, refit=True, **more).refitted == "refitted"
    monkeypatch.setattr(module, "refit", None)  # not again
    assert search_here(log, copy, refit=True, **more).refitted == "refitted"


def test_a_refit_that_needs_more_memory_than_there_is_is_refused_before_it_trains(searched, monkeypatch):
    log, out, outcome = searched
    fitted = load_artifact(out / next(row.run for row in outcome.rows if row.name == "sasrec"))
    data = split_of(log, fitted).everything()
    monkeypatch.setattr(TrainingMemory, "available", 1000)
    with pytest.raises(ConfigError, match=r"^A refit would need 2.. MB more memory, and 0 MB are available\. Free"):
        refit(fitted, data, Callback())
    unchecked = fitted.config.training.model_copy(update={"check_memory": False})
    free = replace(fitted, config=fitted.config.model_copy(update={"training": unchecked}))
    assert refit(free, data, Callback()).model.items == 31


def test_what_needs_a_validation_split_is_refused(searched, tmp_path):
    settings = {"training": {"keep_rounds": True}}
    with pytest.raises(ConfigError, match=r"'training\.keep_rounds' is set, .* a refit has none\. Leave one out\."):
        search_here(searched[0], tmp_path / "out", settings=settings, refit=True)
    assert not (tmp_path / "out").exists()
