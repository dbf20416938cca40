"""What leaves the machine: no user unless asked for, no path, no token, and nothing without a licence."""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hub.conftest import TABLES, USER, fitted
from mltfr import Recommender
from mltfr.errors import ConfigError, FetchError
from mltfr.hub.licence import TableSource, licence_of, table_sources
from mltfr.tokens.origin import origin_of
from mltfr.tokens.store import TokenStore
from mltfr.tokens.table import TokenTable
from support.command_line import run
from support.fake_hub import FakeHub, Repository

TOKEN = "hf_averysecrettokenofsomebody"
LICENSED = {
    "tables": None, "bare": "mit", "ease": "mit", "names": None, "blend": None, "update": "mit", "reference": None,
}  # fmt: skip


def texts_sent(hub: FakeHub) -> Iterator[str]:
    """Yield all that was sent as text: paths, bodies, what they hold in base64, and the cells of tables."""
    yield "\n".join(hub.paths)
    contents = list(hub.bodies)
    for repository in hub.repositories.values():
        contents += [data for files in repository.commits.values() for data in files.values()]
    for body in hub.bodies:
        if body.startswith(b'{"files"'):
            contents += [base64.b64decode(one["sample"]) for one in json.loads(body)["files"]]
    for content in contents:
        yield content.decode("latin-1")
        if content.startswith(b"PAR1") and content.endswith(b"PAR1"):
            yield str(pl.read_parquet(io.BytesIO(content)).to_dicts())


@pytest.mark.parametrize("kind", LICENSED)
def test_no_user_and_no_path_is_sent(kind: str, runs: dict[str, Recommender], hub: FakeHub) -> None:
    runs[kind].push_to_hub("me/shop", license=LICENSED[kind])
    sent = list(texts_sent(hub))
    assert any("item03" in text for text in sent)  # it is looked for where it would be
    assert not [text[:200] for text in sent if f"{USER}0" in text.replace(f"log-of-{USER}0.csv", "")]
    assert not [text[:200] for text in sent if f"home-of-{USER}" in text or "/tmp/" in text]
    for name in ("histories.parquet", "examples.parquet"):
        assert len(pl.read_parquet(io.BytesIO(hub.files("me/shop")[name]))) == 0


def test_users_go_along_where_they_are_asked_for(
    runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs["tables"].save(tmp_path / "own")
    done = run("push", tmp_path / "own", "me/shop", "--with-users", online=True)
    assert "mltfr: --with-users: ids, histories and held-out rows of 29 users go to me/shop" in done.stderr
    assert "with its users, under apache-2.0" in done.stdout
    assert hub.repositories["me/shop"].private
    assert any(f"{USER}0001" in text for text in texts_sent(hub))
    assert not any(f"home-of-{USER}" in text for text in texts_sent(hub))
    theirs = Recommender.from_pretrained("me/shop")
    users = [f"{USER}0001", f"{USER}0002"]
    assert theirs.recommend(users).equals(runs["tables"].recommend(users))
    assert theirs.evaluate().metrics == runs["tables"].metrics["metrics"]
    hub.repositories["me/open"] = Repository()
    with pytest.raises(ConfigError, match=r"^me/open: is public, and users go to private repositories only"):
        runs["tables"].push_to_hub("me/open", with_users=True)
    assert set(hub.files("me/open")) == {".gitattributes"}


def test_a_licence_follows_from_all_tables(runs: dict[str, Recommender], store: TokenStore) -> None:
    tables = table_sources(runs["blend"].fitted.facts, store)
    assert [(table.name, table.licence, table.source) for table in tables] == [
        ("synthetic", "Apache-2.0", "synthetic"), ("synthetic-2", "Apache-2.0", "synthetic"),
    ]  # fmt: skip
    assert licence_of(tables) == "apache-2.0"
    several = [TableSource("a", "MIT"), TableSource("b", "Apache-2.0"), TableSource("c", "MIT")]
    assert licence_of(several) == "apache-2.0"
    assert licence_of([TableSource("a", "MIT")]) == "mit"
    with pytest.raises(ConfigError, match=r"table 'g' is under 'Gemma terms of use'\. Say which .*--license NAME"):
        licence_of([TableSource("a", "MIT"), TableSource("g", "Gemma terms of use")])
    with pytest.raises(ConfigError, match=r"item vectors of mine\.parquet are of an unknown one"):
        licence_of([TableSource("a", "MIT")], ["mine.parquet"])


def test_a_name_proves_no_licence(runs: dict[str, Recommender], store: TokenStore) -> None:
    (table, _) = runs["tables"].fitted.facts["tables"]
    assert origin_of(table, store)["licence"] == "Apache-2.0"  # type: ignore[index]
    assert origin_of({**table, "fingerprint": "0" * 64}, store) is None
    assert origin_of({**table, "name": "synthetic-2"}, store) is None


@pytest.mark.parametrize(("fusion", "prepare"), [("mltfr", "default"), ("mltfr", "raw"), ("shuffled", "default")])
def test_without_a_licence_nothing_is_uploaded(
    fusion: str, prepare: str, folder: Path, store: TokenStore, hub: FakeHub, tmp_path: Path
) -> None:
    table = store.open("synthetic")
    store.put(TokenTable("found", np.array(table.embeddings[:, ::-1]), table.vocabulary, {}))
    settings = {
        **TABLES, "tokens": {"tables": ["synthetic", "found"], "width": 64, "prepare": prepare},
        "fusion": {**TABLES["fusion"], "name": fusion}, "training": {"epochs": 1},
    }  # fmt: skip
    fitted(folder, settings).save(tmp_path / "own")
    done = run("push", tmp_path / "own", "me/shop", online=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the licence of table 'found' is not known. Say which licence the model has: --license" in done.stderr
    assert (hub.paths, hub.repositories) == ([], {})
    assert "under cc-by-4.0" in run(
        "push", tmp_path / "own", "me/shop", "--license", "CC-BY-4.0", online=True
    ).stdout  # fmt: skip


def test_a_run_without_tables_needs_a_licence(runs: dict[str, Recommender], hub: FakeHub) -> None:
    with pytest.raises(ConfigError, match=r"since the run reads none\. Say which licence"):
        runs["bare"].push_to_hub("me/shop")
    with pytest.raises(ConfigError, match=r"the licence 'do what you want' is no name of one"):
        runs["bare"].push_to_hub("me/shop", license="do what you want")
    assert hub.paths == []


def test_a_licence_that_the_hub_does_not_know_leaves_nothing_behind(
    runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path
) -> None:
    runs["bare"].save(tmp_path / "own")
    done = run("push", tmp_path / "own", "me/new", "--license", "notalicence", online=True, check=False)
    assert (done.returncode, done.stdout, hub.repositories) == (2, "", {})
    assert "the licence 'notalicence' is not known to the hub. Say which licence the model has: --lic" in done.stderr
    assert "logged in" not in done.stderr


def test_a_card_that_the_hub_refuses_leaves_nothing_behind(runs: dict[str, Recommender], hub: FakeHub) -> None:
    hub.refuse_card = "model-index: too long"
    with pytest.raises(FetchError, match=r"^me/new: the hub refuses the card \(.*model-index: too long.*\)\. Nothing"):
        runs["bare"].push_to_hub("me/new", license="mit")
    hub.refuse_card = ""
    with pytest.raises(ConfigError, match=r"^me/a--b is no name on the hub \(.*--"):
        runs["bare"].push_to_hub("me/a--b", license="mit")
    assert hub.repositories == {}


def test_the_card_goes_to_the_hub_that_is_set_alone(
    runs: dict[str, Recommender], hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_another_hub(*_: object) -> None:
        raise AssertionError("huggingface-hub before 2.2 asks one hub, whichever is set")

    monkeypatch.setattr("huggingface_hub.ModelCard.validate", to_another_hub)
    runs["bare"].push_to_hub("me/shop", license="mit")
    asked = [path for path in hub.paths if path.startswith("POST")]
    assert asked.index("POST /api/validate-yaml") < asked.index("POST /api/repos/create")


@pytest.mark.parametrize("given", ["argument", "variable"])
def test_a_token_is_in_no_log_and_no_traceback(
    given: str, runs: dict[str, Recommender], hub: FakeHub, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_DEBUG", "1")
    if given == "variable":
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    token = TOKEN if given == "argument" else None
    with caplog.at_level(logging.DEBUG):
        runs["bare"].push_to_hub("me/shop", license="mit", token=token)
        hub.refuse = "your request was refused:"  # and the server says what was sent
        for ask in (
            lambda: runs["bare"].push_to_hub("me/shop", license="mit", token=token),
            lambda: Recommender.from_pretrained("me/none", token=token),
        ):
            with pytest.raises(FetchError) as caught:
                ask()
            assert TOKEN not in str(caught.value)
            assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert TOKEN not in caplog.text
    assert TOKEN not in "".join(capfd.readouterr())
    assert not [text for text in texts_sent(hub) if TOKEN in text]


def test_the_extra_is_named_where_it_is_missing(
    runs: dict[str, Recommender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for ask in (lambda: runs["bare"].push_to_hub("me/shop"), lambda: Recommender.from_pretrained("me/shop")):
        with pytest.raises(Exception, match=r"huggingface-hub is not installed\. .*'mltfr\[hub\]'"):
            ask()


