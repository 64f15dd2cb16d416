"""Trains a finished run again and says whether it comes out the same: python runs/reproduce.py run=<folder>"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit.launching.main import main


def load() -> tuple[type[Any], Any]:
    """The configuration's schema and the task, imported once a Ctrl-C is answered without a traceback."""
    from labkit.evidence.reproduce import ReproduceConfig, reproduce

    return ReproduceConfig, reproduce


if __name__ == "__main__":
    main("reproduce", load, sweeps=False)
