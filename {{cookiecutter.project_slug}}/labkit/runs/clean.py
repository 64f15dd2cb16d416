"""What Slurm jobs have left behind and nothing needs any more. Standard library only."""

import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit.runs.files import COPIES, JOB, PLANS, RESULT, SCRIPT, SLURM, own_place
from labkit.runs.slurm_queue import Queue, planned_jobs
from labkit.text import counted

FRESH_S = 3600.0  # what is so new may belong to a command that is just submitting


@dataclass
class CleanConfig:
    delete: bool
    runs_dir: str


def clean(config: CleanConfig) -> None:
    """Lists this user's copies of the code, logs and submitted jobs that nothing needs; with `delete`, removes them.

    Needed are those of jobs that wait or run, and the logs of runs that have not finished. ValueError if Slurm does not
    say which jobs those are.
    """
    left_over = {path: _size(path) for path in _left_over(Path(config.runs_dir))}
    for path, size in left_over.items():
        print(f"{path}  {size / 2**20:.1f} MB")
        if config.delete:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    what = f"{counted(len(left_over), 'path')}, {sum(left_over.values()) / 2**20:.1f} MB"
    if not left_over:
        print("nothing is left over")
    else:
        print(f"removed: {what}" if config.delete else f"left over: {what}; delete=true removes them")


def _left_over(runs_dir: Path) -> Iterator[Path]:
    slurm = own_place(runs_dir / SLURM)
    submitted = {folder: _job_of(folder) for folder in _folders(slurm)}
    logs = {path: match[1] for path in slurm.glob("*") if (match := re.match(r"(\d+(_\d+)?)_\d+_log\.", path.name))}
    known = Queue().look({*filter(None, submitted.values()), *logs.values()})
    if known is None:
        raise ValueError(f"{slurm}: squeue does not say which jobs still need it; try again later")
    active = {job.partition("_")[0] for job, state in known.items() if not state.ended}
    needed = [folder for folder, job in submitted.items() if (job in active if job else _is_fresh(folder))]
    scripts = "".join(path.read_text(encoding="utf-8") for folder in needed for path in folder.glob(SCRIPT))
    unfinished = set(_jobs_of_unfinished(runs_dir))
    for code in _folders(own_place(runs_dir / COPIES)):
        if f"/{code.name}/" not in scripts and not _is_fresh(code):
            yield code
    yield from (folder for folder in submitted if folder not in needed)
    yield from (log for log, job in logs.items() if job.partition("_")[0] not in active and job not in unfinished)


def _job_of(submission: Path) -> str | None:
    """None while sbatch has not answered."""
    job = submission / JOB
    return job.read_text(encoding="ascii").strip() if job.exists() else None


def _jobs_of_unfinished(runs_dir: Path) -> Iterator[str]:
    for plans in runs_dir.glob(f"*/{PLANS}"):
        for name, job in planned_jobs(plans.parent).items():
            if not (plans.parent / name / RESULT).exists():
                yield job


def _folders(place: Path) -> list[Path]:
    """No links, which lead elsewhere."""
    if not place.is_dir() or place.is_symlink():
        return []
    return [path for path in sorted(place.iterdir()) if path.is_dir() and not path.is_symlink()]


def _is_fresh(path: Path) -> bool:
    return time.time() - path.stat().st_mtime < FRESH_S


def _size(path: Path) -> int:
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files)
