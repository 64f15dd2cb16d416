"""Looks at a run before a sweep trains it, in seconds: python runs/check.py data=table model=mlp"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit.launching.main import main


def load() -> tuple[type[Any], Any]:
    """The configuration's schema and the task, imported once a Ctrl-C is answered without a traceback."""
    from modules.check import check
    from modules.config import TrainConfig

    return TrainConfig, check


if __name__ == "__main__":
    main("train", load, sweeps=False)
