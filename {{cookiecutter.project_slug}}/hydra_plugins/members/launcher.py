"""Runs the members of a sweep by joblib, and says how far the sweep is: only this process writes to the terminal while
workers run, so that nothing is interleaved."""

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobStatus, run_job, setup_globals
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
from omegaconf import DictConfig

CRASHES = 3  # of a worker, before the members that are left count as failed


class MemberLauncher(JoblibLauncher):
    """hydra-joblib-launcher for configurations that are composed already, where a failure is an answer."""

    def launch_members(self, configs: Sequence[DictConfig]) -> list[str | None]:
        """For each member None if it finished, else a sentence. `n_jobs` 1: in this process, one after the other."""
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        errors: dict[int, str | None] = {}
        with _progress(configs) as say:
            for crashes in range(1, CRASHES + 1):
                try:
                    left = {n: config for n, config in enumerate(configs) if n not in errors}
                    for number, seconds, error in self._parallel(left):
                        errors[number] = error
                        say(number, seconds, error)
                    break
                except TerminatedWorkerError:  # joblib then ends all of them; they go on from their checkpoints
                    print(f"a worker was killed, as by a lack of memory ({crashes} of {CRASHES} times)", flush=True)
        killed = f"a worker was killed {CRASHES} times; lower hydra.launcher.n_jobs"
        return [errors.get(n, killed) for n in range(len(configs))]

    def _parallel(self, configs: dict[int, DictConfig]) -> Iterator[tuple[int, float, str | None]]:
        from joblib import Parallel, delayed

        workers: dict[str, Any] = {"n_jobs": self.joblib["n_jobs"], "backend": "loky", "batch_size": 1}
        given = (self.hydra_context, self.task_function, Singleton.get_state(), os.getpid())
        run = delayed(_run)
        parallel: Any = Parallel(**workers, return_as="generator_unordered")
        return parallel(run(n, config, *given) for n, config in configs.items())


def _run(
    number: int, config: DictConfig, context: Any, task: Any, state: Any, parent: int
) -> tuple[int, float, str | None]:
    """One member, in a worker. Of an exception only a sentence travels: one that cannot be pickled ends the sweep."""
    from modules.launching import sentence

    if os.getpid() != parent:
        _end_with(parent)
    started = time.monotonic()
    setup_globals()
    Singleton.set_state(state)
    HydraConfig.instance().set_config(config)
    ended = run_job(task, config, "hydra.sweep.dir", "hydra.sweep.subdir", hydra_context=context)
    error = None
    if ended.status == JobStatus.FAILED:
        error = sentence(ended._return_value) or f"{type(ended._return_value).__name__}: {ended._return_value}"
    return number, time.monotonic() - started, error


@functools.cache
def _end_with(parent: int) -> None:
    """A worker whose parent is gone would go on with the members that are queued."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    if os.name == "posix":
        threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _progress(configs: Sequence[DictConfig]) -> Iterator[Callable[[int, float, str | None], None]]:
    """Yields what to call for each member that has ended: prints a line, and moves a bar where there is a terminal."""
    from modules.launching import run_overrides
    from modules.training.progress import duration, live_bar

    started, ended, failed, total = time.monotonic(), 0, 0, len(configs)
    bar = live_bar("sweep", total) if sys.stdout.isatty() else None

    def say(number: int, seconds: float, error: str | None) -> None:
        nonlocal ended, failed
        ended, failed = ended + 1, failed + (error is not None)
        left = (time.monotonic() - started) / ended * (total - ended)
        how = f"failed: {error}" if error else f"finished in {duration(seconds)}"
        member = " ".join(run_overrides(configs[number].hydra))
        line = f"[{ended}/{total}, {failed} failed, {duration(left)} left] {member}: {how}"
        if bar:
            bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
            bar.update(bar.task_ids[0], completed=ended, note=f"{failed} failed")
        else:
            print(line, flush=True)

    try:
        yield say
    finally:
        if bar:
            bar.stop()
