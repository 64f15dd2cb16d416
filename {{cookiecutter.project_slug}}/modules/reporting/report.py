"""From the run folders of a study to its tables, figures and report.pdf in data/reports/<study>/."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from modules.reporting.checks import find_warnings
from modules.reporting.collect import collect, runs_rows
from modules.reporting.document import write_document
from modules.reporting.figures import draw_figures
from modules.reporting.run_folders import Study, find_studies, read_study
from modules.reporting.statistics import summarise, summary_rows
from modules.reporting.tables import (
    Table,
    runs_table,
    summary_table,
    to_csv,
    to_latex,
    to_markdown,
    unfinished_table,
    write_rows,
)

CONVERTERS = {"csv": to_csv, "tex": to_latex, "md": to_markdown}
TABLES = ("summary", "summary_test", "runs", "unfinished")
FIGURES = ("comparison", "comparison_test", "learning_curves")


@dataclass
class ReportConfig:
    study: str | None  # None: every study
    runs_dir: str
    reports_dir: str
    metric: str | None  # what the report is about; None: the metric that the runs monitored
    figure_width_cm: float


def report(config: ReportConfig) -> None:
    """Write the report of the study, or of every study, and say where it is."""
    if config.figure_width_cm <= 0:
        raise ValueError(f"figure_width_cm: {config.figure_width_cm} is no width; give centimetres, such as 14")
    for folder in find_studies(config.runs_dir, config.study):
        study = read_study(folder)
        target = Path(config.reports_dir) / study.name
        target.parent.mkdir(parents=True, exist_ok=True)
        # Made beside and renamed when all of it is there: a failure leaves the report of yesterday.
        with tempfile.TemporaryDirectory(prefix=".report-", dir=target.parent) as beside:
            warnings = _write(Path(beside), study, config)
            _replace(Path(beside), target)
        counts = ", ".join(f"{n} {status}" for status, n in study.counts().items())
        print(f"{target / 'report.pdf'}: {counts}" + ("" if study.ended else "; no results yet"))
        for warning in warnings:
            print(f"  warning: {warning}")


def _write(folder: Path, study: Study, config: ReportConfig) -> list[str]:
    """Everything that a report consists of, into an empty folder; returns what must be said."""
    (folder / "tables").mkdir()
    (folder / "figures").mkdir()
    results = collect(study, config.metric) if study.ended else None
    write_rows(folder / "runs.csv", runs_rows(results, study))
    tables: dict[str, Table] = {}
    captions: dict[str, str] = {}
    warnings = study.warnings
    if results:
        summary = summarise(results)
        write_rows(folder / "summary.csv", summary_rows(results, summary))
        warnings = find_warnings(results, summary)
        tables["summary"] = summary_table(results, summary, results.metric)
        if results.test_metric:
            tables["summary_test"] = summary_table(results, summary, results.test_metric)
        captions = draw_figures(results, summary, config.figure_width_cm, folder / "figures")
        tables["runs"] = runs_table(results)
    if len(study.ended) < len(study.runs):
        tables["unfinished"] = unfinished_table(study)
    for name, table in tables.items():
        for suffix, convert in CONVERTERS.items():
            (folder / "tables" / f"{name}.{suffix}").write_text(convert(table), encoding="utf-8", newline="\n")
    write_document(folder, study, results, tables, captions, warnings)
    return warnings


def _replace(beside: Path, target: Path) -> None:
    """Move the new files over the old ones, and remove old tables and figures that were not made again."""
    new = sorted(path.relative_to(beside) for path in beside.rglob("*") if path.is_file())
    new = [path for path in new if path.name not in ("report.json", "report.typ")]
    ours = {Path("summary.csv")}
    ours |= {Path("tables", f"{name}.{suffix}") for name in TABLES for suffix in CONVERTERS}
    ours |= {Path("figures", f"{name}.{suffix}") for name in FIGURES for suffix in ("pdf", "png")}
    try:
        for path in new:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(beside / path, target / path)
        for path in ours - set(new):
            (target / path).unlink(missing_ok=True)
    except PermissionError as error:
        raise ValueError(f"{error.filename}: cannot be replaced; close it if another program shows it") from error
