"""A run that is shared and taken again is the same run, at the revision that is asked for, online and offline."""

from __future__ import annotations

import hashlib
import json
import socket
import warnings
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mltfr import Recommender
from mltfr.errors import ConfigError, DataError, FetchError, MltfrWarning, RunError
from mltfr.hub.files import OF_A_RUN
from mltfr.serve.loaded import LoadedRun
from mltfr.training import Callback
from support.command_line import run
from support.fake_hub import FakeHub, Repository

HISTORIES = [["item03", "item01"], ["item07"], ["nobody has it"], []]
KINDS = ["tables", "bare", "ease", "names", "blend", "update", "reference"]


def answers(recommender: Recommender, **how: Any) -> pl.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MltfrWarning)
        return recommender.recommend(histories=HISTORIES, k=5, **how)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_pulled_is_what_was_pushed(
    kind: str, runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path
) -> None:
    own = runs[kind]
    own.save(tmp_path / "own")
    url = own.push_to_hub("me/shop", license="cc-by-4.0")
    files = hub.files("me/shop")
    manifest = json.loads(files["manifest.json"])
    assert url.startswith(f"{hub.url}/me/shop/commit/")
    assert set(files) == {*manifest["files"], "manifest.json", "README.md", ".gitattributes"}
    assert files["weights.safetensors"] == (tmp_path / "own" / "weights.safetensors").read_bytes()
    theirs = Recommender.from_pretrained("me/shop")
    if kind != "reference":  # whose scores depend on chance
        assert answers(theirs).equals(answers(own))
    assert theirs.metrics["metrics"] == own.metrics["metrics"]
    if kind == "names":
        assert answers(theirs, new_items=True).equals(answers(own, new_items=True))
    assert theirs.similar_items("item01", 3).equals(own.similar_items("item01", 3))
    assert "users left out" in repr(theirs)
    done = run("pull", "me/shop", "--out", tmp_path / "pulled", online=True)
    assert "without users" in done.stdout
    found = {path.name: path.read_bytes() for path in (tmp_path / "pulled").iterdir()}
    assert found == {name: data for name, data in files.items() if name != ".gitattributes"}
    assert not any(path.is_symlink() for path in (tmp_path / "pulled").iterdir())
    for name, checksum in manifest["files"].items():
        assert hashlib.sha256(found[name]).hexdigest() == checksum
    LoadedRun.load(tmp_path / "pulled").warm_up()  # it can be served


def test_a_run_without_users_says_so(runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path) -> None:
    runs["bare"].push_to_hub("me/shop", license="mit")
    theirs = Recommender.from_pretrained("me/shop")
    theirs.save(tmp_path / "theirs")
    runs["bare"].save(tmp_path / "own")
    (tmp_path / "theirs" / "log.csv").write_text("user_id,item_id,timestamp\na,item01,9000000000\n")
    for ask, remedy in (
        (lambda: theirs.recommend(), "Give histories instead"),
        (lambda: theirs.recommend(users=["zq-person-0001"]), "Give histories instead"),
        (lambda: theirs.explain(users=["zq-person-0001"]), "Give histories instead"),
        (lambda: theirs.fidelity(), "ask whoever shared it for a run with its users"),
        (lambda: theirs.index_report(), "Give histories instead"),
        (lambda: theirs.evaluate(), "its scores are in metrics.json and README.md"),
        (lambda: theirs.update({"user_id": ["a"], "item_id": ["item01"], "timestamp": [9e9]}), "a run with its users"),
        (lambda: Recommender.blend([theirs, runs["ease"]], callback=Callback()), "a run with its users"),
        (lambda: Recommender.blend([runs["ease"], theirs], callback=Callback()), "a run with its users"),
    ):
        with pytest.raises(DataError, match=rf"^This run was shared without its users .*{remedy}"):
            ask()
    path = tmp_path / "theirs"
    for command in (
        ("recommend", path, "--out", tmp_path / "x.csv"), ("evaluate", path), ("explain", path, "--user", "a"),
        ("explain", path, "--fidelity"), ("compare", path, tmp_path / "own"), ("compare", tmp_path / "own", path),
        ("update", path, path / "log.csv", "--out", tmp_path / "new"),
    ):  # fmt: skip
        done = run(*command, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "shared without its users" in done.stderr
    assert theirs.explain(histories=[["item03", "item01"]])


def test_a_revision_is_honoured(runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path) -> None:
    first = runs["bare"].push_to_hub("me/shop", license="mit").rpartition("/")[2]
    runs["ease"].push_to_hub("me/shop", license="mit")
    runs["tables"].push_to_hub("me/shop", revision="next")
    for name, kind in (("me/shop", "ease"), (f"me/shop@{first}", "bare"), ("me/shop@next", "tables")):
        assert answers(Recommender.from_pretrained(name)).equals(answers(runs[kind]))
    assert answers(Recommender.from_pretrained("me/shop", first)).equals(answers(runs["bare"]))
    assert first in run("pull", f"me/shop@{first}", "--out", tmp_path / "first", online=True).stdout
    with pytest.raises(FetchError, match=r"^me/shop@gone: the repository has no such revision"):
        Recommender.from_pretrained("me/shop@gone")
    with pytest.raises(FetchError, match=r"^me/nothing: no such repository, or none that you may see"):
        Recommender.from_pretrained("me/nothing")


def test_the_command_that_push_prints_takes_the_run(
    runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path
) -> None:
    runs["bare"].save(tmp_path / "own")
    done = run("push", tmp_path / "own", "me/shop", "--license", "mit", online=True)
    runs["ease"].push_to_hub("me/shop", license="mit")  # the newest is another one
    command = done.stdout.partition("Take it from there: mltfr ")[2].split()
    run(*(tmp_path / "theirs" if word == "RUN" else word for word in command), online=True)
    assert answers(Recommender.load(tmp_path / "theirs")).equals(answers(runs["bare"]))


def test_what_an_earlier_run_had_more_is_removed(runs: dict[str, Recommender], hub: FakeHub) -> None:
    runs["names"].push_to_hub("me/shop", license="mit")
    assert "new_items.parquet" in hub.files("me/shop")
    runs["bare"].push_to_hub("me/shop", license="mit")
    assert not {"new_items.parquet", "item_words.parquet"} & set(hub.files("me/shop"))
    Recommender.from_pretrained("me/shop")


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "MLTFR_OFFLINE"])
def test_offline_it_comes_from_the_cache_without_a_socket(
    variable: str, runs: dict[str, Recommender], hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    runs["tables"].push_to_hub("me/shop")
    Recommender.from_pretrained("me/shop")
    if variable == "HF_HUB_OFFLINE":
        monkeypatch.setattr(huggingface_hub.constants, variable, True)
    else:
        monkeypatch.setenv(variable, "1")

    def none(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", none)
    monkeypatch.setattr(socket, "create_connection", none)
    monkeypatch.setattr(socket, "getaddrinfo", none)
    assert answers(Recommender.from_pretrained("me/shop")).equals(answers(runs["tables"]))
    told = rf"^me/other: is not in the cache of .*, and {variable} forbids fetching it\. Unset it, or fetch"
    with pytest.raises(FetchError, match=told):
        Recommender.from_pretrained("me/other")
    with pytest.raises((ConfigError, FetchError), match=rf"me/shop: {variable}=1 forbids"):
        runs["bare"].push_to_hub("me/shop", license="mit")


def test_what_the_cache_lacks_is_not_fetched_where_the_caller_forbids_it(hub: FakeHub) -> None:
    with pytest.raises(FetchError, match=r"^me/other: is not in .* local_files_only forbids .* Leave it out, or fetch"):
        Recommender.from_pretrained("me/other", local_files_only=True)
    assert hub.paths == []


def test_where_nobody_answers_the_cache_does(
    runs: dict[str, Recommender], hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    runs["bare"].push_to_hub("me/shop", license="mit")
    Recommender.from_pretrained("me/shop")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.warns(MltfrWarning, match="me/shop: the hub does not answer; taken from the cache"):
        assert answers(Recommender.from_pretrained("me/shop")).equals(answers(runs["bare"]))
    with pytest.raises(FetchError, match=r"^me/other: could not be fetched"):
        Recommender.from_pretrained("me/other")


def test_a_repository_of_something_else_is_left_alone(runs: dict[str, Recommender], hub: FakeHub) -> None:
    hub.repositories["me/llm"] = Repository()
    hub.repositories["me/llm"].commit({"config.json": b"{}", "pytorch_model.bin": b""})
    with pytest.raises(RunError, match=r"^me/llm: holds 'config.json', which no run has"):
        runs["bare"].push_to_hub("me/llm", license="mit")
    with pytest.raises(RunError, match=r"^me/llm@mine: holds 'config.json', which no run has"):
        runs["bare"].push_to_hub("me/llm", license="mit", revision="mine")
    assert set(hub.files("me/llm")) == {"config.json", "pytorch_model.bin"}
    assert set(hub.repositories["me/llm"].refs) == {"main"}


@pytest.mark.parametrize("name", ["shop", "a/b/c", "me/../x", "/me/shop", "me/shop@../x", "me/shop@"])
def test_a_name_is_a_name(name: str, runs: dict[str, Recommender], hub: FakeHub) -> None:
    with pytest.raises(ConfigError, match=r"is no (name on the hub|revision)"):
        Recommender.from_pretrained(name)
    assert hub.paths == []


def test_the_pages_beside_a_run_are_not_fetched(runs: dict[str, Recommender], hub: FakeHub, tmp_path: Path) -> None:
    runs["bare"].push_to_hub("me/shop", license="mit")
    shop = hub.repositories["me/shop"]
    shop.commit({**hub.files("me/shop"), "pictures/curve.png": b"png", "NOTICE": b"thanks"})
    run("pull", "me/shop", "--out", tmp_path / "pulled", online=True)
    assert {path.name for path in (tmp_path / "pulled").iterdir()} <= set(OF_A_RUN)
