"""Sends data sets, runs and reports elsewhere, or brings them: python runs/sync.py direction=push remote=lab:study"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit.launching.main import main


def load() -> tuple[type[Any], Any]:
    """The configuration's schema and the task, imported once a Ctrl-C is answered without a traceback."""
    from labkit.runs.sync import SyncConfig, sync

    return SyncConfig, sync


if __name__ == "__main__":
    main("sync", load)
