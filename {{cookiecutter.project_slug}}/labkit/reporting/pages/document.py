"""report.pdf, set by typst from report.typ. All text goes there as data, never as markup: no name can break it."""

import json
import shutil
from pathlib import Path
from typing import Any

import typst

from labkit.reporting.figures import drawable
from labkit.reporting.pages.contents import Contents, each_text, words
from labkit.reporting.tables.formats import BREAK, MOST_ROWS, Table, breakable, cut
from labkit.text import shortened

MOST_LISTED = 300  # rows of a list
LONGEST_WORD = 12  # letters that are never set on two lines
MOST_BREAKS = 300  # in one text
WIDEST = 4  # cells of a column that are measured: to measure all of them takes as long as to draw them


def write_document(folder: Path, contents: Contents) -> None:
    """Write report.pdf into the folder that holds figures/; without results it only lists the runs."""
    tables = {name: _on_paper(name, table) for name, table in contents.tables.items()}
    content = each_text(words(contents) | {"tables": tables}, _in_print)
    data = folder / "report.json"
    data.write_text(json.dumps(content), encoding="utf-8")
    source = folder / "report.typ"
    shutil.copy(Path(__file__).with_name("report.typ"), source)
    # The compiler's own fonts only: the same bytes on every machine.
    typst.compile(source, output=folder / "report.pdf", root=folder, ignore_system_fonts=True)
    for used in (source, data):
        used.unlink()


def _in_print(text: str) -> str:
    """With letters that there are, and places to break; typst gives up on a text with very many of those."""
    text = drawable(text)
    whole = breakable(text, LONGEST_WORD)
    return whole if whole.count(BREAK) <= MOST_BREAKS else breakable(shortened(text, MOST_BREAKS), LONGEST_WORD)


def _on_paper(name: str, table: Table) -> dict[str, Any]:
    """The rows that there is room for, with the marks of their cells."""
    table = cut(name, table, MOST_LISTED if table.long else MOST_ROWS)
    rows = [[_cell(table, i, j) for j in range(len(table.header))] for i in range(len(table.rows))]
    columns = [sorted(column, key=lambda cell: -len(cell["text"]))[:WIDEST] for column in zip(*rows, strict=True)]
    return {
        "caption": table.caption,
        "header": table.header,
        "rows": rows,
        "widest": list(zip(*columns, strict=True)),
        "text_columns": table.text_columns,
    }


def _cell(table: Table, row: int, column: int) -> dict[str, Any]:
    text = table.rows[row][column]
    if column >= table.text_columns:
        text = text.replace("-", "\N{MINUS SIGN}")
    return {"text": text, "bold": (row, column) in table.bold, "dagger": (row, column) in table.daggers}
