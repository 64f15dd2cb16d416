"""Runs the members of a sweep by joblib, and says how far the sweep is: only this process writes to the terminal while
workers run, so that nothing is interleaved."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher


class MemberLauncher(JoblibLauncher):
    """hydra-joblib-launcher, with progress, and with members whose failure is an answer: what `launch` returns holds
    None for a member that finished and a sentence for one that failed."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from joblib import Parallel, delayed

        given = (self.hydra_context, self.config, self.task_function, Singleton.get_state())
        parallel = Parallel(n_jobs=self.joblib["n_jobs"], backend="loky", batch_size=1, return_as="generator_unordered")
        jobs = (delayed(_run)(number, overrides, *given) for number, overrides in enumerate(job_overrides))
        returns: dict[int, JobReturn] = {}
        with _progress(len(job_overrides)) as say:
            for number, seconds, ended in parallel(jobs):
                returns[number] = ended
                say(" ".join(job_overrides[number]), seconds, ended.return_value)
        return [returns[number] for number in range(len(job_overrides))]


def _run(number: int, overrides: Sequence[str], *given: Any) -> tuple[int, float, JobReturn]:
    """One member, in a worker. Exceptions that cannot be pickled would end the sweep: only their sentence travels."""
    from hydra_plugins.hydra_joblib_launcher._core import execute_job
    from modules.launching import sentence

    hydra_context, config, task_function, state = given
    started = time.monotonic()
    ended = execute_job(number, overrides, hydra_context, config, task_function, state)
    error = ended._return_value if ended.status == JobStatus.FAILED else None
    outcome = None if error is None else sentence(error) or f"{type(error).__name__}: {error}"
    return number, time.monotonic() - started, JobReturn(status=JobStatus.COMPLETED, _return_value=outcome)


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """Yields a function to call once for each member that has ended."""
    from rich import get_console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from modules.training.progress import duration

    started, ended, failed = time.monotonic(), 0, 0
    columns = (TextColumn("sweep"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    bar = Progress(*columns, console=get_console(), transient=True, disable=not sys.stdout.isatty())
    task = bar.add_task("sweep", total=total, note="")

    def say(member: str, seconds: float, error: str | None) -> None:
        nonlocal ended, failed
        ended, failed = ended + 1, failed + (error is not None)
        left = (time.monotonic() - started) / ended * (total - ended)
        note = f"{failed} failed, {duration(left)} left"
        how = f"failed: {error}" if error else f"finished in {duration(seconds)}"
        bar.update(task, completed=ended, note=note)
        bar.console.print(f"[{ended}/{total}, {note}] {member}: {how}", markup=False, highlight=False, soft_wrap=True)

    with bar:
        yield say
