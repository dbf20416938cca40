"""What stands before a table, a history or a JSON object may be long, and its lines may end in several ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltfr.errors import DataError
from mltfr.interactions import load_interactions

TEXTS = {
    "csv": "user_id,item_id,timestamp\nu,i,5\nv,j,x\n",
    "tsv": "user_id\titem_id\ttimestamp\nu\ti\t5\nv\tj\tx\n",
    "two colons": "user_id::item_id::timestamp\nu::i::5\nv::j::x\n",
    "quoted": "'user_id','item_id','timestamp','a, b'\n'u','i','5','c'\n'v','j','x','d'\n",
    "sequence": "u i\nv j\nw\n",
    "jsonl": '{"user": "u", "item": "i"}\n{"user": "v", "item": "j"}\n{"user": "w"}\n',
    "recbole": "user_id:token\titem_id:token\ttimestamp:float\nu\ti\t5\nv\tj\tx\n",
}


@pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
@pytest.mark.parametrize("case", TEXTS)
@pytest.mark.parametrize("size", [65_529, 65_536, 200_000])
def test_a_preamble_may_be_longer_than_the_head(tmp_path: Path, case: str, size: int) -> None:
    path = tmp_path / "log"
    full, rest = divmod(size, 1000)
    path.write_text("#" * (rest or 1000) + "\n" + ("#" * 999 + "\n") * full + TEXTS[case])
    with pytest.raises(DataError, match=rf"line {1 + full + 3}:"):
        load_interactions(path)
    log = load_interactions(path, skip_invalid=True)
    assert log.frame.rows()[0][:2] == ("u", "i")
    assert log.skipped == 1


@pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
@pytest.mark.parametrize("case", TEXTS)
def test_a_carriage_return_in_a_comment_ends_no_comment(tmp_path: Path, case: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"# c\n# a\rb c\n" + TEXTS[case].encode())
    with pytest.raises(DataError, match="line 6:"):
        load_interactions(path)
    log = load_interactions(path, skip_invalid=True)
    assert log.frame.rows()[0][:2] == ("u", "i")
    assert log.skipped == 1
