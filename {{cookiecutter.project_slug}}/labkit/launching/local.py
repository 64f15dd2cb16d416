"""Runs the members of a sweep, several at a time, and says how far the sweep is: only this process writes to the
terminal while several run, so that nothing is interleaved."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from labkit.launching.entry_point import CheckedTask
from labkit.launching.member import Member
from labkit.launching.process import MemberProcess, start_method
from labkit.runs.interruption import Interruption
from labkit.runs.progress import live_bar
from labkit.text import duration

STARTS = 3  # of a member whose process is killed
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class LocalLauncher:
    """Runs members on this machine, `n_jobs` at a time; -1: one per core, or one per GPU where there are several.

    joblib says how many that may be. They are not workers of its own: one of those that is killed ends them all.
    """

    dry_run = False  # Slurm's launcher has it
    waits = True

    def __init__(self, n_jobs: Any) -> None:
        if type(n_jobs) is not int or n_jobs == 0:
            raise ValueError(f"hydra.launcher.n_jobs: must be a number of processes, or -1, not {n_jobs}")
        self.n_jobs = n_jobs

    def check(self, members: Sequence[Member]) -> None:
        """Each member checks for itself what it needs here."""

    def launch(
        self,
        members: Sequence[Member],
        task: CheckedTask[Any],
        interruption: Interruption,
        keep: Callable[[], None] = lambda: None,
        more: Callable[[int], Sequence[Member]] | None = None,
    ) -> None:
        """Notes in each member that waits how it ended. After a signal none is started, and those that run are asked to
        save and end. What another process is running is left to the last, and run here only if that one does not
        finish it. `keep`: for launchers that give members a job; `more`: gives other members, whenever there is room
        for so many."""
        waiting = [member for member in members if member.status == "waiting"]
        if not waiting:
            return
        sweep = _Sweep(self.n_jobs, waiting, task, ends=more is None)
        try:
            while True:
                if interruption.received:
                    sweep.ask_to_end()
                else:
                    sweep.fill()
                    if more and sweep.room:
                        sweep.add(more(sweep.room))
                if not sweep.running and (interruption.received or not sweep.waiting):
                    break
                sweep.settle(may_go_on=not interruption.received)
                MemberProcess.wait(list(sweep.running), timeout_s=0.1)
        finally:
            sweep.close()

    evaluate = launch  # here an Evaluation is like a Member


class _Sweep:
    """The members that wait and those that run, each of these in its process."""

    def __init__(self, n_jobs: int, members: Sequence[Member], task: CheckedTask[Any], ends: bool) -> None:
        """`ends`: whether there are no other members to come."""
        self.waiting = list(members)
        self.running: dict[MemberProcess, Member] = {}
        self._gpus = _gpus()
        on_cpu = all(m.device == "cpu" for m in members)
        self._workers = _workers(n_jobs, [] if on_cpu else self._gpus, len(members) if ends else sys.maxsize)
        self._task = task
        self._start_method = start_method()
        self._progress = Progress(len(members), bar=self._workers > 1)
        self._starts: Counter[Member] = Counter()
        self._look_again = 0.0
        self._asked = False

    @property
    def room(self) -> int:
        """For members that are not here yet; those that wait after `fill` are run by others."""
        return self._workers - len(self.running)

    def add(self, members: Sequence[Member]) -> None:
        """Starts them, for whom there is room."""
        self._progress.total += len(members)
        for member in members:
            self._start(member)

    def fill(self) -> None:
        """Starts members while there is room and one that no other process runs."""
        while self.waiting and len(self.running) < self._workers and time.monotonic() >= self._look_again:
            member = next((member for member in self.waiting if not _is_held(member)), None)
            if member:
                self.waiting.remove(member)
                self._start(member)
                continue
            if not self._look_again:
                names = "; ".join(member.name for member in self.waiting)
                self._progress.say(f"waiting for members that another process is running: {names}")
            self._look_again = time.monotonic() + 1

    def settle(self, may_go_on: bool) -> None:
        """Concludes the members whose processes have ended, or puts them back to the end."""
        for process in [process for process in self.running if process.has_ended()]:
            member = self.running.pop(process)
            status, reason = process.outcome()
            self._starts[member] += status != "held"
            if status == "held" or (status == "killed" and self._starts[member] < STARTS and may_go_on):
                self.waiting.append(member)
                if status == "killed":
                    self._progress.say(f"{member.name}: {reason}; starts again after the others")
                continue
            if status == "failed" and member.folder.read_state().get("status") == "diverged":
                status = "diverged"
            self._conclude(member, status, reason, time.monotonic() - process.started)

    def ask_to_end(self) -> None:
        if not self._asked and self.running:
            for process in self.running:
                process.ask_to_end()
            n = len(self.running)
            self._progress.say(f"interrupted: waiting for {n} members to save; Ctrl-C again leaves at once")
        self._asked = True

    def close(self) -> None:
        for process in self.running:
            process.kill()
        self._progress.close()

    def _start(self, member: Member) -> None:
        if member.is_finished():
            self._conclude(member, "finished", "finished by another process")
            return
        taken = [process.gpu for process in self.running]
        gpu = min(self._gpus, key=taken.count) if self._gpus else None  # the least shared
        name = (
            "MainProcess" if self._workers == 1 else "member"
        )  # says who may write to the terminal: see labkit/runs/standing.py
        self.running[MemberProcess(self._start_method, name, gpu, member.config, self._task)] = member

    def _conclude(self, member: Member, status: str, reason: str | None, seconds: float = 0) -> None:
        member.status, member.reason = status, reason
        how = f"{status}: {reason}" if status in ("failed", "diverged", "pruned") else reason
        how = how or f"finished in {duration(seconds)}"
        self._progress.count(f"{member.name}: {how}", failed=status not in ("finished", "interrupted", "pruned"))


def _is_held(member: Member) -> bool:
    """Whether another process runs it."""
    try:
        return member.folder.is_held()
    except OSError:  # the member itself will say it
        return False


class Progress:
    """A line for each member that has ended, and a bar where there is a terminal that no member writes to."""

    def __init__(self, total: int, bar: bool) -> None:
        self._started, self._ended, self._failed, self.total = time.monotonic(), 0, 0, total
        self._bar = live_bar("sweep", total) if bar and sys.stdout.isatty() else None

    def count(self, line: str, failed: bool) -> None:
        self._ended, self._failed = self._ended + 1, self._failed + failed
        left = (time.monotonic() - self._started) / self._ended * (self.total - self._ended)
        self.say(f"[{self._ended}/{self.total}, {self._failed} failed, {duration(left)} left] {line}")
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=self._ended, note=f"{self._failed} failed")

    def say(self, line: str) -> None:
        if self._bar:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, flush=True)

    def close(self) -> None:
        if self._bar:
            self._bar.stop()
        if sys.stdout.isatty():
            from rich import get_console

            get_console().show_cursor()  # a member that is killed leaves it hidden


def _workers(n_jobs: int, gpus: list[str], members: int) -> int:
    """How many members run at a time; where there are GPUs to choose from, -1 means one on each."""
    import joblib

    on_gpus = len(gpus) if gpus and n_jobs == -1 else members
    workers = min(joblib.effective_n_jobs(n_jobs), on_gpus, members)
    for name in THREADS if workers > 1 else ():  # for system.threads=null, and for libraries that it does not rule
        os.environ.setdefault(name, str(max(joblib.cpu_count() // workers, 1)))
    return workers


def _gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may be set to, to give each member a GPU; none where there is no choice."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        gpus = [gpu.strip() for gpu in visible.split(",")]
    else:
        folder = Path("/proc/driver/nvidia/gpus")  # asking torch or the driver would take seconds and memory
        gpus = [str(number) for number in range(len(list(folder.iterdir())))] if folder.is_dir() else []
    return gpus if len(gpus) > 1 else []
