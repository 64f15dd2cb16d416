"""The process that a member of a sweep has for itself: seen from the launcher, and from inside.

One that is killed takes nobody with it, and none goes on when the launcher is gone.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from labkit.config import check_temporary_folder
from labkit.launching.streams import keep_streams
from labkit.runs.interruption import SIGNALS, Interrupted
from labkit.runs.provenance import ROOT

# Libraries only: each member reads the project's code itself, and records the version that it has read.
PRELOADED = ["torch._dynamo", "torch.optim", "torch.utils.data", "hydra", "hydra.core.plugins", "filelock"]


def start_method() -> Any:
    """A multiprocessing context; where there is fork, members come from a process that has done nothing but import."""
    if os.name != "posix":
        return multiprocessing.get_context("spawn")
    check_temporary_folder()
    from multiprocessing import forkserver, resource_tracker

    context = multiprocessing.get_context("forkserver")
    # The server would find those of another copy of the project first, where one is the current folder: a Slurm job.
    sooner = ["labkit.libraries"] if Path.cwd() == ROOT else []
    context.set_forkserver_preload([*sooner, *PRELOADED])
    resource_tracker.ensure_running()  # first, because it unblocks signals
    with _signals_blocked():
        forkserver.ensure_running()
    return context


class MemberProcess:
    """Started when it is made. `given`: what `_run` needs besides; `name` tells who may write to the terminal."""

    def __init__(self, context: Any, name: str, gpu: str | None, *given: Any) -> None:
        self.gpu = gpu
        self.started = time.monotonic()
        self._answer: tuple[str, str | None] | None = None
        self._pipe, other_end = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(other_end, gpu, *given), name=name)
        for left in (2, 1, 0):
            try:
                with _signals_blocked():
                    self._process.start()
                self._answer = None
                break
            except (OSError, EOFError) as error:  # as when the forkserver was killed; the next try starts another
                self._answer = "killed", f"could not be started ({error}); see above, or lower hydra.launcher.n_jobs"
                time.sleep(0.5 if left else 0)
        other_end.close()

    def has_ended(self) -> bool:
        alive = self._process.is_alive()  # asked first: all that it has said by then is in the pipe
        if not self._pipe.closed and self._pipe.poll():
            with contextlib.suppress(EOFError, OSError):  # it ended before it said anything, or all of it
                self._answer = self._pipe.recv()
            self._pipe.close()
        return not alive

    def outcome(self) -> tuple[str, str | None]:
        """After the end: finished, held (by another process), pruned, failed, killed or interrupted; and why."""
        return self._answer or _without_a_word(self._process.exitcode)

    def ask_to_end(self) -> None:
        if os.name == "posix":  # Windows has no such request, and shows Ctrl-C to the members too
            self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    @staticmethod
    def wait(processes: "list[MemberProcess]", timeout_s: float) -> None:
        """Until one of them ends or says something."""
        signs = [p._process.sentinel for p in processes] + [p._pipe for p in processes if not p._pipe.closed]
        wait(signs, timeout_s) if signs else time.sleep(timeout_s)


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """For what is started inside, and inherits it: a signal to all processes is for the launcher to pass on."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _without_a_word(status: int) -> tuple[str, str]:
    if status in {s for number in SIGNALS for s in (-number, 128 + number)}:
        return "interrupted", f"interrupted by {signal.Signals(abs(status) % 128).name}; the same command resumes it"
    if status >= 0:
        return "killed", f"ended with status {status} without a word"
    advice = ", as by a lack of memory; lower hydra.launcher.n_jobs" if status == -9 else ""
    return "killed", f"was killed ({signal.Signals(-status).name}){advice}"


def _run(answer: Connection, gpu: str | None, config: DictConfig, task: Any) -> None:
    """What the process does. Of an exception only a sentence travels: not every one can be pickled."""
    keep_streams()
    threading.Thread(target=_end_with_the_launcher, daemon=True).start()
    if os.name == "posix":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the launcher passes on SIGTERM
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    # Not the launcher's, which is gone before a loader worker of a killed member has noticed that.
    multiprocessing.current_process()._config.pop("tempdir", None)  # pyright: ignore[reportAttributeAccessIssue]
    multiprocessing.set_start_method(None, force=True)  # loader workers are to be children of this process
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    answer.send(outcome_of(run_member(config, task)))


def run_member(config: DictConfig, task: Any) -> BaseException | None:
    """Runs the task on one member's configuration as Hydra would; what it failed with, if it did."""
    from hydra import version
    from hydra.core.utils import JobStatus, run_job, setup_globals

    from labkit.launching.entry_point import VERSION_BASE

    if VERSION_BASE:
        version.setbase(VERSION_BASE["version_base"])  # as hydra.main did in the process of the launcher
    setup_globals()
    ended = run_job(task, config, "hydra.sweep.dir", "hydra.sweep.subdir", hydra_context=task.context)
    return ended._return_value if ended.status == JobStatus.FAILED else None


def outcome_of(error: BaseException | None) -> tuple[str, str | None]:
    """finished, held, interrupted, pruned or failed; and why, in a sentence."""
    from labkit.launching.errors import sentence
    from labkit.runs.folder import Held
    from labkit.runs.pruning import Pruned
    from labkit.secrets import redact

    if error is None:
        return "finished", None
    if isinstance(error, Interrupted):
        return "interrupted", f"interrupted by {error}; the same command resumes it"
    if isinstance(error, Pruned):
        return "pruned", str(error)
    reason = sentence(error) or f"{type(error).__name__}: {error}{_place(error)}"
    return "held" if isinstance(error, Held) else "failed", redact(" ".join(reason.split()))


def _place(error: BaseException) -> str:
    """The last line of the project's own that an exception came through."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    own = (f for f in frames if Path(f.filename).is_relative_to(ROOT) and "site-packages" not in f.filename)
    return next((f" ({Path(f.filename).relative_to(ROOT).as_posix()}:{f.lineno})" for f in own), "")


def _end_with_the_launcher() -> None:
    launcher = multiprocessing.parent_process()
    assert launcher is not None
    launcher.join()
    for worker in multiprocessing.active_children():  # that loads batches
        worker.kill()
    os._exit(1)
