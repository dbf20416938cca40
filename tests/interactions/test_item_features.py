"""Item vectors from Parquet and safetensors, in the order of the codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from mltfr.errors import DataError
from mltfr.interactions import Vocabulary
from mltfr.interactions.item_features import read_item_features

IDS = ("b", "a", "7")
VALUES = np.arange(12, dtype=np.float32).reshape(4, 3) + 1
VOCABULARY = Vocabulary(IDS, np.array([0, 3, 2, 1]))
ROWS = {"a": VALUES[2], "7": VALUES[3], "other": VALUES[0], "b": VALUES[1]}
"""Code c has the row VALUES[c]; an item that training does not know stands between."""


def as_lists(path: Path) -> None:
    pl.DataFrame({"item_id": list(ROWS), "vector": [row.tolist() for row in ROWS.values()]}).write_parquet(path)


def as_array(path: Path) -> None:
    vector = pl.Series("v", np.stack(list(ROWS.values())), dtype=pl.Array(pl.Float64, 3))
    pl.DataFrame([pl.Series("itemId", list(ROWS)), vector]).write_parquet(path)


def as_columns(path: Path) -> None:
    table = np.stack(list(ROWS.values()))
    columns = {f"x{n}": table[:, n] for n in range(3)}
    pl.DataFrame({"title": ["text"] * 4, "item_id": list(ROWS), **columns}).write_parquet(path)


def as_tensors(path: Path) -> None:
    save_file({item: row.astype(np.float16) for item, row in ROWS.items()}, path)


@pytest.mark.parametrize("write", [as_lists, as_array, as_columns, as_tensors], ids=lambda write: write.__name__)
def test_every_form_gives_the_same_vectors(tmp_path: Path, write) -> None:
    path = tmp_path / ("v.safetensors" if write is as_tensors else "v.parquet")
    write(path)
    found = read_item_features(path, VOCABULARY)
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors[1:], VALUES[1:])
    assert not found.vectors[0].any()
    report = found.report()
    assert len(report.pop("sha256")) == 64
    assert report == {"source": path.name, "width": 3, "coverage": 1.0, "missing": 0}


def test_whole_numbers_are_ids(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": [8, 7], "v": [[1.0], [2.0]]}).write_parquet(tmp_path / "v.parquet")
    found = read_item_features(tmp_path / "v.parquet", Vocabulary(("7", "8"), np.array([0, 1, 1])))
    assert found.vectors.ravel().tolist() == [0, 2, 1]


def test_white_space_is_no_part_of_an_id(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": ["1 ", " 2"], "v": [[1.0], [2.0]]}).write_parquet(tmp_path / "v.parquet")
    save_file({"1 ": np.array([1.0]), " 2": np.array([2.0])}, tmp_path / "v.safetensors")
    for name in ("v.parquet", "v.safetensors"):
        found = read_item_features(tmp_path / name, Vocabulary(("1", "2"), np.ones(3, np.int64)))
        assert found.vectors.tolist() == [[0.0], [1.0], [2.0]]
    save_file({"1 ": np.array([1.0]), "1": np.array([2.0])}, tmp_path / "v.safetensors")
    with pytest.raises(DataError, match="two tensors have one name but for white space"):
        read_item_features(tmp_path / "v.safetensors", Vocabulary(("1",), np.ones(2, np.int64)))


def test_a_missing_item_is_an_error_or_zeros(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    as_lists(path)
    more = Vocabulary((*IDS, "c", "d", "e", "f"), np.ones(8, np.int64))
    message = r"4 of the 7 items have no vector \(first: c, d, e\)\. Add them, or set fusion\.missing = 'zero'"
    with pytest.raises(DataError, match=message):
        read_item_features(path, more)
    found = read_item_features(path, more, missing="zero")
    assert found.missing == ("c", "d", "e", "f")
    assert found.report()["coverage"] == pytest.approx(3 / 7)
    assert not found.vectors[4:].any()
    np.testing.assert_array_equal(found.vectors[1:4], VALUES[1:])
    with pytest.raises(DataError, match=r"2 of the 2 items have no vector \(first: x, y\)\. Add them\.$"):
        read_item_features(path, Vocabulary(("x", "y"), np.ones(3, np.int64)), missing="zero")


FRAMES = {
    "no item column": (pl.DataFrame({"v": [[1.0]]}), r"no item column among v\. Expected an item_id column"),
    "twice": (pl.DataFrame({"item_id": ["a", "a"], "v": [[1.0], [2.0]]}), r"item_id is 'a' twice"),
    "twice but for space": (pl.DataFrame({"item_id": ["a", "a "], "v": [[1.0], [2.0]]}), r"item_id is 'a' twice"),
    "blank id": (pl.DataFrame({"item_id": ["a", " "], "v": [[1.0], [2.0]]}), r"item_id is empty"),
    "empty id": (pl.DataFrame({"item_id": ["a", None], "v": [[1.0], [2.0]]}), r"item_id is empty"),
    "two lengths": (
        pl.DataFrame({"item_id": ["a", "b"], "v": [[1.0], [2.0, 3.0]]}), r"lists in v must have one length"
    ),
    "no list": (pl.DataFrame({"item_id": ["a", "b"], "v": [[1.0], None]}), r"lists in v must have one length"),
    "two lists": (
        pl.DataFrame({"item_id": ["a"], "v": [[1.0]], "w": [[1.0]]}), r"2 columns of lists and 0 of numbers"
    ),
    "no numbers": (pl.DataFrame({"item_id": ["a"], "v": ["x"]}), r"0 columns of lists and 0 of numbers"),
    "nan": (
        pl.DataFrame({"item_id": [*IDS], "v": [[1.0], [float("nan")], [3.0]]}), r"vector of item 'a' .* no finite"
    ),
    "null": (pl.DataFrame({"item_id": [*IDS], "x": [1.0, 2.0, None]}), r"vector of item '7' .* no finite number"),
    "float ids": (pl.DataFrame({"item_id": [0.5], "x": [1.0]}), r"item_id holds 0.5, not a whole number"),
}  # fmt: skip


@pytest.mark.parametrize("case", FRAMES)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, case: str) -> None:
    frame, message = FRAMES[case]
    frame.write_parquet(tmp_path / "v.parquet")
    with pytest.raises(DataError, match=rf"v\.parquet: .*{message}"):
        read_item_features(tmp_path / "v.parquet", VOCABULARY)


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    def refused(name: str) -> str:
        with pytest.raises(DataError) as error:
            read_item_features(tmp_path / name, VOCABULARY)
        return str(error.value)

    assert "no such file. Check the path of the item vectors." in refused("nope.parquet")
    assert "item vectors are read from .parquet, .safetensors" in refused("v.csv")
    for name in ("v.parquet", "v.safetensors"):
        (tmp_path / name).write_bytes(b"something else")
    assert "not a readable Parquet file" in refused("v.parquet")
    assert "not a safetensors file" in refused("v.safetensors")
    save_file({"a": np.ones(3, np.float32), "b": np.ones(4, np.float32)}, tmp_path / "v.safetensors")
    assert "expected one tensor [W] for every item, named by its id and all of one width" in refused("v.safetensors")
