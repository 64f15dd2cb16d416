"""What the members of a study are doing, on the terminal. Starts at once: standard library only, and rich to redraw."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from labkit.runs.files import LOG
from labkit.runs.json_shapes import is_number
from labkit.runs.slurm_queue import Queue, cancel, job_log, planned_jobs
from labkit.runs.study import Run, Study, find_studies, no_garbage, read_studies
from labkit.text import counted, duration, one_line

INTERVAL_S = 2.0
ASK_SLURM_S = 15.0
PATIENCE_S = 60.0  # a sweep takes a while from one member to the next, or to restart one that was killed

# Results first; what needs attention comes last, next to the prompt.
QUIET = ["finished", "pruned", "duplicate", "missing", "submitted", "queued"]
WRONG = [
    "interrupted",
    "cancelled",
    "out of time",
    "dead",
    "out of memory",
    "diverged",
    "unreadable",
    "failed",
    "refused",
]
ORDER = [*QUIET, "running", *WRONG]
KEPT_LONGEST = ["total", "running", *reversed(WRONG), "warning", "heading", *reversed(QUIET)]  # on too small a terminal
ACTIVE = {"running", "queued", "submitted"}
STARTABLE = {"missing", "interrupted", "dead"}  # by a sweep that goes on


@dataclass
class StatusConfig:
    study: str | None  # None: every study
    watch: bool
    logs: bool
    cancel: bool
    runs_dir: str


class Line(NamedTuple):
    kind: str  # heading, warning, total, or the status of the run that it is about
    text: str


def status(config: StatusConfig) -> None:
    """Prints one line for each member of the study, or of every study, then counts, speed and time left.

    With `watch`, again and again until nothing runs; with `logs`, what each member has written. With `cancel`, ends the
    study's jobs in Slurm instead.
    """
    if config.cancel:
        _cancel(config)
        return
    if config.watch:
        _watch(config)
        return
    with no_garbage():
        for study in _read(config, Queue()):
            print(*(line.text for line in describe(study, config.logs)), sep="\n")


def describe(study: Study, logs: bool = False) -> list[Line]:
    runs = sorted(study.runs, key=lambda run: ORDER.index(run.status))
    names = [one_line(run.name) for run in runs]
    name_width = max(map(len, names), default=0)
    status_width = max((len(run.status) for run in runs), default=0)
    lines = [Line("heading", one_line(study.name))]
    jobs = planned_jobs(runs[0].study) if logs and runs else {}
    for run, name in zip(runs, names, strict=True):
        about = ": ".join(part for part in (_detail(run), run.reason) if part)
        lines.append(Line(run.status, f"  {name:{name_width}}  {run.status:{status_width}}  {about}".rstrip()))
        lines += [Line(run.status, f"    {path}") for path in (_logs(run, jobs.get(run.name)) if logs else [])]
    lines += [Line("warning", f"  warning: {warning}") for warning in study.warnings]
    return [*lines, Line("total", total(study))]


def total(study: Study) -> str:
    """depth: 3 of 7 finished, 1 failed, 2 missing, 1 running; 5000 examples/s, about 12 min left"""
    counts = study.counts()
    finished = f"{one_line(study.name)}: {counts.pop('finished', 0)} of {len(study.runs)} finished"
    line = ", ".join([finished, *(f"{n} {name}" for name, n in counts.items())])
    rates = _of_running(study, "examples_per_s")
    left = seconds_left(study)
    speed = [_rate(sum(rates))] if rates else []
    speed += [f"about {duration(left)} left"] if left is not None else []
    return "; ".join([line, ", ".join(speed)] if speed else [line])


def seconds_left(study: Study) -> float | None:
    """Until everything that runs or is missing has ended, if as many run as now; None if that would be a guess."""
    counts = study.counts()
    running = counts.get("running", 0)
    missing = counts.get("missing", 0) + counts.get("queued", 0)
    left = _of_running(study, "seconds_left")
    took = [run.record["cost"]["wall_s"] for run in study.ended]
    if not running or len(left) < running or (missing and not took):
        return None
    to_come = missing * sum(took) / len(took) if missing else 0.0
    return max((sum(left) + to_come) / running, *left)


def cut(lines: list[Line], height: int) -> list[str]:
    """At most `height` of the lines, where the first one counts those left out: what went well goes first."""
    if len(lines) <= height:
        return [line.text for line in lines]
    by_weight = sorted(range(len(lines)), key=lambda n: (KEPT_LONGEST.index(lines[n].kind), n))
    hidden = Counter(lines[n].kind for n in by_weight[height - 1 :])
    counts = ", ".join(f"{n} {kind}" for kind, n in hidden.items())
    return [f"not shown: {counts}", *(lines[n].text for n in sorted(by_weight[: height - 1]))]


def _read(config: StatusConfig, queue: Queue) -> list[Study]:
    return read_studies([folder for (folder,) in find_studies([config.runs_dir], config.study).values()], queue)


def _cancel(config: StatusConfig) -> None:
    if config.study is None:
        raise ValueError("cancel: ends the jobs of one study; add study=<its name>")
    ((folder,),) = find_studies([config.runs_dir], config.study).values()
    jobs = cancel(set(planned_jobs(folder).values()))
    print(f"{config.study}: {counted(len(jobs), 'job')} cancelled", flush=True)


def _logs(run: Run, job: str | None) -> list[Path]:
    """Of the run itself, and of its job."""
    logs = [run.path / (run.state.get("log") or LOG), job_log(run.study.parent, job) if job else None]
    return [log for log in logs if log and log.exists()]


def _watch(config: StatusConfig) -> None:
    queue = Queue(ASK_SLURM_S)
    ran = time.monotonic()
    with _display() as show:
        while True:
            began = time.monotonic()
            with no_garbage():
                studies = _read(config, queue)
                show(studies)
            statuses = {run.status for study in studies for run in study.runs}
            if getattr(sys.stdout, "unread", False):  # as after `| head`
                return
            if statuses & ACTIVE:
                ran = began
            elif not statuses & STARTABLE or began >= ran + PATIENCE_S:
                break
            time.sleep(max(INTERVAL_S, 10 * (time.monotonic() - began)))  # at most a tenth of one core
    if statuses & STARTABLE:
        print(f"nothing has run for {duration(time.monotonic() - ran)}: no longer watching")


@contextmanager
def _display() -> Iterator[Callable[[list[Study]], None]]:
    """Yields what shows the studies: on a terminal it redraws their tables, elsewhere it prints a line per change."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        counts: dict[str, dict[str, int]] = {}

        def say(studies: list[Study]) -> None:
            for study in studies:
                if counts.get(study.name) != study.counts():
                    counts[study.name] = study.counts()
                    print(time.strftime("%Y-%m-%d %H:%M:%S"), total(study), flush=True)

        yield say
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    with Live(console=console, auto_refresh=False) as live:

        def redraw(studies: list[Study]) -> None:
            lines = cut([line for study in studies for line in describe(study)], console.height - 1)
            live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)

        yield redraw


def _detail(run: Run) -> str:
    if run.ended:
        metric = run.record["monitor"]["metric"]
        best = run.record["best"]
        value = best["metrics"].get(metric)
        shown = "not measured" if value is None else f"{value:.4g}"
        took = duration(run.record["cost"]["wall_s"])
        return f"{one_line(metric)} {shown} at epoch {best['epoch']:g}, took {took}"
    if run.status != "running":
        return run.progress
    state = run.state
    parts = [run.progress or "starting"]
    if is_number(state.get("seconds_left")):
        parts.append(f"{duration(state['seconds_left'])} left")
    if state.get("loss") is not None:
        parts.append(f"loss {state['loss']:.4g}")
    if is_number(state.get("examples_per_s")):
        parts.append(_rate(state["examples_per_s"]))
    job = f" (job {state['job']})" if state.get("job") else ""
    return ", ".join([*parts, f"on {one_line(state['host'])}{job}"])


def _of_running(study: Study, key: str) -> list[float]:
    """The numbers that the running members give for a key of state.json."""
    states = [run.state for run in study.runs if run.status == "running"]
    return [state[key] for state in states if is_number(state.get(key))]


def _rate(examples_per_s: float) -> str:
    return f"{examples_per_s:.{0 if examples_per_s >= 10 else 2}f} examples/s"
