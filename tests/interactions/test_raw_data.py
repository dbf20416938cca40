"""Every public data set is read from a small made-up file of the form in which it is published."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from mltfr.errors import DataError
from mltfr.interactions import InteractionLog, catalogue, describe, load_interactions
from mltfr.interactions import data_sets as known
from mltfr.interactions.catalogue import get_data, get_names, notes
from mltfr.interactions.data_sets import DataSet, data_sets
from mltfr.interactions.raw_forms import RawForm, write_table
from mltfr.names.texts import item_texts


def zipped(files: dict[str, str], encoding: str = "utf-8") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content.encode(encoding))
    return target.getvalue()


def tarred(files: dict[str, str]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content.encode())
            archive.addfile(info, io.BytesIO(content.encode()))
    return target.getvalue()


def packed(lines: list[str]) -> bytes:
    return gzip.compress("".join(line + "\n" for line in lines).encode())


@dataclass
class Case:
    """Raw files by name, the rows (user, item, time) of their log, and the texts of some items."""

    raw: dict[str, bytes]
    rows: list[tuple[str, str, str]]
    texts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


CSV = "userId,movieId,rating,timestamp\n1,2,4.0,1112486027\n1,29,3.5,1112484676\n2,29,0.5,1112484819\n"
MOVIES = 'movieId,title,genres\n2,"American, The (1995)",Drama|Romance\n29,Cité des enfants (1995),Fantasy\n'
OF_CSV = [("1", "29", "1112484676"), ("1", "2", "1112486027"), ("2", "29", "1112484819")]
OF_MOVIES = {"2": "American, The (1995) Drama|Romance", "29": "Cité des enfants (1995) Fantasy"}


def movielens(name: str) -> Case:
    return Case({f"{name}.zip": zipped({f"{name}/ratings.csv": CSV, f"{name}/movies.csv": MOVIES})}, OF_CSV, OF_MOVIES)


def amazon(category: str) -> Case:
    reviews = [
        {"reviewerID": user, "asin": item, "reviewerName": 'The "Kid"', "helpful": [0, 1], "reviewText": "ok\nso",
         "overall": 5.0, "summary": "s", "unixReviewTime": time, "reviewTime": "01 30, 2014"}
        for user, item, time in (("A1", "B01", 1391040000), ("A1", "0780", 1397779200), ("A2", "B01", 1378425600))
    ]  # fmt: skip
    meta = [
        {"asin": "B01", "title": "Kid's \"Nail\" Set", "price": 9.99, "salesRank": {"Beauty": 5}, "brand": "O'Neil",
         "imUrl": "http://x/y.jpg", "categories": [["Beauty", "Nails"], ["Beauty", "Kits"]], "related": {"a": ["1"]}},
        {"asin": "0780", "categories": [["Beauty"]], "description": "no title"},
        {"asin": "B99", "title": "of no item of the log", "categories": [["Beauty"]]},
    ]  # fmt: skip
    return Case(
        {
            f"reviews_{category}_5.json.gz": packed([json.dumps(each) for each in reviews]),
            f"meta_{category}.json.gz": packed([repr(each) for each in meta]),
        },
        [("A1", "B01", "1391040000"), ("A1", "0780", "1397779200"), ("A2", "B01", "1378425600")],
        {"B01": "Kid's \"Nail\" Set O'Neil Beauty, Nails, Kits", "0780": "Beauty"},
    )


def ratings(category: str) -> Case:
    text = "A39,0205616461,5.0,1369699200\nA3J,0558925278,3.0,1355443200\nA3J,0205616461,3.0,1404691200"
    rows = [("A39", "0205616461", "1369699200"), ("A3J", "0558925278", "1355443200")]
    return Case({f"ratings_{category}.csv": text.encode()}, [*rows, ("A3J", "0205616461", "1404691200")])


def steam() -> Case:
    review = (
        "{{u'username': {0!r}, u'hours': 0.1, u'product_id': u'{1}', u'page_order': 0, u'date': u'{2}', "
        "u'text': u'say \"no\", don\\'t', u'early_access': False, u'user_id': None}}"
    )
    reviews = [review.format("Chaos Syren", 10, "2017-12-17"), review.format("it's \U0001f600", 30, "2018-01-02")]
    again = review.format("Chaos Syren", 10, "2017-12-17")
    games = [
        "{u'genres': [u'Action', u'Indie'], u'app_name': u'Summoner\\u2019s Kitty', u'tags': [u'Indie', u'2D'], "
        "u'price': 4.99, u'early_access': True, u'id': u'10', u'developer': u'Kotoshiro'}",
        "{u'app_name': u'never reviewed', u'id': u'11'}",
        "{u'app_name': None, u'genres': None, u'id': u'30', u'tags': [u'2D']}",
    ]
    return Case(
        {"steam_reviews.json.gz": packed([*reviews, again]), "steam_games.json.gz": packed(games)},
        [("Chaos Syren", "10", "2017-12-17"), ("it's \U0001f600", "30", "2018-01-02")],
        {"10": "Summoner’s Kitty Kotoshiro Action, Indie Indie, 2D", "30": "2D"},
        ["interactions that repeat another one with its time were left out: 1."],
    )


def lastfm() -> Case:
    tags = "userID\tartistID\ttagID\ttimestamp\r\n2\t52\t13\t1238536800000\r\n2\t52\t15\t1238536800000\r\n"
    tags += "2\t63\t13\t1238536900000\r\n3\t52\t18\t1241128800000\r\n"
    artists = 'id\tname\turl\tpictureURL\n52\tSigur "Rós"\thttp://last.fm/s\thttp://x/1.jpg\n63\tNine\thttp://n\thttp://y\n'
    return Case(
        {"hetrec2011-lastfm-2k.zip": zipped({"user_taggedartists-timestamps.dat": tags, "artists.dat": artists})},
        [("2", "52", "1238536800000"), ("2", "63", "1238536900000"), ("3", "52", "1241128800000")],
        {"52": 'Sigur "Rós"', "63": "Nine"},
        ["interactions that repeat another one with its time were left out: 1."],
    )


def gowalla() -> Case:
    lines = [
        "0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847",
        "0\t2010-10-18T22:17:43Z\t30.2691029532\t-97.7493953705\t420315",
        "1\t2010-10-17T23:42:03Z\t30.2557309927\t-97.7633857727\t22847",
    ]
    rows = [("0", "420315", "2010-10-18T22:17:43Z"), ("0", "22847", "2010-10-19T23:55:27Z")]
    return Case({"loc-gowalla_totalCheckins.txt.gz": packed(lines)}, [*rows, ("1", "22847", "2010-10-17T23:42:03Z")])


REVIEWS = "\n".join(
    json.dumps({"review_id": "r", "user_id": user, "business_id": item, "stars": 3.0, "text": "é\n", "date": date})
    for user, item, date in (("mh_", "XQ", "2018-07-07 22:09:11"), ("mh_", "7A", "2018-07-08 20:15:17"))
)
BUSINESSES = json.dumps({"business_id": "XQ", "name": "Turning Point", "city": "Ply", "categories": "Food, Tea"})
OF_YELP = [("mh_", "XQ", "2018-07-07 22:09:11"), ("mh_", "7A", "2018-07-08 20:15:17")]
OF_BUSINESSES = {"XQ": "Turning Point Food, Tea Ply"}
NAMES_OF_YELP = ("yelp_academic_dataset_review.json", "yelp_academic_dataset_business.json")
IN_TAR = dict(zip(("other.json", *NAMES_OF_YELP), ("{}", REVIEWS, BUSINESSES), strict=True))

CASES = {
    "ml-100k": Case(
        {"ml-100k.zip": zipped({"ml-100k/u.data": "196\t242\t3\t881250949\n186\t302\t3\t891717742\n"})},
        [("196", "242", "881250949"), ("186", "302", "891717742")],
    ),
    "ml-1m": Case(
        {
            "ml-1m.zip": zipped(
                {
                    "ml-1m/ratings.dat": "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n",
                    "ml-1m/movies.dat": "661::Gigante, Le (1996)::Animation\n1193::Misérables, Les (1995)::Drama|War\n",
                },
                "latin-1",
            )
        },
        [("1", "1193", "978300760"), ("1", "661", "978302109"), ("2", "1193", "978298413")],
        {"1193": "Misérables, Les (1995) Drama|War"},
    ),
    **{name: movielens(name) for name in ("ml-20m", "ml-32m", "ml-latest-small")},
    **{
        f"amazon-{name}{kind}": made(category)
        for name, category in (("beauty", "Beauty"), ("sports", "Sports_and_Outdoors"), ("toys", "Toys_and_Games"))
        for kind, made in (("", amazon), ("-ratings", ratings))
    },
    "steam": steam(),
    "lastfm": lastfm(),
    "gowalla": gowalla(),
    "yelp": Case({"yelp_dataset.tar": tarred(IN_TAR)}, OF_YELP, OF_BUSINESSES),
}


def unchecked(name: str) -> DataSet:
    """Return a data set without what only the real files meet: their sizes, checksums and counts."""
    entry = data_sets()[name]
    tables = {
        part: None if table is None else table.model_copy(
            update={
                "sha256": None,
                "sources": tuple(each.model_copy(update={"md5": None, "sha256": None, "bytes": None})
                                 for each in table.sources),
            }
        )
        for part, table in (("log", entry.log), ("names", entry.names))
    }  # fmt: skip
    return entry.model_copy(update={**tables, "rows": None})


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let nothing be fetched; return the folder of the store."""
    monkeypatch.setenv("MLTFR_HOME", str(tmp_path))
    monkeypatch.setenv("MLTFR_OFFLINE", "1")
    entries = {name: unchecked(name) for name in data_sets()}
    monkeypatch.setattr(known, "data_sets", lambda: entries)
    return tmp_path / "data"


def test_every_data_set_has_a_case() -> None:
    assert set(CASES) == set(data_sets())


@pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
@pytest.mark.parametrize("name", CASES)
def test_its_raw_form_becomes_a_log_with_names(put: Path, name: str) -> None:
    case = CASES[name]
    (put / name).mkdir(parents=True)
    for file, content in case.raw.items():
        (put / name / file).write_bytes(content)
    log = load_interactions(get_data(name))
    assert isinstance(log, InteractionLog)
    times = pl.Series([time for _, _, time in case.rows])
    expected = pl.DataFrame(case.rows, ["user_id", "item_id", "timestamp"], orient="row").sort("user_id", "timestamp")
    found = log.frame.sort("user_id", "timestamp")
    assert found.select("user_id", "item_id").rows() == expected.select("user_id", "item_id").rows()
    assert describe(log).time_unit is not None
    assert found["timestamp"].n_unique() == times.n_unique()
    assert notes(name) == case.notes
    if case.texts:
        path = get_names(name)
        assert path is not None
        texts = dict(item_texts(path).table.rows())
        assert {item: texts[item] for item in case.texts} == case.texts
        assert set(texts) <= set(log.frame["item_id"])


def test_yelp_may_be_put_there_unpacked(put: Path) -> None:
    (put / "yelp").mkdir(parents=True)
    for file, content in zip(NAMES_OF_YELP, (REVIEWS, BUSINESSES), strict=True):
        (put / "yelp" / file).write_text(content)
    assert len(load_interactions(get_data("yelp"))) == 2
    assert get_names("yelp") is not None


def test_lines_that_are_no_records_are_counted_and_many_are_refused(tmp_path: Path) -> None:
    form = RawForm(limit=1, records="json", columns={"user_id": "u", "item_id": "i"})
    good, raw = ['{"u": 1, "i": "a"}'] * 297, tmp_path / "raw"
    raw.write_text("\n".join([*good, "{", "[]", '{"u": 1}', ""]))
    counts = write_table(raw, form, tmp_path / "table")
    assert (counts.rows, counts.damaged) == (300, 3)
    assert (tmp_path / "table").read_text().splitlines() == ["user_id,item_id", *["1,a"] * 297]
    raw.write_text("\n".join([*good[:-1], "{", "[]", '{"u": 1}', '{"u": "  ", "i": 1}']))
    with pytest.raises(DataError, match=r"raw: 4 of its 300 lines are no records with u, i\. It is another file"):
        write_table(raw, form, tmp_path / "table")


@pytest.mark.parametrize("kind", ["text", "records"])
def test_a_bomb_is_given_up(tmp_path: Path, kind: str) -> None:
    form = RawForm(limit=1, header="user_id,item_id" if kind == "text" else None)
    if kind == "records":
        form = RawForm(limit=1, records="json", columns={"user_id": "u", "item_id": "i"})
    (tmp_path / "raw.gz").write_bytes(gzip.compress(b"1,2\n" * 2_000_000))
    with pytest.raises(DataError, match=r"raw\.gz: holds more than the 1,000,000 bytes that were expected"):
        write_table(tmp_path / "raw.gz", form, tmp_path / "table")


def test_a_line_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltfr.interactions.raw_forms.LONGEST", 1000)
    (tmp_path / "raw").write_text("{" * 2_000_000)
    form = RawForm(limit=16, records="json", columns={"user_id": "u", "item_id": "i"})
    with pytest.raises(DataError, match="has a line of more than 1,000 bytes"):
        write_table(tmp_path / "raw", form, tmp_path / "table")


def test_a_truncated_file_is_refused(put: Path) -> None:
    (put / "gowalla").mkdir(parents=True)
    raw = CASES["gowalla"].raw["loc-gowalla_totalCheckins.txt.gz"]
    (put / "gowalla" / "loc-gowalla_totalCheckins.txt.gz").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match=r"'gowalla' could not be read\. .*truncated or damaged"):
        get_data("gowalla")
    assert not catalogue.is_stored("gowalla")
