"""report.pdf, set by typst from report.typ. All text goes there as data, never as markup: no name can break it."""

import json
import shutil
from pathlib import Path
from typing import Any

import typst

from labkit.reporting.answer import Verdict
from labkit.reporting.figures import drawable
from labkit.reporting.findings import Findings
from labkit.reporting.pages.contents import Contents
from labkit.reporting.study_file import StudyFile
from labkit.reporting.tables.formats import BREAK, Table, breakable
from labkit.reporting.tables.metrics import selection_rule
from labkit.runs.study import Study

MOST_ROWS = 300  # of a table on paper
WIDEST = 4  # cells of a column that are measured: to measure all of them takes as long as to draw them
SECTIONS = {
    "results": ("summary", "summary_test", "comparison", "ablation", "per_class"),
    "cost": ("cost",),
    "runs": ("unfinished", "runs"),
    "provenance": ("provenance", "data"),
}


def write_document(folder: Path, contents: Contents) -> None:
    """Write report.pdf into the folder that holds figures/; without results it lists the runs only."""
    study, file, findings, tables = contents.study, contents.file, contents.findings, contents.tables
    results = findings.results if findings else None
    content = {
        "study": breakable(study.name),
        "counts": study.counts(),
        "asked": _asked(file),
        "answer": _answer(study, file, findings),
        "metric": breakable(results.metric) if results else None,
        "rule": selection_rule(results) if results else None,
        "varying": list(map(breakable, results.varying)) if results else [],
        "constant": {breakable(key): breakable(value) for key, value in results.constant.items()} if results else {},
        "warnings": list(map(breakable, contents.warnings)),
        "not_drawn": list(map(breakable, contents.not_drawn)),
        "figures": [{"path": f"figures/{name}.pdf", "caption": caption} for name, caption in contents.captions.items()],
    }
    for section, names in SECTIONS.items():
        content[section] = [_on_paper(name, tables[name]) for name in names if name in tables]
    data = folder / "report.json"
    data.write_text(json.dumps(_drawable(content)), encoding="utf-8")
    source = folder / "report.typ"
    shutil.copy(Path(__file__).with_name("report.typ"), source)
    # The compiler's own fonts only: the same bytes on every machine.
    typst.compile(source, output=folder / "report.pdf", root=folder, ignore_system_fonts=True)
    for used in (source, data):
        used.unlink()


def _asked(file: StudyFile | None) -> list[list[Any]]:
    """What the study's file says, a name and its lines each."""
    if file is None:
        return []
    texts = {"Question": file.question, "Hypothesis": file.hypothesis, "Formal problem": file.formal_problem}
    return [[name, text.strip().splitlines()] for name, text in texts.items()]


def _answer(study: Study, file: StudyFile | None, findings: Findings | None) -> dict[str, Any]:
    """The word, its sentence and a line per verdict; only a sentence where there is no answer."""
    answer = findings.answer if findings else None
    if answer:
        return {
            "word": answer.word,
            "why": breakable(answer.sentence),
            "verdicts": list(map(_verdict, answer.verdicts)),
        }
    why = f"What was asked is not written down. studies/{study.name}.yaml would hold the question, the baseline and "
    why += "the comparisons planned, and this page would answer it; studies/sweep_models.yaml shows how."
    if file:
        why = "There is no answer yet: no run has ended."
        if findings:
            why = f"No answer here: the question is about {file.metric}, this report about {findings.results.metric}."
    return {"word": "", "why": breakable(why), "verdicts": []}


def _verdict(verdict: Verdict) -> dict[str, str]:
    power = "How many seeds 80 % power would need cannot be told from these runs."
    if verdict.seeds_needed:
        power = f"80 % power for the smallest difference that matters needs {verdict.seeds_needed} seeds per setting."
    return {"name": breakable(verdict.name), "word": verdict.word, "why": breakable(f"{verdict.why}. {power}")}


def _on_paper(name: str, table: Table) -> dict[str, Any]:
    """Its first rows, with the marks of its cells."""
    left_out = len(table.rows) > MOST_ROWS
    note = f" The first {MOST_ROWS} of {len(table.rows)} rows; all are in tables/{name}.csv." if left_out else ""
    rows = [[_cell(table, i, j) for j in range(len(table.header))] for i in range(min(len(table.rows), MOST_ROWS))]
    columns = [sorted(column, key=lambda cell: -len(cell["text"]))[:WIDEST] for column in zip(*rows, strict=True)]
    return {
        "caption": table.caption + note,
        "header": list(map(breakable, table.header)),
        "rows": rows,
        "widest": [list(row) for row in zip(*columns, strict=True)],
        "text_columns": table.text_columns,
    }


def _cell(table: Table, row: int, column: int) -> dict[str, Any]:
    text = table.rows[row][column]
    text = breakable(text) if column < table.text_columns else text.replace("-", "\N{MINUS SIGN}")
    return {"text": text, "bold": (row, column) in table.bold, "dagger": (row, column) in table.daggers}


def _drawable(content: Any) -> Any:
    """The content with every text in it made drawable."""
    if isinstance(content, dict):
        return {_drawable(key): _drawable(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_drawable(value) for value in content]
    return BREAK.join(map(drawable, content.split(BREAK))) if isinstance(content, str) else content
