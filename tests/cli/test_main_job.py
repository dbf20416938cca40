from __future__ import annotations

import json
import math
import shutil
import tomllib

import polars as pl
import pytest

from support.command_line import SMALL, run
from support.walks import write_log

TABLES = ("--tokens", "alpha,beta")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, store):
    folder = tmp_path_factory.mktemp("job")
    histories = write_log(folder / "log.csv")
    done = run("fit", folder / "log.csv", "--out", folder / "run", *TABLES, *SMALL, "--epochs", "8", home=store)
    return folder, histories, done


def test_fit_writes_a_run_that_describes_itself(fitted, store):
    folder, histories, done = fitted
    run_folder = folder / "run"
    files = {path.name for path in run_folder.iterdir()}
    assert files == {
        "config.toml", "manifest.json", "metrics.json", "weights.safetensors",
        "items.parquet", "histories.parquet", "examples.parquet", "log.jsonl",
    }  # fmt: skip
    manifest = json.loads((run_folder / "manifest.json").read_text())
    assert set(manifest["files"]) == files - {"manifest.json"}
    assert [table["name"] for table in manifest["tables"]] == ["alpha", "beta"]
    assert manifest["seed"] == 0
    assert manifest["rounds"] == 2
    records = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    assert [(r["round"], r["epoch"]) for r in records] == [(r, e) for r in (1, 2) for e in (1, 2, 3, 4)]
    assert "ndcg@10" in done.stdout
    assert "round 2 of 2, epoch 4" in done.stderr
    document = json.loads((run_folder / "metrics.json").read_text())
    assert document["split"] == "test"
    assert document["users"] == sum(len(items) >= 2 for items in histories.values())
    assert set(document["metrics"]) == {f"{m}@{k}" for m in ("hr", "ndcg", "mrr") for k in (5, 10, 20)}
    assert set(document["zero_branch"]) == set(document["popularity"]) == set(document["metrics"])
    assert document["zero_branch"] != document["metrics"]
    assert document["validation"]["split"] == "validation"


def test_evaluate_repeats_the_score(fitted, store):
    folder, _, _ = fitted
    document = json.loads((folder / "run/metrics.json").read_text())
    for part, expected in (("test", document), ("validation", document["validation"])):
        done = run("evaluate", folder / "run", "--split", part, "--json", home=store)
        printed = json.loads(done.stdout)
        assert {"run", "split", "users", "protocol", "protocol_hash", "metrics"} <= set(printed)
        assert printed == {key: expected[key] for key in printed}
        assert printed["run"] == "run"


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_recommendations_reproduce_the_metrics(fitted, store, ending):
    folder, histories, _ = fitted
    known = set(pl.read_parquet(folder / "run/items.parquet")["item_id"])
    cases = {user: items for user, items in histories.items() if len(items) >= 2}
    lines = [json.dumps({"user_id": user, "items": items[:-1]}) for user, items in cases.items()]
    (folder / "histories.jsonl").write_text("\n".join(lines))
    out = folder / f"best.{ending}"
    run("recommend", folder / "run", "--histories", folder / "histories.jsonl", "--out", out, "-k", "10", home=store)
    read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "jsonl": pl.read_ndjson}[ending]
    frame = read(out)
    assert frame.columns == ["user_id", "rank", "item_id", "score"]
    assert list(dict.fromkeys(frame["user_id"])) == list(cases)
    ranks = {(row["user_id"], row["item_id"]): row["rank"] for row in frame.iter_rows(named=True)}
    hits = [ranks.get((user, items[-1])) for user, items in cases.items()]
    assert all(items[-1] in known for (user, items), hit in zip(cases.items(), hits, strict=True) if hit)
    metrics = json.loads((folder / "run/metrics.json").read_text())["metrics"]
    assert sum(hit is not None for hit in hits) / len(hits) == pytest.approx(metrics["hr@10"], abs=1e-9)
    gains = [1 / math.log2(hit + 1) if hit else 0.0 for hit in hits]
    assert sum(gains) / len(gains) == pytest.approx(metrics["ndcg@10"], abs=1e-9)


def test_an_approximate_index_is_kept_and_says_what_it_finds(fitted, store, tmp_path):
    pytest.importorskip("faiss")
    folder, _, _ = fitted
    shutil.copytree(folder / "run", tmp_path / "run")
    done = run("recommend", tmp_path / "run", "--out", tmp_path / "a.csv", "--index", "ivf", home=store)
    assert "index ivf: recall@10 1.0000 against the exact lists of" in done.stdout  # one list holds so few items
    assert {"index.faiss", "index.json"} <= {path.name for path in (tmp_path / "run").iterdir()}
    run("recommend", tmp_path / "run", "--out", tmp_path / "b.csv", "--index", "dense", home=store)
    found, exact = (pl.read_csv(tmp_path / name) for name in ("a.csv", "b.csv"))
    assert found.drop("score").equals(exact.drop("score"))


def test_a_saved_config_repeats_the_run(fitted, store):
    folder, _, _ = fitted
    run("fit", folder / "log.csv", "--out", folder / "again", "--config", folder / "run/config.toml", home=store)
    assert (folder / "again/weights.safetensors").read_bytes() == (folder / "run/weights.safetensors").read_bytes()
    assert tomllib.loads((folder / "run/config.toml").read_text()) == tomllib.loads(
        (folder / "again/config.toml").read_text()
    )


def test_unknown_items_are_reported_and_skipped(fitted, store):
    folder, _, _ = fitted
    path = folder / "odd.jsonl"
    path.write_text('{"user_id": "new", "items": ["i1", "never-seen"]}\n{"user_id": "cold", "items": ["nope"]}\n')
    done = run("recommend", folder / "run", "--histories", path, "--out", folder / "odd.csv", "-k", "3", home=store)
    assert "2 items are not in the training data and were skipped" in done.stderr
    assert "1 history holds no item that training knows; it gets the most popular items" in done.stderr
    frame = pl.read_csv(folder / "odd.csv")
    assert frame["user_id"].to_list() == ["new"] * 3 + ["cold"] * 3
    counts = pl.read_parquet(folder / "run/items.parquet").sort("count", descending=True, maintain_order=True)
    assert frame.filter(pl.col("user_id") == "cold")["item_id"].to_list() == counts["item_id"].to_list()[:3]


def test_lists_and_seen_items(fitted, store):
    folder, histories, _ = fitted
    (folder / "allow.txt").write_text("i1\ni2\ni3\n")
    (folder / "deny.txt").write_text("i2\n")
    (folder / "users.txt").write_text("u3\nu1\n")
    out = ("--out", folder / "lists.csv", "--overwrite")
    arguments = ["recommend", folder / "run", "--users", folder / "users.txt", *out]
    run(*arguments, "--allow", folder / "allow.txt", "--deny", folder / "deny.txt", "--include-seen", home=store)
    frame = pl.read_csv(folder / "lists.csv")
    assert frame["user_id"].unique(maintain_order=True).to_list() == ["u3", "u1"]
    assert set(frame["item_id"]) == {"i1", "i3"}
    for option, skipped, left in (("--allow", "i2\nnew\n", {"i2"}), ("--deny", "new\nnewer\ni2\n", None)):
        (folder / "some.txt").write_text(skipped)
        done = run(*arguments, option, folder / "some.txt", "--include-seen", "-k", "99", home=store)
        text = "2 items of deny are not in the training data and were skipped (new, newer)."
        if option == "--allow":
            text = "1 item of allow is not in the training data and was skipped (new)."
        said, short = done.stderr.splitlines()
        assert said == f"mltfr: {text}"
        assert short == "mltfr: users who get fewer than 99 items, since no more are candidates: 2."
        items = set(pl.read_csv(folder / "lists.csv")["item_id"])
        assert items == left if left else "i2" not in items
    run(*arguments, home=store)
    for user, item in pl.read_csv(folder / "lists.csv").select("user_id", "item_id").iter_rows():
        assert item not in histories[user]
