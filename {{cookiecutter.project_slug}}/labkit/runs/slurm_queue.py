"""Which members of a study were submitted to Slurm, and what became of their jobs. Standard library only."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

from labkit.runs.files import PLANS, SLURM, read_json

ANSWER_S = 20.0  # a controller that is busy takes seconds
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"}
ENDED |= {"REVOKED", "TIMEOUT"}
HOW = {"CANCELLED": "cancelled", "DEADLINE": "out of time", "TIMEOUT": "out of time", "OUT_OF_MEMORY": "out of memory"}
# What the log of a job says of its end. The end of a single step is none: preemption ends steps too.
SIGNS = {
    "out of memory": r"oom.kill|out of memory|exceeded .*memory limit",
    "out of time": r"DUE TO TIME LIMIT",
    "cancelled": r"\*\*\* JOB \S+ ON \S+ CANCELLED AT \S+ \*\*\*",
}
ADVICE = {"out of memory": "; ask for more hydra.launcher.mem_gb", "out of time": "", "cancelled": "", "failed": ""}
BEGUN = "begun on "  # the first words of each launch of a job in its log
# Variables by which a shell changes what the commands of Slurm do. Those of a site say who pays, and where.
CHANGING = ("SQUEUE_", "SBATCH_", "SCANCEL_", "SCONTROL_", "SRUN_", "SLURM_EXPORT_ENV")
OF_A_JOB = ("SLURM_", "SLURMD_", "SUBMITIT_")
OF_THE_SITE = ("SBATCH_ACCOUNT", "SBATCH_PARTITION", "SBATCH_QOS")


class Job(NamedTuple):
    state: str  # of Slurm: PENDING
    reason: str  # why it waits

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def __str__(self) -> str:
        return self.state.lower() + ("" if self.reason == "None" else f" ({self.reason})")


class Queue:
    """What Slurm knows of jobs. An answer counts for `fresh_s` seconds, in which Slurm is not asked again."""

    def __init__(self, fresh_s: float = 0) -> None:
        self._fresh_s = fresh_s
        self._asked_at = -float("inf")
        self._asked: set[str] = set()
        self._answer: dict[str, Job] | None = None

    def look(self, jobs: Iterable[str]) -> dict[str, Job] | None:
        """{"12_3": Job("PENDING", "Priority")} for those that it remembers, whoever submitted them; None if it does not
        answer."""
        arrays = {job.partition("_")[0] for job in jobs}
        if not arrays:
            return {}
        if not arrays <= self._asked or time.monotonic() - self._asked_at > self._fresh_s:
            self._answer = _ask_for(sorted(arrays))
            self._asked, self._asked_at = arrays, time.monotonic()
        return self._answer


def ask(
    words: Sequence[str | Path], script: str = "", timeout_s: float = ANSWER_S
) -> "subprocess.CompletedProcess[str]":
    """What a command of Slurm answers; status 124 and the time if it does not. A Ctrl-C does not reach it."""
    inside = "SLURM_JOB_ID" in os.environ  # a job that is submitted from within another would inherit its size
    dropped = (*CHANGING, *OF_A_JOB) if inside else CHANGING
    kept = ("SLURM_CONF", *OF_THE_SITE)
    variables = {name: value for name, value in os.environ.items() if name in kept or not name.startswith(dropped)}
    given = {"input": script, "capture_output": True, "text": True, "errors": "replace", "start_new_session": True}
    limit_s = timeout_s or ANSWER_S
    try:
        return subprocess.run(words, env=variables, timeout=limit_s, **given)
    except subprocess.TimeoutExpired:
        return CompletedProcess(words, 124, "", f"{words[0]} gave no answer within {limit_s:.0f} s")
    except OSError as error:
        return CompletedProcess(words, 124, "", str(error))


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


def job_of_script(script: Path) -> str | None:
    """The job that runs this script, whose id sbatch could not tell; "" if there is none, None if Slurm is silent."""
    answer = ask(["squeue", "--noheader", "--states=all", f"--user={os.getuid()}", "--format=%i|%o"])
    if answer.returncode != 0:
        return None
    found = re.search(rf"^(\d+)\S*\|{re.escape(str(script))} *$", answer.stdout, flags=re.MULTILINE)
    return found[1] if found else ""


def job_log(runs_dir: Path, job: str) -> Path | None:
    """What the first task of a job has printed, whoever submitted it."""
    return next(runs_dir.glob(f"{SLURM}*/{job}_0_log.out"), None)


def cancel(jobs: Iterable[str]) -> list[str]:
    """Ends those of the jobs that wait or run, and returns them. ValueError if Slurm does not do so."""
    known = Queue().look(jobs)
    if known is None:
        raise ValueError("cancel: squeue does not answer; try again later, on a login node of the cluster")
    ending = sorted(job for job in jobs if job in known and not known[job].ended)
    if ending and (answer := ask(["scancel", *ending])).returncode != 0:
        raise ValueError(f"cancel: scancel refuses: {' '.join(answer.stderr.split())}")
    return ending


def how_it_ended(runs_dir: Path, job: str, last: Job | None) -> tuple[str, str]:
    """Of a job that is over: cancelled, out of time, out of memory or failed; and why, in its log's words. `last`: what
    Slurm still knows of it."""
    log = job_log(runs_dir, job)
    how = HOW.get(last.state, "failed") if last else "failed"
    try:
        text = log.read_text(encoding="utf-8", errors="replace") if log else ""
    except OSError:
        text = ""
    if not text:
        return how, f"job {job} ended, and left no log"
    lines = [line for line in text.rpartition(BEGUN)[2].splitlines() if line.strip()]
    of_slurm = [line for line in lines if line.startswith(("slurmstepd", "srun: error"))]
    for status, sign in SIGNS.items():
        if found := [line for line in of_slurm if re.search(sign, line, flags=re.IGNORECASE)]:
            return status, f"job {job}: {found[-1].partition('error: ')[2]}{ADVICE[status]}; see {log}"
    said = [line for line in lines if not line.startswith(("slurmstepd", "srun: "))]
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    return how, f"job {job}: {(errors or said[1:] or ['ended without a word'])[-1]}{ADVICE[how]}; see {log}"


def _ask_for(arrays: list[str]) -> dict[str, Job] | None:
    if not shutil.which("squeue"):
        return None
    words = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={','.join(arrays)}", "--format=%i|%T|%r"]
    answer = ask(words)
    if answer.returncode != 0 and "Invalid job id" not in answer.stderr:  # it is over, and forgotten
        return None
    lines = re.findall(r"^(\d+(?:_\d+)?)\|([A-Z_]+)\|(.*?) *$", answer.stdout, flags=re.MULTILINE)  # no banners
    return {job: Job(state, reason) for job, state, reason in lines}
