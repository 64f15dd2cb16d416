"""Reads the run folders of a study and says what became of each run.

Standard library only: `runs/status.py` has to answer at once, so nothing here may import pandas or torch.
"""

import gc
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.runs.files import CONFIG, PLANS, RESULT, SEARCH, STATE, TEST, TEST_LAST, read_json
from labkit.runs.json_shapes import (
    PLAN_SHAPE,
    RESULT_SHAPE,
    SEARCH_SHAPE,
    STATE_SHAPE,
    TEST_SHAPE,
    Unreadable,
    fits,
    is_number,
    read_record,
)
from labkit.runs.liveness import sign_of_death
from labkit.runs.slurm_queue import Queue, how_it_ended, planned_jobs
from labkit.text import alternatives, one_line, split_of

# What may have become of a run, in the order in which numbers.tex counts them.
STATUSES = ("finished", "diverged", "running", "interrupted", "dead", "failed", "missing", "queued", "refused")
STATUSES += ("submitted", "cancelled", "out of time", "out of memory", "duplicate", "unreadable", "pruned")
TESTS = {"best": TEST, "last": TEST_LAST}  # by the weights that were evaluated


@dataclass
class Run:
    """One member of a study, whether or not it ran.

    `status` is one of finished, diverged (a loss or the monitored metric was no longer a number; with a record if the
    run went through all the same), running, interrupted, dead (it stopped without a word), failed, missing (planned,
    but without a folder), queued (in Slurm), submitted (to a Slurm that does not answer), cancelled, out of time, out
    of memory (in Slurm), pruned (a trial of a search that was ended early), refused (planned, but misconfigured),
    duplicate (a second folder of the same run), unreadable.
    `reason` says why.
    """

    name: str
    study: Path  # its folder
    status: str
    reason: str = ""
    record: dict[str, Any] = field(default_factory=dict)  # run.json without its packages; empty if there is none
    state: dict[str, Any] = field(default_factory=dict)  # state.json; empty if there is a record
    packages_id: int = 0  # the same for the runs of one report that ended with the same packages
    # The metrics of the test set, of the best weights and of the last ones; empty where they were not evaluated.
    tests: dict[str, dict[str, float]] = field(default_factory=lambda: {"best": {}, "last": {}})

    @property
    def path(self) -> Path:
        return self.study / self.name

    @property
    def ended(self) -> bool:
        """Whether it has results; a run that was stopped because it diverged has none."""
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
    searches: list[dict[str, Any]] = field(default_factory=list)  # the trials of each, and how they were chosen

    @property
    def ended(self) -> list[Run]:
        """The runs that have results."""
        return [run for run in self.runs if run.ended]

    def counts(self) -> dict[str, int]:
        """How many runs have each status, finished first."""
        counts = Counter(run.status for run in self.runs)
        return dict(sorted(counts.items(), key=lambda item: (item[0] != "finished", item[0])))


def find_studies(runs_dirs: list[str], study: str | None) -> dict[str, list[Path]]:
    """The folders of every study, or of the one asked for, one for each place that has it.

    `runs_dirs`: where runs are, and other places such as a copy of the cluster's.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    for place in runs_dirs:
        folders = [path for path in Path(place).iterdir() if _is_study(path)] if Path(place).is_dir() else []
        if not folders and place != runs_dirs[0]:
            raise ValueError(
                f"more_runs_dirs: {place} holds no study, which is a folder of run folders; correct the path"
            )
        for folder in folders:
            found[folder.name].append(folder)
    if not found:
        raise ValueError(f"{runs_dirs[0]}: no study here; start one with python runs/train.py")
    if study is None:
        return dict(sorted(found.items()))
    if study not in found:
        raise ValueError(f"study: no study {study!r} in {', '.join(runs_dirs)}; {alternatives(study, sorted(found))}")
    return {study: found[study]}


@contextmanager
def no_garbage() -> Iterator[None]:
    """Keeps Python from searching thousands of records for garbage, which takes as long as reading them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read_study(folder: Path) -> Study:
    """Every run of a study, by name: those with a folder, and the planned ones that have none."""
    return read_studies([folder], Queue())[0]


def read_studies(folders: list[Path], queue: Queue) -> list[Study]:
    """The same for several, with one question to Slurm."""
    studies = [_read_study(folder) for folder in folders]
    _mark_submitted(studies, queue)
    return studies


def _read_study(folder: Path) -> Study:
    warnings: list[str] = []
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if _is_folder(entry) and not entry.name.startswith("."))
    runs = [run for name in names if (run := _read_run(folder, name, warnings))]
    mark_duplicates(runs, warnings)
    runs += _planned_without_folder(folder, {run.name for run in runs}, warnings)
    searches = [plan for path in sorted((folder / PLANS).glob(SEARCH)) if fits(plan := read_json(path), SEARCH_SHAPE)]
    return Study(folder.name, sorted(runs, key=lambda run: run.name), warnings, searches)


def mark_duplicates(runs: list[Run], warnings: list[str]) -> None:
    """Of several folders with the same run, the one that has its name counts, or else the first."""
    first: dict[str, Run] = {}
    ended = [run for run in runs if run.ended]
    for run in sorted(ended, key=lambda run: run.name != run.record.get("name")):
        counts = first.setdefault(run.record["run_id"], run)
        if counts is not run:
            if run.record["best"] != counts.record["best"]:
                warnings.append(f"{one_line(run.name)} has other results than {one_line(counts.name)}, which counts")
            run.status = "duplicate"
            run.reason = f"the same run as {one_line(counts.name)}: counted once"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: the run that it stands for cannot be read
        return True


def _is_study(path: Path) -> bool:
    if not path.is_dir() or path.name.startswith("."):
        return False
    folders = [child for child in path.iterdir() if not child.name.startswith(".")]
    return (path / PLANS).is_dir() or any(os.path.exists(child / CONFIG) for child in folders)


def _read_run(study: Path, name: str, warnings: list[str]) -> Run | None:
    """None if the folder of this name holds no run."""
    run = _look(study, name, warnings)
    if run and run.status in ("dead", "ending", "unreadable"):
        run = _look(study, name, warnings)  # what was ending, or being deleted, has done so by now
    if run and run.status == "ending":
        run.status = "interrupted"
        run.reason = f"ended, but {RESULT} is missing; the same command completes it"
    return run


def _look(study: Path, name: str, warnings: list[str]) -> Run | None:
    path = f"{study}/{name}"  # joining a Path takes as long as opening a file
    try:
        files = os.listdir(path)  # one question instead of one per file: a file server may have to answer it
        if CONFIG not in files:
            warnings.append(f"{one_line(name)} is not a run folder (it has no {CONFIG}) and is left out")
            return None
        if RESULT in files:
            return _with_results(Run(name, study, "finished"), path, files, warnings)
        if STATE not in files:
            return Run(name, study, "interrupted", "stopped before its first step")
        state = read_record(f"{path}/{STATE}", STATE_SHAPE)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Run(name, study, "unreadable", f"the folder cannot be opened: {error.strerror}")
    except Unreadable as error:
        return Run(name, study, "unreadable", str(error))
    run = Run(name, study, state["status"], one_line(str(state.get("reason") or "")), state=state)
    if run.status == "running" and (death := sign_of_death(f"{path}/{STATE}", state)):
        run.status = "dead"
        run.reason = death
    elif run.status == "finished":
        run.status = "ending"
    elif run.status not in ("running", "interrupted", "failed", "diverged", "pruned"):
        run.reason = f"{STATE} holds the unknown status {run.status!r}"
        run.status = "unreadable"
    return run


def _with_results(run: Run, path: str, files: list[str], warnings: list[str]) -> Run:
    run.record = read_record(f"{path}/{RESULT}", RESULT_SHAPE)
    packages = run.record["launches"][-1].get("packages")
    if isinstance(packages, dict):
        run.packages_id = hash((*packages, *map(str, packages.values())))
    for part in (run.record, *run.record["launches"]):
        part.pop("confusion_matrix", None)  # these two are most of a record and are in no table:
        part.pop("packages", None)  # thousands of them would fill the memory
    if isinstance(facts := run.record["data"].get("facts"), dict):
        facts.pop("tokens", None)  # and so would thousands of vocabularies
    if strange := _not_numbers(run.record):
        run.status = "diverged"
        run.reason = f"not a number: {', '.join(strange)}"
    run.tests = {
        weights: _read_test(run, weights, f"{path}/{name}", warnings) if name in files else {}
        for weights, name in TESTS.items()
    }
    return run


def _not_numbers(record: dict[str, Any]) -> list[str]:
    """The losses of the last evaluation, and the monitored metric of the best one, where they are NaN or infinite."""
    monitored = record["monitor"]["metric"]
    values = {name: value for name, value in record["last"]["metrics"].items() if name.endswith("/loss")}
    values[monitored] = record["best"]["metrics"].get(monitored)
    return sorted(name for name, value in values.items() if not is_number(value))


def _read_test(run: Run, weights: str, path: str, warnings: list[str]) -> dict[str, float]:
    step = run.record[weights]["step"]
    name = TESTS[weights]
    try:
        test = read_record(path, TEST_SHAPE)
        if test["run_id"] != run.record["run_id"]:
            raise Unreadable(f"{name} is from another run")
        if test["step"] != step:
            raise Unreadable(f"{name} is from step {test['step']}, but the {weights} step is {step}")
    except Unreadable as error:
        warnings.append(f"{one_line(run.name)}: {error}: its test metrics are left blank; run python runs/evaluate.py")
        return {}
    return {name: value for name, value in test["metrics"].items() if split_of(name) == "test"}


def _mark_submitted(studies: list[Study], queue: Queue) -> None:
    """What waits in Slurm to be started, or started again; and how the jobs of what did not finish have ended."""
    may_wait = ("missing", "interrupted", "dead", "failed", "diverged")
    waiting: list[tuple[Run, str]] = []
    for study in studies:
        runs = [run for run in study.runs if run.status in may_wait and not run.record]
        jobs = planned_jobs(runs[0].study) if runs else {}
        waiting += [(run, jobs[run.name]) for run in runs if run.name in jobs]
    known = queue.look(job for _, job in waiting)
    for run, job in waiting:
        failed_before = run.status in ("failed", "diverged")  # or just now, while others in its job go on
        if known is None:
            if run.status == "missing":
                run.status, run.reason = "submitted", f"submitted as job {job}; Slurm does not answer"
            continue
        last = known.get(job)
        if last and not last.ended and (last.state == "PENDING" or not failed_before):
            run.status = "queued"
            run.reason = f"job {job} is {last}"
        elif run.status == "missing" or (not failed_before and run.state.get("job") == job):
            how, why = how_it_ended(run.study.parent, job, last)
            if run.status == "missing" or how != "failed":
                run.status, run.reason = how, one_line(why)


def _planned_without_folder(folder: Path, present: set[str], warnings: list[str]) -> Iterator[Run]:
    """Members of any plan that have no folder: missing, or refused if no plan could start them."""
    absent: dict[str, str] = {}
    for path in sorted((folder / PLANS).glob("*.json")):
        try:
            plan = read_record(str(path), PLAN_SHAPE)
        except Unreadable as error:
            warnings.append(f"{PLANS}/{error}: members that it planned may be missing from the list")
            continue
        for member in plan["members"]:
            if not isinstance(member, dict) or not isinstance(member.get("overrides"), list):
                warnings.append(f"{PLANS}/{path.name}: a member was not written by this version of the project")
                continue
            name = str(member.get("name") or " ".join(map(str, member["overrides"])))
            if name not in present:
                absent[name] = absent.get(name, "refused") and str(member.get("error") or "")
    for name, error in absent.items():
        yield Run(name, folder, "refused" if error else "missing", one_line(error))
