"""What a job of Slurm runs: the members that it was given, until they have finished or its time is over."""

import os
import shutil
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from filelock import FileLock
from hydra.types import HydraContext
from omegaconf import DictConfig

from labkit.config import RunConfig, typed
from labkit.launching.entry_point import CheckedTask
from labkit.launching.errors import sentence
from labkit.launching.local import THREADS, LocalLauncher
from labkit.launching.member import Member, checked_member
from labkit.launching.process import outcome_of, run_member
from labkit.launching.sbatch import SlurmSettings
from labkit.runs.files import write_json
from labkit.runs.identity import data_version
from labkit.runs.interruption import Interruption
from labkit.secrets import redact


@dataclass
class MemberJob:
    """Called in each task of the job. Ends with status 1 unless every member has finished."""

    members: list[tuple[str, DictConfig]]  # the name and the configuration of each
    task: CheckedTask[Any]
    context: HydraContext
    settings: SlurmSettings

    def __call__(self) -> None:
        os.chdir(os.environ["SUBMITTED_FROM"])
        with Interruption() as interruption:
            try:
                self._set_up()
                members = [self._member(name, config) for name, config in self.members]
                self._run(members, interruption)
            except Exception as error:
                _fail(error)
            unfinished = [member for member in members if member.status != "finished"]
            if not unfinished:
                return
            if interruption.received == signal.SIGUSR2:
                self._ask_to_be_requeued(unfinished)
            while interruption.received == signal.SIGTERM:  # who leaves before Slurm ends it is not queued again
                signal.pause()
        sys.exit("\n".join(f"{m.status}: {m.name}: {m.reason}" for m in unfinished))

    def _set_up(self) -> None:
        """The environment of the runs. ValueError where GPUs are missing."""
        cores = int(os.environ.get("SLURM_CPUS_PER_TASK", "1"))
        for name in THREADS:  # for system.threads=null, and for libraries that it does not rule
            os.environ[name] = str(max(cores // len(self.members), 1))
        if int(os.environ.get("SLURM_NTASKS", "1")) > 1:
            from submitit.helpers import TorchDistributedEnvironment

            TorchDistributedEnvironment().export(set_cuda_visible_devices=False)
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        got = len([gpu for gpu in visible.split(",") if gpu])
        if got < self.settings.gpus:
            raise ValueError(
                f"hydra.launcher.gpus_per_node: {self.settings.gpus} were asked for and {got} are there on "
                f"{os.environ.get('SLURMD_NODENAME')} (CUDA_VISIBLE_DEVICES={visible}); tell the cluster's support"
            )

    def _member(self, name: str, config: DictConfig) -> Member:
        if self.settings.gpus and config.system.device == "auto":
            config.system.device = "cuda"  # it would train on the CPU if torch found no GPU
        member = checked_member(name, config, self.task)
        if self.settings.scratch:
            config.system.datasets_dir = _staged(self.settings.scratch, member.settings)
        return member

    def _run(self, members: list[Member], interruption: Interruption) -> None:
        """Notes in each member how it ended."""
        if len(members) > 1:
            LocalLauncher(n_jobs=len(members)).launch(members, self.task, self.context, interruption)
            return
        error = run_member(members[0].config, self.task, self.context)
        members[0].status, members[0].reason = outcome_of(error)
        if error and not interruption.received:
            _fail(error)

    def _ask_to_be_requeued(self, unfinished: list[Member]) -> None:
        """By a file that the job's script looks for when all tasks have ended."""
        if os.environ.get("SLURM_PROCID", "0") != "0":
            return
        requeues = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        most = self.settings.max_requeues
        if requeues < most:
            print(f"saved; the job is queued again ({requeues + 1} of at most {most} times)", flush=True)
            Path(os.environ["SUBMITIT_FOLDER"], f"{os.environ['SLURM_JOB_ID']}.requeue").touch()
            return
        reason = f"its job was queued again {requeues} times, which hydra.launcher.max_requeues allows"
        for member in unfinished:
            member.reason = f"{reason}; the same command goes on"
            write_json(member.folder.state, member.folder.read_state() | {"status": "failed", "reason": member.reason})


@dataclass
class ReportJob:
    """The reports of studies whose jobs have ended."""

    configs: list[dict[str, Any]]

    def __call__(self) -> None:
        from labkit.reporting.report import ReportConfig, report

        os.chdir(os.environ["SUBMITTED_FROM"])
        try:
            for config in self.configs:
                report(typed(ReportConfig, config))
        except Exception as error:
            _fail(error)


def _staged(scratch: str, settings: RunConfig) -> str:
    """A copy of the datasets folder's prepared data on this node, made by the first that needs it."""
    root, name = os.path.expandvars(scratch), settings.data.get("folder")
    if "$" in root or not Path(root).is_dir():
        raise ValueError(
            f"hydra.launcher.scratch: {root} is no folder on {os.environ.get('SLURMD_NODENAME')}; see docs/cluster.md"
        )
    if name is None:  # data that is made, not read
        return settings.system.datasets_dir
    staged = Path(root, f"datasets-{os.getuid()}-{data_version(settings)}")
    with FileLock(f"{staged}-{name}.lock"):
        if not (staged / name).exists():
            shutil.copytree(Path(settings.system.datasets_dir, name), staged / f".{name}.part", dirs_exist_ok=True)
            (staged / f".{name}.part").rename(staged / name)
    return str(staged)


def _fail(error: BaseException) -> NoReturn:
    """Ends the job as failed for Slurm, with all that there is to say in its log."""
    said = sentence(error)
    sys.exit(redact(f"error: {said}" if said else "".join(traceback.format_exception(error))))
