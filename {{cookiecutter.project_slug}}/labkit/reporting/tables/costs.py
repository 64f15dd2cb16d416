"""What the results cost."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.grouping import Group
from labkit.reporting.analysis.statistics import NAN
from labkit.reporting.captions import SPENT, cost_caption, target_caption
from labkit.reporting.rounding import three_digits
from labkit.reporting.tables.formats import Table, settings_columns
from labkit.runs.json_shapes import is_number
from labkit.runs.spent import Spent, spent
from labkit.runs.study import Run, Study


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
        means[key] = mean_of(cost for run in group.runs if not math.isnan(cost := cost_of(run, key)))
    return means


def cost_of(run: Run, key: str) -> float:
    """NaN where it was not measured."""
    value = run.record["cost"].get(key)
    return float(value) if is_number(value) else NAN


def spent_table(study: Study) -> Table | None:
    """What all launches took, also those of runs without results. None where nothing is known of any."""
    rows = spent(study)
    if not any(row.hours for row in rows):
        return None
    rows.append(total_spent(rows))
    numbers = [("runs", [str(row.runs) for row in rows]), ("hours", [three_digits(row.hours) for row in rows])]
    numbers.append(("CPU-hours", [three_digits(row.cpu_hours) for row in rows]))
    if any(row.gpu_hours for row in rows):
        numbers.append(("GPU-hours", [three_digits(row.gpu_hours) for row in rows]))
    return Table.of_columns([("runs that are", [row.status for row in rows])], numbers, SPENT)


def total_spent(rows: list[Spent]) -> Spent:
    """The last row of the table."""
    return Spent(
        "all",
        sum(row.runs for row in rows),
        sum((row.hours for row in rows), 0.0),
        sum((row.cpu_hours for row in rows), 0.0),
        sum((row.gpu_hours for row in rows), 0.0),
    )


def target_table(findings: Findings) -> Table | None:
    """How long each setting took to reach the target. None where there is no target."""
    times = findings.target_times
    if times is None:
        return None
    groups = findings.results.groups
    numbers = [
        ("reached", [f"{len(of_group)} of {len(group.runs)}" for of_group, group in zip(times, groups, strict=True)]),
        ("steps", [three_digits(mean_of(time.steps for time in of_group)) for of_group in times]),
        ("time (s)", [three_digits(mean_of(time.seconds for time in of_group)) for of_group in times]),
        ("slowest (s)", [three_digits(max((time.seconds for time in of_group), default=NAN)) for of_group in times]),
    ]
    return Table.of_columns(settings_columns(groups), numbers, target_caption(findings))


def mean_of(values: Iterable[float]) -> float:
    """NaN of nothing."""
    there = list(values)
    return sum(there) / len(there) if there else NAN
