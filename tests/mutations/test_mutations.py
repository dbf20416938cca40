"""The list of faults keeps up with the code; `make mutate` makes them."""

from __future__ import annotations

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
