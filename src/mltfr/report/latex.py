"""Tables in LaTeX, with booktabs."""

from __future__ import annotations

from collections.abc import Sequence

from mltfr.report.table import Table, TableCell

_SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": "$-$", "+": "$+$", "<": "$<$",
    ">": "$>$", "†": r"$^\dagger$", "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip


def latex(table: Table) -> str:
    """Return a table as a LaTeX float; it needs `\\usepackage{booktabs}`."""
    columns = "".join("r" if number else "l" for number in table.numbers)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escaped(table.title)}}}", rf"\label{{tab:{table.name}}}",
             rf"\begin{{tabular}}{{{columns}}}", r"\toprule",
             _line([escaped(name) for name in table.header]), r"\midrule"]  # fmt: skip
    for index, row in enumerate(table.rows):
        lines += [r"\midrule"] if index in table.sections else []
        lines.append(_line([_cell(cell) for cell in row]))
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip\footnotesize {escaped(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def escaped(text: str) -> str:
    """Return a text that LaTeX shows as it is."""
    return "".join(_SIGNS.get(sign, sign) for sign in text)


def _cell(cell: TableCell) -> str:
    return rf"\textbf{{{escaped(cell.text)}}}" if cell.bold and cell.text else escaped(cell.text)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
