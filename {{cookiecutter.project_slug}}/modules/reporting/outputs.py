"""From the runs of a study to the files of its report: tables, figures, pages, numbers."""

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
from modules.reporting.report import ReportConfig
from modules.reporting.run_folders import Study
from modules.reporting.study_file import read_study_file
from modules.reporting.tables import make_tables
from modules.reporting.tables.comparisons import comparison_rows
from modules.reporting.tables.formats import CONVERTERS, write_rows


def write_outputs(folder: Path, study: Study, config: ReportConfig, target: Path) -> Contents:
    """Everything that a report consists of, into an empty folder that will replace `target`."""
    (folder / "tables").mkdir()
    (folder / "figures").mkdir()
    file = read_study_file(Path(config.study_files_dir), study.name)
    contents = Contents(study, file, None, {}, {}, [], study.warnings)
    if study.ended:
        findings = find(study, file, config.metric, config.direction, config.repeats)
        contents.findings, contents.warnings = findings, find_warnings(findings)
        look = (config.figure_width_cm, config.figure_font)
        contents.captions, contents.not_drawn = draw_figures(findings, config.figures, *look, folder / "figures")
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
    write_analysis(folder, study.name, target, Path.cwd())
    return contents
