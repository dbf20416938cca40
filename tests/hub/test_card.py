"""The model card: valid, with the numbers of metrics.json, and untrusted text as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from hub.conftest import BARE
from mltfr import Recommender
from mltfr.hub.card import card
from mltfr.hub.licence import TableSource
from mltfr.hub.remote import HubName, reason_of
from mltfr.interactions import load_interactions
from mltfr.pipeline.shared import to_share
from mltfr.training import Callback
from support.fake_hub import FakeHub, problems_of_card

KINDS = ["tables", "bare", "ease", "names", "blend", "update"]


def card_of(recommender: Recommender, hub: FakeHub) -> tuple[str, dict[str, object], dict[str, list[str]]]:
    """Return a pushed card, its front matter, and the rows of its first table."""
    recommender.push_to_hub("me/shop", license="mit")
    text = hub.files("me/shop")["README.md"].decode()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if line.startswith("|")]
    return text, yaml.safe_load(text.split("---\n")[1]), {row[0]: row[1:] for row in reversed(rows)}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_valid_and_its_numbers_are_those_of_the_metrics(
    kind: str, runs: dict[str, Recommender], hub: FakeHub
) -> None:
    text, front, rows = card_of(runs[kind], hub)
    assert problems_of_card(text) == []
    assert problems_of_card(text.replace("license: mit", "license: mine")) == ["license 'mine'"]
    found = runs[kind].metrics
    assert (front["license"], front["library_name"]) == ("mit", "mltfr")
    (model,) = front["model-index"]  # type: ignore[misc]
    given = {one["type"]: one["value"] for result in model["results"] for one in result["metrics"]}
    assert given == found["metrics"]
    shown = rows[""]
    assert shown == ["hr@10", "ndcg@10", "mrr@10"]
    assert "| | hr@10 | ndcg@10 | mrr@10 |\n| --- | ---: | ---: | ---: |\n" in text.replace("|  |", "| |")
    beside = {
        "this run, test": found["metrics"],
        "popularity, test": found["popularity"],
        "this run, validation, on which it was chosen": found.get("validation", {}).get("metrics"),
        **{f"{name}, test": scores["test"] for name, scores in found["baselines"].items()},
    }
    if runs[kind].config.fusions != "none":
        beside["zero branch, test: its fusion's correction set to zero"] = found["zero_branch"]
        of_mean = "constant branch, validation: the mean correction in its place"
        beside[of_mean] = found["validation"]["constant_branch"]
    for name, scores in beside.items():
        assert (name in rows) == (scores is not None)
        if scores is not None:
            assert rows[name] == [f"{scores[metric]:.4f}" for metric in shown]
    assert f"Protocol `{found['protocol_hash']}`" in text
    assert f"{found['examples']:,} examples of {found['users']:,} users" in text
    for name, value in found["protocol"].items():
        assert rows[name.replace("_", "\\_")][0].replace("\\", "") == str(value)
    training = found["counts"]["training"]
    assert re.search(rf"training +{training['interactions']} +{training['users']} +{training['items']}\n", text)
    assert "It holds no user" in text


def test_it_names_the_tables_with_their_licences_and_where_they_are_from(
    runs: dict[str, Recommender], hub: FakeHub
) -> None:
    _, front, rows = card_of(runs["tables"], hub)
    assert rows["synthetic"] == ["Apache-2.0", "synthetic", "no"]
    tables = [
        TableSource("llm", "mit", "some/llm@abc", "some/llm"), TableSource("control", "", "", None, "shuffled"),
    ]  # fmt: skip
    text = card(to_share(runs["tables"].fitted), HubName("me/shop"), "mit", tables, False)
    assert yaml.safe_load(text.split("---\n")[1])["base_model"] == ["some/llm"]
    assert "| llm | mit | some/llm@abc | no |" in text
    assert "| control | not known | not known | shuffled |" in text
    assert "base_model" not in front


def test_the_front_matter_is_no_markdown(hub: FakeHub, tmp_path: Path) -> None:
    log = tmp_path / "my_log*[x].csv"
    rows = [f"u{user},i{n % 5},{n}" for user in range(12) for n in range(user, user + 4)]
    log.write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    text, front, _ = card_of(Recommender(config=BARE).fit(load_interactions(log), callback=Callback()), hub)
    assert front["model-index"][0]["results"][0]["dataset"]["name"] == "my_log*[x].csv"  # type: ignore[index]
    assert "my\\_log\\*\\[x].csv" in text.split("---\n", 2)[2]


def test_untrusted_text_is_text(hub: FakeHub, tmp_path: Path) -> None:
    evil = ['"]]); import os; os.system("x")', "</script><script>alert(1)", "a`b", "\u202etxt", "x|y"]
    log = tmp_path / "a|b[c](http:evil)<img>.csv"
    quoted = [item.replace('"', '""') for item in evil]
    lines = [f'u{user},"{quoted[n % 5]}",{n}' for user in range(12) for n in range(user, user + 4)]
    log.write_text("user_id,item_id,timestamp\n" + "\n".join(lines) + "\n")
    run = Recommender(config=BARE).fit(load_interactions(log), callback=Callback())
    text, _, _ = card_of(run, hub)
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    compile(code[1], "card", "exec")
    assert "os.system" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", code[1])  # it stands in a text
    assert "\u202e" not in text
    page = text.split("---\n", 2)[2]
    assert "\\[c](http:evil)\\<img\\>" in page
    assert not re.search(r"(?<!\\)\[c\]|(?<!\\)<img", page)
    assert text.count("```") % 2 == 0


def test_a_refusal_without_words_is_told_as_one() -> None:
    assert reason_of(" \n") == "no reason was given"
    assert reason_of(TimeoutError()) == "TimeoutError"
    assert reason_of("not\nso") == "not so"
