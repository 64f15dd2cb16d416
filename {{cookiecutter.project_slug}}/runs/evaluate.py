"""Evaluates finished runs on the held-out test set: python runs/evaluate.py study=sweep_models"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modules.launching import main
from modules.tasks import EvaluateConfig, evaluate

if __name__ == "__main__":
    main("evaluate", EvaluateConfig, evaluate)
