"""report.pdf, set by typst from report.typ. All text goes there as data, never as markup: no name can break it."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typst

from modules.reporting.checks import code_versions
from modules.reporting.figures import drawable
from modules.reporting.findings import Findings
from modules.reporting.run_folders import Study
from modules.reporting.study_file import StudyFile
from modules.reporting.table_formats import Table
from modules.reporting.tables import selection_rule

MOST_RUNS = 300  # rows of a run list on paper


def write_document(
    folder: Path,
    study: Study,
    file: StudyFile | None,
    findings: Findings | None,
    tables: dict[str, Table],
    captions: dict[str, str],
    warnings: list[str],
) -> None:
    """Write report.pdf into the folder that holds figures/; without results it lists the runs only."""
    results = findings.results if findings else None
    content = {
        "study": study.name,
        "counts": study.counts(),
        "metric": results.metric if results else None,
        "rule": selection_rule(results) if results else None,
        "varying": results.varying if results else [],
        "constant": results.constant if results else {},
        "warnings": warnings,
        "summaries": [asdict(table) for name, table in tables.items() if name.startswith("summary")],
        "figures": [{"path": f"figures/{name}.pdf", "caption": caption} for name, caption in captions.items()],
        "runs": [_on_paper(tables[name]) for name in ("unfinished", "runs") if name in tables],
        "code": code_versions(study),
    }
    data = folder / "report.json"
    data.write_text(json.dumps(_drawable(content)), encoding="utf-8")
    source = folder / "report.typ"
    shutil.copy(Path(__file__).with_name("report.typ"), source)
    # The compiler's own fonts only: the same bytes on every machine.
    typst.compile(source, output=folder / "report.pdf", root=folder, ignore_system_fonts=True)
    for used in (source, data):
        used.unlink()


def _on_paper(table: Table) -> dict[str, Any]:
    note = f" The first {MOST_RUNS} of {len(table.rows)}; all are in runs.csv." if len(table.rows) > MOST_RUNS else ""
    return asdict(table) | {"rows": table.rows[:MOST_RUNS], "caption": table.caption + note}


def _drawable(content: Any) -> Any:
    """The content with every text in it made drawable."""
    if isinstance(content, dict):
        return {drawable(key): _drawable(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_drawable(value) for value in content]
    return drawable(content) if isinstance(content, str) else content
