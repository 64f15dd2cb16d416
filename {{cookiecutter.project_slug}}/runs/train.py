"""Trains one run, or a sweep of runs: python runs/train.py model=net5 training.epochs=10"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit.launching.main import main


def load() -> tuple[type[Any], Any]:
    """The configuration's schema and the task, imported once a Ctrl-C is answered without a traceback."""
    from modules.config import TrainConfig
    from modules.train import train

    return TrainConfig, train


if __name__ == "__main__":
    main("train", load)
