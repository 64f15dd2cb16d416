"""Joblib sweeps of the generated project on two cores, against the least that Hydra and joblib can take.

    python benchmarks/sweep_overhead.py [--long]

Empty: Hydra's own sweeper and joblib launcher (pip install hydra-joblib-launcher==1.2.0), the same configuration and
50 members, a task that only imports torch.
Ours: 50 members of one epoch on the digits, from nothing and, once more, when all are finished. --long adds 20 members
that train for about 5 s each, against (the sum of their training times / 2).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}"
EMPTY = """
import hydra
@hydra.main(version_base="1.3", config_path=CONFIG, config_name="train")
def task(config):
    import torch
if __name__ == "__main__":
    task()
"""


def timed(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true")
    long = parser.parse_args().long
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "empty.py").write_text(EMPTY.replace("CONFIG", repr(str(PROJECT / "config"))))
        there = [f"system.runs_dir={folder}/runs", f"system.datasets_dir={folder}/datasets"]
        subprocess.run([sys.executable, "runs/prepare.py", f"datasets_dir={folder}/datasets"], cwd=PROJECT, check=True)
        sweep = ["--multirun", "seed=range(50)", "training.epochs=1", *there]
        stock = ["hydra/launcher=joblib", "hydra/sweeper=basic", "hydra.launcher.n_jobs=2"]
        ours = [sys.executable, "runs/train.py", *sweep, "+launcher=joblib", "hydra.launcher.n_jobs=2"]
        for number in (1, 2, 3):
            empty_s = timed([sys.executable, "empty.py", *sweep, *stock], folder)
            ours_s = timed([*ours, f"study=short{number}"], PROJECT)
            again_s = timed([*ours, f"study=short{number}"], PROJECT)
            ratio = ours_s / empty_s
            print(f"50 members: empty {empty_s:.1f} s, ours {ours_s:.1f} s ({ratio:.2f}x), again {again_s:.1f} s")
        if long:
            steps = ["data=synthetic", "training.steps=2200", "training.epochs=null", "study=long", *there]
            command = ["--multirun", "seed=range(20)", *steps, "+launcher=joblib", "hydra.launcher.n_jobs=2"]
            wall_s = timed([sys.executable, "runs/train.py", *command], PROJECT)
            costs = [json.loads(p.read_text())["cost"]["wall_s"] for p in (folder / "runs" / "long").glob("*/run.json")]
            least = sum(costs) / 2
            print(f"20 members of {sum(costs) / 20:.1f} s: {wall_s:.1f} s; {least:.1f} s is their training / 2")
            print(f"limit 1.1 x that + 3 s: {1.1 * least + 3:.1f} s")


if __name__ == "__main__":
    main()
