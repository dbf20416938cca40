"""`mltfr tokens`, and the looks at a table behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mltfr.cli.tokens import app
from mltfr.errors import TokenTableError
from mltfr.tokens import TokenStore, TokenTable
from mltfr.tokens.neighbours import nearest
from mltfr.tokens.sources.synthetic import SyntheticConfig, synthetic_table, synthetic_words
from support.token_files import small_values, write_safetensors, write_tokenizer


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLTFR_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "160")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_get_then_list_then_show() -> None:
    assert run("get", "synthetic") == "synthetic: 4,000 x 64, Apache-2.0\n"
    listed = run("list")
    row = next(line for line in listed.splitlines() if line.startswith("synthetic "))
    assert "in the store" in row
    assert "93 MB to fetch" in next(line for line in listed.splitlines() if line.startswith("smollm2-135m"))
    shown = run("show", "synthetic", "--verify")
    assert "4,000 of 4,000" in shown
    assert "Apache-2.0" in shown


def test_progress_is_kept_off_stdout(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", small_values())
    result = CliRunner().invoke(app, ["import", "mine", str(tmp_path / "t.npy")], catch_exceptions=False)
    assert result.stdout == "mine: 1,024 x 256, from t.npy\n"
    assert "reading the token table" in result.stderr


def test_import_takes_a_tensor_and_a_vocabulary(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "m.safetensors", {"odd.name": small_values(), "wte.weight": small_values(9)})
    vocabulary = write_tokenizer(tmp_path / "tokens.json", [f"▁w{n}" for n in range(1024)])
    options = ["--tensor", "odd.name", "--vocabulary", str(vocabulary), "--licence", "CC0"]
    run("import", "mine", str(path), *options)
    table = TokenStore().open("mine")
    assert table.vocabulary[1023] == "▁w1023"
    assert table.provenance["licence"] == "CC0"
    assert "imported from m.safetensors" in run("list")


def test_near_prints_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    run("get", "synthetic")
    word = synthetic_words(SyntheticConfig()).words[0]
    lines = run("show", "synthetic", "--near", word, "-k", "4").splitlines()
    assert lines[0].split() == ["word", "token", "cosine"]
    assert len(lines) == 5


def test_neighbours_and_a_text_are_shown_together() -> None:
    run("get", "synthetic")
    word = synthetic_words(SyntheticConfig()).words[0]
    near, text = run("show", "synthetic", "--near", word), run("show", "synthetic", "--text", word)
    assert run("show", "synthetic", "--near", word, "--text", word).splitlines() == [
        *near.splitlines(), *text.splitlines()
    ]  # fmt: skip


def test_tokens_with_brackets_are_printed_as_they_are() -> None:
    values = np.array([[1, 0], [0.9, 0.1], [-1, 0], [-1, 0.2]], np.float32)
    TokenStore().put(TokenTable("odd", values, ("▁a", "▁[bold]", "▁c", "▁d")))
    assert "[bold]" in run("show", "odd", "--near", "a")


def test_a_table_that_is_not_there() -> None:
    with pytest.raises(TokenTableError, match=r"Unknown token table 'gone'\. Known: .*synthetic"):
        run("show", "gone")
    with pytest.raises(TokenTableError, match="mltfr tokens get synthetic"):
        run("show", "synthetic")


def test_two_words_are_looked_up_one_by_one() -> None:
    run("get", "synthetic")
    words = synthetic_words(SyntheticConfig()).words[:2]
    lines = run("show", "synthetic", "--near", " ".join(words), "-k", "2").splitlines()
    assert [line.split()[1] for line in lines if line.startswith("near ")] == list(words)
    assert len(lines) == 6


def test_neighbours_are_ranked_after_centring() -> None:
    offset = np.float32([50, 50, 50])
    values = np.float32([[1, 0, 0], [0.9, 0.3, 0], [0, 1, 0], [-1, 0, 0], [0, 0, 9], [-0.9, -1.3, -9]]) + offset
    words = ("▁tea", "▁Coffee", "▁car", "▁stone", "▁x", "▁y")
    table = TokenTable("t", values, words)
    found = nearest(table, "TEA", 3).neighbours
    assert [hit.word for hit in found][:2] == ["Coffee", "car"]
    centred = values - values.mean(axis=0)
    cosine = centred[0] @ centred[1] / np.linalg.norm(centred[0]) / np.linalg.norm(centred[1])
    assert found[0].cosine == pytest.approx(cosine, abs=1e-4)


def test_a_word_of_several_tokens_is_the_mean_of_its_pieces() -> None:
    values = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    table = TokenTable("t", values, ("▁cho", "co", "▁late", "late", "▁b", "<s>"))
    assert nearest(table, "chocolate").pieces == ["▁cho", "co", "late"]
    with pytest.raises(TokenTableError, match="'xyz' cannot be spelled with tokens of 't'"):
        nearest(table, "xyz")
    with pytest.raises(TokenTableError, match="'late xyz' is 2 words"):
        nearest(table, "late xyz")


def test_synthetic_words_of_a_cluster_lie_together() -> None:
    config = SyntheticConfig(tokens=600, width=48, clusters=12)
    table, drawn = synthetic_table(config), synthetic_words(config)
    cluster_of = dict(zip(drawn.words, drawn.clusters, strict=True))
    same = [
        cluster_of[hit.word] == cluster_of[word]
        for word in drawn.words[:20]
        for hit in nearest(table, word, 5).neighbours
    ]
    assert np.mean(same) > 0.9
    assert len(set(drawn.words)) == 600


def test_synthetic_tables_follow_from_their_seed() -> None:
    first, again = synthetic_table(SyntheticConfig(tokens=50)), synthetic_table(SyntheticConfig(tokens=50))
    np.testing.assert_array_equal(first.embeddings, again.embeddings)
    longer = synthetic_table(SyntheticConfig(tokens=80, view=1))
    assert longer.vocabulary[:50] == first.vocabulary
    assert synthetic_table(SyntheticConfig(tokens=50, seed=1)).vocabulary != first.vocabulary
