"""Fetches or builds the data sets, once, where there is a network: python runs/prepare.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modules.data.prepare import PrepareConfig, prepare
from modules.launching import main

if __name__ == "__main__":
    main("prepare", PrepareConfig, prepare)
