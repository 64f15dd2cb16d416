"""report.html: the report as one offline file, with every run in a list to sort and filter and a curve to point at.

The page is page.html with the text put in as escaped HTML, readable without script, and the runs as JSON. Nothing in it
can make the browser ask for another file or run a name as code: its policy allows the one style and the one script.
"""

import base64
import hashlib
import html
import json
import math
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from labkit.reporting.answer import Verdict
from labkit.reporting.collect import Results, runs_rows
from labkit.reporting.findings import Findings
from labkit.reporting.grouping import as_text
from labkit.reporting.pages.contents import Contents
from labkit.reporting.study_file import StudyFile
from labkit.reporting.tables.formats import Table
from labkit.reporting.tables.metrics import selection_rule
from labkit.runs.study import Study
from labkit.text import one_line

RUN_LISTS = ("runs", "unfinished")  # tables of runs: the page has its own list of all of them
LONG = 60  # letters of a cell that is set on several lines
MOST_VALUES = 100_000  # of all curves together; a browser draws so many at once, and they are 0.7 MB


def write_page(folder: Path, contents: Contents) -> None:
    """Write report.html into the folder that holds figures/; without results it lists the runs only."""
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    study, results = contents.study, contents.findings.results if contents.findings else None
    shown = {name: table for name, table in contents.tables.items() if name not in RUN_LISTS}
    content = [*_head(study, results), *_answer(contents.file, contents.findings), *_warnings(contents.warnings)]
    content += [part for name, table in shown.items() for part in _table(name, table)]
    content += _figures(contents.captions, contents.not_drawn)
    parts = {
        "title": _text(study.name),
        "style_hash": _hash(template, "style"),
        "script_hash": _hash(template, "script"),
        "content": "\n".join(content),
        "data": _json(_run_list(study, results) | _curves(study, results)),
    }
    page = re.sub(r"<!--(\w+)-->", lambda match: parts[match[1]], template)
    (folder / "report.html").write_text(page, encoding="utf-8", newline="\n")


def _head(study: Study, results: Results | None) -> list[str]:
    counts = "".join(f"<li><b>{n}</b> {_text(status)}</li>" for status, n in study.counts().items())
    head = ["<header>", '<p class="kind">Study</p>', f"<h1>{_text(study.name)}</h1>"]
    head.append(f'<ul class="counts" aria-label="Runs by status">{counts or "<li>no runs</li>"}</ul>')
    if results:
        better = {"max": "higher", "min": "lower"}[results.direction]
        head.append(
            f'<p class="rule">About <b>{_text(results.metric)}</b>, {better} is better. '
            f"{_text(selection_rule(results))}</p>"
        )
    else:
        head.append('<p class="rule">No run has results yet.</p>')
    return [*head, '<p><a href="#runs">All runs, to sort and to filter</a></p>', "</header>"]


def _answer(file: StudyFile | None, findings: Findings | None) -> list[str]:
    """What the study's file asks, and what the runs say to it."""
    if not file:
        return []
    asked = {"Question": file.question, "Hypothesis": file.hypothesis, "Formal problem": file.formal_problem}
    terms = "".join(f"<dt>{name}</dt><dd>{_lines(text)}</dd>" for name, text in asked.items())
    part = ['<section class="study">', f"<dl>{terms}</dl>"]
    if findings and findings.answer:
        word = findings.answer.word
        part.append(f'<div class="answer {_kind(word)}"><p class="kind">Answer</p><p class="word">{_text(word)}</p>')
        part.append(f"<p>{_text(findings.answer.sentence)}</p>")
        part.append(f'<ul class="verdicts">{"".join(map(_verdict, findings.answer.verdicts))}</ul></div>')
    elif findings:
        about = f"This report is about {findings.results.metric}; the study asks about {file.metric}"
        part.append(f'<p class="note">{_text(about)}: no answer here.</p>')
    else:
        part.append('<p class="note">No answer yet: no run has results.</p>')
    return [*part, "</section>"]


def _verdict(verdict: Verdict) -> str:
    needed = f" Seeds needed per setting for 80 % power: {verdict.seeds_needed}." if verdict.seeds_needed else ""
    name, word, why = (_text(text) for text in (verdict.name, verdict.word, verdict.why))
    return f'<li><b>{name}</b>: <i class="{_kind(verdict.word)}">{word}</i>. {why}.{needed}</li>'


def _kind(word: str) -> str:
    """The class of the style sheet: supported, not-supported or not-decidable."""
    return "-".join(word.split()[:2])


def _warnings(warnings: list[str]) -> list[str]:
    if not warnings:
        return []
    items = "".join(f"<li>{_text(warning)}</li>" for warning in warnings)
    return [f'<section class="warnings"><h2>Warnings</h2><ul>{items}</ul></section>']


def _table(name: str, table: Table) -> list[str]:
    title = _text(name.replace("_", " ").capitalize())
    body = "\n".join(_row(table, position) for position in range(len(table.rows)))
    header = "".join(
        f'<th scope="col"{_class(table, i, cell)}>{_text(cell)}</th>' for i, cell in enumerate(table.header)
    )
    return [
        f"<section><h2>{title}</h2>",
        f'<p class="caption">{_text(table.caption)}</p>',
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">',
        f"<table><thead><tr>{header}</tr></thead>\n<tbody>{body}</tbody></table></div></section>",
    ]


def _row(table: Table, position: int) -> str:
    cells = []
    for i, cell in enumerate(table.rows[position]):
        text = f"<b>{_text(cell)}</b>" if (position, i) in table.bold else _text(cell)
        dagger = "<sup>\u2020</sup>" if (position, i) in table.daggers else ""
        cells.append(f"<td{_class(table, i, cell)}>{text}{dagger}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _class(table: Table, column: int, cell: str) -> str:
    """How the style sheet sets a cell: numbers to the right, a long text on several lines."""
    if column >= table.text_columns:
        return ' class="number"'
    return ' class="long"' if len(cell) > LONG else ""


def _figures(captions: dict[str, str], not_drawn: list[str]) -> list[str]:
    if not captions:
        return []
    items = "".join(
        f'<li><a href="figures/{quote(name, safe="")}.pdf">{_text(name.replace("_", " "))}</a>. {_text(caption)}</li>'
        for name, caption in captions.items()
    )
    note = " Not drawn: ".join(["In the folder figures beside this page, as PDF and PNG.", *not_drawn])
    return [f'<section class="figures"><h2>Figures</h2><p class="caption">{_text(note)}</p><ul>{items}</ul></section>']


def _run_list(study: Study, results: Results | None) -> dict[str, Any]:
    """Every run of the study as columns and rows; `group` holds the position of each run's setting, or None."""
    table = runs_rows(results, study)
    columns: list[str] = ["run", "status"]
    if results:
        metrics = [metric for metric in (results.metric, results.test_metric, results.monitor["metric"]) if metric]
        columns += [*results.groups[0].settings, *results.repeats, *metrics, "best_epoch"]
        costs = dict.fromkeys(key for run in study.ended for key in run.record["cost"])
        columns += [key for key in costs if any(row.get(key) for row in table)]  # no GPU, no column of zeros
        for row in table:
            row |= {key: _short(row.get(key)) for key in costs}
    columns = list(dict.fromkeys([*columns, *(["reason"] if any(row["reason"] for row in table) else [])]))
    groups = results.groups if results else []
    group = {run.name: i for i, one in enumerate(groups) for run in one.runs + one.unfinished}
    return {
        "columns": [one_line(column) for column in columns],
        "rows": [[_cell(row.get(column)) for column in columns] for row in table],
        "groups": [one_line(one.label) for one in groups],
        "group": [group.get(run.name) for run in study.runs],
    }


def _cell(value: object) -> str | float | None:
    """In full precision; None where there is nothing to know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return one_line(value)
    return value if value is None or type(value) is int else as_text(value)


def _short(value: object) -> object:
    """A cost with four digits, or to the unit: what it scatters by is more than that."""
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return float(round(value)) if abs(value) >= 1000 else float(f"{value:.4g}")


def _curves(study: Study, results: Results | None) -> dict[str, Any]:
    """The curve of every run as [position in steps, value, value, ...], None without one; four digits are drawn."""
    metric = _curve_metric(results) if results else None
    if not results or not metric:
        return {"metric": None, "every": 1, "steps": [], "curves": []}
    frame = results.curves.loc[~results.curves.duplicated(["run", "step"], keep="last")]
    frame = frame.loc[frame["run"].isin(frame.loc[np.isfinite(frame[metric]), "run"])]
    every = math.ceil(len(frame) / MOST_VALUES) or 1
    curves: dict[str, list[Any]] = {}
    steps: dict[tuple[float, ...], int] = {}
    for run, one in frame.groupby("run", sort=False):
        x, y = (_thin(one[column].tolist(), every) for column in ("step", metric))
        place = steps.setdefault(tuple(int(step) if step == int(step) else step for step in x), len(steps))
        curves[str(run)] = [place, *(float(f"{value:.4g}") if math.isfinite(value) else None for value in y)]
    drawn = [curves.get(run.name) if run.ended else None for run in study.runs]  # a duplicate may share its name
    return {"metric": one_line(metric), "every": every, "steps": list(steps), "curves": drawn}


def _curve_metric(results: Results) -> str | None:
    """The metric of the report; the same quantity on validation for one that has no curve; else the monitored one."""
    same = "validation/" + results.metric.split("/", 1)[-1]
    candidates = [results.metric, same, results.monitor["metric"]]
    return next((name for name in candidates if name in results.curves and not name.startswith("test/")), None)


def _thin(values: list[float], every: int) -> list[float]:
    """One of so many values, and always the last one."""
    kept = values[::every]
    return kept if (len(values) - 1) % every == 0 else [*kept, values[-1]]


def _text(text: str) -> str:
    return html.escape(one_line(text))


def _lines(text: str) -> str:
    """A text that may have several lines."""
    return "<br>".join(_text(line) for line in text.strip().splitlines())


def _json(content: dict[str, Any]) -> str:
    """JSON that can stand inside a script element: without a < nothing in it ends the element."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _hash(template: str, element: str) -> str:
    """What the policy of the page names its one style or script by."""
    (code,) = re.findall(rf"<{element}>(.*?)</{element}>", template, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
