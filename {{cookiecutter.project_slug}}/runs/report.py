"""Writes the answer, tables, figures and a PDF of the runs: python runs/report.py [study=...]"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit.launching.main import main


def load() -> tuple[type[Any], Any]:
    """The configuration's schema and the task, imported once a Ctrl-C is answered without a traceback."""
    from labkit.reporting.report import ReportConfig, report

    return ReportConfig, report


if __name__ == "__main__":
    main("report", load)
