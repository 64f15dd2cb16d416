"""Tables to read and to paste, rounded, as CSV, LaTeX and Markdown; names are escaped for each.

The full precision is in runs.csv and summary.csv beside report.pdf: those are for programs, these for eyes.
"""

import csv
import io
import math
import re
import statistics
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.reporting.collect import Results
from modules.reporting.run_folders import Study, duration, one_line
from modules.reporting.statistics import Summary

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


def summary_table(results: Results, summary: Summary, metric: str) -> Table:
    """One row per setting: how many seeds, mean, SD and interval of one metric."""
    decimals = _decimals([one.sd for one in summary[metric] if one.sd > 0])
    keys = list(results.groups[0].settings)
    unfinished = any(group.unfinished for group in results.groups)
    header = [*keys, "n", *(["unfinished"] if unfinished else []), "mean", "SD", "95 % interval"]
    body = []
    for group, one in zip(results.groups, summary[metric], strict=True):
        interval = f"{one.low:.{decimals}f} to {one.high:.{decimals}f}" if math.isfinite(one.low) else ""
        counts = [str(one.n), *([str(len(group.unfinished))] if unfinished else [])]
        numbers = [_number(one.mean, decimals), _number(one.sd, decimals), interval]
        body.append([*group.settings.values(), *counts, *numbers])
    caption = f"{one_line(metric)} per setting over n seeds: mean, sample standard deviation (from 2 seeds), "
    caption += f"95 % t interval of the mean (from 3 seeds). {selection_rule(results)}"
    return Table(caption, header, body, len(keys))


def runs_table(results: Results) -> Table:
    """One row per run with results."""
    metrics = [metric for metric in (results.metric, results.test_metric) if metric]
    keys = [key for key in results.varying if "." in key]  # the others are in the run's name
    body = []
    for group in results.groups:
        settings = [group.settings[key] for key in keys]
        for run in group.runs:
            values = [_number(results.values.loc[run.name, metric], 4) for metric in metrics]
            end = [f"{run.record['best']['epoch']:g}", *values, duration(run.record["cost"]["wall_s"])]
            body.append([one_line(run.name), run.status, *settings, *end])
    header = ["run", "status", *keys, "epoch", *map(one_line, metrics), "time"]
    caption = f"Every run with results; time is wall time. {selection_rule(results)}"
    return Table(caption, header, body, 2 + len(keys))


def unfinished_table(study: Study) -> Table:
    """One row per member of the study that has no results."""
    rows = [[one_line(run.name), run.status, run.reason or run.progress] for run in study.runs if not run.ended]
    return Table("Runs without results: they are in no table and no figure.", ["run", "status", "reason"], rows, 3)


def selection_rule(results: Results) -> str:
    """The sentence on how the epoch was chosen."""
    end = {"max": "highest", "min": "lowest"}[results.monitor["direction"]]
    return f"Each run counts with its evaluation of {end} {one_line(results.monitor['metric'])}."


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


def _decimals(sds: list[float]) -> int:
    """As many that a typical SD has two digits that mean something; four where there is none."""
    return min(max(1 - math.floor(math.log10(statistics.median(sds))), 0), 8) if sds else 4


def _number(value: float, decimals: int) -> str:
    """Blank for a value that does not exist; a value too small for the decimals keeps two digits of its own."""
    if not math.isfinite(value):
        return ""
    return f"{value:.2g}" if 0 < abs(value) < 0.5 * 10**-decimals else f"{value:.{decimals}f}"
