"""The commands of this project without make, as on Windows: `python make.py run`. The Makefile calls them, too."""

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OWN = [path for path in (ROOT / ".venv/bin/python", ROOT / ".venv/Scripts/python.exe") if path.exists()]
PYTHON = str(OWN[0] if OWN else sys.executable)
STUDY = "sweep_models"
ABOUT = f"The study {STUDY}: 15 small runs, evaluated and reported; about a minute on two cores."
SWEEP = ["runs/train.py", f"+experiment={STUDY}", "+launcher=joblib"]
TEST = ["-m", "pytest", "--numprocesses", "auto", "--dist", "worksteal"]
FAST = [f"tests/test_{name}.py" for name in ("configuration", "question", "structure")]  # what needs no training
COMMANDS = {
    "run": [["runs/prepare.py"], SWEEP, ["runs/evaluate.py", f"study={STUDY}"], ["runs/report.py", f"study={STUDY}"]],
    "test": [TEST],
    "test-fast": [[*TEST[:2], *FAST, "-k", "not can_be_built"]],  # one process: each more would import torch again
    "lint": [["-m", "ruff", "check"], ["-m", "ruff", "format", "--check"], ["-m", "pyright", "--pythonpath", PYTHON]],
}


def perform(command: str) -> int:
    """Its exit status: of the first step that fails. Where members of the sweep fail, the others are still evaluated
    and reported; where it is interrupted, the same command goes on from there."""
    status = 0
    if command == "run":
        print(ABOUT, flush=True)
    for step in COMMANDS[command]:
        ended = subprocess.Popen([PYTHON, *step], cwd=ROOT).wait()
        if ended < 0:
            ended = 128 - ended  # as a shell says which signal it was
        status = status or ended
        if ended >= 128 or (ended and step != SWEEP):
            break
    return status


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"error: say what to do: python make.py {'|'.join(COMMANDS)}")
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # Ctrl-C is for the step that runs: this waits until it saved
        signal.signal(signal.SIGINT, lambda *_: None)
    sys.exit(perform(sys.argv[1]))
