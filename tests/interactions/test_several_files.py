"""Several files, and folders of parts, as one log."""

from __future__ import annotations

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from mltfr.cli.data import app
from mltfr.cli.main import app as mltfr
from mltfr.errors import DataError
from mltfr.interactions import FilterConfig, load_interactions, prepare
from mltfr.storage.progress import SILENT
from mltfr.study.config import StudyConfig, load_study
from mltfr.study.inputs import StudyInputs

pytestmark = pytest.mark.filterwarnings("ignore::mltfr.errors.MltfrWarning")
TABLE = pl.DataFrame(
    {
        "user_id": [f"u{n // 9}" for n in range(90)],
        "item_id": [f"i{(5 * n) % 13}" for n in range(90)],
        "rating": [n % 5 + 1 for n in range(90)],
        "timestamp": [1_700_000_000 + (37 * n) % 90 for n in range(90)],
    }
)
CUTS = [(0, 20), (20, 21), (21, 90)]
FORMS = ["csv", "tsv", "csv.gz", "jsonl", "parquet"]


def written(path, table):
    path.parent.mkdir(exist_ok=True, parents=True)
    match path.name.partition(".")[2]:
        case "parquet":
            table.write_parquet(path)
        case "jsonl":
            table.write_ndjson(path)
        case "csv.gz":
            table.write_csv(path, compression="gzip")
        case "tsv":
            table.write_csv(path, separator="\t")
        case _:
            table.write_csv(path)
    return path


def parts(folder, *forms):
    cut = zip(CUTS, forms if len(forms) == 3 else forms * 3, strict=True)
    return [written(folder / f"{n}.{form}", TABLE[start:stop]) for n, ((start, stop), form) in enumerate(cut)]


@pytest.mark.parametrize("forms",
    [*((form,) for form in FORMS), ("csv", "jsonl", "parquet"), ("parquet", "csv", "tsv")],
)
def test_several_files_are_one_log(tmp_path, forms):
    files = parts(tmp_path, *forms)
    whole = load_interactions(written(tmp_path / "whole.csv", TABLE))
    log = load_interactions(files)
    assert log.fingerprint() == whole.fingerprint()
    assert log.source == f"{files[0]} and 2 more"
    names = ", ".join(file.name for file in files)
    assert log.notes == (f"read 3 files ({names}) as one log.",)
    made = prepare(files, tmp_path / "set", memory=1 << 20)
    assert made.fingerprint() == whole.fingerprint()
    assert (made.source, made.notes) == (f"{files[0].name} and 2 more", log.notes)
    picked = load_interactions(files, where="rating >= 4")
    assert (picked.picked.before.interactions, len(picked)) == (90, 36)
    made = prepare(files, tmp_path / "set2", filters=FilterConfig(where="rating >= 4"))
    assert made.fingerprint() == picked.fingerprint()


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_of_parts_is_one_log(tmp_path, form):
    folder = tmp_path / "log"
    parts(folder / "day", form)
    (folder / "_SUCCESS").touch()
    (folder / "README.txt").write_text("What this is\n")
    log = load_interactions(folder)
    assert log.fingerprint() == load_interactions(TABLE).fingerprint()
    assert log.source == str(folder)
    assert prepare(folder, tmp_path / "set").fingerprint() == log.fingerprint()
    if form != "parquet":
        assert log.notes == (f"read 3 files ({', '.join(f'{n}.{form}' for n in range(3))}) of the folder log.",)
    more = written(tmp_path / "more.csv", TABLE[:2].with_columns(timestamp=pl.lit(1_700_000_500)))
    both = load_interactions([folder, more])
    assert len(both) == 92
    assert prepare([folder, more], tmp_path / "set2").fingerprint() == both.fingerprint()


def test_errors_name_the_file_and_the_line(tmp_path):
    files = parts(tmp_path, "csv")
    files[2].write_text(files[2].read_text() + "u1,,3,1700000400\n")
    for read in (load_interactions, lambda files: prepare(files, tmp_path / "set")):
        with pytest.raises(DataError, match=r"0.csv and 2 more, 2.csv, line 71: item_id is empty"):
            read(files)
    files[2].write_text(files[1].read_text())
    for read in (load_interactions, lambda files: prepare(files, tmp_path / "set")):
        with pytest.raises(DataError, match=r"2.csv, line 2: repeats 1.csv, line 2 \(user 'u2'"):
            read(files)
    assert load_interactions(files, skip_invalid=True).skipped == 1
    assert prepare(files, tmp_path / "set", skip_invalid=True).skipped == 1


def test_what_is_no_one_log(tmp_path):
    files = parts(tmp_path / "log", "csv")
    prepare(files, tmp_path / "set")
    written(tmp_path / "split" / "train.csv", TABLE[:40])
    written(tmp_path / "split" / "test.csv", TABLE[40:])
    TABLE.drop("timestamp").write_csv(tmp_path / "untimed.csv")
    parts(tmp_path / "mixed", "csv", "jsonl", "tsv")
    written(tmp_path / "named" / "a" / "train-0.csv", TABLE[:40])
    written(tmp_path / "named" / "a" / "test-0.csv", TABLE[40:])
    written(tmp_path / "films" / "ratings.csv", TABLE)
    written(tmp_path / "films" / "tags.csv", TABLE.rename({"rating": "tag"}))
    (tmp_path / "empty").mkdir()
    for given, told in {
        (files[0], files[0]): r"0.csv: is given twice. Give every file once.",
        (files[0], tmp_path / "no.csv"): r"no.csv: no such file or folder",
        (files[0], tmp_path / "set"): r"set: is a prepared set, read before",
        (files[0], tmp_path / "split"): r"split: has no parts of one log, but a given split",
        (files[0], tmp_path / "untimed.csv"): r"untimed.csv: has no column of times, and 0.csv has one",
        (tmp_path / "mixed",): r"mixed: holds 0.csv and 1.jsonl, of several kinds",
        (tmp_path / "named",): r"a/test-0.csv and a/train-0.csv look like parts of a split",
        (tmp_path / "films",): r"films: the first lines of ratings.csv and tags.csv differ: .* Name the file of the",
        (): "No file was given",
    }.items():
        for read in (load_interactions, lambda given: prepare(given, tmp_path / "new")):
            with pytest.raises(DataError, match=told):
                read(list(given))
    films = [tmp_path / "films" / name for name in ("ratings.csv", "tags.csv")]
    assert len(load_interactions(films, same_time="keep")) == 180
    with pytest.raises(DataError, match=r"empty: is a folder, format 'csv' is a file's"):
        load_interactions(tmp_path / "empty", format="csv")
    with pytest.raises(DataError, match=r"Cannot prepare a DataFrame. Give the path"):
        prepare(TABLE, tmp_path / "new")


def test_the_command_line_and_studies(tmp_path):
    files = parts(tmp_path / "log", "csv")
    told = CliRunner().invoke(app, ["describe", *map(str, files), "--json"])
    assert json.loads(told.stdout)["interactions"] == 90
    asked = ["fit", *map(str, files), "--out", str(tmp_path / "run"), "--backbone", "popularity"]
    run = CliRunner().invoke(mltfr, asked)
    assert run.exit_code == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["source"] == "0.csv and 2 more"
    assert manifest["notes"] == ["read 3 files (0.csv, 1.csv, 2.csv) as one log."]
    (tmp_path / "study.toml").write_text(
        '[data.log]\nfile = ["log/0.csv", "log/1.csv"]\n[backbones.sasrec]\n[fusions.none]\n'
    )
    study = load_study(tmp_path / "study.toml")
    assert study.data["log"].files == [str(file) for file in files[:2]]
    assert StudyInputs(study, study.data, SILENT).interactions == {"log": 21}
    assert StudyConfig.parse(study.model_dump(mode="json"), "study") == study
