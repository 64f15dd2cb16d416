"""Write tables, figures and a PDF of the runs: python runs/report.py [study=...]"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from modules.launching import main
from modules.reporting.report import ReportConfig, report

if __name__ == "__main__":
    main("report", ReportConfig, report)
