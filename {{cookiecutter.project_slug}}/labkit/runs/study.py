"""Reads the run folders of a study and says what became of each run.

Standard library only: `runs/status.py` must answer at once, so nothing here may import pandas or torch.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.runs.json_shapes import RECORD, STATE, TEST, Unreadable, is_number, read_record
from labkit.runs.liveness import sign_of_death
from labkit.runs.slurm_queue import jobs_in_queue, last_words, planned_jobs
from labkit.text import alternatives, one_line

# What may have become of a run, in the order in which numbers.tex counts them.
STATUSES = ("finished", "diverged", "running", "interrupted", "dead", "failed", "missing", "queued", "refused")
STATUSES += ("duplicate", "unreadable")


@dataclass
class Run:
    """One member of a study, whether or not it ran.

    `status` is one of finished, diverged (a loss or a monitored metric became no number: stopped there, or went through
    and has a record), running, interrupted, dead (stopped without a word), failed, missing (planned, no folder), queued
    (in Slurm), refused (planned, bad configuration), duplicate (the same run in a second folder), unreadable. `reason`
    says why.
    """

    name: str
    study: Path  # its folder
    status: str
    reason: str = ""
    record: dict[str, Any] = field(default_factory=dict)  # run.json, without its packages; empty unless there is one
    state: dict[str, Any] = field(default_factory=dict)  # state.json; empty if there is a record
    packages_id: int = 0  # equal for runs of one report that ended with the same packages
    test: dict[str, float] = field(default_factory=dict)  # metrics of test.json, if they belong to the best weights

    @property
    def path(self) -> Path:
        return self.study / self.name

    @property
    def ended(self) -> bool:
        """Whether it went through and has results: a run that was stopped because it diverged has none."""
        return bool(self.record) and self.status in ("finished", "diverged")

    @property
    def progress(self) -> str:
        """How far a run came that has not ended."""
        total = self.state.get("total_steps")
        return f"step {self.state.get('step') or 0} of {total}" if total else ""


@dataclass
class Study:
    name: str
    runs: list[Run]
    warnings: list[str]

    @property
    def ended(self) -> list[Run]:
        """The runs that have results."""
        return [run for run in self.runs if run.ended]

    def counts(self) -> dict[str, int]:
        """How many runs have each status that occurs, finished first."""
        statuses = sorted((run.status for run in self.runs), key=lambda status: (status != "finished", status))
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}


def find_studies(runs_dir: str, study: str | None) -> list[Path]:
    """The folder of the one study asked for, or of every study under `runs_dir`."""
    root = Path(runs_dir)
    folders = sorted(path for path in root.iterdir() if _is_study(path)) if root.is_dir() else []
    if not folders:
        raise ValueError(f"{runs_dir}: no study here; start one with python runs/train.py")
    if study is None:
        return folders
    names = [path.name for path in folders]
    if study not in names:
        raise ValueError(f"study: no study {study!r} in {runs_dir}; {alternatives(study, names)}")
    return [root / study]


@contextmanager
def no_garbage() -> Iterator[None]:
    """Thousands of records are no garbage, and looking for some in them takes as long as reading them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read_study(folder: Path) -> Study:
    """Every run of a study by name: its folders, and the planned members that have none."""
    warnings: list[str] = []
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    runs = [run for name in names if (run := _read_run(folder, name, warnings))]
    mark_duplicates(runs, warnings)
    runs += _planned_without_folder(folder, {run.name for run in runs}, warnings)
    _mark_queued(folder, runs)
    return Study(folder.name, sorted(runs, key=lambda run: run.name), warnings)


def _is_study(path: Path) -> bool:
    if not path.is_dir() or path.name.startswith("."):
        return False
    folders = [child for child in path.iterdir() if not child.name.startswith(".")]
    return (path / ".sweeps").is_dir() or any(os.path.exists(child / "config.yaml") for child in folders)


def _read_run(study: Path, name: str, warnings: list[str]) -> Run | None:
    """None if there is no run in the folder of this name."""
    run = _look(study, name, warnings)
    if run and run.status in ("dead", "ending", "unreadable"):
        run = _look(study, name, warnings)  # what was ending, or being thrown away, has by now done so
    if run and run.status == "ending":
        run.status, run.reason = "interrupted", "ended, but run.json is missing; the same command completes it"
    return run


def _look(study: Path, name: str, warnings: list[str]) -> Run | None:
    path = f"{study}/{name}"  # to join a Path takes as long as to open a file
    try:
        files = os.listdir(path)  # one question instead of one per file: a file server may have to answer
        if "config.yaml" not in files:
            warnings.append(f"{one_line(name)} is no run folder (it holds no config.yaml): left out")
            return None
        if "run.json" in files:
            return _with_results(Run(name, study, "finished"), path, "test.json" in files, warnings)
        if "state.json" not in files:
            return Run(name, study, "interrupted", "stopped before its first step")
        state = read_record(f"{path}/state.json", STATE)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Run(name, study, "unreadable", f"the folder cannot be opened: {error.strerror}")
    except Unreadable as error:
        return Run(name, study, "unreadable", str(error))
    status, reason = state["status"], one_line(str(state.get("reason") or ""))
    if status == "running" and (death := sign_of_death(f"{path}/state.json", state)):
        status, reason = "dead", death
    elif status == "finished":
        status = "ending"
    elif status not in ("running", "interrupted", "failed", "diverged"):
        status, reason = "unreadable", f"state.json holds the unknown status {status!r}"
    return Run(name, study, status, reason, state=state)


def _with_results(run: Run, path: str, tested: bool, warnings: list[str]) -> Run:
    run.record = read_record(f"{path}/run.json", RECORD)
    packages = run.record["launches"][-1].get("packages")
    run.packages_id = hash((*packages, *map(str, packages.values()))) if isinstance(packages, dict) else 0
    for part in (run.record, *run.record["launches"]):
        part.pop("confusion_matrix", None)  # these two are most of a record, and in no table: thousands of them
        part.pop("packages", None)  # would fill the memory
    if strange := _not_numbers(run.record):
        run.status, run.reason = "diverged", f"not a number: {', '.join(strange)}"
    if tested:
        run.test = _read_test(run, path, warnings)
    return run


def _not_numbers(record: dict[str, Any]) -> list[str]:
    """The losses of the last evaluation and the monitored metric of the best one, where they are NaN or infinite."""
    monitored = record["monitor"]["metric"]
    values = {name: value for name, value in record["last"]["metrics"].items() if name.endswith("/loss")}
    values[monitored] = record["best"]["metrics"].get(monitored)
    return sorted(name for name, value in values.items() if not is_number(value))


def _read_test(run: Run, path: str, warnings: list[str]) -> dict[str, float]:
    step = run.record["best"]["step"]
    try:
        test = read_record(f"{path}/test.json", TEST)
        if test["run_id"] != run.record["run_id"]:
            raise Unreadable("test.json is of another run")
        if test["step"] != step:
            raise Unreadable(f"test.json is of step {test['step']}, the best step is {step}")
    except Unreadable as error:
        warnings.append(f"{one_line(run.name)}: {error}: test metrics left blank; run python runs/evaluate.py")
        return {}
    return {name: value for name, value in test["metrics"].items() if name.startswith("test/")}


def mark_duplicates(runs: list[Run], warnings: list[str]) -> None:
    """Of the folders that hold the same run, the one that has its name counts, or else the first."""
    first: dict[str, Run] = {}
    ended = [run for run in runs if run.ended]
    for run in sorted(ended, key=lambda run: run.name != run.record.get("name")):
        counts = first.setdefault(run.record["run_id"], run)
        if counts is not run:
            if run.record["best"] != counts.record["best"]:
                warnings.append(f"{one_line(run.name)} has other results than {one_line(counts.name)}, which counts")
            run.status, run.reason = "duplicate", f"the same run as {one_line(counts.name)}: counted once"


def _mark_queued(folder: Path, runs: list[Run]) -> None:
    """What waits for Slurm to start it, or to start it again; and what it started in vain."""
    jobs = planned_jobs(folder)
    may_wait = ("missing", "interrupted", "dead", "failed", "diverged")
    waiting = [run for run in runs if run.status in may_wait and not run.record and run.name in jobs]
    in_queue = jobs_in_queue() if waiting else None
    if in_queue is None:
        return
    for run in waiting:
        job = jobs[run.name]
        failed_before = run.status in ("failed", "diverged")  # or just now, while others in its job go on
        if in_queue.get(job, "").startswith("pending") or (job in in_queue and not failed_before):
            run.status, run.reason = "queued", f"job {job} is {in_queue[job]}"
        elif run.status == "missing":
            run.status, run.reason = "failed", one_line(last_words(folder.parent, job))


def _planned_without_folder(folder: Path, present: set[str], warnings: list[str]) -> Iterator[Run]:
    """Members of any plan that have no folder: missing, or refused if no plan could start them."""
    absent: dict[str, str] = {}
    for path in sorted((folder / ".sweeps").glob("*.json")):
        try:
            plan = read_record(str(path), {"members": list})
        except Unreadable as error:
            warnings.append(f".sweeps/{error}: members that it planned may be missing from the list")
            continue
        for member in plan["members"]:
            if not isinstance(member, dict) or not isinstance(member.get("overrides"), list):
                warnings.append(f".sweeps/{path.name}: a member was not written by this version of the project")
                continue
            name = str(member.get("name") or " ".join(map(str, member["overrides"])))
            if name not in present:
                absent[name] = absent.get(name, "refused") and str(member.get("error") or "")
    for name, error in absent.items():
        yield Run(name, folder, "refused" if error else "missing", one_line(error))
