"""Fetches or builds the data sets, once, where there is a network: python runs/prepare.py"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit.launching.main import main


def load() -> tuple[type[Any], Any]:
    """The configuration's schema and the task, imported once a Ctrl-C is answered without a traceback."""
    from modules.data.prepare import PrepareConfig, prepare

    return PrepareConfig, prepare


if __name__ == "__main__":
    main("prepare", load)
