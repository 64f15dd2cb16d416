"""From the run folders of a study to everything in data/reports/<study>/: tables, figures, pages, numbers."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from modules.reporting.checks import find_warnings
from modules.reporting.collect import runs_rows
from modules.reporting.figures import draw_figures
from modules.reporting.findings import find, summary_rows
from modules.reporting.pages.analysis import write_analysis
from modules.reporting.pages.contents import Contents
from modules.reporting.pages.document import write_document
from modules.reporting.pages.html_page import write_page
from modules.reporting.pages.numbers_tex import to_macros
from modules.reporting.places import find_places, read_places
from modules.reporting.run_folders import Study
from modules.reporting.study_file import read_study_file
from modules.reporting.tables import make_tables
from modules.reporting.tables.comparisons import comparison_rows
from modules.reporting.tables.formats import CONVERTERS, write_rows

WRITTEN = ".written"  # lists what a report consists of: files of yours beside it are never removed


@dataclass
class ReportConfig:
    """config/report.yaml, explained there."""

    study: str | None
    metric: str | None
    direction: str | None
    repeats: list[str]
    figures: list[str]
    figure_width_cm: float
    runs_dir: str
    more_runs_dirs: list[str]
    reports_dir: str
    study_files_dir: str


def report(config: ReportConfig) -> None:
    """Write the report of the study, or of every study, and say where it is."""
    _check(config)
    for name, folders in find_places([config.runs_dir, *config.more_runs_dirs], config.study).items():
        study = read_places(folders)
        target = Path(config.reports_dir) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # Made beside and renamed when all of it is there: a failure leaves the report of yesterday.
        with tempfile.TemporaryDirectory(prefix=".report-", dir=target.parent) as beside:
            contents = _write(Path(beside), study, config)
            write_analysis(Path(beside), name, target, Path.cwd())
            _replace(Path(beside), target)
        counts = ", ".join(f"{n} {status}" for status, n in study.counts().items())
        print(f"{target / 'report.pdf'}: {counts}" + ("" if study.ended else "; no results yet"))
        if contents.findings and (answer := contents.findings.answer):
            print(f"  {answer.word}: {answer.sentence}")
        for warning in contents.warnings:
            print(f"  warning: {warning}")


def _check(config: ReportConfig) -> None:
    if config.figure_width_cm <= 0:
        raise ValueError(f"figure_width_cm: {config.figure_width_cm} is no width; give centimetres, such as 14")
    if config.direction not in (None, "max", "min"):
        raise ValueError(f"direction: must be max or min, not {config.direction!r}")
    if "seed" not in config.repeats:
        raise ValueError("repeats: must contain seed; add data.split_seed where each seed has a split of its own")


def _write(folder: Path, study: Study, config: ReportConfig) -> Contents:
    """Everything that a report consists of, into an empty folder."""
    (folder / "tables").mkdir()
    (folder / "figures").mkdir()
    file = read_study_file(Path(config.study_files_dir), study.name)
    contents = Contents(study, file, None, {}, {}, [], study.warnings)
    if study.ended:
        findings = find(study, file, config.metric, config.direction, config.repeats)
        contents.findings, contents.warnings = findings, find_warnings(findings)
        drawn = draw_figures(findings, config.figures, config.figure_width_cm, folder / "figures")
        contents.captions, contents.not_drawn = drawn
        write_rows(folder / "summary.csv", summary_rows(findings.results, findings.summary))
        write_rows(folder / "comparisons.csv", comparison_rows(findings))
    contents.tables = make_tables(study, contents.findings)
    write_rows(folder / "runs.csv", runs_rows(contents.findings and contents.findings.results, study))
    for name, table in contents.tables.items():
        for suffix, convert in CONVERTERS.items():
            (folder / "tables" / f"{name}.{suffix}").write_text(convert(table), encoding="utf-8", newline="\n")
    macros = to_macros(study, contents.findings)
    (folder / "numbers.tex").write_text(macros, encoding="utf-8", newline="\n")
    write_document(folder, contents)
    write_page(folder, contents)
    return contents


def _replace(beside: Path, target: Path) -> None:
    """Move the new files over the old ones, and remove what an earlier report wrote and this one did not."""
    new = sorted(path.relative_to(beside).as_posix() for path in beside.rglob("*") if path.is_file())
    listing = target / WRITTEN
    old = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    try:
        for path in new:
            if path == "analysis.py" and (target / path).exists():  # the reader may have changed it
                continue
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(beside / path, target / path)
        for path in set(old) - {*new, "analysis.py"}:
            (target / path).unlink(missing_ok=True)
    except PermissionError as error:
        raise ValueError(f"{error.filename}: cannot be replaced; close it if another program shows it") from error
    listing.write_text("\n".join(new), encoding="utf-8", newline="\n")
