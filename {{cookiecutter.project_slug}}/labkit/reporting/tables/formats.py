"""A table as CSV, LaTeX and Markdown; names are escaped for each."""

import csv
import io
import math
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from labkit.reporting.grouping import Group
from labkit.text import one_line

BREAK = "\u200b"  # where a long name may go on in the next line
# What LaTeX reads as a command or, at the start of a row, as an option of \\.
LATEX = {char: "\\" + char for char in "_&%#${}"} | {
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", '"': r"\char34{}", "`": r"\textasciigrave{}"},
    **{"[": "{[}", "*": "{*}", "±": r"$\pm$", "†": r"$^{\dagger}$", "→": r"$\to$", BREAK: r"\allowbreak{}"},
}
# Letters up to U+017F that its usual fonts lack, and the hyphen that does not show.
NOT_IN_LATEX = "\u00ad\u0126\u0127\u0138\u013f\u0140\u0149\u0166\u0167\u017f"
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#$~|&^!])")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute a text that begins so
NUMBER = r"[-+]?[\d.]+(e[-+]?\d+)?"
WIDE = 48  # characters; a column of texts that are longer breaks them
Cells = set[tuple[int, int]]
Column = tuple[str, list[str]]  # its header and its cells


@dataclass
class Table:
    """Its cells are texts as the runs wrote them: whatever writes a table cleans and escapes them."""

    caption: str
    header: list[str]
    rows: list[list[str]]
    text_columns: int  # the first columns are text, set to the left; the rest are numbers
    bold: Cells = field(default_factory=set)  # (row, column) of the body
    daggers: Cells = field(default_factory=set)  # cells with a dagger, which the caption explains
    long: bool = False  # a list that may go on over several pages

    @classmethod
    def of_columns(cls, texts: list[Column], numbers: list[Column], caption: str, long: bool = False) -> Self:
        columns = [*texts, *numbers]
        rows = [list(row) for row in zip(*(cells for _, cells in columns), strict=True)]
        return cls(caption, [header for header, _ in columns], rows, len(texts), long=long)


def settings_columns(groups: list[Group]) -> list[Column]:
    """One row per setting."""
    return [(key, [group.shown[key] for group in groups]) for key in groups[0].shown]


def to_csv(table: Table) -> str:
    return _csv([table.header, *table.rows])


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """A CSV file in full precision; blank where a row lacks a column or the value is no number."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = _csv([columns, *([row.get(column) for column in columns] for row in rows)])
    path.write_text(text, encoding="utf-8", newline="\n")


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_csv_cell(cell) for cell in row] for row in rows])
    return text.getvalue()


def _csv_cell(cell: object) -> object:
    """The cell on one line, with an apostrophe before a text that a spreadsheet would run as a formula."""
    if isinstance(cell, str):
        cell = one_line(cell)
        number = re.fullmatch(f"{NUMBER}( to {NUMBER})?", cell)
        return "'" + cell if cell.startswith(FORMULA) and not number else cell
    return "" if isinstance(cell, float) and not math.isfinite(cell) else cell


def to_markdown(table: Table) -> str:
    alignment = [":--" if i < table.text_columns else "--:" for i in range(len(table.header))]
    rows = [[MARKDOWN.sub(r"\\\1", one_line(cell)) for cell in row] for row in (table.header, *table.rows)]
    for row, column in table.daggers:
        rows[row + 1][column] += "†"
    for row, column in table.bold:
        rows[row + 1][column] = f"**{rows[row + 1][column]}**"
    return "".join(f"| {' | '.join(row)} |\n" for row in (rows[0], alignment, *rows[1:]))


def to_latex(table: Table) -> str:
    """A tabular for \\input, or a longtable for a list that may be longer than a page."""
    wide = [i < table.text_columns and any(len(row[i]) > WIDE for row in table.rows) for i in range(len(table.header))]
    packages = r"\usepackage{booktabs} \usepackage[T1]{fontenc}"
    if any(wide):
        packages += r" \usepackage{array}"
    body = [" & ".join(_latex_cell(table, i, j, wide[j]) for j in range(len(row))) for i, row in enumerate(table.rows)]
    lines = [rf"{line} \\" for line in body]
    if table.long:
        kind = "longtable"
        packages += r" \usepackage{longtable}"
        lines = [r"\endhead", r"\bottomrule", r"\endfoot", *lines]
    else:
        kind = "tabular"
        lines.append(r"\bottomrule")
    return "\n".join(
        [
            f"% {packages}",
            f"% {one_line(table.caption)}",
            rf"\begin{{{kind}}}{{@{{}}{_alignment(table, wide)}@{{}}}}",
            r"\toprule",
            rf"{' & '.join(map(escape_latex, table.header))} \\",
            r"\midrule",
            *lines,
            rf"\end{{{kind}}}",
            "",
        ]
    )


def _alignment(table: Table, wide: list[bool]) -> str:
    """l and r; the columns that break share what is left of the width of the text, at about 85 letters in a line."""
    columns = zip(table.header, *table.rows, strict=True)
    taken = sum(3 + max(map(len, cells)) for cells, breaks in zip(columns, wide, strict=True) if not breaks)
    share = min(max((1 - taken / 85) / max(sum(wide), 1), 0.2), 0.55)
    paragraph = rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\linewidth}}"
    texts = [paragraph if breaks else "l" for breaks in wide[: table.text_columns]]
    return "".join(texts) + "r" * (len(wide) - table.text_columns)


def _latex_cell(table: Table, row: int, column: int, wide: bool) -> str:
    cell = table.rows[row][column]
    text = latex_number(cell) if column >= table.text_columns else escape_latex(breakable(cell) if wide else cell)
    text = rf"\textbf{{{text}}}" if (row, column) in table.bold else text
    # The dagger hangs beside the column: the digits stay below each other.
    return text + r"\rlap{$^{\dagger}$}" if (row, column) in table.daggers else text


def breakable(text: str) -> str:
    """The text with places to break after punctuation in a name, and after 20 letters without any."""
    return re.sub(r"((?<=[^\W_])[-_./=,:;])(?=[^\s\d])|(\w{20})(?=\w)", rf"\g<0>{BREAK}", text)


def latex_number(text: str) -> str:
    """Numbers with the signs of mathematics: a minus is no hyphen."""
    text = re.sub(r"([-+]?)([\d.]+)e([-+]?)0*(\d+)", r"$\1\2\\cdot10^{\3\4}$", escape_latex(text))
    return re.sub(r"(?<![\w$.{^])([-+])(?=\d)", r"$\1$", text)


def escape_latex(text: str) -> str:
    """Text that pdflatex sets as it is; a letter that its fonts lack becomes U+4E2D."""
    text = unicodedata.normalize("NFC", one_line(text))
    text = "".join(LATEX.get(char, char if _in_latex(char) else f"U+{ord(char):04X}") for char in text)
    text = re.sub(r"([-',])(?=\1)", r"\1{}", text)  # no ligature
    return re.sub(r"^ | $|(?<= ) ", r"\\ ", text)  # every space counts


def _in_latex(char: str) -> bool:
    return " " <= char <= "\u017f" and char not in NOT_IN_LATEX


CONVERTERS = {"csv": to_csv, "tex": to_latex, "md": to_markdown}
