"""What a job of Slurm runs: the members that it was given, until they have finished or its time is over."""

import os
import pickle
import shutil
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from filelock import FileLock
from omegaconf import DictConfig

from labkit.config import RunConfig, typed
from labkit.launching.entry_point import CheckedTask
from labkit.launching.errors import sentence
from labkit.launching.local import THREADS, LocalLauncher
from labkit.launching.member import Member, checked_member
from labkit.launching.process import outcome_of, run_member
from labkit.launching.sbatch import SlurmSettings
from labkit.runs.files import read_json, write_json
from labkit.runs.identity import data_version
from labkit.runs.interruption import Interruption
from labkit.secrets import redact

IN_VAIN = 2  # times that a job may use up its time, one after the other, without progress


def main(folder: Path) -> None:
    """Runs what was pickled for this job: see sbatch.py."""
    number = os.environ.get("SLURM_ARRAY_TASK_ID", "0")
    job = pickle.loads((folder / f"{number}.pkl").read_bytes())
    job(folder / f"{number}.json")


@dataclass
class MemberJob:
    """Called in each task of the job, with a file for its notes. Ends with status 0 when every member has finished, and
    with that of the signal if one has ended it, which tells the job's script what to do."""

    members: list[tuple[str, DictConfig]]  # the name and the configuration of each
    task: CheckedTask[Any]
    settings: SlurmSettings

    def __call__(self, notes: Path) -> None:
        os.chdir(os.environ["SUBMITTED_FROM"])
        with Interruption() as interruption:
            try:
                self._set_up()
                members = [self._member(name, config) for name, config in self.members]
                if os.environ.get("SLURM_PROCID", "0") == "0":
                    self.check_progress(members, notes)
                self._run(members, interruption)
            except Exception as error:
                _fail(error)
            unfinished = [member for member in members if member.status not in ("finished", "pruned")]
            if not unfinished:
                return
            if interruption.received == signal.SIGUSR2 and os.environ.get("SLURM_PROCID", "0") == "0":
                self.check_progress(members, notes)
                self._say_that_it_is_queued_again(members)
        print("\n".join(f"{m.status}: {m.name}: {m.reason}" for m in unfinished), flush=True)
        sys.exit(128 + interruption.received if interruption.received else 1)

    @property
    def _at_a_time(self) -> int:
        return min(self.settings.runs_per_job, len(self.members))

    def _set_up(self) -> None:
        """The environment of the runs. ValueError where GPUs are missing."""
        cores = int(os.environ.get("SLURM_CPUS_PER_TASK", "1"))
        for name in THREADS:  # for system.threads=null, and for libraries that it does not rule
            os.environ[name] = str(max(cores // self._at_a_time, 1))
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
            LocalLauncher(n_jobs=self._at_a_time).launch(members, self.task, interruption)
            return
        error = run_member(members[0].config, self.task)
        members[0].status, members[0].reason = outcome_of(error)
        if error and members[0].status != "pruned" and not interruption.received:
            _fail(error)

    def check_progress(self, members: list[Member], notes: Path) -> None:
        """At the beginning, and when the time is over: a job that used up its time twice, one after the other, and
        saved nothing new, gives up. Whether its time was over is known from a file of its script."""
        before = read_json(notes) or {"in_vain": 0, "saved": {}}
        saved = {member.name: _saved(member) for member in members}
        in_vain = before["in_vain"]
        over = notes.with_suffix(".over")
        if over.exists():
            pairs = [(before["saved"].get(name, [0, 0]), now) for name, now in saved.items()]
            in_vain = 0 if any(now[0] > then[0] and now[1] > then[1] for then, now in pairs) else in_vain + 1
            over.unlink()
        write_json(notes, {"in_vain": in_vain, "saved": saved})
        if in_vain >= IN_VAIN:
            _give_up(
                members,
                f"its time was over {in_vain} times in a row and nothing new was saved: a step, an evaluation or a "
                f"checkpoint takes longer than hydra.launcher.timeout_min={self.settings.timeout_min} allows",
            )

    def _say_that_it_is_queued_again(self, members: list[Member]) -> None:
        """By its script; it gives up where that would not do so."""
        requeues = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        most = self.settings.max_requeues
        if requeues >= most:
            _give_up(members, f"its job was queued again {requeues} times, which hydra.launcher.max_requeues allows")
        print(f"saved; the job is queued again ({requeues + 1} of at most {most} times)", flush=True)


@dataclass
class EvaluationJob:
    """Finished runs, evaluated one after the other; those that are done already are soon done."""

    configs: list[DictConfig]
    task: CheckedTask[Any]
    settings: SlurmSettings

    def __call__(self, notes: Path) -> None:
        os.chdir(os.environ["SUBMITTED_FROM"])
        errors = []
        for config in self.configs:
            if self.settings.gpus and config.device == "auto":
                config.device = "cuda"
            if error := run_member(config, self.task):
                errors.append(f"error: {outcome_of(error)[1]}")
        if errors:
            sys.exit("\n".join(errors))


@dataclass
class ReportJob:
    """The reports of studies whose jobs have ended."""

    configs: list[dict[str, Any]]

    def __call__(self, notes: Path) -> None:
        from labkit.reporting.report import ReportConfig, report

        os.chdir(os.environ["SUBMITTED_FROM"])
        try:
            for config in self.configs:
                report(typed(ReportConfig, config))
        except Exception as error:
            _fail(error)


def _give_up(members: list[Member], reason: str) -> NoReturn:
    failed = {"status": "failed", "reason": f"{reason}; the same command goes on"}
    for member in members:
        if not member.folder.read_result() and (state := member.folder.read_state()):
            write_json(member.folder.state, state | failed)
    sys.exit(f"error: {reason}")


def _saved(member: Member) -> list[int]:
    """The step of a member and the time of its last checkpoint: both are larger once something new was saved."""
    if member.folder.read_result():
        return [sys.maxsize, sys.maxsize]
    last = member.folder.last
    return [member.folder.read_state().get("step") or 0, last.stat().st_mtime_ns if last.exists() else 0]


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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
