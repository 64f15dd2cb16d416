"""Runs the members of a sweep by joblib, and says how far the sweep is: only this process writes to the terminal while
workers run, so that nothing is interleaved."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobStatus, run_job, setup_globals
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
from omegaconf import DictConfig


class MemberLauncher(JoblibLauncher):
    """hydra-joblib-launcher for configurations that are composed already, where a failure is an answer."""

    def launch_members(self, configs: Sequence[DictConfig]) -> list[str | None]:
        """For each member None if it finished, else a sentence. `n_jobs` 1: in this process, one after the other."""
        from joblib import Parallel, delayed

        from modules.launching import task_overrides

        run = delayed(_run)
        given = (self.hydra_context, self.task_function, Singleton.get_state())
        workers = {"n_jobs": self.joblib["n_jobs"], "backend": "loky", "batch_size": 1}
        parallel: Any = Parallel(**workers, return_as="generator_unordered")
        errors: list[str | None] = [None] * len(configs)
        with _progress(len(configs)) as say:
            for number, seconds, error in parallel(run(n, config, *given) for n, config in enumerate(configs)):
                errors[number] = error
                member = [o for o in task_overrides(configs[number].hydra) if not o.startswith("+launcher=")]
                say(" ".join(member), seconds, error)
        return errors


def _run(number: int, config: DictConfig, context: Any, task: Any, state: Any) -> tuple[int, float, str | None]:
    """One member, in a worker. Of an exception only a sentence travels: one that cannot be pickled ends the sweep."""
    from modules.launching import sentence

    started = time.monotonic()
    setup_globals()
    Singleton.set_state(state)
    HydraConfig.instance().set_config(config)
    ended = run_job(task, config, "hydra.sweep.dir", "hydra.sweep.subdir", hydra_context=context)
    error = None
    if ended.status == JobStatus.FAILED:
        error = sentence(ended._return_value) or f"{type(ended._return_value).__name__}: {ended._return_value}"
    return number, time.monotonic() - started, error


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str, float, str | None], None]]:
    """Yields what to call for each member that has ended: prints a line, and moves a bar where there is a terminal."""
    from modules.training.progress import duration, live_bar

    started, ended, failed = time.monotonic(), 0, 0
    bar = live_bar("sweep", total) if sys.stdout.isatty() else None

    def say(member: str, seconds: float, error: str | None) -> None:
        nonlocal ended, failed
        ended, failed = ended + 1, failed + (error is not None)
        left = (time.monotonic() - started) / ended * (total - ended)
        how = f"failed: {error}" if error else f"finished in {duration(seconds)}"
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
