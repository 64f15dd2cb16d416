"""Time to answer of the commands that start no run, and what the start of one takes.

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
    "  and what optimizers need": ["-c", "import torch._dynamo"],
    "  both as labkit does it": ["-c", "import labkit.libraries"],
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
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(8):
        for name, arguments in COMMANDS.items():
            started = time.perf_counter()
            command = [sys.executable, *arguments]
            subprocess.run(command, cwd=PROJECT, env=variables, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    for name, taken in seconds.items():
        print(f"{name:28} {statistics.median(taken[1:]):.3f} s")  # the first one fills the disk's cache
    taken = [
        float(subprocess.check_output([sys.executable, "-c", PROVENANCE], cwd=PROJECT, env=variables)) for _ in range(7)
    ]
    print(f"{'provenance of a run':28} {statistics.median(taken):.3f} s")


if __name__ == "__main__":
    main()
