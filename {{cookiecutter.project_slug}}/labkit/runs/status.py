"""What the members of a study are doing, on the terminal. Starts at once: standard library only, and rich to redraw."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from labkit.runs.study import Run, Study, find_studies, is_number, no_garbage, read_study
from labkit.text import duration, one_line

INTERVAL_S = 2.0
PATIENCE_S = 60.0  # a sweep needs a while from one member to the next, and to start a killed one again

# Results first; what needs a look comes last, next to the prompt.
QUIET = ["finished", "duplicate", "missing", "queued"]
WRONG = ["interrupted", "dead", "diverged", "unreadable", "failed", "refused"]
ORDER = [*QUIET, "running", *WRONG]
KEPT_LONGEST = ["total", "running", *reversed(WRONG), "warning", "heading", *reversed(QUIET)]  # on too small a terminal
ACTIVE = {"running", "queued"}
STARTABLE = {"missing", "interrupted", "dead"}  # by a sweep that goes on


@dataclass
class StatusConfig:
    study: str | None  # None: every study
    watch: bool
    runs_dir: str


class Line(NamedTuple):
    kind: str  # heading, warning, total, or the status of the run that it is about
    text: str


def status(config: StatusConfig) -> None:
    """Print one line per member of the study, or of every study, then counts, rate and time left; `watch`: again and
    again until nothing runs."""
    if config.watch:
        _watch(config)
        return
    with no_garbage():
        for folder in find_studies(config.runs_dir, config.study):
            print(*(line.text for line in describe(read_study(folder))), sep="\n")


def describe(study: Study) -> list[Line]:
    runs = sorted(study.runs, key=lambda run: ORDER.index(run.status))
    rows = _align([_row(run) for run in runs])
    return [
        Line("heading", one_line(study.name)),
        *(Line(run.status, f"  {row}") for run, row in zip(runs, rows, strict=True)),
        *(Line("warning", f"  warning: {warning}") for warning in study.warnings),
        Line("total", total(study)),
    ]


def total(study: Study) -> str:
    """depth: 3 of 7 finished, 1 failed, 2 missing, 1 running; 5000 examples/s, about 12 min left"""
    counts = study.counts()
    line = f"{one_line(study.name)}: {counts.pop('finished', 0)} of {len(study.runs)} finished"
    line += "".join(f", {n} {name}" for name, n in counts.items())
    rates = [run.state["examples_per_s"] for run in study.runs if _has(run, "examples_per_s")]
    left = seconds_left(study)
    speed = [_rate(sum(rates))] if rates else []
    speed += [f"about {duration(left)} left"] if left is not None else []
    return line + ("; " if speed else "") + ", ".join(speed)


def seconds_left(study: Study) -> float | None:
    """Until what runs and what is missing has ended, if as many run as now; None where that would be a guess."""
    running = [run for run in study.runs if run.status == "running"]
    left = [run.state["seconds_left"] for run in running if _has(run, "seconds_left")]
    missing = sum(run.status in ("missing", "queued") for run in study.runs)
    took = [run.record["cost"]["wall_s"] for run in study.ended]
    if not running or len(left) < len(running) or (missing and not took):
        return None
    to_come = missing * sum(took) / len(took) if missing else 0.0
    return max((sum(left) + to_come) / len(running), *left)


def cut(lines: list[Line], height: int) -> list[str]:
    """At most so many of the lines, the first one on those that are left out: what is well before what runs or went
    wrong."""
    if len(lines) <= height:
        return [line.text for line in lines]
    by_weight = sorted(range(len(lines)), key=lambda n: (KEPT_LONGEST.index(lines[n].kind), n))
    hidden = Counter(lines[n].kind for n in by_weight[height - 1 :])
    counts = ", ".join(f"{n} {kind}" for kind, n in hidden.items())
    return [f"not shown: {counts}", *(lines[n].text for n in sorted(by_weight[: height - 1]))]


def _watch(config: StatusConfig) -> None:
    ran = time.monotonic()
    with _display() as show:
        while True:
            began = time.monotonic()
            with no_garbage():
                studies = [read_study(folder) for folder in find_studies(config.runs_dir, config.study)]
                show(studies)
            statuses = {run.status for study in studies for run in study.runs}
            ran = began if statuses & ACTIVE else ran
            if not statuses & ACTIVE and not (statuses & STARTABLE and began < ran + PATIENCE_S):
                break
            time.sleep(max(INTERVAL_S, 10 * (time.monotonic() - began)))  # a tenth of one core at most
    if statuses & STARTABLE:
        print(f"nothing has run for {duration(time.monotonic() - ran)}: no longer watching")


@contextmanager
def _display() -> Iterator[Callable[[list[Study]], None]]:
    """Yields what shows the studies: redraws their tables on a terminal, else says a line when the counts change."""
    counts: dict[str, dict[str, int]] = {}

    def say(studies: list[Study]) -> None:
        for study in studies:
            if counts.get(study.name) != study.counts():
                counts[study.name] = study.counts()
                print(time.strftime("%Y-%m-%d %H:%M:%S"), total(study), flush=True)

    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
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


def _row(run: Run) -> list[str]:
    return [one_line(run.name), run.status, ": ".join(part for part in (_detail(run), run.reason) if part)]


def _detail(run: Run) -> str:
    if run.ended:
        metric, best = run.record["monitor"]["metric"], run.record["best"]
        value = best["metrics"].get(metric)
        seconds = run.record["cost"]["wall_s"]
        return f"{one_line(metric)} {_number(value)} at epoch {best['epoch']:g}, took {duration(seconds)}"
    if run.status != "running":
        return run.progress
    state = run.state
    parts = [run.progress or "starting"]
    parts += [f"{duration(state['seconds_left'])} left"] if _has(run, "seconds_left") else []
    parts += [f"loss {_number(state['loss'])}"] if state.get("loss") is not None else []
    parts += [_rate(state["examples_per_s"])] if _has(run, "examples_per_s") else []
    parts += [f"on {one_line(state['host'])}" + (f" (job {state['job']})" if state.get("job") else "")]
    return ", ".join(parts)


def _has(run: Run, key: str) -> bool:
    return run.status == "running" and is_number(run.state.get(key))


def _number(value: Any) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def _rate(examples_per_s: float) -> str:
    return f"{examples_per_s:.{0 if examples_per_s >= 10 else 2}f} examples/s"


def _align(rows: list[list[str]]) -> list[str]:
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return [f"{name:{widths[0]}}  {state:{widths[1]}}  {detail}".rstrip() for name, state, detail in rows]
