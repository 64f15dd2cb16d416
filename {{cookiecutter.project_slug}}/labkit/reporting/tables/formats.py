"""What a table is, and how it is written as CSV and Markdown; names are escaped for each."""

import csv
import io
import math
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from labkit.reporting.analysis.grouping import Group
from labkit.text import one_line

BREAK = "\u200b"  # where a long name may go on in the next line
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#$~|&^!])")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute a text that begins so
NUMBER = r"[-+]?[\d.]+(e[-+]?\d+)?"
MOST_ROWS = 30  # of a table on paper that is no list
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
    settings: tuple[int, int] = (0, 0)  # the columns of settings: the first, and the one behind the last
    long: bool = False  # a list that may go on over several pages
    order: list[int] | None = None  # the rows that paper shows first where it has no room for all; None: the first ones
    shown: str = "the first"  # what those rows are

    @classmethod
    def of_columns(
        cls, texts: list[Column], numbers: list[Column], caption: str, settings: tuple[int, int] = (0, 0)
    ) -> Self:
        columns = [*texts, *numbers]
        rows = [list(row) for row in zip(*(cells for _, cells in columns), strict=True)]
        return cls(caption, [header for header, _ in columns], rows, len(texts), settings=settings)


def settings_columns(groups: list[Group]) -> list[Column]:
    """One row per setting."""
    return [(key, [group.shown[key] for group in groups]) for key in groups[0].shown]


def cut(name: str, table: Table, most: int = MOST_ROWS) -> Table:
    """The table with so many of its rows, and a sentence that says so; `name`: of its file."""
    count = len(table.rows)
    if count <= most:
        return table
    kept = sorted((table.order or list(range(count)))[:most])
    places = {row: place for place, row in enumerate(kept)}
    return replace(
        table,
        caption=f"{table.caption} {most} of {count} rows: {table.shown}; all are in tables/{name}.csv.",
        rows=[table.rows[row] for row in kept],
        bold={(places[row], column) for row, column in table.bold if row in places},
        daggers={(places[row], column) for row, column in table.daggers if row in places},
        order=None,
    )


def with_one_column(table: Table) -> Table:
    """The table with its settings in one column: lr=0.1, width=32."""
    first, behind = table.settings
    keys = table.header[first:behind]
    if len(keys) < 2:
        return table
    ends = Counter(key.rsplit(".", 1)[-1] for key in keys)
    names = [end if ends[end := key.rsplit(".", 1)[-1]] == 1 else key for key in keys]
    rows = []
    for row in table.rows:
        said = [f"{name}={value}" for name, value in zip(names, row[first:behind], strict=True) if value]
        rows.append([*row[:first], ", ".join(said), *row[behind:]])
    gone = len(keys) - 1
    return replace(
        table,
        header=[*table.header[:first], "setting", *table.header[behind:]],
        rows=rows,
        text_columns=table.text_columns - gone,
        bold={(row, column - gone) for row, column in table.bold},
        daggers={(row, column - gone) for row, column in table.daggers},
        settings=(0, 0),
    )


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
    rows = [list(map(escape_markdown, row)) for row in (table.header, *table.rows)]
    for row, column in table.daggers:
        rows[row + 1][column] += "†"
    for row, column in table.bold:
        rows[row + 1][column] = f"**{rows[row + 1][column]}**"
    return "".join(f"| {' | '.join(row)} |\n" for row in (rows[0], alignment, *rows[1:]))


def escape_markdown(text: str) -> str:
    return MARKDOWN.sub(r"\\\1", one_line(text))


def breakable(text: str, letters: int = 20) -> str:
    """The text with places to break after punctuation in a name, and after so many letters without any."""
    text = re.sub(r"((?<=[^\W_])[-_./=,:;])(?=[^\s\d])", rf"\g<0>{BREAK}", text)
    return re.sub(rf"([^\s{BREAK}]{{{letters}}})(?=[^\s{BREAK}])", rf"\g<0>{BREAK}", text)
