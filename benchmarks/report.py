"""How long a report takes of many runs, and how much memory: reading and tables of 10,000, all outputs of 1,000.

python benchmarks/report.py [--settings 100]
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}"
sys.path[:0] = [str(PROJECT), str(PROJECT.parent / "tests" / "project")]
EPOCHS = 100
METRICS = [f"{split}/{name}" for split in ("train", "validation") for name in ("loss", "accuracy", "macro_f1")]
PACKAGES = {f"package-{n}": f"1.{n}.0" for n in range(80)}


def make_runs(study: Path, runs: int, settings: int) -> None:
    """Finished runs of so many settings: a run.json of true size, and 100 epochs x 6 metrics."""
    from run_folders import add_run, change_record, launch

    for n in range(runs):
        rate, seed = 0.001 * (1 + n % settings), n // settings
        folder = add_run(study, "net2", seed, 0.9 + (n * 7919 % 1000) / 20000, **{"optimizer.lr": round(rate, 6)})
        change_record(folder, confusion_matrix=[[10] * 10] * 10, launches=[{**launch(), "packages": PACKAGES}])
        rows = [
            [18 * epoch, epoch, *(round(1 / (epoch + k + seed), 16) for k in range(6))]
            for epoch in range(1, EPOCHS + 1)
        ]
        lines = [",".join(["step", "epoch", *METRICS]), *(",".join(map(repr, row)) for row in rows)]
        (folder / "metrics.csv").write_text("\n".join(lines) + "\n")


def read_and_tabulate(study: Path) -> None:
    """In a process of its own: prints seconds after the imports, and the largest memory in MB."""
    from labkit.reporting.analysis.findings import find
    from labkit.reporting.tables import make_tables
    from labkit.runs.study import no_garbage, read_study

    started = time.perf_counter()
    with no_garbage():
        read = read_study(study)
        make_tables(read, find(read, None, None, None, ["seed"]))
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def measure(runs: int, settings: int, command: list[str], rounds: int) -> list[list[float]]:
    """[seconds, MB] of each round; the last line of the command has them, or its own time counts."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "runs" / "many"
        make_runs(study, runs, settings)
        places = [f"runs_dir={study.parent}", f"reports_dir={folder}/reports"]
        words = [sys.executable, *(command or ["runs/report.py", *places])]
        measured = []
        for _ in range(rounds):
            started = time.perf_counter()
            said = subprocess.check_output([*words, *([str(study)] if command else [])], cwd=PROJECT, text=True)
            took = [time.perf_counter() - started, 0.0]
            measured.append(json.loads(said) if command else took)
            shutil.rmtree(Path(folder) / "reports", ignore_errors=True)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read_and_tabulate(arguments.read)
        return
    command = [str(Path(__file__).resolve()), "--read"]
    read = measure(10_000, arguments.settings, command, arguments.rounds)
    all_of_it = measure(1_000, arguments.settings, [], arguments.rounds)
    print(f"{arguments.settings} settings, {arguments.rounds} rounds")
    seconds, memory = statistics.median(s for s, _ in read), max(mb for _, mb in read)
    print(f"10,000 runs read and tabulated  {seconds:.2f} s, {memory:.0f} MB")
    print(f"1,000 runs to all outputs       {statistics.median(s for s, _ in all_of_it):.2f} s")


if __name__ == "__main__":
    main()
