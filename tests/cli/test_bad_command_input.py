"""What is wrong with a log, a setting or a usage is said in one line, with exit code 2, and nothing is left."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from support.command_line import FIT, refused
from support.walks import write_log

HEADER = "user_id,item_id,timestamp\n"
GOOD = HEADER + "".join(f"u{user},i{item},{item}\n" for user in range(5) for item in range(4))


LOGS: dict[str, tuple[str | bytes, str]] = {
    "missing column": ("user_id,rating\na,1\n", r"log: no item column among 'user_id', 'rating'.*--item-column"),
    "empty id": (GOOD + "u1,,5\n", r"log, line 22: item_id is empty. Every row needs user_id and item_id. Remove the"
                 r" row, or pass --skip-invalid to drop such rows \(1 found\)"),
    "unparsable time": (GOOD + "u1,i9,soon\n", r"log, line 22: timestamp is 'soon'. timestamp must be an integer"),
    "mixed types": ('{"user_id": 1, "item_id": "x"}\n{"user_id": 1, "item_id": 7}\n{"user_id": 2, "item_id": "y"}\n',
                    r"log, line 2: item_id is a number \(7\). It is a string in 2 rows"),
    "duplicate row": (GOOD + "u1,i1,1\n", r"log, line 22: repeats line 7 \(user 'u1', item 'i1', timestamp 1\)"),
    "truncated gzip": (gzip.compress(GOOD.encode() * 50)[:-20], r"log: the compressed file is truncated or damaged"),
    "empty file": ("", r"log: the file is empty. Expected one interaction a line"),
    "header only": (HEADER, r"log: no usable rows"),
    "one-item users": (HEADER + "".join(f"u{n},i{n},{n}\n" for n in range(9)),
                       r"among 9 users.*too short for test: 9.*with interactions before the test and in it"),
    "two-item users": (HEADER + "".join(f"u{n},i{m},{m}\n" for n in range(9) for m in range(2)),
                       r"The validation split is empty.*longer histories"),
    "latin-1": ((GOOD + "ü,i,5\n").encode("latin-1"), r"log, line 22: byte 0xfc is not UTF-8.*iconv"),
    "utf-32": (GOOD.encode("utf-32"), r"log: the text is UTF-32. Expected UTF-8"),
    "broken JSON": ('{"user_id": "a", "item_id": "b"}\n{"user_id": "a"\n', r"log, line 2: found .*one JSON object"),
    "damaged Parquet": (b"PAR1" + bytes(100) + b"PAR1", r"log: not a readable Parquet file"),
}  # fmt: skip


@pytest.mark.parametrize("case", LOGS)
@pytest.mark.parametrize("command", ["fit", "describe"])
def test_logs(tmp_path: Path, store: Path, command: str, case: str) -> None:
    content, message = LOGS[case]
    (tmp_path / "log").write_bytes(content if isinstance(content, bytes) else content.encode())
    if command == "describe" and "-item users" in case:
        pytest.skip("a log that cannot be split can be described")
    arguments = ["fit", tmp_path / "log", "--out", tmp_path / "run", *FIT]
    if command == "describe":
        arguments = ["data", "describe", tmp_path / "log", "--json"]
    assert re.search(message, refused(tmp_path, store, *arguments))


def test_places_without_a_log(tmp_path: Path, store: Path) -> None:
    write_log(tmp_path / "log.csv")
    (tmp_path / "folder").mkdir()

    def fit(file: str, *more: str) -> str:
        return refused(tmp_path, store, "fit", tmp_path / file, "--out", tmp_path / "run", *FIT, *more)

    assert "nope.csv: no such file or folder" in fit("nope.csv")
    assert "folder: the folder has no train.txt. Expected train.txt and test.txt" in fit("folder")
    assert "Unknown format 'cvs'. Did you mean 'csv'?" in fit("log.csv", "--format", "cvs")
    assert "log.csv: is a file; format 'folder' reads" in fit("log.csv", "--format", "folder")
    assert "no column 'user'. The file has 'user_id', 'item_id'" in fit("log.csv", "--user-column", "user")


@pytest.mark.parametrize(("words", "what", "command"), [
    (("fit", "", "--out", "run"), "an argument", "fit"),
    (("fit", "log.csv", "--out", ""), "--out", "fit"),
    (("fit", "log.csv", "--out="), "--out", "fit"),
    (("fit", "log.csv", "--out", "run", "--user-column", " "), "--user-column", "fit"),
    (("fit", "log.csv", "--out", "run", "--item-names", ""), "--item-names", "fit"),
    (("fit", "--resume", "", "--out", "run"), "an argument", "fit"),
    (("evaluate", "--json", ""), "an argument", "evaluate"),
    (("tune", "log.csv", "--out", "run", "--tokens", ""), "--tokens", "tune"),
    (("data", "describe", ""), "an argument", "data describe"),
    (("tokens", "show", "alpha", "--near", ""), "--near", "tokens show"),
    (("recommend", "run", "--out", "-", "-k", ""), "-k", "recommend"),
])  # fmt: skip
def test_an_empty_text_is_neither_this_folder_nor_nothing(
    words: tuple[str, ...], what: str, command: str, tmp_path: Path, store: Path
) -> None:
    write_log(tmp_path / "log.csv")
    said = refused(tmp_path, store, *words)
    assert said == f"{what} is an empty text. Give a value, or leave it out. See: mltfr {command} --help"
    assert not (tmp_path / "run").exists()


def test_an_empty_text_that_means_something_is_taken(tmp_path: Path, store: Path) -> None:
    write_log(tmp_path / "log.csv")
    run = tmp_path / "run"
    assert "run: no such folder" in refused(tmp_path, store, "serve", run, "--root-path", "")
    assert "run: no such folder" in refused(tmp_path, store, "serve", run, "--root-path=")
    said = refused(tmp_path, store, "fit", tmp_path / "log.csv", "--out", run, "--fusion", "mltfr", "--tokens", "")
    assert "tokens.tables is empty" in said
    assert "'--json' does not take a value" in refused(tmp_path, store, "evaluate", run, "--json=")


# --- settings

SETTINGS: dict[str, tuple[tuple[str, ...], str]] = {
    "table": (("--tokens", "alpha,smollm2-135"), r"Unknown token table 'smollm2-135'. Did you mean 'smollm2-135m'\?"),
    "imported table": (("--tokens", "alpa"), r"Unknown token table 'alpa'. Did you mean 'alpha'\?.*tokens import"),
    "table outside": (("--tokens", "../alpha"), r"'\.\./alpha' cannot be a token table's name. Allowed"),
    "no table": (("--tokens", ","), r"tokens.tables is empty.*mltfr tokens list.*fusion 'none'"),
    "table twice": (("--tokens", "alpha,alpha"), r"token table 'alpha' is named twice"),
    "table while offline": (("--tokens", "gemma3-270m"), r"MLTFR_OFFLINE=1 forbids.*mltfr tokens get gemma3-270m"),
    "backbone": (("--backbone", "sasrecc"), r"Unknown backbone 'sasrecc'. Did you mean 'sasrec'\? Known: .*sasrec"),
    "fusion": (("--fusion", "mlftr"), r"Unknown fusion 'mlftr'. Did you mean 'mltfr'\?"),
    "preset": (("--preset", "refrence"), r"Unknown preset 'refrence'. Did you mean 'reference'\?"),
    "negative epochs": (("--epochs", "-3"), r"training.epochs: .*greater than or equal to 1, got -3"),
    "epochs in words": (("--epochs", "ten"), r"Invalid value for '--epochs'.*See: mltfr fit --help"),
    "seed": (("--seed", "-1"), r"seed: .*greater than or equal to 0, got -1"),
    "key": (("--set", "training.bach_size=3"), r"unknown setting 'training.bach_size'. Did you mean 'batch_size'\?"),
    "section": (("--set", "trainin.epochs=3"), r"unknown setting 'trainin'. Did you mean 'training'\?"),
    "value": (("--set", "training.batch_size=many"), r"training.batch_size: .*valid integer.*got 'many'"),
    "part of a fusion": (("--set", "fusion.filter.kep=3"), r"unknown setting 'filter.kep'. Did you mean 'keep'\?"),
    "no value": (("--set", "training.epochs"), r"'training.epochs' is not KEY=VALUE. Example: training.ep"),
    "100,000 levels": (("--set", "a" + ".a" * 100_000 + "=3"), r"'a\.a\.a.{70,90}: a key has at most 64 parts"),
    "100,000 brackets": (("--set", "seed=" + "[" * 100_000), r"seed: .*valid integer.*, got '\[{80}'\.\.\."),
    "5,000 digits": (("--set", "seed=" + "1" * 5000), r"seed: .*exceeded maximum size, got '1{80}'\.\.\."),
    "a long key": (("--set", "x" * 100_000 + "=3"), r"unknown setting 'x+ \.\.\. .*Known: .*training"),
    "no key": (("--set", "=3"), r"'=3' is not KEY=VALUE"),
    "two dots": (("--set", "training..epochs=3"), r"'training..epochs=3' is not KEY=VALUE"),
    "a value and a table": (("--set", "seed.x=3"), r"seed: .*valid integer, got \{'x': 3\}"),
    "no list": (("--set", "evaluation.metrics=hr,ndcg, mrr,map"),
                r"metrics: expected a list, as in \['hr', 'ndcg', 'mrr', 'map'\], got"),
    "more than a table": (("--set", "fusion.filter.shortlist=99", "--set", "fusion.filter.keep=99"),
                          r"keep is 99, but token table 'alpha' has 40 tokens. Lower fusion.filter.keep, or leave the"),
    "two lines": (("--set", "seed=1\ntraining = 2"), r"seed: .*got '1\\ntraining = 2'"),
    "fusion's site": (("--set", "fusion.site=7"), r"fusion.site is 7, but the backbone has blocks 0 to 1. Lower it"),
    "heads": (("--set", "backbone.heads=3"), r"hidden is 16 and heads is 3"),
    "device": (("--set", "training.device=cuda:99"), r"training.device is 'cuda:99', but torch finds no such device"),
    "loss": (("--set", "loss.name=bec"), r"Unknown loss 'bec'. Did you mean 'bce'\?"),
    "filter": (("--set", "filters.core=1000"), r"log.csv: no interaction is left after 'core'"),
    "no finite number": (("--set", "training.learning_rate=nan"), r"learning_rate: .*finite number, got nan"),
    "diverging": (("--set", "training.learning_rate=1e30"), r"no longer a number in epoch 1. Lower training.lear"),
    "option": (("--ephocs", "3"), r"No such option:? '?--ephocs.*See: mltfr fit --help"),
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
def test_settings(tmp_path: Path, store: Path, finished: Path, case: str) -> None:
    options, message = SETTINGS[case]
    error = refused(tmp_path, store, "fit", finished / "log.csv", "--out", tmp_path / "run", *FIT, *options)
    assert re.search(message, error)
    assert not (tmp_path / "run").exists()


CONFIGS: dict[str, tuple[str | bytes, str]] = {
    "not TOML": ("training = {\n", r"x.toml: not a TOML file: .*line 1"),
    "not UTF-8": ('name = "ü"'.encode("latin-1"), r"x.toml: not a TOML file: .*0xfc"),
    "unknown key": ("[training]\nepoch = 3\n", r"settings \(with .*x.toml\): unknown setting 'training.epoch'. Did"),
    "value for a table": ("training = 3\n", r"'training' is a table of settings, as in .*, but 3 was given"),
    "preset": ('preset = "refrence"\n', r"Unknown preset 'refrence'"),
    "deep": ("seed = " + "[" * 100_000, r"x.toml: not a TOML file: it is nested deeper than 64 levels"),
    "a deep key": ("a." * 100_000 + "a = 1", r"x.toml: not a TOML file: a key has more than 64 parts"),
    "digits": ("seed = " + "1" * 5000, r"x.toml: not a TOML file: a number has too many digits"),
    "without end": ("#" * 16_777_217, r"x.toml: longer than 262,144 characters"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_config_files(tmp_path: Path, store: Path, finished: Path, case: str) -> None:
    content, message = CONFIGS[case]
    (tmp_path / "x.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    arguments = ("fit", finished / "log.csv", "--out", tmp_path / "run", "--epochs", "1", "--config")
    arguments = (*arguments, tmp_path / "x.toml")
    assert re.search(message, refused(tmp_path, store, *arguments))


def test_a_config_file_that_is_not_there(tmp_path: Path, store: Path, finished: Path) -> None:
    arguments = ("fit", finished / "log.csv", "--out", tmp_path / "run", "--config")
    assert "no.toml: cannot be read (No such file" in refused(tmp_path, store, *arguments, tmp_path / "no.toml")
    assert "cannot be read (Is a directory)" in refused(tmp_path, store, *arguments, tmp_path)


@pytest.mark.slow
def test_a_real_process_says_it_too(tmp_path: Path, store: Path) -> None:
    (tmp_path / "log.csv").write_text(GOOD + "u1,,5\n")
    arguments = ("fit", tmp_path / "log.csv", "--out", tmp_path / "run", *FIT)
    assert "log.csv, line 22: item_id is empty" in refused(tmp_path, store, *arguments, process=True)


@pytest.mark.parametrize(("arguments", "message"), [
    (("fitt",), r"No such command 'fitt'. Did you mean 'fit'\? See: mltfr --help"),
    (("tokens", "gett"), r"No such command 'gett'. Did you mean 'get'\? See: mltfr tokens --help"),
    (("describe", "log.csv"), r"No such command 'describe'. Did you mean 'mltfr data describe'\? See: mltfr --help"),
    (("get", "x"), r"Did you mean 'mltfr data get' or 'mltfr tokens get'\?"),
    (("data", "fit"), r"No such command 'fit'. Did you mean 'mltfr fit'\? See: mltfr data --help"),
    (("train", "log.csv"), r"No such command 'train'. Did you mean 'mltfr fit'\?"),
    (("fit",), r"Missing argument 'FILE...'. See: mltfr fit --help"),
    (("evaluate", "a", "b"), r"[Uu]nexpected extra argument.*See: mltfr evaluate --help"),
])  # fmt: skip
def test_usage(tmp_path: Path, store: Path, arguments: tuple[str, ...], message: str) -> None:
    assert re.search(message, refused(tmp_path, store, *arguments))
