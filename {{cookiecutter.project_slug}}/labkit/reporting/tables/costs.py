"""What the results cost."""

import math
from typing import NamedTuple

from labkit.reporting.captions import cost_caption
from labkit.reporting.collect import Results
from labkit.reporting.grouping import Group
from labkit.reporting.rounding import three_digits
from labkit.reporting.statistics import NAN
from labkit.reporting.tables.formats import Table, settings_columns
from labkit.runs.json_shapes import is_number
from labkit.runs.study import Run


class Cost(NamedTuple):
    header: str  # in the table
    words: str  # in the name and the meaning of a macro


# By the entries of "cost" in run.json.
COSTS = {
    "wall_s": Cost("wall time (s)", "wall seconds"),
    "cpu_s": Cost("CPU time (s)", "CPU seconds"),
    "gpu_s": Cost("GPU time (s)", "GPU seconds"),
    "examples_per_s": Cost("examples/s", "examples per second"),
    "parameters": Cost("parameters", "parameters"),
    "peak_memory_mb": Cost("memory (MiB)", "peak memory mebibytes"),
    "peak_gpu_memory_mb": Cost("GPU memory (MiB)", "peak GPU memory mebibytes"),
}


def cost_table(results: Results) -> Table:
    """One row per setting: means over its runs."""
    means = [mean_cost(group) for group in results.groups]
    measured = [key for key in COSTS if any(mean[key] > 0 for mean in means)]
    numbers = [("n", [str(len(group.runs)) for group in results.groups])]
    numbers += [(COSTS[key].header, [three_digits(mean[key]) for mean in means]) for key in measured]
    not_measured = [cost.header for key, cost in COSTS.items() if key not in measured]
    settings = settings_columns(results.groups)
    return Table.of_columns(settings, numbers, cost_caption(not_measured), (0, len(settings)))


def mean_cost(group: Group) -> dict[str, float]:
    """By the entries of COSTS; NaN where no run measured it."""
    means: dict[str, float] = {}
    for key in COSTS:
        measured = [cost for run in group.runs if not math.isnan(cost := cost_of(run, key))]
        means[key] = sum(measured) / len(measured) if measured else NAN
    return means


def cost_of(run: Run, key: str) -> float:
    """NaN where it was not measured."""
    value = run.record["cost"].get(key)
    return float(value) if is_number(value) else NAN
