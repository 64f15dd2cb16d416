"""Submits the members of a sweep to Slurm as one array of jobs; slurm_job.py is what these run.

hydra-submitit-launcher writes the jobs' script and pickles what they run. What it lacks is here: the members and the
cluster are checked first, the code is frozen, the terminal is free at once, and the script queues a job again.
"""

import math
import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.types import RunMode
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

from hydra_plugins.members import slurm_job  # not its classes: Hydra replaces them, and a pickle would hold their code
from hydra_plugins.members.launcher import Progress
from modules.reporting.slurm_queue import jobs_in_queue, last_words
from modules.utils.config import typed
from modules.utils.identity import data_version
from modules.utils.interruption import Interruption
from modules.utils.run_folder import read_json
from modules.utils.snapshot import freeze

if TYPE_CHECKING:
    from hydra_plugins.members.sweeper import Member

POLL_S = 2.0
OURS = ("dry_run", "wait", "report", "runs_per_job", "n_jobs", "max_requeues", "container", "scratch")
UNSAID = (*OURS, "setup", "name", "stderr_to_stdout", "array_parallelism", "signal_delay_s")
# What the jobs' script does after srun; in it, because a container has no scontrol. The status is that of the runs. The
# job is named as a part of its array: the plain number of an array's last job stands for all of them. 143 is a SIGTERM
# that met a Python that was only starting: a job that ends before Slurm ends it is not queued again.
REQUEUE = """status=$?
[ $status = 143 ] && sleep 600
job=${{SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}}${{SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}}
if rm {folder}/$SLURM_JOB_ID.requeue 2> /dev/null; then scontrol requeue $job && sleep 600; fi
exit $status"""


@dataclass
class SlurmSettings:
    """config/launcher/slurm.yaml, explained there; other keys go to submitit as they are."""

    dry_run: bool
    wait: bool
    report: bool
    timeout_min: int
    cpus_per_task: int
    mem_gb: int | None
    nodes: int
    tasks_per_node: int
    runs_per_job: int
    n_jobs: int
    max_requeues: int
    signal_delay_s: int
    additional_parameters: dict[str, Any]
    setup: list[str]
    container: str | None
    scratch: str | None


class SlurmMemberLauncher(SlurmLauncher):
    """The keys of `SlurmSettings`, and those of submitit."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        own = {field.name for field in fields(SlurmSettings)}
        self._given = {key: value for key, value in self.params.items() if key in own}
        self.dry_run = self.params["dry_run"]

    def setup(self, **given: Any) -> None:
        """ValueError where a key holds what submitit or Slurm would stumble over."""
        super().setup(**given)
        try:
            self.settings = settings = typed(SlurmSettings, self._given)
        except ValueError as error:
            raise ValueError(f"hydra.launcher.{error}") from error
        for key, value in asdict(settings).items():
            least = 0 if key in ("max_requeues", "signal_delay_s") else 1
            if type(value) is int and value < least:  # and no bool
                raise ValueError(f"hydra.launcher.{key}: must be at least {least}, not {value}")
        gpus = self.params.get("gpus_per_node")
        if gpus is not None and not re.fullmatch(r"([\w.-]+:)?\d+", str(gpus)):
            raise ValueError(
                f"hydra.launcher.gpus_per_node: must be a number, or a type and a number: a100:1, not {gpus}"
            )
        if settings.runs_per_job > 1 and self._tasks() > 1:
            raise ValueError("hydra.launcher.runs_per_job: one run on several tasks has its job for itself; use 1")

    def check_members(self, members: Sequence["Member"]) -> None:
        """Notes which are in the queue already. ValueError, before anything is written, where data is missing or where
        the cluster would refuse such jobs. With `dry_run` says what they would take."""
        in_queue = jobs_in_queue()
        if in_queue is None and any(member.job for member in members):
            raise ValueError("hydra/launcher: squeue does not answer, and has jobs of this sweep; try again later")
        in_queue = in_queue or {}
        for member in members:
            if member.job and member.job in in_queue:
                member.status, member.reason = "submitted", f"job {member.job} is {in_queue[member.job].lower()}"
        if queued := sum(member.status == "submitted" for member in members):
            print(f"{queued} of them are in Slurm's queue already", flush=True)
        groups = self._groups(members)
        for settings in {m.settings.data.get("folder"): m.settings for g in groups for m in g if m.settings}.values():
            if settings.data.get("folder") and not data_version(settings):
                folder = Path(settings.system.datasets_dir, settings.data["folder"])
                raise ValueError(f"{folder}: is not prepared, and jobs may have no network; run python runs/prepare.py")
        if groups:
            self._check_cluster(len(groups))
        if groups and self.dry_run:
            self._say_what_it_takes(groups)

    def launch_members(self, members: Sequence["Member"], interruption: Interruption) -> None:
        """Submits those that are not in the queue; with `wait`, notes in each how it ended."""
        if groups := self._groups(members):
            self._submit(groups)
        if self.settings.wait:
            self._wait([member for member in members if member.status == "submitted"], interruption)

    def _groups(self, members: Sequence["Member"]) -> list[list["Member"]]:
        """Those that share a job."""
        waiting = [member for member in members if member.status == "waiting"]
        return [waiting[n : n + self.settings.runs_per_job] for n in range(0, len(waiting), self.settings.runs_per_job)]

    def _submit(self, groups: list[list["Member"]]) -> None:
        assert self.hydra_context is not None
        settings = [member.settings for group in groups for member in group if member.settings]
        submitted_as = freeze(Path(settings[0].system.runs_dir))
        folder = Path(settings[0].system.runs_dir, ".slurm").absolute()
        context = pickle.dumps((self.task_function, self.hydra_context, Singleton.get_state()["instances"]))
        bare = [[replace(member, settings=None, folder=None) for member in group] for group in groups]
        jobs = [
            slurm_job.MemberJob(group, context, self._gpus(), self.settings.scratch, self.settings.max_requeues)
            for group in bare
        ]
        submitted = _submitted(self._executor(folder, submitted_as), jobs)
        array = submitted[0].partition("_")[0]
        for group, job in zip(groups, submitted, strict=True):
            for member in group:
                member.job, member.status, member.reason = job, "submitted", f"job {job}"
        studies = sorted({one.study for one in settings})
        print(f"submitted: job {array}, {self._array(len(groups))}")
        for study in studies:
            print(f"  watch:   python runs/status.py study={shlex.quote(study)} watch=true")
        print(f"  logs:    {os.path.relpath(folder)}/{array}_*_log.out, and train.log in each run's folder")
        print(f"  cancel:  scancel {array}", flush=True)
        if self.settings.report:
            self._submit_report(studies, settings[0].system.runs_dir, array, submitted_as)

    def _submit_report(self, studies: list[str], runs_dir: str, array: str, submitted_as: Path) -> None:
        """A job that begins when those of the array have ended, however they did."""
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        reports = [loader.load_configuration("report", [f"study={study}"], RunMode.RUN) for study in studies]
        values = [{str(key): config[key] for key in config if key not in ("hydra", "system")} for config in reports]
        values = [config | {"runs_dir": runs_dir} for config in values]  # which the sweep may have been told
        smaller = {"cpus_per_task": 1, "nodes": 1, "tasks_per_node": 1, "gpus_per_node": None, "name": "report"}
        executor = self._executor(
            Path(runs_dir, ".slurm").absolute(), submitted_as, **smaller, dependency=f"afterany:{array}"
        )
        print(f"  report:  job {_submitted(executor, [slurm_job.ReportJob(values)])[0]}, after them", flush=True)

    def _executor(self, folder: Path, submitted_as: Path | None, **changed: Any) -> Any:
        """What submits jobs whose logs and pickles go into `folder`."""
        import submitit

        here, code = Path.cwd(), submitted_as.parent if submitted_as else Path.cwd()
        setup = [
            *("set -e", *self.params["setup"], "set +e"),  # a module that cannot be loaded is to end the job
            "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK",  # srun does not ask for them by itself
            f"export SUBMITTED_FROM={shlex.quote(str(here))} SUBMITTED_AS={shlex.quote(str(submitted_as))}",
            f"cd {shlex.quote(str(code))}",  # Python imports from there
        ]
        params = self.params | {"setup": setup, "teardown": [REQUEUE.format(folder=shlex.quote(str(folder)))]}
        params["srun_args"] = ["--wait=300"]  # when one task has ended, the others end soon, or hang
        params["additional_parameters"] = {"requeue": True, **self.params["additional_parameters"]}
        params |= changed
        params = {key: value for key, value in params.items() if key not in OURS}
        executor = submitit.SlurmExecutor(folder, python=self._python(folder))
        try:
            given = {key: value for key, value in params.items() if value is not None}
            executor.update_parameters(**executor._convert_parameters(given))
        except (ValueError, TypeError, AssertionError) as error:
            raise ValueError(f"hydra.launcher: {str(error).splitlines()[0]}; see sbatch's manual") from error
        return executor

    def _python(self, folder: Path) -> str:
        if not self.settings.container:
            return shlex.quote(sys.executable)
        assert self.config is not None
        image = (
            self.settings.container
            if "://" in self.settings.container
            else str(Path(self.settings.container).absolute())
        )
        system = self.config.system
        bound = {str(path.absolute()) for path in (Path(), folder, Path(system.runs_dir), Path(system.datasets_dir))}
        gpus = " --nv" if self._gpus() else ""
        return f"apptainer exec{gpus} --bind {shlex.quote(','.join(sorted(bound)))} {shlex.quote(image)} python"

    def _check_cluster(self, jobs: int) -> None:
        """ValueError where the cluster would refuse them, in the words of sbatch."""
        for command in ("sbatch", "scontrol", "srun"):
            if not shutil.which(command):
                raise ValueError(f"hydra/launcher: {command} was not found; submit from a login node of the cluster")
        if (
            self.settings.container
            and "://" not in self.settings.container
            and not Path(self.settings.container).exists()
        ):
            raise ValueError(
                f"hydra.launcher.container: {self.settings.container} is not there; apptainer build makes it from "
                "env_setup/apptainer.def"
            )
        limits = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True)
        if limits.returncode != 0:
            raise ValueError(f"hydra/launcher: Slurm does not answer ({_last_line(limits.stderr)}); try again later")
        longest = next((int(line.split()[-1]) for line in limits.stdout.splitlines() if "MaxArraySize" in line), jobs)
        if jobs > longest:
            raise ValueError(
                f"hydra.launcher.runs_per_job: the array has {jobs} jobs and may have {longest} on this cluster; put "
                f"{math.ceil(jobs * self.settings.runs_per_job / longest)} runs into a job, or split the sweep"
            )
        executor = self._executor(Path.cwd(), None)
        script = executor._make_submission_file_text(executor._submitit_command_str, "test")
        with _as_from_outside():
            tried = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True)
        if tried.returncode != 0:
            lines = [line for line in tried.stderr.splitlines() if "error:" in line] or tried.stderr.splitlines()
            reason = lines[0].partition("error: ")[2] or lines[0]
            raise ValueError(f"hydra/launcher: sbatch refuses such a job: {reason}; see docs/cluster.md")

    def _say_what_it_takes(self, groups: list[list["Member"]]) -> None:
        print(f"would submit: {self._array(len(groups))}")
        shown = {key: value for key, value in self.params.items() if value not in (None, [], {}) and key not in UNSAID}
        print("  each job: " + ", ".join(f"{key}={value}" for key, value in shown.items()))
        took = [_past_runs(member) for group in groups for member in group]
        known = [sum(seconds.values()) / len(seconds) for seconds in took if seconds]
        if not known:
            print("  expected: nothing is known yet; no run of these models and data has finished in this study")
            return
        hours = sum(known) / len(known) * len(took) / self.settings.runs_per_job / 3600
        gpus = self._gpus() * self.settings.nodes
        cores = self.settings.cpus_per_task * self._tasks()
        hours_of = f"{hours * gpus:.2g} GPU-hours" if gpus else f"{hours * cores:.2g} CPU-hours"
        print(f"  expected: about {hours_of}, from {len(set().union(*took))} runs that have finished")

    def _wait(self, members: list["Member"], interruption: Interruption) -> None:
        """Until their jobs have left the queue."""
        progress, waiting, gone = Progress(len(members), bar=True), list(members), Counter()
        try:
            while waiting and not interruption.received:
                if (in_queue := jobs_in_queue()) is not None:
                    gone.update(member.name for member in waiting if member.job not in in_queue)
                for member in [member for member in waiting if _has_ended(member, gone[member.name])]:
                    waiting.remove(member)
                    line = f"{member.name}: {member.status}" + (f": {member.reason}" if member.reason else "")
                    progress.count(line, failed=member.status != "finished")
                time.sleep(POLL_S if waiting else 0)
        finally:
            progress.close()
        if waiting:
            arrays = sorted({str(member.job).partition("_")[0] for member in waiting})
            print(f"the jobs go on; to end them: scancel {' '.join(arrays)}", flush=True)

    def _array(self, jobs: int) -> str:
        runs = f" of up to {self.settings.runs_per_job} runs" if self.settings.runs_per_job > 1 else ""
        return (
            f"an array of {jobs} jobs{runs}, at most {self.settings.n_jobs} at a time" if jobs > 1 else f"one job{runs}"
        )

    def _tasks(self) -> int:
        return self.settings.nodes * self.settings.tasks_per_node

    def _gpus(self) -> int:
        """On each node."""
        return int(str(self.params.get("gpus_per_node") or 0).rpartition(":")[2])


def _submitted(executor: Any, jobs: list[Any]) -> list[str]:
    """The ids of the jobs, now in the queue."""
    from submitit.core.utils import FailedJobError

    executor.folder.mkdir(parents=True, exist_ok=True)
    executor.folder.chmod(0o700)  # what is pickled here is run: nobody else may write it
    there = set(executor.folder.iterdir())
    try:
        with _as_from_outside():
            return [job.job_id for job in executor.submit_array(jobs)]
    except FailedJobError as error:
        for left_behind in set(executor.folder.iterdir()) - there:
            left_behind.unlink()
        raise ValueError(f"hydra/launcher: sbatch refuses the jobs: {_last_line(str(error))}") from error


def _has_ended(member: "Member", times_missed: int) -> bool:
    """Notes how, if it has. Its files may come later than Slurm's answer, over a network."""
    assert member.folder
    state = member.folder.read_state()
    if member.folder.read_result():
        member.status, member.reason = "finished", None
    elif times_missed > 1:
        ended = state.get("status") in ("failed", "diverged", "interrupted")
        member.status = state["status"] if ended else "failed"
        member.reason = state.get("reason") if ended else last_words(member.folder.path.parents[1], str(member.job))
    return member.status != "submitted"


def _past_runs(member: "Member") -> dict[Path, float]:
    """The seconds that each finished run of the same model and data in its study took."""
    assert member.folder
    kind = member.folder.path.name.rpartition("-s")[0]
    results = {path: read_json(path) for path in member.folder.path.parent.glob(f"{kind}-s*/run.json")}
    return {path: result["cost"]["wall_s"] for path, result in results.items() if result}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


@contextmanager
def _as_from_outside() -> Iterator[None]:
    """A job that is submitted from within another would inherit its size."""
    import submitit

    conf = {key: os.environ[key] for key in ("SLURM_CONF",) if key in os.environ}
    with submitit.helpers.clean_env():
        os.environ |= conf
        try:
            yield
        finally:
            for key in conf:
                del os.environ[key]
