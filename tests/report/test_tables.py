"""Tables of a study: the same to the byte, one protocol each, and numbers that come from the results."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import polars as pl
import pytest

from mltfr.errors import MltfrWarning
from mltfr.report import write_report
from mltfr.report.latex import latex
from mltfr.report.markdown import markdown
from mltfr.report.names import table_names
from mltfr.report.table import Table, TableCell, p_value, percent, score, spread
from mltfr.storage.files import sha256
from support.made_up_study import write_study
from support.manifests import change_sealed

METRICS = ("ndcg@10", "hr@10")


@pytest.fixture(autouse=True)
def _without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltfr.report.write.draw_all", lambda *_: [])


def report(folder: Path, **settings: object) -> dict[str, bytes]:
    asked = {"title": "T", "metrics": METRICS, "compare_with": "none", "test": "users-and-seeds", **settings}
    paths = write_report(folder, notes=["A *note*."], **asked)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def cells_of(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_numbers_order_and_notes(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    text = report(folder)["tables/beauty.md"].decode()
    header, _, *rows = cells_of(text)
    assert header[3:6] == ["NDCG@10", "HR@10", "gain over none"]
    assert [row[:2] for row in rows] == [["popularity", ""], *([b, f] for b in ("sasrec", "gru4rec")
                                         for f in ("none", "mltfr", "random"))]  # fmt: skip
    results = pl.read_parquet(folder / "results.parquet").filter(
        pl.col("backbone") == "sasrec", pl.col("fusion") == "mltfr", pl.col("metric") == "ndcg@10"
    )
    found = results.filter(pl.col("part") == "test")["value"].to_numpy()
    mltfr = dict(zip(header, rows[2], strict=True))
    assert mltfr["NDCG@10"] == f"**{spread(found.mean(), found.std(ddof=1))}**"
    assert mltfr["zero branch"] == score(results.filter(pl.col("part") == "zero_branch")["value"].mean())
    compared = pl.read_parquet(folder / "comparisons.parquet").row(
        by_predicate=(pl.col("backbone") == "sasrec") & (pl.col("fusion") == "mltfr") & (pl.col("metric") == "ndcg@10"),
        named=True,
    )
    assert mltfr["gain over none"] == percent(compared["relative_gain"])
    assert mltfr["p (Holm)"] == p_value(compared["p_holm"])
    assert (mltfr["parameters"], mltfr["seeds"]) == ("1,200", "3")
    assert rows[1][5] == ""  # the bare backbone is not compared with itself
    assert "users and seeds random" in text
    assert "Holm over the table's 4 comparisons with none" in text
    smallest = pl.read_parquet(folder / "comparisons.parquet").filter(metric="ndcg@10")["smallest_visible"]
    ends = f"{score(smallest.min())} to {score(smallest.max())}"
    assert f"The smallest gain that 80 % of studies of this size find, at p \\< .05 before Holm: {ends} (" in text
    assert "Equally many trained parameters on every backbone: mltfr and random." in text
    assert "Protocol aaaa1111bbbb2222, data beauty-print." in text
    assert "†" not in text


def test_two_reports_are_the_same_to_the_byte(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    first = report(folder)
    for name in ("results", "users"):  # cells finished in another order, in other time
        frame = pl.read_parquet(folder / f"{name}.parquet").sample(fraction=1.0, shuffle=True, seed=3)
        if name == "results":
            frame = frame.with_columns(seconds=pl.col("seconds") + 1)
        frame.write_parquet(folder / f"{name}.parquet")
    assert report(folder) == first


def test_only_what_an_earlier_report_wrote_is_removed(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    report(folder)
    mine = [folder / "tables" / name for name in ("mine.md", "mine.tex", "beauty.tex")] + [folder / "plots" / "a.png"]
    mine[-1].parent.mkdir()
    for path in mine:
        path.write_text("my own")  # beauty.tex was written by the report, and changed since
    rename_data(folder, "beauty", "other")
    report(folder)
    assert [path.read_text() for path in mine] == ["my own"] * 4
    assert not (folder / "tables" / "beauty.md").exists()
    assert (folder / "tables" / "other.md").exists()


@pytest.mark.parametrize("how", ["none", "damaged", "leads elsewhere"])
def test_without_a_sound_record_nothing_is_removed(tmp_path: Path, how: str) -> None:
    folder = write_study(tmp_path / "study")
    report(folder)
    outside = tmp_path / "thesis.md"
    outside.write_text("my own")
    record = folder / ".report.json"
    if how == "none":
        record.unlink()
    elif how == "damaged":
        record.write_bytes(record.read_bytes().replace(b"beauty", b"beaUty"))
    else:
        change_sealed(record, lambda facts: facts["files"].update({"tables/../../thesis.md": sha256(outside)}))
    rename_data(folder, "beauty", "other")
    report(folder)
    assert outside.exists()
    assert (folder / "tables" / "beauty.md").exists() == (how != "leads elsewhere")


def rename_data(folder: Path, old: str, new: str) -> None:
    for name in ("results", "users"):
        frame = pl.read_parquet(folder / f"{name}.parquet")
        frame.with_columns(pl.col("data").replace(old, new)).write_parquet(folder / f"{name}.parquet")


def test_protocols_never_share_a_table(tmp_path: Path) -> None:
    written = report(write_study(tmp_path, protocols=("aaaa1111bbbb2222", "cccc3333dddd4444")))
    tables = [name for name in written if re.fullmatch(r"tables/beauty.*\.md", name)]
    assert tables == ["tables/beauty-aaaa1111.md", "tables/beauty-cccc3333.md"]
    for name, protocol, other in ((tables[0], "aaaa1111", "cccc3333"), (tables[1], "cccc3333", "aaaa1111")):
        text = written[name].decode()
        assert text.startswith(f"## beauty (protocol {protocol}")
        assert other not in text
        assert len(cells_of(text)) == 2 + 7
    header = cells_of(written["tables/overview.md"].decode())[0]
    assert [name for name in header if "protocol" in name] == [
        "beauty (protocol aaaa1111bbbb2222)", "beauty (protocol cccc3333dddd4444)"
    ]  # fmt: skip


def test_other_data_under_one_label_do_not_share_a_table(tmp_path: Path) -> None:
    folder = write_study(tmp_path, seeds=(0, 1))
    results = pl.read_parquet(folder / "results.parquet")
    changed = pl.when(pl.col("seed") == 1).then(pl.lit("other")).otherwise("data_fingerprint")
    results.with_columns(data_fingerprint=changed).write_parquet(folder / "results.parquet")
    written = report(folder)
    assert {"tables/beauty-beauty-p.md", "tables/beauty-other.md"} < set(written)
    assert "† One seed only" in written["tables/beauty-other.md"].decode()


def test_the_overview_counts_wins_and_losses(tmp_path: Path) -> None:
    gains = {"none": 0.0, "better": 0.1, "same": 0.0, "worse": -0.1}
    folder = write_study(tmp_path, data=("one", "two"), fusions=gains, users=200)
    header, _, *rows = cells_of(report(folder)["tables/overview.md"].decode())
    assert header == ["fusion", "tables", "one", "wins/undecided/losses", "two", "wins/undecided/losses"]
    assert [(row[0], row[3], row[5]) for row in rows] == [
        ("better", "2/0/0", "2/0/0"), ("same", "0/2/0", "0/2/0"), ("worse", "0/0/2", "0/0/2")
    ]  # fmt: skip
    compared = pl.read_parquet(folder / "comparisons.parquet").filter(
        pl.col("data") == "one", pl.col("fusion") == "better", pl.col("metric") == "ndcg@10"
    )
    assert rows[0][2] == percent(compared["relative_gain"].mean())


def test_one_seed_and_other_tests_are_said(tmp_path: Path) -> None:
    folder = write_study(tmp_path, seeds=(3,), study=False)
    text = report(folder)["tables/beauty.md"].decode()
    assert "±" not in text
    assert "Seed 3. Bold" in text
    assert "† One seed only: p is about these trainings alone" in text
    assert re.search(r"\| \.\d{3}† \|", text)
    text = report(folder, test="wilcoxon")["tables/beauty.md"].decode()
    assert "Wilcoxon signed-rank test over users; seeds are taken as given" in text
    assert "†" not in text


def test_a_study_without_comparisons_has_tables(tmp_path: Path) -> None:
    written = report(write_study(tmp_path, fusions={"none": 0.0}))
    assert "tables/overview.md" not in written
    assert "gain over" not in written["tables/beauty.md"].decode()


def test_without_matplotlib_there_are_tables_and_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.warns(MltfrWarning, match=r"plots are left out: matplotlib is not installed.*mltfr\[study\]"):
        written = report(write_study(tmp_path))
    assert "tables/beauty.tex" in written
    assert b"plots/" not in written["summary.md"]


def test_markdown_and_latex_show_what_is_there() -> None:
    table = Table("a_b", "100 % & <more>_x", ("name|y", "v"), (False, True),
                  ((TableCell("p_1"), TableCell("+1.0 %", bold=True)),
                   (TableCell("a\\b{c}~^"), TableCell("−2 ± 3 < $4 #5"))),
                  ("note_1†",), sections=(1,))  # fmt: skip
    assert markdown(table, level=3) == (
        "### 100 % & \\<more\\>\\_x\n\n| name\\|y | v |\n| --- | ---: |\n| p\\_1 | **+1.0 %** |\n"
        "| a\\\\b{c}~^ | −2 ± 3 \\< $4 #5 |\n\nnote\\_1†\n"
    )
    assert latex(table).splitlines()[2:] == [
        r"\caption{100 \% \& $<$more$>$\_x}", r"\label{tab:a_b}", r"\begin{tabular}{lr}", r"\toprule",
        r"name\textbar{}y & v \\", r"\midrule", r"p\_1 & \textbf{$+$1.0 \%} \\", r"\midrule",
        r"a\textbackslash{}b\{c\}\textasciitilde{}\textasciicircum{} & $-$2 $\pm$ 3 $<$ \$4 \#5 \\",
        r"\bottomrule", r"\end{tabular}", r"\par\smallskip\footnotesize note\_1$^\dagger$", r"\end{table}",
    ]  # fmt: skip


def test_how_numbers_are_written() -> None:
    assert [score(v) for v in (0.05734, 1.0, 0.0, None)] == [".0573", "1.0000", ".0000", ""]
    assert [percent(v) for v in (0.0312, -0.0312, -0.0001, None)] == ["+3.1 %", "−3.1 %", "0.0 %", ""]
    assert [p_value(p) for p in (0.0321, 0.0001, 1.0, None)] == [".032", "< .001", "1", ""]


def test_names_of_groups_are_all_different() -> None:
    groups = [("a b", "1", "p"), ("a-b", "1", "p"), ("A_B", "1", "p"), ("c", "1", "p"), ("c", "2", "p")]
    names = table_names(groups)
    assert [name.stem for name in names.values()] == ["a-b", "a-b-2", "a-b-3", "c-1", "c-2"]
    assert names["c", "2", "p"].title == "c (data 2)"
