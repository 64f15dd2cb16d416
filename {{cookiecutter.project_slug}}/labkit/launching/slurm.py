"""Submits the members of a sweep to Slurm as one array of jobs: sbatch.py is how, slurm_job.py is what these run.

submitit writes the job's script, pickles what the job runs and starts it there. What it lacks is here: members and
cluster are checked first, the code is frozen, the terminal is free at once, and a job that is out of time is queued
again.
"""

import os
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.types import HydraContext, RunMode

from labkit.launching.entry_point import CheckedTask
from labkit.launching.local import Progress
from labkit.launching.member import Member
from labkit.launching.sbatch import OURS, Sbatch, SlurmSettings, checked
from labkit.launching.slurm_job import MemberJob, ReportJob
from labkit.launching.snapshot import freeze
from labkit.runs.files import RESULT, read_json
from labkit.runs.identity import data_version
from labkit.runs.interruption import Interruption
from labkit.runs.slurm_queue import jobs_in_queue, last_words

POLL_S = 2.0
UNSAID = (*OURS, "setup", "name", "stderr_to_stdout", "array_parallelism", "signal_delay_s")


class SlurmLauncher:
    """Its parameters are the keys of `SlurmSettings`, and those of submitit. ValueError: see sbatch.py."""

    def __init__(self, **params: Any) -> None:
        self.params = {"gpus_per_node": None} | params  # only slurmgpu.yaml has this key
        own = {field.name for field in fields(SlurmSettings)}
        self.settings = checked({key: value for key, value in self.params.items() if key in own})
        self.dry_run = self.settings.dry_run

    def check(self, members: Sequence[Member]) -> None:
        """Notes which are in the queue already. ValueError, before anything is written, where data is missing or where
        the cluster would refuse such jobs. With `dry_run` says what they would take."""
        in_queue = jobs_in_queue()
        if in_queue is None and any(member.job for member in members):
            raise ValueError("hydra/launcher: squeue does not answer, and has jobs of this sweep; try again later")
        in_queue = in_queue or {}
        for member in members:
            if member.job and member.job in in_queue:
                member.status, member.reason = "submitted", f"job {member.job} is {in_queue[member.job]}"
        if queued := sum(member.status == "submitted" for member in members):
            print(f"{queued} of them are in Slurm's queue already", flush=True)
        groups = self._groups(members)
        for settings in {m.settings.data.get("folder"): m.settings for group in groups for m in group}.values():
            if settings.data.get("folder") and not data_version(settings):
                folder = Path(settings.system.datasets_dir, settings.data["folder"])
                raise ValueError(f"{folder}: is not prepared, and jobs may have no network; run python runs/prepare.py")
        if groups:
            self._sbatch(groups[0]).check(len(groups))
        if groups and self.dry_run:
            self._say_what_it_takes(groups)

    def launch(
        self, members: Sequence[Member], task: CheckedTask[Any], context: HydraContext, interruption: Interruption
    ) -> None:
        """Submits those that are not in the queue; with `wait`, notes in each how it ended."""
        if groups := self._groups(members):
            self._submit(groups, task, context)
        in_slurm = [member for member in members if member.status == "submitted"]
        if in_slurm and self.settings.report:
            self._submit_report(in_slurm, context)
        if self.settings.wait:
            self._wait(in_slurm, interruption)

    def _sbatch(self, members: Sequence[Member]) -> Sbatch:
        return Sbatch(self.settings, self.params, members[0].settings.system)

    def _groups(self, members: Sequence[Member]) -> list[list[Member]]:
        """Those that share a job."""
        waiting = [member for member in members if member.status == "waiting"]
        return [waiting[n : n + self.settings.runs_per_job] for n in range(0, len(waiting), self.settings.runs_per_job)]

    def _submit(self, groups: list[list[Member]], task: CheckedTask[Any], context: HydraContext) -> None:
        sbatch = self._sbatch(groups[0])
        bare = [[(member.name, member.config) for member in group] for group in groups]
        jobs = [MemberJob(members, task, context, self.settings) for members in bare]
        submitted = sbatch.submit(jobs, freeze(Path(groups[0][0].settings.system.runs_dir)))
        array = submitted[0].partition("_")[0]
        for group, job in zip(groups, submitted, strict=True):
            for member in group:
                member.job, member.status, member.reason = job, "submitted", f"job {job}"
        print(f"submitted: job {array}, {self._array(len(groups))}")
        for study in sorted({member.settings.study for group in groups for member in group}):
            print(f"  watch:   python runs/status.py study={shlex.quote(study)} watch=true")
        print(f"  logs:    {os.path.relpath(sbatch.folder)}/{array}_*_log.out, and train.log in each run's folder")
        print(f"  cancel:  scancel {array}", flush=True)

    def _submit_report(self, members: list[Member], context: HydraContext) -> None:
        """A job that begins when theirs have ended, however they did."""
        runs_dir = members[0].settings.system.runs_dir
        values = []
        for study in sorted({member.settings.study for member in members}):
            config = context.config_loader.load_configuration("report", [f"study={study}"], RunMode.RUN)
            values.append({str(key): config[key] for key in config if key not in ("hydra", "system")})
            values[-1]["runs_dir"] = runs_dir  # which the sweep may have been told
        smaller = {"cpus_per_task": 1, "nodes": 1, "tasks_per_node": 1, "gpus_per_node": None, "name": "report"}
        smaller["dependency"] = f"afterany:{':'.join(_arrays(members))}"
        (job,) = self._sbatch(members).submit([ReportJob(values)], freeze(Path(runs_dir)), **smaller)
        print(f"  report:  job {job}, after them", flush=True)

    def _say_what_it_takes(self, groups: list[list[Member]]) -> None:
        print(f"would submit: {self._array(len(groups))}")
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

    def _wait(self, members: list[Member], interruption: Interruption) -> None:
        """Until their jobs have left the queue."""
        progress = Progress(len(members), bar=True)
        waiting = list(members)
        times_missed: Counter[Member] = Counter()
        try:
            while waiting and not interruption.received:
                if (in_queue := jobs_in_queue()) is not None:
                    times_missed.update(member for member in waiting if member.job not in in_queue)
                for member in [member for member in waiting if _has_ended(member, times_missed[member])]:
                    waiting.remove(member)
                    line = f"{member.name}: {member.status}" + (f": {member.reason}" if member.reason else "")
                    progress.count(line, failed=member.status != "finished")
                time.sleep(POLL_S if waiting else 0)
        finally:
            progress.close()
        if waiting:
            print(f"the jobs go on; to end them: scancel {' '.join(_arrays(waiting))}", flush=True)

    def _array(self, jobs: int) -> str:
        runs = f" of up to {self.settings.runs_per_job} runs" if self.settings.runs_per_job > 1 else ""
        if jobs == 1:
            return f"one job{runs}"
        return f"an array of {jobs} jobs{runs}, at most {self.settings.n_jobs} at a time"


def _arrays(members: list[Member]) -> list[str]:
    return sorted({str(member.job).partition("_")[0] for member in members})


def _has_ended(member: Member, times_missed: int) -> bool:
    """Notes how, if it has. Its files may come later than Slurm's answer, over a network."""
    state = member.folder.read_state()
    if member.folder.read_result():
        member.status, member.reason = "finished", None
    elif times_missed > 1:
        ended = state.get("status") in ("failed", "diverged", "interrupted")
        member.status = state["status"] if ended else "failed"
        member.reason = state.get("reason") if ended else last_words(member.folder.path.parents[1], str(member.job))
    return member.status != "submitted"


def _past_runs(member: Member) -> dict[Path, float]:
    """The seconds that each finished run of the same model and data in its study took."""
    kind = member.folder.path.name.rpartition("-s")[0]
    results = {path: read_json(path) for path in member.folder.path.parent.glob(f"{kind}-s*/{RESULT}")}
    return {path: result["cost"]["wall_s"] for path, result in results.items() if result}
