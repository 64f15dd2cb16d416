"""Trains one run, or a sweep of runs: python runs/train.py model=net5 training.epochs=10"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modules.launching import main  # noqa: E402
from modules.tasks import train  # noqa: E402
from modules.utils.config import TrainConfig  # noqa: E402

if __name__ == "__main__":
    main("train", TrainConfig, train)
