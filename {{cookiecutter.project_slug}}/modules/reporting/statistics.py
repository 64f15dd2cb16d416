"""Means over seeds and how far they can be trusted: sample SD and Student's t interval.

The t interval covers what it claims from three seeds on; percentile bootstrap intervals cover .75 at n = 3.
"""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
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


Summary = dict[str, list[Estimate]]  # metric -> one estimate per group, in the order of the groups


def summarise(results: Results) -> Summary:
    """What is no finite number is left out, and n says so."""
    values = results.values.where(np.isfinite(results.values))
    grouped = values.groupby(results.group_of_run.reindex(values.index))
    n, mean, sd = grouped.count(), grouped.mean(), grouped.std(ddof=1)
    half = interval_half_width(sd, n)
    parts = (n, mean, sd, mean - half, mean + half)
    return {
        metric: [Estimate(*row) for row in zip(*(part[metric] for part in parts), strict=True)] for metric in values
    }


def interval_half_width(sd: pd.DataFrame, n: pd.DataFrame) -> pd.DataFrame:
    """Half of the t interval of the mean of n values with this sample SD; blank below three values."""
    enough = n.where(n >= INTERVAL_FROM)
    return stats.t.ppf((1 + CONFIDENCE) / 2, enough - 1) * sd / np.sqrt(enough)


def summary_frame(results: Results, summary: Summary) -> pd.DataFrame:
    """The summary of every metric in full precision, with the settings and the seeds that were left out."""
    dropped = not_a_number(results)
    return pd.DataFrame(
        [
            group.settings
            | {"metric": metric, **asdict(estimates[position]), "unfinished": len(group.unfinished)}
            | {"seeds_not_a_number": " ".join(map(str, dropped.get((position, metric), [])))}
            for position, group in enumerate(results.groups)
            for metric, estimates in summary.items()
        ]
    )


def not_a_number(results: Results) -> dict[tuple[int, str], list[int]]:
    """(group, metric) -> the seeds that measured NaN or infinity there."""
    dropped: dict[tuple[int, str], list[int]] = {}
    for position, group in enumerate(results.groups):
        for run in group.runs:
            for metric, value in run_metrics(run).items():
                if not is_number(value):
                    dropped.setdefault((position, metric), []).append(run.record["config"]["seed"])
    return dropped
