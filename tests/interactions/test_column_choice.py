from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from mltfr.errors import DataError
from mltfr.interactions import load_interactions, prepare
from mltfr.interactions.columns import ITEM_NAMES, TIME_NAMES, USER_NAMES, Columns, canonical

CLICKS = pl.DataFrame(
    {
        "visitor_id": ["v1", "v1", "v1", "v2", "v2", "v2"],
        "item": ["view", "cart", "buy", "view", "view", "buy"],
        "sku": ["S-1", "S-1", "S-2", "S-3", "S-1", "S-2"],
        "event_time": [10, 20, 30, 10, 20, 30],
    }
)
PUBLIC = {
    "MovieLens": ("userId,movieId,rating,timestamp", "userId,movieId,timestamp"),
    "RecBole": ("user_id,item_id,rating,timestamp", "user_id,item_id,timestamp"),
    "RecBole, Yelp": ("review_id,user_id,business_id,stars,useful,funny,cool,date", "user_id,business_id,date"),
    "RecBole, sessions": ("session_id,item_id,timestamp,number of times", "session_id,item_id,timestamp"),
    "Amazon 2014": ("reviewerID,asin,reviewerName,overall,unixReviewTime,reviewTime", "reviewerID,asin,unixReviewTime"),
    "Amazon 2015": ("marketplace,customer_id,review_id,product_id,product_parent", "customer_id,product_id,None"),
    "Amazon 2023": ("rating,title,asin,parent_asin,user_id,timestamp", "user_id,parent_asin,timestamp"),
    "RetailRocket": ("timestamp,visitorid,event,itemid,transactionid", "visitorid,itemid,timestamp"),
    "REES46": ("event_time,event_type,product_id,category_id,user_id,user_session", "user_id,product_id,event_time"),
    "H&M": ("t_dat,customer_id,article_id,price,sales_channel_id", "customer_id,article_id,t_dat"),
    "Diginetica": ("session_id,user_id,item_id,timeframe,eventdate", "user_id,item_id,None"),
    "trivago": ("user_id,session_id,timestamp,step,item_id", "user_id,item_id,timestamp"),
    "KuaiRec": ("user_id,video_id,play_duration,time,date,timestamp", "user_id,video_id,timestamp"),
    "LFM-2b": ("user_id,track_id,album_id,timestamp", "user_id,track_id,timestamp"),
    "Goodreads": ("user_id,book_id,review_id,rating,date_added", "user_id,book_id,None"),
    "with names": ("customer,customer_id,product,product_id,created_at", "customer_id,product_id,created_at"),
    "with numbers": ("uid,user,iid,item,date", "user,item,date"),
    "spelled twice": ("USER_ID,user_id,item_id,Item-ID", "user_id,item_id,None"),
}


def asked(column: str, *other: str) -> str:
    raise AssertionError("nothing has to be chosen")


@pytest.mark.parametrize("log", PUBLIC)
def test_public_logs_need_no_choice(log: str) -> None:
    header, expected = PUBLIC[log]
    found = Columns().resolve(header.split(","), log, asked)
    assert [found[role] for role in ("user_id", "item_id")] + [str(found.get("timestamp"))] == expected.split(",")


def as_csv(path: Path, table: pl.DataFrame) -> None:
    table.write_csv(path)


def as_packed_csv(path: Path, table: pl.DataFrame) -> None:
    path.write_bytes(gzip.compress(("# exported\n" + table.write_csv(separator=";")).encode("utf-16")))


def as_recbole(path: Path, table: pl.DataFrame) -> None:
    typed = table.rename({name: f"{name}:{'float' if name == 'event_time' else 'token'}" for name in table.columns})
    typed.write_csv(path, separator="\t")


WRITERS: dict[str, Callable[[Path, pl.DataFrame], None]] = {
    "csv": as_csv,
    "packed csv": as_packed_csv,
    "recbole": as_recbole,
    "parquet": lambda path, table: table.write_parquet(path),
    "jsonl": lambda path, table: table.write_ndjson(path),
}
QUESTION = (
    ": 'item' (view, cart, buy) and 'sku' (S-1, S-2, S-3) may each be the column of the items. Say which one is: "
    "--item-column item or --item-column sku (in Python item_column=)."
)


@pytest.mark.parametrize("form", WRITERS)
def test_a_choice_is_asked_for_in_every_format(tmp_path: Path, form: str) -> None:
    path = tmp_path / "clicks"
    WRITERS[form](path, CLICKS)
    for read in (load_interactions, lambda path: prepare(path, tmp_path / "prepared")):
        with pytest.raises(DataError) as raised:
            read(path)
        assert str(raised.value) == str(path) + QUESTION
    assert load_interactions(path, item_column="sku").frame["item_id"].n_unique() == 3


@pytest.mark.parametrize("table", [CLICKS, CLICKS.to_pandas(), CLICKS.to_arrow(), CLICKS.to_dict(as_series=False)])
def test_a_choice_is_asked_for_in_memory(table: object) -> None:
    with pytest.raises(DataError) as raised:
        load_interactions(table)
    assert str(raised.value) == "in-memory table" + QUESTION
    assert load_interactions(table, item_column="sku").frame["item_id"].n_unique() == 3


def test_visitors_and_sessions_are_different_users() -> None:
    table = pl.DataFrame({"visitor_id": [None, " v 1"], "session_id": ["s" * 30, "s2"], "item": ["a", "b"]})
    with pytest.raises(DataError, match=r"'visitor_id' \(v 1\) and 'session_id' \(s{20}\.\.\., s2\) .* of the users"):
        load_interactions(table)
    assert load_interactions(table, user_column="session_id").frame["user_id"].to_list() == ["s" * 30, "s2"]


def test_what_has_another_role_is_no_choice() -> None:
    table = pl.DataFrame({"session": ["s", "s"], "customer": ["c", "d"], "sku": ["a", "b"], "asin": ["e", "f"]})
    log = load_interactions(table, item_column="sku,asin,session")
    assert log.frame["user_id"].to_list() == ["c", "d"]
    assert load_interactions(table, user_column="sku", item_column="session").frame["item_id"].to_list() == ["s", "s"]


def test_more_than_two_columns_are_all_named() -> None:
    table = {"user": ["u"], "sku": [None], "add id": ["x"], "asin": ["b"], "Track ID": ["t"]}
    with pytest.raises(DataError, match=r"'asin' \(b\), 'sku' \(no values\) and 'Track ID' \(t\).* 'Track ID' \("):
        load_interactions(table)


def test_users_and_items_are_asked_for_at_once() -> None:
    table = {"visitor_id": ["v"], "session_id": ["s"], "item": ["view"], "sku": ["a"]}
    with pytest.raises(DataError, match=r"the users\. Say .*user_column=\)\. 'item' \(view\) and 'sku' .* the items"):
        load_interactions(table)


def test_two_spellings_are_a_choice() -> None:
    with pytest.raises(DataError, match=r"'userId' \(u\) and 'USER_ID' \(v\)"):
        load_interactions({"userId": ["u"], "USER_ID": ["v"], "item": ["a"]})


@pytest.mark.parametrize("usual", [USER_NAMES, ITEM_NAMES, TIME_NAMES])
def test_usual_names_are_different(usual: tuple[str, ...]) -> None:
    assert len(set(map(canonical, usual))) == len(usual)
