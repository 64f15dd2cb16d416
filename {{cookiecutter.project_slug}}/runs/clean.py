"""Lists what Slurm jobs have left behind and nothing needs: python runs/clean.py [delete=true]"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit.launching.main import main


def load() -> tuple[type[Any], Any]:
    """The configuration's schema and the task, imported once a Ctrl-C is answered without a traceback."""
    from labkit.runs.clean import CleanConfig, clean

    return CleanConfig, clean


if __name__ == "__main__":
    main("clean", load)
