"""Shows what two runs differ in: python runs/compare.py <folder> <folder>"""

import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labkit.launching.main import main


def load() -> tuple[type[Any], Any]:
    """The configuration's schema and the task, imported once a Ctrl-C is answered without a traceback."""
    from labkit.evidence.compare import CompareConfig, compare

    return CompareConfig, compare


if __name__ == "__main__":
    words = sys.argv[1:]
    folders = list(takewhile(lambda word: "=" not in word and not word.startswith("-"), words))
    quoted = ["'" + str(Path(folder).absolute()).replace("'", r"\'") + "'" for folder in folders]
    sys.argv[1:] = [*words[len(folders) :], *([f"runs=[{','.join(quoted)}]"] if folders else [])]
    main("compare", load, sweeps=False)
