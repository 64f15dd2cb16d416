"""What a report consists of, whatever page shows it."""

from dataclasses import dataclass

from labkit.reporting.findings import Findings
from labkit.reporting.study_file import StudyFile
from labkit.reporting.tables.formats import Table
from labkit.runs.study import Study


@dataclass
class Contents:
    """All of it but the files themselves."""

    study: Study
    file: StudyFile | None  # what was asked
    findings: Findings | None  # None: no run has results
    tables: dict[str, Table]  # by file name, in the order in which they are shown
    captions: dict[str, str]  # of the figures, by file name
    not_drawn: list[str]  # why a figure is missing
    warnings: list[str]
