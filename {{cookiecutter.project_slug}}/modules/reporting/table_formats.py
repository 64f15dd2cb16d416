"""A table as CSV, LaTeX and Markdown; names are escaped for each."""

import csv
import io
import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.reporting.run_folders import one_line

# What LaTeX reads as a command, a ligature or, at the start of a row, an option of \\.
LATEX = {
    **{char: "\\" + char for char in "_&%#${}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", '"': r"\char34{}", "`": r"\textasciigrave{}"},
    **{"[": "{[}", "*": "{*}", "--": "-{}-"},
}
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#$~|&^!])")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute a text that begins so


@dataclass
class Table:
    caption: str
    header: list[str]
    rows: list[list[str]]
    text_columns: int  # the first columns are text, set to the left; the rest are numbers


def to_csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[_csv_cell(cell) for cell in row] for row in (table.header, *table.rows)])
    return text.getvalue()


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """A CSV file in full precision; blank where a row lacks a column or the value is no number."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_csv_cell(column) for column in columns])
        writer.writerows([[_csv_cell(row.get(column)) for column in columns] for row in rows])


def _csv_cell(cell: object) -> object:
    """The cell on one line, with an apostrophe before a text that a spreadsheet would run as a formula."""
    if isinstance(cell, str):
        cell = one_line(cell)
        number = re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", cell)
        return "'" + cell if cell.startswith(FORMULA) and not number else cell
    return "" if isinstance(cell, float) and not math.isfinite(cell) else cell


def to_markdown(table: Table) -> str:
    alignment = [":--" if i < table.text_columns else "--:" for i in range(len(table.header))]
    rows = [[MARKDOWN.sub(r"\\\1", cell) for cell in row] for row in (table.header, *table.rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (rows[0], alignment, *rows[1:]))


def to_latex(table: Table) -> str:
    """A tabular for \\input; needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}."""
    last = len(table.header) - 1
    alignment = "".join("l" if i < table.text_columns else "r" for i in range(last + 1))
    rows = [" & ".join(map(escape_latex, row)) + r" \\" for row in (table.header, *table.rows)]
    return "\n".join(
        [
            r"% \usepackage{booktabs} \usepackage[T1]{fontenc}",
            f"% {table.caption}",
            rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
            r"\toprule",
            rows[0],
            r"\midrule",
            *rows[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def escape_latex(text: str) -> str:
    """Text that pdflatex sets as it is; a letter that its fonts lack becomes U+4E2D."""
    pattern = "|".join(re.escape(key) for key in sorted(LATEX, key=len, reverse=True))
    text = re.sub(pattern, lambda match: LATEX[match[0]], unicodedata.normalize("NFC", one_line(text)))
    return re.sub(r"[^\x20-\u017f]", lambda match: f"U+{ord(match[0]):04X}", text)


CONVERTERS = {"csv": to_csv, "tex": to_latex, "md": to_markdown}
