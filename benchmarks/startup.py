"""Time to answer of the commands that start no run, and what provenance adds to the start of one.

python benchmarks/startup.py
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}"
COMMANDS = {
    'python -c "import hydra"': ["-c", "import hydra"],
    'python -c "import torch"': ["-c", "import torch"],
    "runs/train.py --cfg job": ["runs/train.py", "--cfg", "job"],
    "runs/train.py --help": ["runs/train.py", "--help"],
    "tab completion": ["runs/train.py", "-sc", "query=bash"],
    "runs/status.py --cfg job": ["runs/status.py", "--cfg", "job"],
}
PROVENANCE = """
import time
from labkit.runs import provenance
started = time.perf_counter()
provenance.launch_record("", "")
provenance.code_diff()
print(time.perf_counter() - started)
"""


def main() -> None:
    variables = os.environ | {"COMP_LINE": "train.py model=", "PYTHONPATH": str(PROJECT)}
    for name, arguments in COMMANDS.items():
        seconds = []
        for _ in range(8):
            started = time.perf_counter()
            command = [sys.executable, *arguments]
            subprocess.run(command, cwd=PROJECT, env=variables, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - started)
        print(f"{name:28} {statistics.median(seconds[1:]):.3f} s")  # the first one fills the disk's cache
    seconds = [
        float(subprocess.check_output([sys.executable, "-c", PROVENANCE], cwd=PROJECT, env=variables)) for _ in range(7)
    ]
    print(f"{'provenance of a run':28} {statistics.median(seconds):.3f} s")


if __name__ == "__main__":
    main()
