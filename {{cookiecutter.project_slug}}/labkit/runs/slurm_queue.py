"""Which members of a study were submitted to Slurm, and which jobs still wait or run there. Standard library only."""

import os
import shutil
import subprocess
from pathlib import Path

from labkit.runs.files import PLANS, read_json


def planned_jobs(study: Path) -> dict[str, str]:
    """The newest job of each run of a study that was submitted, {"net2-digits-s0-...": "12_3"}."""
    jobs: dict[str, str] = {}
    plans = [path for path in (study / PLANS).glob("*.json") if path.is_file()]
    for path in sorted(plans, key=lambda path: path.stat().st_mtime):
        try:
            members = read_json(path)["members"]
            jobs |= {member["name"]: member["job"] for member in members if member.get("job")}
        except (KeyError, TypeError, AttributeError):
            continue  # damaged, and status.py says so
    return jobs


def last_words(runs_dir: Path, job: str) -> str:
    """Why a job ended, from its log: the last error of ours, or else its last line; and where that log is."""
    log = runs_dir / ".slurm" / f"{job}_0_log.out"
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"job {job} ended, and left no log"
    said = [line for line in lines if line.strip() and not line.startswith(("submitit ", "srun: "))]
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    return f"job {job}: {(errors or said or ['ended without a word'])[-1]}; see {log}"


def jobs_in_queue() -> dict[str, str] | None:
    """This user's jobs that have not ended, {"12_3": "pending (Priority)"}; None if Slurm does not answer."""
    if not shutil.which("squeue"):
        return None
    words = ["squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%i|%T|%r"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    jobs = {}
    for line in answer.stdout.splitlines():
        job, state, reason = line.strip().split("|", 2)
        jobs[job] = state.lower() + ("" if reason == "None" else f" ({reason})")
    return jobs
