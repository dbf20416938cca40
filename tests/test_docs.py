"""The documentation says what the code does: generated parts, commands, settings, links and files."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import colours
import draw
import generate
from mltfr.cli.main import app
from mltfr.config import Config
from mltfr.errors import ConfigError
from mltfr.pipeline import resolve
from settings_tables import meanings
from support.command_line import made_command

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))
STUDIES = sorted((ROOT / "studies").glob("*.toml"))
BACKBONE_OF = {
    "mltfr-reference": "sasrec", "sasrec-original": "sasrec", "sasrec-long": "sasrec", "esasrec": "ligr"
}  # else the file's name; fmt: skip
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FIT_FLAGS = {"--backbone": "backbone", "--fusion": "fusion", "--preset": "preset"}


def commands_of(text: str) -> list[list[str]]:
    """Return the words of every `mltfr` command in shell blocks and comments of config files."""
    blocks = re.findall(r"^```(?:bash|sh)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    joined = "\n".join(blocks).replace("\\\n", " ")
    lines = [line.strip() for line in joined.split("\n")] + re.findall(r"^#\s+(mltfr .*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines if re.match(r"(\w+=\S+ )*mltfr ", line)]


COMMANDS = [
    pytest.param(words, id=f"{page.name}: {' '.join(words)}"[:90])
    for page in [*PAGES, *CONFIGS, *STUDIES]
    for words in commands_of(page.read_text("utf-8"))
]


@pytest.mark.parametrize("name", generate.FILES)
def test_generated_parts_are_up_to_date(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert generate.updated(text) == text, f"{name} is out of date. Run: python docs/generate.py"


@pytest.mark.parametrize("name", draw.PICTURES)
def test_pictures_are_up_to_date(name: str) -> None:
    drawn = draw.PICTURES[name]()
    assert (ROOT / name).read_text("utf-8") == drawn, f"{name} is out of date. Run: python docs/draw.py"


@pytest.mark.parametrize("name", draw.PICTURES)
def test_pictures_need_no_css_variables(name: str) -> None:
    picture = draw.PICTURES[name]()
    assert "--" not in picture
    assert all(colour in picture for pair in colours.COLOURS.values() for colour in pair)


def test_the_picture_stands_every_room_on_a_floor_above_what_it_imports() -> None:
    order = draw.layers()
    graph = draw.imports(order)
    row = draw.rows(order, graph, draw.floors(order))
    assert not [(room, other) for room in order for other in graph[room] if row[room] >= row[other]]
    picture = draw.architecture()
    assert [room for room in order if f">{room}</text>" not in picture] == []
    ElementTree.fromstring(picture)


def test_the_bars_are_as_long_as_what_was_measured() -> None:
    drawn = draw.PICTURES["docs/speed.svg"]()
    bars = [float(each) for each in re.findall(r'<rect class="bar \w+" [^>]*width="([\d.]+)"', drawn)]
    labels = [float(each) for each in re.findall(r'y="[\d.]+">([\d.]+)</text>', drawn)]
    assert len(bars) == len(labels) == 20
    assert all(abs(bar / bars[0] - label) < 0.05 + 0.005 * label for bar, label in zip(bars, labels, strict=True))
    table = (ROOT / "benchmarks" / "results" / "peers.md").read_text("utf-8")
    measured = {float(each) for each in re.findall(r" over mltfr: .*? \| ([\d.]+) x", table)}
    assert all(any(abs(label - each) <= 0.051 for each in measured) for label in labels if label != 1)


def test_the_picture_leaves_out_what_follows() -> None:
    graph = {"a": {"b", "c", "d"}, "b": {"c"}, "c": set(), "d": set()}
    assert draw.reduced(graph, "abcd") == {"a": {"b", "d"}, "b": {"c"}, "c": set(), "d": set()}


def test_the_generator_sees_what_is_stale() -> None:
    stale = "before\n<!-- begin:licences -->\nold\n<!-- end:licences -->\nafter\n"
    fresh = generate.updated(stale)
    assert "ml-100k" in fresh
    assert "old" not in fresh
    assert (fresh.startswith("before\n"), fresh.endswith("\nafter\n")) == (True, True)


TOML = [
    pytest.param(block, id=f"{page.name}: {block[:30]}")
    for page in PAGES
    for block in re.findall(r"^```toml\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
]


@pytest.mark.parametrize("block", TOML)
def test_every_toml_block_parses(block: str) -> None:
    assert tomllib.loads(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_hold_no_traces_of_the_help_texts_markup(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.findall(r"[\x00-\x08\x0b-\x1f]", text)
    assert "\\[" not in text


def test_the_study_file_in_the_help_is_a_toml_block_of_the_reference() -> None:
    assert any("title" in tomllib.loads(block.values[0]) for block in TOML if block.id.startswith("reference.md"))


def test_verbatim_paragraphs_of_a_help_text_become_code_blocks() -> None:
    text = "Do it.\n\n\b\n    [a.b]\n    c = \\[1]\n\nMore.\n\n\b\n    no code at all"
    assert generate.fenced(generate.without_markup(text)) == (
        "Do it.\n\n```toml\n[a.b]\nc = [1]\n```\n\nMore.\n\n```text\nno code at all\n```"
    )


def test_every_setting_has_a_description() -> None:
    text = (ROOT / "docs" / "reference.md").read_text("utf-8")
    assert not re.findall(r"^\| `.*\|\s*\|$", text, re.MULTILINE)


def test_a_setting_means_what_stands_below_it() -> None:
    class First(Config):
        """Of a model."""

        a: int = 1
        """Of a."""
        b: int = 2  # a remark
        # another one
        """Of b,
        in two lines."""
        c: int = 3

    class Second(First):
        b: int = 4
        """Of b again."""
        d: int = 5

    assert meanings(First) == {"a": "Of a.", "b": "Of b,\nin two lines."}
    assert meanings(Second) == {"a": "Of a.", "b": "Of b again."}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_file_is_complete_and_valid(path: Path) -> None:
    config = resolve(file=tomllib.loads(path.read_text("utf-8")))
    assert config.preset == ("reference" if "reference" in path.stem else "default")
    assert config.backbone.name == BACKBONE_OF.get(path.stem, path.stem)


def test_the_default_config_file_is_the_default() -> None:
    file = tomllib.loads((ROOT / "configs" / "sasrec.toml").read_text("utf-8"))
    assert resolve(file=file) == resolve()


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 30
    assert commands_of("```bash\nmltfr fit \\\n  a.csv --out b\n```\n```toml\nmltfr = 1\n```") == [
        ["mltfr", "fit", "a.csv", "--out", "b"]
    ]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_exists_with_its_options(words: list[str]) -> None:
    while words[0] != "mltfr":
        words = words[1:]
    command: Any = made_command(app)
    words = words[1:]
    while words and getattr(command, "commands", None) and not words[0].startswith("-"):
        assert words[0] in command.commands
        command, words = command.commands[words[0]], words[1:]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert not [word for word in words if word.startswith("-") and word not in {*known, "-"}]  # alone it is stdout
    if command.name == "fit":
        values: dict[str, Any] = {
            key: words[words.index(flag) + 1] for flag, key in FIT_FLAGS.items() if flag in words
        }
        if "--words" in words:
            values["words"] = ["a", "word"]
        if "--item-vectors" in words:
            values["item_vectors"] = words[words.index("--item-vectors") + 1]
        if "--item-names" in words:
            values["item_names"] = words[words.index("--item-names") + 1]
        values["new_items"] = "--new-items" in words or None
        pairs = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
        file = words[words.index("--config") + 1] if "--config" in words else ""
        given = tomllib.loads((ROOT / file).read_text("utf-8")) if file.startswith("configs/") else {}
        resolve(**values, file=given, overrides=pairs)


def test_a_wrong_setting_in_a_command_is_seen() -> None:
    with pytest.raises(ConfigError, match="unknown setting"):
        test_every_command_exists_with_its_options(shlex.split("mltfr fit a --out b --set training.epoch=3"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, target


BANNED = (
    "BESIDE", "Board", "Bulletin", "bulletin", "by_hand", "catch_up", "chosen_by", "complaint", "equalise",
    "Fabric", "FEW", "from_first", "hears", "install_consensus", "item_matrix", "item_rows", "Kept", "lay_over",
    "linears_of_each", "LOOKED_AT", "luck", "make_team", "Material", "notices", "readout", "recordable", "remedies",
    "Remembered", "Reporter", "RoundState", "row_dot", "row_sum", "RowAdam", "Saved", "Served", "set_rate",
    "side_by_side", "spread_queries", "sum_gradients", "supplied", "Team", "tidy", "wanted", "wanted_places",
    "watched", "wishes",
)  # fmt: skip
"""Words and names that the glossary replaces by the field's own."""
MODULES = [path for path in sorted((ROOT / "src").rglob("*.py")) if path.name != "upgrade.py"]  # it reads old names
SOURCES = [*MODULES, ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *(ROOT / "docs").glob("*.py")]


def test_one_word_one_thing() -> None:
    """The words that were given up for the field's do not come back: see the glossary in docs/concepts.md."""
    pattern = re.compile(rf"\b({'|'.join(BANNED)})\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in SOURCES
        if path.name != "upgrade.py"  # it reads the settings of earlier versions
        for number, line in enumerate(path.read_text("utf-8").split("\n"), 1)
        for match in pattern.finditer(line)
    ]
    assert found == []


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text("utf-8")
    assert [page.name for page in sorted(folder.glob("*.md")) if f"({page.name})" not in index] == ["README.md"]


def test_no_file_is_longer_than_300_lines() -> None:
    files = [path for folder in ("src", "docs", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): path.read_text("utf-8").count("\n") for path in files}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_no_two_test_files_have_one_name() -> None:
    """Test files are no packages: pytest imports each by its name alone."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, number in names.items() if number > 1] == []
