"""Evaluates finished runs on the held-out test set: python runs/evaluate.py study=sweep_models"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit.launching.main import main


def load() -> tuple[type[Any], Any]:
    """The configuration's schema and the task, imported once a Ctrl-C is answered without a traceback."""
    from modules.config import EvaluateConfig
    from modules.evaluate import evaluate

    return EvaluateConfig, evaluate


if __name__ == "__main__":
    main("evaluate", load)
