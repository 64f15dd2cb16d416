"""Whether a trial of a search should end early, because others did better by then."""

import math
import statistics
from pathlib import Path
from typing import Any

from labkit.runs.files import METRICS, PLANS, RESULT, SEARCH, read_json
from labkit.runs.metrics_file import rows_of

STARTUP = 5  # trials that have to finish before one is ended early


class Pruned(ValueError):
    """A trial was ended early."""


class Pruning:
    """The median rule of Google Vizier (Golovin et al. 2017, section 3.2.2), for the best value so far: a trial ends
    where it is worse than the median of those that have finished, at the same step."""

    def __init__(self, run: Path) -> None:
        """`run`: its folder, whether it is a trial or not."""
        self._run = run
        self._plans = [path for path in run.parent.glob(f"{PLANS}/{SEARCH}") if run.name in _trials(read_json(path))]
        self._finished: dict[str, dict[int, float]] = {}  # by name, the best value so far at each step
        self._monitor: dict[str, str] = {}

    @property
    def is_trial(self) -> bool:
        return bool(self._plans)

    def reason(self, step: int) -> str | None:
        """After the evaluation at this step; None where the trial goes on."""
        for plan in map(read_json, self._plans):
            if plan and plan["search"]["pruning"]:
                self._read(_trials(plan) - {self._run.name, *self._finished})
                if reason := self._compared(step):
                    return reason
        return None

    def _read(self, names: set[str]) -> None:
        for name in names:
            if result := read_json(self._run.parent / name / RESULT):
                self._monitor = result["monitor"]
                self._finished[name] = best_values(self._run.parent / name, self._monitor)

    def _compared(self, step: int) -> str | None:
        others = [value for values in self._finished.values() if (value := _at(values, step)) is not None]
        if len(others) < STARTUP or (own := _at(best_values(self._run, self._monitor), step)) is None:
            return None
        median = statistics.median(others)
        if own >= median if self._monitor["direction"] == "max" else own <= median:
            return None
        metric = self._monitor["metric"]
        return f"{metric} is {own:.4g} by step {step}, where the median of {len(others)} trials is {median:.4g}"


def best_values(run: Path, monitor: dict[str, str]) -> dict[int, float]:
    """By step, the best value of the monitored metric so far; an evaluation without a number is left out."""
    better = max if monitor["direction"] == "max" else min
    best: dict[int, float] = {}
    so_far = -math.inf if better is max else math.inf
    for row in rows_of(run / METRICS):
        if not math.isnan(value := row.get(monitor["metric"], math.nan)):
            best[int(row["step"])] = so_far = better(so_far, value)
    return best


def _at(values: dict[int, float], step: int) -> float | None:
    return next((value for at, value in reversed(values.items()) if at <= step), None)


def _trials(plan: Any) -> set[str]:
    return {trial["name"] for trial in (plan or {}).get("members", [])}
