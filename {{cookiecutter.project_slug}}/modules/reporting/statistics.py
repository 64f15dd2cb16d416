"""Means over seeds and how far they can be trusted: sample SD and Student's t interval.

The t interval covers what it claims from three seeds on; percentile bootstrap intervals cover .75 at n = 3.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from modules.reporting.collect import Results, run_metrics
from modules.reporting.run_folders import is_number

CONFIDENCE = 0.95
INTERVAL_FROM = 3  # fewer seeds: blank


@dataclass
class Estimate:
    """One metric over the seeds of one setting; NaN stands for what so few seeds do not tell."""

    n: int
    mean: float
    sd: float  # ddof 1, from two seeds
    low: float  # ends of the 95 % t interval of the mean, from three seeds
    high: float


Array = npt.NDArray[np.float64]
Summary = dict[str, list[Estimate]]  # metric -> one estimate per group, in the order of the groups


def summarise(results: Results) -> Summary:
    """Every metric over the seeds of every group."""
    summary: Summary = {metric: [] for metric in results.values}
    for group in results.groups:
        values = results.values.loc[[run.name for run in group.runs]].to_numpy()
        n, mean, sd, half = describe(values.T)
        for row, metric in enumerate(results.values):
            numbers = (float(one[row]) for one in (mean, sd, mean - half, mean + half))
            summary[metric].append(Estimate(int(n[row]), *numbers))
    return summary


def describe(values: Array) -> tuple[Array, Array, Array, Array]:
    """n, mean, SD and half of the t interval of each row of `values` (rows, seeds); NaN and infinity are left out."""
    finite = np.isfinite(values)
    n = finite.sum(1).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is the NaN that we want
        # Counted from one of the values, so that equal values have a SD of exactly 0.
        origin = np.where(finite, values, np.inf).min(1)
        mean = origin + np.where(finite, values - origin[:, None], 0).sum(1) / n
        squares = np.where(finite, values - mean[:, None], 0) ** 2
        sd = np.sqrt(squares.sum(1) / np.where(n > 1, n - 1, 0))
        enough = np.where(n >= INTERVAL_FROM, n, np.nan)
        half = stats.t.ppf((1 + CONFIDENCE) / 2, enough - 1) * sd / np.sqrt(enough)
    return n, mean, sd, half


def summary_rows(results: Results, summary: Summary) -> list[dict[str, Any]]:
    """The summary of every metric in full precision, with the settings and the seeds that were left out."""
    dropped = not_a_number(results)
    return [
        group.settings
        | {"metric": metric, **asdict(estimates[position]), "unfinished": len(group.unfinished)}
        | {"seeds_not_a_number": " ".join(map(str, dropped.get((position, metric), [])))}
        for position, group in enumerate(results.groups)
        for metric, estimates in summary.items()
    ]


def not_a_number(results: Results) -> dict[tuple[int, str], list[int]]:
    """(group, metric) -> the seeds that measured NaN or infinity there."""
    dropped: dict[tuple[int, str], list[int]] = {}
    for position, group in enumerate(results.groups):
        for run in group.runs:
            for metric, value in run_metrics(run).items():
                if not is_number(value):
                    dropped.setdefault((position, metric), []).append(run.record["config"]["seed"])
    return dropped
