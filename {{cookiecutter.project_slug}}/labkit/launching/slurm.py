"""Submits the members of a sweep to Slurm in arrays of jobs: sbatch.py is how, slurm_job.py is what these run.

submitit writes the job's script. What it lacks is here: members and cluster are checked first, the code is frozen, the
terminal is free at once, what the cluster does not take yet follows later, and nothing is submitted twice.
"""

import importlib.util
import math
import os
import re
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from hydra.types import RunMode

from labkit.launching.entry_point import CheckedTask
from labkit.launching.evaluation import Evaluation
from labkit.launching.local import Progress
from labkit.launching.member import Member
from labkit.launching.sbatch import OURS, Full, Sbatch, SlurmSettings, checked, longest_array
from labkit.launching.slurm_job import EvaluationJob, MemberJob, ReportJob
from labkit.launching.snapshot import freeze
from labkit.runs.files import COPIES, RESULT, naming, read_json
from labkit.runs.identity import data_version
from labkit.runs.interruption import Interruption
from labkit.runs.slurm_queue import Job, Queue, how_it_ended

T = TypeVar("T", Member, Evaluation)
POLL_S = 2.0
ASK_S = 5.0  # between two questions to Slurm
LATE_S = 3.0  # what a job has written may be seen so much later than its end
TRY_AGAIN_S = 60.0  # to submit what Slurm did not take; sooner where a job of the sweep has ended
UNSAID = (*OURS, "setup", "name", "stderr_to_stdout", "array_parallelism", "signal_delay_s")


class SlurmLauncher:
    """Its parameters are the keys of `SlurmSettings`, and those of submitit. ValueError: see sbatch.py."""

    def __init__(self, **params: Any) -> None:
        self.params = {"gpus_per_node": None} | params  # only slurmgpu.yaml has this key
        own = {field.name for field in fields(SlurmSettings)}
        self.settings = checked({key: value for key, value in self.params.items() if key in own})
        self.params["timeout_min"] = self.settings.timeout_min
        self.dry_run, self.waits = self.settings.dry_run, self.settings.wait

    def check(self, members: Sequence[Member]) -> None:
        """Notes which are in the queue already. ValueError, before anything is written, where data is missing or where
        the cluster would refuse such jobs. With `dry_run` says what they would take."""
        waiting = [member for member in members if member.status == "waiting"]
        known = Queue().look(member.job for member in waiting if member.job)
        if known is None:
            raise ValueError("hydra/launcher: squeue does not answer, and has jobs of this sweep; try again later")
        for member in waiting:
            if (job := known.get(member.job or "")) and not job.ended:
                member.status, member.reason = "submitted", f"job {member.job} is {job}"
        if queued := sum(member.status == "submitted" for member in waiting):
            print(f"{queued} of them are in Slurm's queue already", flush=True)
        groups = self._groups(members)
        for settings in {m.settings.data.get("folder"): m.settings for group in groups for m in group}.values():
            if settings.data.get("folder") and not data_version(settings):
                folder = Path(settings.system.datasets_dir, settings.data["folder"])
                raise ValueError(f"{folder}: is not prepared, and jobs may have no network; run python runs/prepare.py")
        if groups:
            self._check_torch([member for group in groups for member in group])
            self.sbatch(groups[0]).check()
        if groups and self.dry_run:
            self._say_what_it_takes(groups)

    def launch(
        self,
        members: Sequence[Member],
        task: CheckedTask[Any],
        interruption: Interruption,
        keep: Callable[[], None],
        more: Callable[[int], Sequence[Member]] | None = None,
    ) -> None:
        """Submits those that are not in the queue, and calls `keep` whenever some of them have got a job; with `wait`,
        notes in each how it ended, and asks for `more` whenever there is room for so many. ValueError if Slurm takes
        only some of them."""
        groups = self._groups(members)
        feed = _Feed(self, task, interruption, keep)
        feed.submit(groups)
        in_slurm = [member for member in members if member.status == "submitted"]
        report = self.settings.report and members and not interruption.received
        if report and not feed.left:
            self._submit_report(members, task)
        if self.settings.wait and in_slurm:
            self._wait(in_slurm, feed, interruption, more)
        elif feed.left and not interruption.received:
            taken = len(groups) - len(feed.left)
            raise ValueError(
                f"hydra/launcher: {taken} of {len(groups)} jobs are submitted, and Slurm takes no more of yours now "
                f"({feed.refusal}); the same command submits the rest later, by itself with hydra.launcher.wait=true"
            )
        if report and feed.late and not feed.left:
            self._submit_report(members, task)

    def evaluate(self, evaluations: Sequence[Evaluation], task: CheckedTask[Any], interruption: Interruption) -> None:
        """Submits them, in jobs that begin again after a time limit; with `wait` until these have ended."""
        if not evaluations or interruption.received:
            return
        self._check_torch(evaluations)
        runs_dir = evaluations[0].settings.runs_dir
        sbatch = Sbatch(self.settings, self.params, evaluations[0].settings)
        sbatch.check()
        groups = self._groups(evaluations)
        if self.dry_run:
            print(f"would submit: {self.of_jobs(len(groups), self.settings.n_jobs)}")
            return
        name = f"{self.params['name'] or '+'.join(sorted({e.settings.study for e in evaluations}))}-evaluate"
        longest = longest_array()
        for several in (groups[n : n + longest] for n in range(0, len(groups), longest)):
            jobs = [EvaluationJob([e.config for e in group], task, self.settings) for group in several]
            for group, job in zip(several, sbatch.submit(jobs, _frozen(runs_dir), name=name), strict=True):
                for each in group:
                    each.job, each.status = job, "submitted"
            array = str(several[0][0].job).partition("_")[0]
            print(f"submitted: job {array}, {self.of_jobs(len(several), self.settings.n_jobs)}", flush=True)
        queue, waiting = Queue(ASK_S), list(evaluations)
        while self.settings.wait and waiting and not interruption.received:
            known = queue.look(str(each.job) for each in waiting) or {}
            for each in [each for each in waiting if (job := known.get(str(each.job))) and job.ended]:
                waiting.remove(each)
                how, each.reason = how_it_ended(Path(runs_dir), str(each.job), known[str(each.job)])
                each.status = how
            time.sleep(POLL_S if waiting else 0)

    def _check_torch(self, members: Sequence[Member | Evaluation]) -> None:
        """ValueError if torch cannot use the GPUs that jobs ask for; in a container there may be another torch."""
        if not self.settings.gpus or self.settings.container or all(m.device == "cpu" for m in members):
            return
        found = importlib.util.find_spec("torch")  # importing it would take seconds
        version = Path(found.origin).with_name("version.py") if found and found.origin else None
        text = version.read_text(encoding="utf-8") if version and version.exists() else "cuda = ''"
        if not re.search(r"^(cuda|hip|xpu)\b.*= *'", text, flags=re.MULTILINE):
            raise ValueError(
                "hydra.launcher.gpus_per_node: torch in this environment is a build for CPUs only; run make install "
                "TORCH=cuda, or use +launcher=slurm"
            )

    def sbatch(self, members: Sequence[Member]) -> Sbatch:
        return Sbatch(self.settings, self.params, members[0].settings.system)

    def _groups(self, members: Sequence[T]) -> list[list[T]]:
        """Those that share a job."""
        waiting = [member for member in members if member.status == "waiting"]
        size = self.settings.members
        return [waiting[n : n + size] for n in range(0, len(waiting), size)]

    def _submit_report(self, members: Sequence[Member], task: CheckedTask[Any]) -> None:
        """A job that begins when theirs have ended, however they did."""
        assert task.context is not None  # that of the sweep
        runs_dir = members[0].settings.system.runs_dir
        studies = _studies(members)
        values = []
        for study in studies:
            config = task.context.config_loader.load_configuration("report", [f"study={study}"], RunMode.RUN)
            values.append({str(key): config[key] for key in config if key not in ("hydra", "system")})
            values[-1]["runs_dir"] = runs_dir  # which the sweep may have been told
        smaller = {"cpus_per_task": 1, "nodes": 1, "tasks_per_node": 1, "gpus_per_node": None}
        smaller["name"] = f"{'+'.join(studies)}-report"
        if arrays := _arrays([member for member in members if member.status == "submitted"]):
            smaller["dependency"] = f"afterany:{':'.join(arrays)}"
        (job,) = self.sbatch(members).submit([ReportJob(values)], _frozen(runs_dir), **smaller)
        print(f"  report:  job {job}" + (", after them" if arrays else ""), flush=True)

    def _say_what_it_takes(self, groups: list[list[Member]]) -> None:
        print(f"would submit: {self.of_jobs(len(groups), self.settings.n_jobs)}")
        shown = {key: value for key, value in self.params.items() if value not in (None, [], {}) and key not in UNSAID}
        print("  each job: " + ", ".join(f"{key}={value}" for key, value in shown.items()))
        took = [_past_runs(member) for group in groups for member in group]
        known = [sum(seconds.values()) / len(seconds) for seconds in took if seconds]
        if not known:
            print("  expected: nothing is known yet; no run of these models and data has finished in this study")
            return
        hours = sum(known) / len(known) * len(took) / self.settings.runs_per_job / 3600
        gpus = self.settings.gpus * self.settings.nodes
        cores = self.settings.cpus_per_task * self.settings.tasks
        hours_of = f"{hours * gpus:.2g} GPU-hours" if gpus else f"{hours * cores:.2g} CPU-hours"
        print(f"  expected: about {hours_of}, from {len(set().union(*took))} runs that have finished")

    def _wait(
        self,
        members: list[Member],
        feed: "_Feed",
        interruption: Interruption,
        more: Callable[[int], Sequence[Member]] | None,
    ) -> None:
        """Until their jobs have left the queue, and those of what Slurm did not take at first, and of `more`."""
        progress = Progress(len(members) + sum(map(len, feed.left)), bar=True)
        waiting = list(members)
        over_since: dict[Member, float] = {}
        queue = Queue(ASK_S)
        try:
            while (waiting or feed.left) and not interruption.received:
                known = queue.look(str(member.job) for member in waiting)
                for member in list(waiting):
                    job = (known or {}).get(str(member.job))
                    if known is not None and (job is None or job.ended):
                        over_since.setdefault(member, time.monotonic())
                    if not _has_ended(member, over_since.get(member), job):
                        continue
                    waiting.remove(member)
                    line = f"{member.name}: {member.status}" + (f": {member.reason}" if member.reason else "")
                    progress.count(line, failed=member.status != "finished")
                room = self.settings.n_jobs * self.settings.members - len(waiting)
                if more and not feed.left and room > 0 and (new := more(room)):
                    progress.total += len(new)
                    waiting += feed.submit(self._groups(new))
                waiting += feed.submit_more(len(waiting))
                time.sleep(POLL_S if waiting or feed.left else 0)
        finally:
            progress.close()
        if waiting:
            print(f"the jobs go on; to end them: scancel {' '.join(_arrays(waiting))}", flush=True)

    def of_jobs(self, jobs: int, at_a_time: int) -> str:
        runs = f" of up to {self.settings.members} runs" if self.settings.members > 1 else ""
        if jobs == 1:
            return f"one job{runs}"
        return f"an array of {jobs} jobs{runs}, at most {at_a_time} at a time"


class _Feed:
    """Puts what shares a job into Slurm's queue, in as few arrays as it takes."""

    def __init__(
        self, launcher: SlurmLauncher, task: CheckedTask[Any], interruption: Interruption, keep: Callable[[], None]
    ) -> None:
        self.left: list[list[Member]] = []  # what it does not take for now
        self.refusal = ""  # in the words of sbatch
        self.late = False  # whether some were not taken at once
        self._launcher, self._task, self._interruption, self._keep = launcher, task, interruption, keep
        self._submitted_as: Path | None = None
        self._in_queue = 0
        self._tried, self._pause = 0.0, ASK_S

    def submit(self, groups: list[list[Member]]) -> list[Member]:
        """The members that have got a job."""
        self.left, taken = list(groups), []
        if not groups or self._interruption.received:
            return []
        sbatch = self._launcher.sbatch(groups[0])
        size = min(longest_array(), len(groups))
        at_a_time = max(self._launcher.settings.n_jobs // math.ceil(len(groups) / size), 1)
        while self.left and size and not self._interruption.received:
            try:
                taken += self._submit_array(sbatch, self.left[:size], at_a_time)
                self.left = self.left[size:]
            except Full as full:
                self.refusal, self.late = str(full), True
                size //= 2
        if taken and not self._in_queue:
            self._say_what_follows(sbatch.folder, taken)
        self._tried, self._in_queue = time.monotonic(), self._in_queue + len(taken)
        return taken

    def submit_more(self, in_queue: int) -> list[Member]:
        """The same with what is left, when others have ended, and again after a while: Slurm may count one that has
        finished for some seconds more, and other sweeps end, too."""
        if in_queue != self._in_queue:
            self._pause = ASK_S
        elif time.monotonic() < self._tried + self._pause:
            return []
        else:
            self._pause = min(2 * self._pause, TRY_AGAIN_S)
        self._in_queue = in_queue
        return self.submit(self.left)

    def _submit_array(self, sbatch: Sbatch, groups: list[list[Member]], at_a_time: int) -> list[Member]:
        launcher = self._launcher
        members = [member for group in groups for member in group]
        bare = [[(member.name, member.config) for member in group] for group in groups]
        jobs = [MemberJob(each, self._task, launcher.settings) for each in bare]
        self._submitted_as = self._submitted_as or _frozen(members[0].settings.system.runs_dir)
        name = launcher.params["name"] or "+".join(_studies(members))
        submitted = sbatch.submit(jobs, self._submitted_as, name=name, array_parallelism=at_a_time)
        for group, job in zip(groups, submitted, strict=True):
            for member in group:
                member.job, member.status, member.reason = job, "submitted", f"job {job}"
        self._keep()
        print(f"submitted: job {_arrays(members)[0]}, {launcher.of_jobs(len(groups), at_a_time)}", flush=True)
        return members

    def _say_what_follows(self, folder: Path, members: list[Member]) -> None:
        arrays = _arrays(members)
        for study in _studies(members):
            print(f"  watch:   python runs/status.py study={shlex.quote(study)} watch=true")
        logs = f"{arrays[0]}_*_log.out" if len(arrays) == 1 else "*_log.out"
        print(f"  logs:    {os.path.relpath(folder)}/{logs}, and train.log in each run's folder")
        print(f"  cancel:  scancel {' '.join(arrays)}", flush=True)
        if self.left and self._launcher.settings.wait:
            print(f"{len(self.left)} jobs follow when Slurm takes more of yours ({self.refusal})", flush=True)


def _frozen(runs_dir: str) -> Path:
    with naming(Path(runs_dir, COPIES)):  # a full disk does not say which it is
        return freeze(Path(runs_dir))


def _studies(members: Sequence[Member]) -> list[str]:
    return sorted({member.settings.study for member in members})


def _arrays(members: Sequence[Member]) -> list[str]:
    return sorted({str(member.job).partition("_")[0] for member in members}, key=int)


def _has_ended(member: Member, over_since: float | None, job: Job | None) -> bool:
    """Notes how, if it has. Its files may come later than Slurm's answer, over a network."""
    if member.folder.read_result():
        member.status, member.reason = "finished", None
    elif over_since is not None and time.monotonic() > over_since + LATE_S:
        state = member.folder.read_state()
        member.status, member.reason = how_it_ended(member.folder.path.parents[1], str(member.job), job)
        if member.status == "failed" and state.get("status") in ("failed", "diverged", "interrupted"):
            member.status, member.reason = state["status"], state.get("reason")
    return member.status != "submitted"


def _past_runs(member: Member) -> dict[Path, float]:
    """The seconds that each finished run of the same model and data in its study took."""
    kind = member.folder.path.name.rpartition("-s")[0]
    results = {path: read_json(path) for path in member.folder.path.parent.glob(f"{kind}-s*/{RESULT}")}
    return {path: result["cost"]["wall_s"] for path, result in results.items() if result}
