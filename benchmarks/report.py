"""How long a report takes of many runs, and how much memory, beside reading the same bytes with json and csv.

    python benchmarks/report.py [--settings 100] [--rounds 3] [--project ../older/{{cookiecutter.project_slug}}]

The project of another checkout makes its reports in turn with this one: the machine is as busy for both.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque
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


def read_plainly(study: Path) -> float:
    """Seconds to read the same bytes and to keep nothing."""
    started = time.perf_counter()
    for folder in study.iterdir():
        json.loads((folder / "run.json").read_bytes())
        with (folder / "metrics.csv").open(newline="") as file:
            deque(csv.reader(file), maxlen=0)
    return time.perf_counter() - started


def read_and_tabulate(study: Path) -> float:
    """Seconds after the imports."""
    from labkit.reporting.analysis.findings import find
    from labkit.reporting.tables import make_tables
    from labkit.runs.study import no_garbage, read_study

    started = time.perf_counter()
    with no_garbage():
        read = read_study(study)
        make_tables(read, find(read, None, None, None, ["seed"]))
    return time.perf_counter() - started


def measure(words: list[str], project: Path) -> tuple[float, float]:
    """Seconds and the largest memory in MB of a process; if it prints seconds of its own, those count."""
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, *words], cwd=project, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.read() if process.stdout else ""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(said)
    own = float(said) if words[0] == __file__ else time.perf_counter() - started
    return own, used.ru_maxrss / 1024


def report(study: Path, project: Path) -> tuple[float, float]:
    """All outputs, imports included."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(["runs/report.py", f"runs_dir={study.parent}", f"reports_dir={folder}"], project)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--project", type=Path, help="the project of another checkout, measured in turn with this one")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        how, study = arguments.read
        print({"plainly": read_plainly, "tabulated": read_and_tabulate}[how](Path(study)))
        return
    projects = [PROJECT, *([arguments.project.resolve()] if arguments.project else [])]
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        studies = {runs: Path(folder) / str(runs) / "many" for runs in (1_000, 10_000)}
        for runs, study in studies.items():
            make_runs(study, runs, arguments.settings)
        for _ in range(arguments.rounds):
            for how in ("plainly", "tabulated"):
                found[f"10,000 runs read {how}"].append(
                    measure([__file__, "--read", how, str(studies[10_000])], PROJECT)
                )
            for runs, study in studies.items():
                for project, whose in zip(projects, ("", ", the other project"), strict=False):
                    found[f"{runs:,} runs to all outputs{whose}"].append(report(study, project))
    print(f"{arguments.settings} settings, median of {arguments.rounds}")
    for what, rounds in found.items():
        seconds, memory = (statistics.median(numbers) for numbers in zip(*rounds, strict=True))
        print(f"{what:50}{seconds:6.2f} s{memory:6.0f} MB")


if __name__ == "__main__":
    main()
