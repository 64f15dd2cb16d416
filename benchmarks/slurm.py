"""What submitting to Slurm, starting a job and asking for 1,000 members cost, on a real cluster that is started here.

    python benchmarks/slurm.py [--rounds 5]

Submitting: 100 members by the user's command, each time a new study; its wall time, its peak memory, and whether it
imported torch. Starting: from the first line of a job's script to the log line of its first training step, and in turn
with it a process that only imports torch. Status: 1,000 finished runs, copies of one real run, and 100 that wait.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
PROJECT = TEMPLATE / "{{cookiecutter.project_slug}}"
sys.path.insert(0, str(TEMPLATE / "tests"))

from slurm_cluster import MISSING, Cluster  # noqa: E402

# Runs a script as `python` would, and says at its end what it took.
WATCHED = """
import atexit, resource, runpy, sys
def tell():
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "torch" in sys.modules, file=sys.stderr)
atexit.register(tell)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
SUBMIT = ["runs/train.py", "--multirun", "+launcher=slurm", "hydra.launcher.mem_gb=1"]
LATER = "+hydra.launcher.additional_parameters.begin=now+1hour"
MEMBERS, FINISHED = 100, 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if MISSING:
        sys.exit(MISSING)
    with tempfile.TemporaryDirectory() as temporary, Cluster(Path(temporary)) as cluster:
        runs = Path(temporary) / "runs"
        print(f"{cluster.command('sinfo', '--version').strip()}, {rounds} rounds")
        there = [f"system.runs_dir={runs}", f"system.datasets_dir={temporary}/datasets"]
        python(cluster, "runs/prepare.py", f"datasets_dir={temporary}/datasets")
        starting(cluster, there, runs, rounds)
        submitting(cluster, there, runs, rounds)
        fill(runs / "submitted0", next(runs.glob("started0/*/run.json")).parent)
        status(cluster, runs, rounds)


def submitting(cluster: Cluster, there: list[str], runs: Path, rounds: int) -> None:
    """The members wait for an hour to come, so that none runs beside what is measured."""
    seconds, megabytes, torch = [], [], "torch not imported"
    for number in range(rounds):
        words = [*SUBMIT, f"seed=range({MEMBERS})", f"study=submitted{number}", LATER, *there]
        began = time.perf_counter()
        kilobytes, imported = python(cluster, "-c", WATCHED, *words).stderr.splitlines()[-1].split()
        seconds.append(time.perf_counter() - began)
        megabytes.append(int(kilobytes) / 1024)
        torch = "torch imported" if imported == "True" else torch
    print(f"submitting {MEMBERS} members   {spread(seconds, 's')}, {spread(megabytes, 'MB')}, {torch}")
    began = time.perf_counter()
    python(cluster, *SUBMIT, f"seed=range({MEMBERS})", "study=submitted0", LATER, *there)
    print(f"the same command again   {time.perf_counter() - began:.2f} s", flush=True)


def starting(cluster: Cluster, there: list[str], runs: Path, rounds: int) -> None:
    to_first_step, importing = [], []
    for number in range(rounds + 1):
        began = time.perf_counter()
        python(cluster, "-c", "import torch")
        import_s = time.perf_counter() - began
        study = runs / f"started{number}"
        first_line = 'hydra.launcher.setup=["echo began $(date +%s.%N)"]'
        python(cluster, *SUBMIT, f"study={study.name}", "system.log_every_steps=1", first_line, *there)
        cluster.wait(lambda study=study: list(study.glob("*/run.json")))
        cluster.wait(lambda: not cluster.command("squeue", "-h"))
        if number:  # the first one fills the disk's cache
            importing.append(import_s)
            to_first_step.append(_time_of_first_step(study) - _time_of_first_line(study))
    more = statistics.median(to_first_step) - statistics.median(importing)
    print(f"start to first step      {spread(to_first_step, 's')}")
    print(f"import torch             {spread(importing, 's')}; the job takes {more:.2f} s more", flush=True)


def status(cluster: Cluster, runs: Path, rounds: int) -> None:
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        shown = python(cluster, "runs/status.py", "study=submitted0", f"runs_dir={runs}").stdout.splitlines()[-1]
        seconds.append(time.perf_counter() - began)
    assert shown.startswith(f"submitted0: {FINISHED} of {FINISHED + MEMBERS} finished, {MEMBERS} queued"), shown
    print(f"status.py                {spread(seconds[1:], 's')}: {shown.partition(': ')[2]}")


def fill(study: Path, run: Path) -> None:
    """Makes copies of a finished run with seeds of their own, and the plan that submitting them would have written."""
    plan = json.loads(next((study / ".sweeps").glob("*.json")).read_text(encoding="utf-8"))
    result = json.loads((run / "run.json").read_text(encoding="utf-8"))
    plan["members"] = []
    for seed in range(MEMBERS, MEMBERS + FINISHED):
        run_id = f"{seed:012x}"
        copy = shutil.copytree(run, study / f"net2-digits-s{seed}-{run_id}")
        result |= {"run_id": run_id, "name": copy.name, "config": result["config"] | {"seed": seed}}
        (copy / "run.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
        plan["members"].append({"name": copy.name, "overrides": [f"seed={seed}"], "job": f"1_{seed}", "error": None})
    (study / ".sweeps" / "finished.json").write_text(json.dumps(plan, indent=1), encoding="utf-8")


def python(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=PROJECT, env=cluster.environment, capture_output=True, text=True, check=True
    )


def spread(values: list[float], unit: str) -> str:
    return f"{statistics.median(values):.2f} {unit} ({min(values):.2f} to {max(values):.2f})"


def _time_of_first_line(study: Path) -> float:
    plan = json.loads(next((study / ".sweeps").glob("*.json")).read_text(encoding="utf-8"))
    (log,) = study.parent.glob(f".slurm/{plan['members'][0]['job']}_0_log.out")
    lines = log.read_text(encoding="utf-8").splitlines()
    return float(next(line for line in lines if line.startswith("began ")).split()[1])


def _time_of_first_step(study: Path) -> float:
    lines = next(study.glob("*/train.log")).read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if line[24:].startswith("step 1/"))
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp()


if __name__ == "__main__":
    main()
