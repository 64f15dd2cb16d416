"""From the runs of a study to the files of its report: tables, figures, pages, numbers."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jinja2 import Template

from labkit.reporting.analysis.checks import find_warnings
from labkit.reporting.analysis.collect import runs_rows
from labkit.reporting.analysis.findings import find, summary_rows
from labkit.reporting.analysis.names import read_labels
from labkit.reporting.analysis.study_file import read_study_file
from labkit.reporting.checklist import make_checklist
from labkit.reporting.checklist import to_latex as to_latex_list
from labkit.reporting.checklist import to_markdown as to_markdown_list
from labkit.reporting.figures import Drawn, draw_figures
from labkit.reporting.pages.contents import Contents
from labkit.reporting.pages.document import write_document
from labkit.reporting.pages.html_page import write_page
from labkit.reporting.pages.numbers_tex import to_macros
from labkit.reporting.report import PARENTHESES, SIUNITX, ReportConfig
from labkit.reporting.tables import make_tables
from labkit.reporting.tables.comparisons import comparison_rows
from labkit.reporting.tables.formats import to_csv, to_markdown, write_rows
from labkit.reporting.tables.latex import fitting, to_latex
from labkit.runs.study import Study
from labkit.text import one_line


def write_outputs(folder: Path, study: Study, config: ReportConfig, target: Path) -> Contents:
    """Everything that a report consists of, into an empty folder that will replace `target`."""
    (folder / "tables").mkdir()
    (folder / "figures").mkdir()
    file = read_study_file(Path(config.study_files_dir), study.name)
    findings = None
    drawn = Drawn({}, [], {})
    warnings = study.warnings
    if study.ended:
        findings = find(study, file, config.metric, config.direction, config.repeats, read_labels(config.labels))
        drawn = draw_figures(
            findings,
            config.figures,
            config.figures_package,
            config.figure_width_cm,
            config.figure_font,
            folder / "figures",
        )
        warnings = [*find_warnings(findings), *drawn.failed]
        if drawn.failed:
            _write(folder / "report.log", "\n".join(f"{name}\n{trace}" for name, trace in drawn.failed.items()))
        write_rows(folder / "summary.csv", summary_rows(findings.results, findings.summary))
        write_rows(folder / "comparisons.csv", comparison_rows(findings))
        checklist = make_checklist(findings, Path(config.study_files_dir))
        _write(folder / "checklist.md", to_markdown_list(checklist))
        _write(folder / "checklist.tex", to_latex_list(checklist))
    write_rows(folder / "runs.csv", runs_rows(findings.results if findings else None, study))
    tables = make_tables(study, findings, parentheses=config.table_uncertainty == PARENTHESES)
    for name, table in tables.items():
        path = folder / "tables" / name
        _write(path.with_suffix(".csv"), to_csv(table))
        _write(path.with_suffix(".md"), to_markdown(table))
        _write(path.with_suffix(".tex"), to_latex(fitting(name, table), siunitx=config.table_numbers == SIUNITX))
    _write(folder / "numbers.tex", to_macros(study, findings))
    contents = Contents(study, file, findings, tables, drawn.captions, drawn.not_drawn, warnings)
    with ThreadPoolExecutor() as pool:
        document = pool.submit(write_document, folder, contents)  # typst leaves Python to the page meanwhile
        write_page(folder, contents)
    document.result()
    _write(folder / "analysis.py", _analysis(study.name, target))
    return contents


def _analysis(study: str, target: Path) -> str:
    """A place to ask what the report does not answer: written once, then it is the reader's own."""
    cells = Path(__file__).with_name("pages") / "analysis.py.jinja"
    root = Path(os.path.relpath(Path.cwd(), target)).as_posix()
    template = Template(cells.read_text(encoding="utf-8"), keep_trailing_newline=True)
    return template.render(study=one_line(study), root=repr(root))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")  # the same bytes on Windows
