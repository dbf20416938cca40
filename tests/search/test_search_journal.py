"""The journal of a search: all processes and all their time, and which failures are tried again."""

from __future__ import annotations

import time
from threading import Event

import pytest

from mltfr.search import journal as module
from mltfr.search.clock import Clock
from mltfr.search.journal import Journal
from mltfr.search.work import launch_here
from mltfr.storage.child import Ended
from mltfr.study.job import CRASHED, DONE, REFUSED, STOPPED
from mltfr.training import Interrupted
from support.small_search import search_here, write_log


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("log") / "log.csv")


def after_a_kill(folder):
    """Return the journal as the next command reads it, while the last one has not ended properly."""
    return Journal(folder, Clock(100.0))


def test_a_command_at_work_writes_down_how_long_it_has_been(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.02)
    journal, until = Journal(tmp_path, Clock(100.0)), time.monotonic() + 20
    with journal.beating():
        journal.began(tmp_path / "cells/a")
        while not (journal.file.exists() and after_a_kill(tmp_path).of_run(tmp_path / "cells/a").seconds > 0.2):
            assert time.monotonic() < until
            time.sleep(0.02)
        assert after_a_kill(tmp_path).clock.before > 0.2
    assert after_a_kill(tmp_path).of_run(tmp_path / "cells/a").processes == 1  # once, after a proper end


def test_kills_one_after_the_other_do_not_exceed_the_time(tmp_path):
    begun = time.monotonic()
    for _ in range(3):
        journal = Journal(tmp_path, Clock(100.0))
        with journal.beating():
            time.sleep(0.05)
            journal.add("planned", networks=2)
            at_a_kill, spent = journal.file.read_bytes(), time.monotonic() - begun
        journal.file.write_bytes(at_a_kill)
        assert after_a_kill(tmp_path).clock.before > spent  # not less, whenever it was
    journal = after_a_kill(tmp_path)
    with journal.beating():
        pass
    assert after_a_kill(tmp_path).clock.before < journal.clock.spent + 0.01  # after a proper end it is exact


def test_an_interrupted_search_counts_the_time_up_to_its_end(log, tmp_path):
    stop = Event()

    def launch(run, threads, stop, kill):
        time.sleep(0.5)
        stop.set()
        return Ended(STOPPED, "")

    with pytest.raises(Interrupted):
        search_here(log, tmp_path / "out", stop=stop, launch=launch)
    journal = Journal(tmp_path / "out", Clock(100.0))
    assert journal.records[-1]["kind"] == "ended"
    (told,) = [each for each in journal.records if each.get("code") == STOPPED]
    assert told["seconds"] >= 0.5
    assert told["error"] is None


def test_a_failure_is_tried_again_by_the_next_command_and_by_that_one_once(log, tmp_path):
    tried = []

    def launch(run, threads, stop, kill):
        tried.append(run.name)
        if "gru4rec" in run.name:
            return Ended(CRASHED, "OSError: no space left on device")
        stop.set()
        return Ended(STOPPED, "")

    for again in (False, True):
        tried.clear()
        with pytest.raises(Interrupted):
            search_here(log, tmp_path / "out", stop=Event(), launch=launch_after(launch), resume=again)
        assert sum("gru4rec" in name for name in tried) == 1
    outcome = search_here(log, tmp_path / "out", resume=True)
    assert not outcome.failures
    assert "gru4rec" in {row.name for row in outcome.rows if row.value is not None}


def launch_after(launch):
    """Return what trains the first network to its pause, fails the second one, and stops at the next."""
    names = []

    def some(run, threads, stop, kill):
        names.append(run.name)
        if len(names) == 1 and "gru4rec" not in run.name:
            return launch_here(run, threads, stop, kill)
        return launch(run, threads, stop, kill)

    return some


@pytest.mark.parametrize(("code", "again"), [(CRASHED, True), (-9, True), (REFUSED, False)])
def test_what_settings_do_not_allow_is_not_tried_again(tmp_path, code, again):
    run = tmp_path / "cells/a"
    journal = Journal(tmp_path, Clock(100.0))
    journal.began(run)
    journal.ended(run, code, "no")
    assert journal.of_run(run).failed  # not by the same command
    assert after_a_kill(tmp_path).of_run(run).failed is not again
    assert after_a_kill(tmp_path).of_run(run).error == "no"


def test_an_error_is_over_once_the_run_has_ended_well(tmp_path):
    run = tmp_path / "cells/a"
    journal = Journal(tmp_path, Clock(100.0))
    for code, error in ((CRASHED, "no"), (DONE, None)):
        journal.began(run)
        journal.ended(run, code, error)
    assert journal.of_run(run).error is None
    assert journal.of_run(run).processes == 2


def test_failures_are_told_again(log, tmp_path):
    def failing(run, threads, stop, kill):
        if "sasrec" in run.name:
            return Ended(CRASHED, "RuntimeError: out of memory")
        return launch_here(run, threads, stop, kill)

    request = {"preset": "quick", "trials": 0, "launch": failing}
    first = search_here(log, tmp_path / "out", **request)
    assert first.failures == {"sasrec": "RuntimeError: out of memory"}
    assert search_here(log, tmp_path / "out", resume=True, **request).failures == first.failures
