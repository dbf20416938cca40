"""From settings to prepared tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mltfr.errors import ConfigError, FetchError, TokenTableError
from mltfr.tokens import PreparedTable, TokensConfig, TokenStore, TokenTable, describe, load_tables
from mltfr.tokens.controls import Control
from mltfr.tokens.sources.synthetic import SyntheticConfig, synthetic_table

NAMES = ("one", "three", "two")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    store = TokenStore(tmp_path_factory.mktemp("tokens"))
    for view, (name, tokens, width) in enumerate((("two", 700, 32), ("one", 500, 48), ("three", 400, 24))):
        config = SyntheticConfig(tokens=tokens, width=width, clusters=400, view=view)
        store.put(synthetic_table(config, name))
    return store


def load(store: TokenStore, *names: str, control: Control = "none", **settings: object) -> dict[str, PreparedTable]:
    config = TokensConfig.parse({"tables": names, "width": 24, **settings})
    return {table.name: table for table in load_tables(config, store, control=control)}


def test_tables_come_at_the_common_width_sorted_by_name(store: TokenStore) -> None:
    tables = load(store, "two", "one", "three")
    assert tuple(tables) == NAMES
    assert [table.shape for table in tables.values()] == [(500, 24), (400, 24), (700, 24)]
    assert all(len(table.words) == len(table.vectors) for table in tables.values())
    assert not tables["one"].vectors.flags.writeable
    assert "▁" not in "".join(tables["one"].words)


def test_the_order_in_the_config_does_not_matter(tmp_path: Path, store: TokenStore) -> None:
    other = TokenStore(tmp_path)
    for name in NAMES:
        other.put(store.open(name))
    first, second = load(store, "one", "two", "three"), load(other, "three", "two", "one")
    for name in NAMES:
        np.testing.assert_array_equal(first[name].vectors, second[name].vectors)
        assert first[name].fingerprint == second[name].fingerprint


def test_alignment_brings_the_same_words_together(store: TokenStore) -> None:
    aligned, apart = load(store, *NAMES), load(store, *NAMES, align="none")
    for name in ("one", "three"):
        count = len(aligned[name].vectors)        # shorter tables begin with the same words
        assert aligned[name].words == aligned["two"].words[:count]
        together = (aligned[name].vectors.astype(float) * aligned["two"].vectors[:count]).sum(axis=1).mean()
        before = (apart[name].vectors.astype(float) * apart["two"].vectors[:count]).sum(axis=1).mean()
        assert together > 0.7
        assert abs(before) < 0.3
        report = aligned[name].report["alignment"]
        assert report["reference"] == "two"
        assert report["shared_words"] == count
        assert report["held_out_words"] == count - count // 2
        assert report["accuracy"] > 0.8
    np.testing.assert_array_equal(aligned["two"].vectors, apart["two"].vectors)


def test_alignment_is_a_rotation(store: TokenStore) -> None:
    aligned = load(store, *NAMES)["one"].vectors.astype(float)
    apart = load(store, *NAMES, align="none")["one"].vectors.astype(float)
    np.testing.assert_allclose(aligned @ aligned.T, apart @ apart.T, atol=4e-3)


def test_tables_without_a_shared_word_stay_as_they_are(store: TokenStore, tmp_path: Path) -> None:
    other = TokenStore(tmp_path)
    other.put(store.open("two"))
    values = np.random.default_rng(0).standard_normal((50, 30)).astype(np.float32)
    other.put(TokenTable("unnamed", values, tuple(f"#{n}" for n in range(50))))
    tables = load(other, "two", "unnamed")
    assert tables["unnamed"].report["alignment"] == {"reference": "two", "shared_words": 0, "accuracy": None}
    alone = load(other, "unnamed")
    np.testing.assert_array_equal(tables["unnamed"].vectors, alone["unnamed"].vectors)


def test_alignment_is_fitted_on_whole_words(tmp_path: Path) -> None:
    store = TokenStore(tmp_path)
    values = np.random.default_rng(0).standard_normal((2, 60, 8)).astype(np.float32)
    words = [f"word{n}" for n in range(60)]
    first = tuple("▁" + word for word in words)
    second = (*("▁" + word for word in words[:40]), *words[40:])      # 20 of them as pieces
    store.put(TokenTable("first", values[0], first))
    store.put(TokenTable("second", values[1], second))
    tables = load(store, "first", "second", width=8)
    fitted = [table.report["alignment"].get("shared_words") for table in tables.values()]
    assert 40 in fitted


def test_raw_tables_are_as_shipped(store: TokenStore) -> None:
    raw = load(store, "one", prepare="raw")["one"]
    np.testing.assert_array_equal(raw.vectors, store.open("one").embeddings)
    assert raw.shape == (500, 48)
    assert len(raw.words) == 500


@pytest.mark.parametrize("prepare", ["default", "raw"])
@pytest.mark.parametrize("control", ["random", "shuffled"])
def test_controls_change_the_vectors_alone(store: TokenStore, prepare: str, control: Control) -> None:
    real = load(store, *NAMES, prepare=prepare)
    made = load(store, *NAMES, prepare=prepare, control=control)
    again = load(store, *NAMES, prepare=prepare, control=control)
    other = load(store, *NAMES, prepare=prepare, control=control, control_seed=1)
    for name in NAMES:
        assert made[name].shape == real[name].shape
        assert made[name].words == real[name].words
        assert made[name].vectors.dtype == real[name].vectors.dtype
        assert made[name].report["control"] == control
        assert len({real[name].fingerprint, made[name].fingerprint, other[name].fingerprint}) == 3
        np.testing.assert_array_equal(made[name].vectors, again[name].vectors)
        assert not np.array_equal(made[name].vectors, real[name].vectors)
        assert not np.array_equal(made[name].vectors, other[name].vectors)
        if prepare == "default":
            lengths = np.linalg.norm(made[name].vectors.astype(float), axis=1)
            np.testing.assert_allclose(lengths, 1, atol=2e-3)


def test_a_control_knows_no_clusters(store: TokenStore) -> None:
    def closeness(table: PreparedTable) -> float:
        vectors = table.vectors[:400].astype(float)
        target = tables["two"].vectors[:400].astype(float)
        return float((vectors * target).sum(axis=1).mean())

    tables = load(store, *NAMES)
    assert closeness(tables["one"]) > 0.7
    for control in ("random", "shuffled"):
        assert closeness(load(store, *NAMES, control=control)["one"]) < 0.15


def test_what_was_prepared_is_read_again(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(store, *NAMES)
    monkeypatch.setattr("mltfr.tokens.prepare.reduce_table", pytest.fail)
    monkeypatch.setattr("mltfr.tokens.prepare.align_table", pytest.fail)
    second = load(store, *NAMES)
    assert [table.fingerprint for table in first.values()] == [table.fingerprint for table in second.values()]


def test_another_content_is_prepared_anew(store: TokenStore, tmp_path: Path) -> None:
    other = TokenStore(tmp_path)
    table = store.open("one")
    other.put(table)
    before = load(other, "one")["one"]
    changed = table.embeddings.copy()
    changed[7] += 1
    other.put(TokenTable("one", changed, table.vocabulary))
    after = load(other, "one")["one"]
    assert before.fingerprint != after.fingerprint
    assert not np.array_equal(before.vectors, after.vectors)


def test_the_source_table_is_not_changed(store: TokenStore) -> None:
    load(store, *NAMES, control="shuffled")
    for name in NAMES:
        store.verify(name)


def test_the_description_is_plain(store: TokenStore) -> None:
    import json

    config = TokensConfig(tables=NAMES, width=24)
    described = json.loads(json.dumps(describe(load_tables(config, store))))
    assert [table["name"] for table in described] == list(NAMES)
    assert {"shape", "fingerprint", "kept_variance", "alignment"} <= described[0].keys()


def test_no_tables_are_no_tables(store: TokenStore) -> None:
    assert load(store) == {}


def test_unknown_names_are_answered_with_known_ones(store: TokenStore) -> None:
    with pytest.raises(TokenTableError, match=r"Unknown token table 'wordlama'\. Did you mean 'wordllama'\?.*one.*two"):
        load(store, "wordlama")


def test_offline_names_the_command(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTFR_OFFLINE", "1")
    monkeypatch.setattr("mltfr.tokens.load.fetch_table", pytest.fail)
    with pytest.raises(FetchError, match=r"'wordllama' \(missing or damaged in .*\): MLTFR_OFFLINE=1.*get wordllama"):
        load(store, "wordllama")


def test_synthetic_tables_need_no_network(store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTFR_OFFLINE", "1")
    assert load(store, "synthetic")["synthetic"].shape == (4000, 24)


def test_a_table_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="'a' is named twice"):
        TokensConfig.parse({"tables": ["a", "b", "a"]})
