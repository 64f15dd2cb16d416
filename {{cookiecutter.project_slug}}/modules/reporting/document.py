"""report.pdf, set by typst from report.typ. All text goes there as data, never as markup: no name can break it."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typst

from modules.reporting.checks import code_versions
from modules.reporting.collect import Results
from modules.reporting.figures import drawable
from modules.reporting.run_folders import Study
from modules.reporting.tables import Table, selection_rule

MOST_RUNS = 300  # rows of the run list on paper; the rest is in runs.csv


def write_document(
    folder: Path,
    study: Study,
    results: Results | None,
    summaries: list[Table],
    captions: dict[str, str],
    runs: Table,
    warnings: list[str],
) -> None:
    """Write report.pdf into the folder that holds figures/; without results it lists the runs only."""
    shown = sorted(zip(study.runs, runs.rows, strict=True), key=lambda pair: pair[0].ended)[:MOST_RUNS]
    runs_shown = {**asdict(runs), "rows": [row for _, row in shown]}
    if len(runs.rows) > MOST_RUNS:
        runs_shown["caption"] += f" The first {MOST_RUNS} of {len(runs.rows)}: all are in runs.csv."
    content = {
        "study": study.name,
        "counts": study.counts(),
        "metric": results.metric if results else None,
        "rule": selection_rule(results) if results else None,
        "varying": results.varying if results else [],
        "constant": results.constant if results else {},
        "warnings": warnings,
        "summaries": [asdict(table) for table in summaries],
        "figures": [{"path": f"figures/{name}.pdf", "caption": caption} for name, caption in captions.items()],
        "runs": runs_shown,
        "code": code_versions(study),
    }
    (folder / "report.json").write_text(json.dumps(_drawable(content)), encoding="utf-8")
    source = shutil.copy(Path(__file__).with_name("report.typ"), folder)
    # The compiler's own fonts only: the same bytes on every machine.
    typst.compile(source, output=str(folder / "report.pdf"), root=str(folder), ignore_system_fonts=True)


def _drawable(content: Any) -> Any:
    """The content with every text in it made drawable."""
    if isinstance(content, dict):
        return {drawable(key): _drawable(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_drawable(value) for value in content]
    return drawable(content) if isinstance(content, str) else content
