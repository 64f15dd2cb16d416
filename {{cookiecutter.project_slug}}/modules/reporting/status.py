"""What the members of a study are doing, on the terminal. Starts at once: standard library only."""

from dataclasses import dataclass
from typing import Any

from modules.reporting.run_folders import Run, duration, find_studies, one_line, read_study

# Results first; what needs a look comes last, next to the prompt.
ORDER = [
    "finished",
    "duplicate",
    "missing",
    "running",
    "interrupted",
    "dead",
    "diverged",
    "unreadable",
    "failed",
    "refused",
]


@dataclass
class StatusConfig:
    study: str | None  # None: every study
    runs_dir: str


def status(config: StatusConfig) -> None:
    """Print a table of the study, or of every study: counts, then one line per member."""
    for folder in find_studies(config.runs_dir, config.study):
        study = read_study(folder)
        counts = study.counts()
        finished = counts.pop("finished", 0)
        rest = "".join(f", {n} {name}" for name, n in counts.items())
        print(f"{one_line(study.name)}: {finished} of {len(study.runs)} finished{rest}")
        rows = [_row(run) for run in sorted(study.runs, key=lambda run: ORDER.index(run.status))]
        for line in _align(rows):
            print("  " + line)
        for warning in study.warnings:
            print(f"  warning: {warning}")


def _row(run: Run) -> list[str]:
    return [one_line(run.name), run.status, " ".join(part for part in (_detail(run), run.reason) if part)]


def _detail(run: Run) -> str:
    if run.ended:
        metric, best = run.record["monitor"]["metric"], run.record["best"]
        value = best["metrics"].get(metric)
        seconds = run.record["cost"]["wall_s"]
        return f"{one_line(metric)} {_number(value)} at epoch {best['epoch']:g}, took {duration(seconds)}"
    state, detail = run.state, run.progress
    if run.status == "running":
        job = f" (job {state['job']})" if state.get("job") else ""
        detail = f"on {state['host']}{job}, {detail}, loss {_number(state.get('loss'))}"
        if state.get("seconds_left") is not None:
            detail += f", {duration(state['seconds_left'])} left"
    return detail + (":" if detail and run.reason else "")


def _number(value: Any) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def _align(rows: list[list[str]]) -> list[str]:
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return [f"{name:{widths[0]}}  {state:{widths[1]}}  {detail}".rstrip() for name, state, detail in rows]
