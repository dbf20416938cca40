"""The list of faults keeps up with the code; `make mutate` makes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mutations.mutate import ROOT, Mutation, read_mutations

MUTATIONS = read_mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_fault_can_be_made(mutation: Mutation) -> None:
    source = (ROOT / "src" / "mltfr" / mutation.file).read_text("utf-8")
    assert source.count(mutation.was) == 1
    assert mutation.becomes != mutation.was
    compile(mutation.made_in(ROOT / "src"), mutation.file, "exec")
    assert [test for test in mutation.tests if not (ROOT / test.partition("::")[0]).is_file()] == []


def test_there_is_a_fault_for_everything_that_must_hold() -> None:
    assert len(MUTATIONS) >= 180
    rooms = {mutation.file.partition("/")[0] for mutation in MUTATIONS}
    wanted = "batch evaluation fusion inference interactions losses storage tokens training"
    assert rooms >= set(wanted.split())


@pytest.mark.slow
@pytest.mark.parametrize(("test", "limit", "outcome"), [
    ("assert False", 60, "noticed"),
    ("pass", 60, "not noticed"),
    ("import time; time.sleep(60)", 2, "took too long"),
])  # fmt: skip
def test_what_takes_too_long_is_not_called_noticed(tmp_path: Path, test: str, limit: int, outcome: str) -> None:
    """Whatever its tests do, a fault leaves neither processes nor folders behind."""
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    {test}\n")
    code = f"""
import sys
sys.path[:0] = [{str(ROOT / "tests")!r}]
from mutations import mutate
fault = mutate.Mutation("version.py", "", "", ({str(tmp_path / "test_it.py")!r},))
print(mutate.OUTCOMES[mutate.run_all([fault], 1, {limit})[fault]])
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == outcome, done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("mutation-")] == []
