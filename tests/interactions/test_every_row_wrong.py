"""Where nothing would be left of a log, dropping rows is not what is advised."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltfr.errors import DataError
from mltfr.interactions import load_interactions, prepare

TIMED = "user,item,time\n"
CASES = {
    "no items": (TIMED + "u,,1\nu,,2\nv,,3\n", r"line 2: item_id is empty.* like that: 3 of 3.* --item-column\."),
    "hardly any users": (
        TIMED + ",a,1\n" * 19 + "u,a,1\n",
        r"line 2: user_id is empty.* like that: 19 of 20.* --user-column\.",
    ),
    "no times": (TIMED + "u,a,soon\nu,b,late\n", r"'soon'.* like that: 2 of 2.*: --time-format"),
    "wide": (TIMED + "u,a,1,\nu,b,2,\n", r"line 2: the row has 4 fields\. The header has 3\. .* first 2 rows"),
    "no JSON": ("{'user': 'u', 'item': 'i'}\n{'user': 'v'}\n", r"line 1: .* like that: 2 of 2.* --format\."),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_dropping_all_rows_is_not_advised(tmp_path: Path, case: str) -> None:
    content, message = CASES[case]
    path = tmp_path / "log"
    path.write_text(content)
    for read in (load_interactions, lambda path: prepare(path, tmp_path / "prepared")):
        with pytest.raises(DataError, match=message) as raised:
            read(path)
        assert "--skip-invalid" not in str(raised.value)


@pytest.mark.parametrize("case", ["no items", "no times"])
def test_nor_are_all_dropped_in_silence(tmp_path: Path, case: str) -> None:
    content, message = CASES[case]
    path = tmp_path / "log"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        load_interactions(path, skip_invalid=True)
    with pytest.raises(DataError, match=message):
        prepare(path, tmp_path / "prepared", skip_invalid=True)


def test_rows_that_were_all_dropped_are_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(CASES["wide"][0])
    with pytest.raises(DataError, match=r"no usable rows \(invalid and dropped: 2\)\. Leave out --skip-invalid"):
        load_interactions(path, skip_invalid=True)


def test_some_wrong_rows_may_be_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(TIMED + "u,a,1\nu,b,2,\nu,b,3,\n")
    with pytest.raises(DataError, match=r"line 3: the row has 4 fields\. .* pass --skip-invalid"):
        load_interactions(path)
    path.write_text(TIMED + "u,a,1\n,b,2\n,b,3\n")
    with pytest.raises(DataError, match=r"line 3: user_id is empty.* pass --skip-invalid .* \(2 found\)"):
        load_interactions(path)
