"""Puts all that a study rests on into one archive: python runs/bundle.py study=sweep_models"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit.launching.main import main


def load() -> tuple[type[Any], Any]:
    """The configuration's schema and the task, imported once a Ctrl-C is answered without a traceback."""
    from labkit.evidence.bundle import BundleConfig, bundle

    return BundleConfig, bundle


if __name__ == "__main__":
    main("bundle", load, sweeps=False)
