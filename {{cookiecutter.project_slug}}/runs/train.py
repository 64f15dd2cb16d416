"""Trains one run, or a sweep of runs: python runs/train.py model=net5 training.epochs=10"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modules.launching import main
from modules.tasks import train
from modules.utils.config import TrainConfig

if __name__ == "__main__":
    main("train", TrainConfig, train)
