"""Folders that come with a split: which file is which part, and what becomes of each."""

from __future__ import annotations

import gzip

import numpy as np
import polars as pl
import pytest

from mltfr.errors import DataError, MltfrWarning
from mltfr.interactions import FilterConfig, apply_filters, describe, load_interactions, prepare, split

PARTS = {"train": "u1 a b c\nu2 b c d\n", "valid": "u1 d\nu2 e\n", "test": "u1 e\nu2 f\n"}
ROWS = {"train": [("u1", "a", 1), ("u2", "b", 2), ("u1", "c", 4), ("u1", "b", 3)],
        "valid": [("u1", "y", 9), ("u1", "x", 8), ("u3", "x", 8)],
        "test": [("u1", "a", 10), ("u2", "z", 11)]}  # fmt: skip


def folder_of(path, files):
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts(name="valid.txt"):
    return {"train.txt": PARTS["train"], name: PARTS["valid"], "test.txt": PARTS["test"]}


def decoded(parts):
    """The training, validation and test items of every user, `?` where training lacks one."""
    found = {}
    for row, user in enumerate(parts.user_ids):
        items = ["?" if code <= 0 else parts.vocabulary.item_ids[code - 1] for code in parts.histories[row]]
        cuts = [[items[cut] for cut in each.cut[each.user == row]] for each in (parts.validation, parts.test)]
        found[user] = (items[: parts.train_length[row]], *cuts)
    return found


@pytest.mark.parametrize("name", ["valid.txt", "val.txt", "dev.txt", "validation.txt", "Valid.TXT"])
def test_the_validation_file_is_the_validation_part(tmp_path, name):
    log = load_interactions(folder_of(tmp_path / "log", texts(name)))
    assert decoded(split(log)) == {
        "u1": (["a", "b", "c"], ["d"], ["?"]),
        "u2": (["b", "c", "d"], ["?"], ["?"]),
    }
    statistics = describe(log)
    assert (statistics.interactions, statistics.validation_interactions, statistics.test_interactions) == (6, 2, 2)
    made = prepare(tmp_path / "log", tmp_path / "set")
    assert decoded(made.split) == decoded(split(log))
    assert made.fingerprint() == log.fingerprint()
    with pytest.raises(DataError, match="has a given test part, so 'core' cannot be applied"):
        apply_filters(log, FilterConfig(core=2))


def test_without_one_all_is_as_before(tmp_path):
    files = texts()
    with_valid = load_interactions(folder_of(tmp_path / "with", files))
    del files["valid.txt"]
    log = load_interactions(folder_of(tmp_path / "log", files))
    assert log.validation is None
    assert decoded(split(log)) == {"u1": (["a", "b"], ["c"], ["?"]), "u2": (["b", "c"], ["?"], ["?"])}
    assert log.fingerprint() == "6e263a34c7a4abe0201a4ca52a70644b745df04f318ec13b25f40e24ed0d4202"
    assert log.fingerprint() != with_valid.fingerprint()


def written(form, rows):
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    if form == "parquet":
        return frame.write_parquet
    if form == "inter":
        types = {"user_id": "user_id:token", "item_id": "item_id:token", "timestamp": "timestamp:float"}
        return lambda path: frame.rename(types).write_csv(path, separator="\t")
    if form == "jsonl.gz":
        return lambda path: path.write_bytes(gzip.compress(frame.write_ndjson().encode()))
    return lambda path: frame.write_csv(path, separator="\t" if form == "tsv" else ",")


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "jsonl.gz", "inter", "txt"])
def test_every_format_has_parts(tmp_path, form):
    for part, rows in ROWS.items():
        name = f"ml-100k.{part}.inter" if form == "inter" else f"{part}.{form}"
        written(form, rows)(tmp_path / name)
    log = load_interactions(tmp_path)
    parts = split(log)
    assert decoded(parts) == {"u1": (["a", "b", "c"], ["?", "?"], ["a"]), "u2": (["b"], [], ["?"])}
    assert parts.left_out == {"in the validation part only": 1, "without a validation item": 1}
    assert log.validation is not None
    assert log.validation["item_id"].to_list()[-1] == "y"  # in order of time


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train.txt", "valid.txt", "dev.txt", "test.txt"], r"both dev.txt and valid.txt may be the validation part"),
        (["train.txt", "train.csv", "test.txt"], r"both train.csv and train.txt may be the train part"),
        (["a.train.inter", "b.train.inter", "a.test.inter"], r"both a.train.inter and b.train.inter may be"),
        (["train.txt", "train.txt.gz", "test.txt"], r"both train.txt and train.txt.gz may be the train part"),
        (["train.txt", "valid.txt"], r"the folder has no test.txt. Expected train.txt and test.txt"),
        (["notes.md"], r"the folder has no train.txt"),
    ],
)
def test_folders_that_are_not_clear(tmp_path, files, message):
    with pytest.raises(DataError, match=message) as caught:
        load_interactions(folder_of(tmp_path, dict.fromkeys(files, "u a b\n")), format="folder")
    assert "\n" not in str(caught.value)


def test_other_files_are_left_alone_and_it_is_said(tmp_path):
    others = {"item_list.txt": "1 2\n", "train.txt~": "x", ".train.txt": "x", "train_old.csv": "x", "README": "x"}
    with pytest.warns(MltfrWarning, match=r"read train.txt, valid.txt, test.txt; what else .* \(4\) was left alone"):
        log = load_interactions(folder_of(tmp_path, texts() | others))
    assert len(log) == 6


@pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
def test_what_stands_in_two_parts_is_counted(tmp_path):
    log = load_interactions(folder_of(tmp_path / "texts", texts() | {"test.txt": "u1 a z\nu2 f\n"}))
    assert log.notes == ("1 of 3 interactions of test.txt stand in train.txt too.",)
    header = "user_id,item_id,timestamp\n"
    files = {"train.csv": header + "u,a,1.5\nu,b,2\n", "dev.csv": header + "u,a,3\n", "test.csv": header + "u,b,2\n"}
    log = load_interactions(folder_of(tmp_path / "tables", files))
    assert log.notes == ("1 of 1 interactions of test.csv stand in train.csv too.",)


def test_a_bad_row_of_a_part_is_named_and_can_be_dropped(tmp_path):
    folder = folder_of(tmp_path, texts() | {"valid.txt": "u1 d\nu2\n"})
    with pytest.raises(DataError, match=r"valid.txt, line 2: the user has no items"):
        load_interactions(folder)
    assert load_interactions(folder, skip_invalid=True).skipped == 1


def test_columns_of_the_parts_can_be_named(tmp_path):
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_text("who,what\nu,a\nu,b\n")
    log = load_interactions(tmp_path, user_column="who", item_column="what")
    assert log.frame.rows() == [("u", "a"), ("u", "b")]
    assert np.array_equal(split(log).test.cut, [2, 3])


@pytest.mark.parametrize(
    "names",
    [
        ("train-00000-of-00001", "test-00000-of-00001"),
        ("train/part-0", "test/part-0"),
        ("split=train/part-0", "split=test/part-0"),
        ("reviews_train", "reviews_valid"),
        ("data/Train-0", "data/eval-0"),
        ("part-0", "testing/part-0"),
        ("train-0", "validation-0", "train-1"),
        ("dev.0", "train.0"),
    ],
)
def test_parquet_files_of_several_parts_are_not_one_log(tmp_path, names):
    folder = tmp_path / "test-split" / "log"  # what stands above says nothing
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        written("parquet", ROWS["train"])(folder / f"{name}.parquet")
    with pytest.raises(DataError, match=r"look like parts of a split.*train\.parquet, test\.parquet") as caught:
        load_interactions(folder)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="look like parts of a split"):
        prepare(folder, tmp_path / "set")
    assert len(load_interactions(folder, format="parquet", same_time="keep")) == 4 * len(names)


@pytest.mark.parametrize("names", [("part-0", "part-1"), ("devices-0", "trains-0", "testimony"), ("test-0", "test-1")])
def test_parquet_files_of_one_part_are_a_log(tmp_path, names):
    for name in names:
        written("parquet", ROWS["train"])(tmp_path / f"{name}.parquet")
    assert len(load_interactions(tmp_path, same_time="keep")) == 4 * len(names)


def test_a_part_may_have_any_dots_in_its_name(tmp_path):
    log = load_interactions(folder_of(tmp_path, {f"a.b.c.{part}.txt": PARTS[part] for part in ("train", "test")}))
    assert log.test is not None


def test_parts_without_a_header_are_no_histories(tmp_path):
    rows = [f"{user}\t{item}\t{1_600_000_000 + item}\n" for user in range(3) for item in range(5)]
    folder = folder_of(tmp_path / "log", {"train.txt": "".join(rows), "test.txt": "0\t7\t1600000009\n"})
    for skip in (False, True):
        with pytest.raises(DataError, match=r"train\.txt: looks like a table without a header: .* --columns user_id"):
            load_interactions(folder, skip_invalid=skip)
    log = load_interactions(folder, columns="user_id,item_id,timestamp")
    assert (len(log.frame), len(log.test)) == (15, 1)


def test_a_part_may_begin_with_a_user_without_items(tmp_path):
    folder = folder_of(tmp_path / "log", {"train.txt": "u0\n" + PARTS["train"], "test.txt": PARTS["test"]})
    with pytest.raises(DataError, match=r"train\.txt, line 1: the user has no items"):
        load_interactions(folder)
    assert load_interactions(folder, skip_invalid=True).skipped == 1
