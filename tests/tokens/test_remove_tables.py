"""What removing a token table takes away, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltfr.errors import TokenTableError
from mltfr.tokens import TokensConfig, TokenStore
from mltfr.tokens.load import load_tables
from mltfr.tokens.remove import remove_table
from mltfr.tokens.sources.synthetic import SyntheticConfig, synthetic_table
from support.command_line import refused, run


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    """Return a store with `small` and `other`, both prepared."""
    store = TokenStore(tmp_path / "home" / "tokens")
    for view, name in enumerate(("small", "other")):
        store.put(synthetic_table(SyntheticConfig(tokens=300, width=16, view=view), name))
    load_tables(TokensConfig(tables=("small", "other"), width=8), store)
    return store


def sizes(store: TokenStore) -> dict[Path, int]:
    return {path: path.stat().st_size for path in store.root.rglob("*") if path.is_file()}


def test_a_table_goes_with_all_that_was_prepared_from_it(store: TokenStore) -> None:
    before = sizes(store)
    freed = remove_table("small", store)
    assert store.names() == ["other"]
    gone = {path: size for path, size in before.items() if not path.exists()}
    assert freed == sum(size for path, size in gone.items() if path.parent.name != "names")
    assert len({path.parent for path in gone}) in (3, 4)  # its name, its folder, reduced and perhaps aligned
    assert load_tables(TokensConfig(tables=("other",), width=8), store)
    remove_table("other", store)
    assert sizes(store) == {}
    store.put(synthetic_table(SyntheticConfig(tokens=300, width=16), "small"))
    assert "small" in store


def test_values_of_another_name_and_files_of_others_stay(store: TokenStore) -> None:
    store.put(synthetic_table(SyntheticConfig(tokens=300, width=16), "twin"))
    assert store.address("twin") == store.address("small")
    remove_table("small", store)
    store.verify("twin")
    folder = store.root / "tables" / str(store.address("twin"))
    (folder / "notes.txt").write_text("mine")
    remove_table("twin", store)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("file", ["table.npy", "provenance.json", "names/small.json"])
def test_a_damaged_table_can_be_removed(store: TokenStore, file: str) -> None:
    path = store.root / file if "/" in file else store.root / "tables" / str(store.address("small")) / file
    path.write_text("damaged")
    remove_table("small", store)
    assert store.names() == ["other"]


def test_the_command_says_what_it_freed(store: TokenStore, tmp_path: Path) -> None:
    home = store.root.parent
    error = refused(home, home, "tokens", "remove", "smal")
    assert "'smal' is not in the store, so there is nothing to remove. Did you mean 'small'? Known: other," in error
    assert "'wordllama' is not in the store, so there is" in refused(home, home, "tokens", "remove", "wordllama")
    assert "'wordllama' is not in" in refused(home, home, "tokens", "remove", "small", "wordllama")
    assert "cannot be a token table's name" in refused(home, home, "tokens", "remove", "../small")
    done = run("tokens", "remove", "small", home=home)
    assert done.stdout.startswith("small removed: ")
    assert done.stdout.endswith(" freed\n")
    with pytest.raises(TokenTableError, match="'small' is not in the store"):
        remove_table("small", store)
