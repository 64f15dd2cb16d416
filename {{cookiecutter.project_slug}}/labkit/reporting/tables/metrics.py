"""What was measured, over the seeds of each setting: the metric of the report, and the classes it is made of."""

import re

from labkit.reporting.captions import selection_rule
from labkit.reporting.collect import known_direction
from labkit.reporting.findings import BEST, TIED, Findings
from labkit.reporting.statistics import CONFIDENCE, TEST_FROM, Estimate
from labkit.reporting.tables.formats import Table
from labkit.reporting.tables.rounding import decimals_for, interval, percent, rounded
from labkit.text import one_line

MOST_COLUMNS = 6  # settings beside each other
PER_CLASS = re.compile(r"(.+)_class_(.+)", re.DOTALL)


def summary_table(findings: Findings, metric: str) -> Table:
    """One row per setting: how many seeds, mean, SD and interval of one metric."""
    results, estimates = findings.results, findings.summary[metric]
    decimals = decimals_for(one.sd for one in estimates)
    keys = list(results.groups[0].settings)
    unfinished = any(group.unfinished for group in results.groups)
    header = [*keys, "n", *(["unfinished"] if unfinished else []), "mean", "SD", f"{percent(CONFIDENCE)} % interval"]
    body = []
    for group, one in zip(results.groups, estimates, strict=True):
        counts = [str(one.n), *([str(len(group.unfinished))] if unfinished else [])]
        numbers = [rounded(one.mean, decimals), rounded(one.sd, decimals), interval(one.low, one.high, decimals)]
        body.append([*group.settings.values(), *counts, *numbers])
    caption = f"{one_line(metric)} per setting over n seeds: mean, sample standard deviation (from 2 seeds), "
    caption += f"{percent(CONFIDENCE)} % t interval of the mean (from 3 seeds). {selection_rule(results)}"
    table = Table(caption, header, body, len(keys))
    if metric == results.metric:
        _mark(table, findings, header.index("mean", len(keys)))
    else:
        table.caption += f" No best is marked: it would be chosen by {one_line(results.metric)}, not here."
    return table


def per_class_table(findings: Findings) -> Table | None:
    """Rows: classes; columns: settings. None where no metric is per class."""
    results, split = findings.results, findings.results.metric.split("/", 1)[0]
    found = {
        metric: match.groups()
        for metric in findings.summary
        if metric.startswith(f"{split}/") and (match := PER_CLASS.fullmatch(metric.split("/", 1)[1]))
    }
    if not found:
        return None
    shown, monitor = _first_groups(findings), results.monitor
    directions = {monitor["metric"]: monitor["direction"], results.metric: results.direction}
    quantities = list(dict.fromkeys(quantity for quantity, _ in found.values()))
    named = len(quantities) > 1
    table = Table("", [*(["metric"] if named else []), "class"], [], 1 + named)
    table.header += [results.groups[i].label for i in shown]
    decimals = decimals_for(findings.summary[metric][i].sd for metric in found for i in shown)
    for row, (metric, (quantity, number)) in enumerate(found.items()):
        estimates = [findings.summary[metric][i] for i in shown]
        cells = [_mean_and_sd(one, decimals) for one in estimates]
        table.rows.append([*([one_line(quantity)] if named else []), one_line(number), *cells])
        best = _best(estimates, known_direction(quantity, directions))
        table.bold |= {(row, column + table.text_columns) for column in best}
    table.caption = f"{one_line(f'{split}/' + ', '.join(quantities))} of each class: mean over seeds (sample standard "
    table.caption += "deviation, from 2 seeds). Bold: the best mean of the row; no difference of a class was tested. "
    table.caption += selection_rule(results)
    if len(shown) < len(results.groups):
        table.caption += f" Shown are {len(shown)} of {len(results.groups)} settings: "
        table.caption += f"{'the baseline and ' if findings.file else ''}the best; all are in summary.csv."
    return table


def _mark(table: Table, findings: Findings, column: int) -> None:
    """The best in bold, what cannot be told from it with a dagger, and what that means in the caption."""
    marks = findings.marks
    if len(marks) < 2 or BEST not in marks:
        return
    table.bold = {(row, column) for row, mark in enumerate(marks) if mark == BEST}
    table.daggers = {(row, column) for row, mark in enumerate(marks) if mark == TIED}
    others, tied = len(marks) - 1, bool(table.daggers)
    table.caption += " Bold: the best mean. "
    table.caption += "†: not distinguishable from it" if tied else "All others are distinguishable from it"
    table.caption += f" (p of the t test against the best, Holm-adjusted over {others} "
    table.caption += f"setting{'s' if others > 1 else ''}, is {'not ' if tied else ''}below {findings.alpha:g}; with "
    table.caption += f"fewer than {TEST_FROM} seeds, too few for a test: the interval of the difference "
    table.caption += f"{'holds 0, or there is none' if tied else 'does not hold 0'})."


def _first_groups(findings: Findings) -> list[int]:
    """All groups in their order, or the baseline, the best, the next best, ..."""
    count = len(findings.results.groups)
    if count <= MOST_COLUMNS:
        return list(range(count))
    order = dict.fromkeys([*findings.baselines[:1], *findings.ranking])
    return list(order)[:MOST_COLUMNS]


def _best(estimates: list[Estimate], direction: str | None) -> list[int]:
    """The positions of the best means, none where all are equal."""
    means = [one.mean for one in estimates if one.n]
    if direction is None or len(set(means)) < 2:
        return []
    best = max(means) if direction == "max" else min(means)
    return [i for i, one in enumerate(estimates) if one.mean == best]


def _mean_and_sd(one: Estimate, decimals: int) -> str:
    mean, sd = rounded(one.mean, decimals), rounded(one.sd, decimals)
    return f"{mean} ({sd})" if sd else mean
