"""Show what the members of a study are doing: python runs/status.py [study=...]"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from modules.launching import main
from modules.reporting.status import StatusConfig, status

if __name__ == "__main__":
    main("status", StatusConfig, status)
