"""report.pdf, set by typst from report.typ. All text goes there as data, never as markup: no name can break it."""

import json
import shutil
from pathlib import Path
from typing import Any

import typst

from labkit.reporting.figures import drawable
from labkit.reporting.pages.contents import Contents, each_text, words
from labkit.reporting.tables.formats import Table, breakable

MOST_ROWS = 300  # of a table on paper
WIDEST = 4  # cells of a column that are measured: to measure all of them takes as long as to draw them


def write_document(folder: Path, contents: Contents) -> None:
    """Write report.pdf into the folder that holds figures/; without results it only lists the runs."""
    tables = {name: _on_paper(name, table) for name, table in contents.tables.items()}
    content = each_text(words(contents) | {"tables": tables}, lambda text: breakable(drawable(text)))
    data = folder / "report.json"
    data.write_text(json.dumps(content), encoding="utf-8")
    source = folder / "report.typ"
    shutil.copy(Path(__file__).with_name("report.typ"), source)
    # The compiler's own fonts only: the same bytes on every machine.
    typst.compile(source, output=folder / "report.pdf", root=folder, ignore_system_fonts=True)
    for used in (source, data):
        used.unlink()


def _on_paper(name: str, table: Table) -> dict[str, Any]:
    """Its first rows, with the marks of its cells."""
    count, caption = len(table.rows), table.caption
    if count > MOST_ROWS:
        caption += f" The first {MOST_ROWS} of {count} rows; all are in tables/{name}.csv."
    rows = [[_cell(table, i, j) for j in range(len(table.header))] for i in range(min(count, MOST_ROWS))]
    columns = [sorted(column, key=lambda cell: -len(cell["text"]))[:WIDEST] for column in zip(*rows, strict=True)]
    return {
        "caption": caption,
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
