"""Headers that lost a byte: said, and never read as something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltfr.errors import DataError
from mltfr.interactions import load_interactions


@pytest.mark.parametrize("skip", [False, True])
def test_a_header_that_is_no_text_is_refused(tmp_path: Path, skip: bool) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"user_id,item_id,timest\xffamp\nu1,i1,3\nu1,i2,1\n")  # without its times, in another order
    with pytest.raises(DataError, match="line 1: byte 0xff is not UTF-8"):
        load_interactions(path, skip_invalid=skip)


def test_a_column_may_have_the_replacement_character_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,ti\ufffdtle\nu1,i1,a\nu1,i2,b\n")
    assert len(load_interactions(path)) == 2


def test_the_cut_header_of_an_atomic_file_is_no_history(tmp_path: Path) -> None:
    path = tmp_path / "log.inter"
    path.write_text("user_id:token\titem_id")
    with pytest.raises(DataError, match=r"no .*rows"):
        load_interactions(path)


def test_more_columns_without_a_name_do_not_hide_an_atomic_file(tmp_path: Path) -> None:
    path = tmp_path / "log.inter"
    rows = [f"u{n}\ti{n}\t{n}" for n in range(5)]
    path.write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float,,", *rows, ""]))
    assert load_interactions(path).frame["item_id"].to_list() == [f"i{n}" for n in range(5)]
