"""What was measured, over the seeds of each setting: the metric of the report, and the classes it is made of."""

import math

from labkit.reporting.analysis.collect import known_direction
from labkit.reporting.analysis.findings import BEST, TIED, Findings
from labkit.reporting.analysis.statistics import CONFIDENCE, Estimate
from labkit.reporting.captions import per_class_caption, summary_caption
from labkit.reporting.rounding import decimals_for, interval, percent, rounded, with_uncertainty
from labkit.reporting.tables.formats import Column, Table, settings_columns
from labkit.text import quantity_of, split_of

IN_PARENTHESES = " In parentheses: the standard deviation in units of the last digit of the mean."
MOST_COLUMNS = 4  # settings beside each other


def summary_table(findings: Findings, metric: str, parentheses: bool = False) -> Table:
    """One row per setting: how many seeds, mean, SD and interval of one metric. `parentheses`: 0.974(3)."""
    groups, estimates = findings.results.groups, findings.summary[metric]
    decimals = decimals_for(estimate.sd for estimate in estimates)
    intervals = [interval(estimate.low, estimate.high, decimals) for estimate in estimates]
    settings = settings_columns(groups)
    numbers: list[Column] = [("n", [str(estimate.n) for estimate in estimates])]
    if any(group.unfinished for group in groups):
        numbers.append(("unfinished", [str(len(group.unfinished)) for group in groups]))
    mean = len(settings) + len(numbers)
    numbers += [*means_and_sds(estimates, decimals, parentheses), (f"{percent(CONFIDENCE)} % interval", intervals)]
    caption = summary_caption(findings, metric) + (IN_PARENTHESES if parentheses else "")
    table = Table.of_columns(settings, numbers, caption, (0, len(settings)))
    if metric == findings.results.metric and len(groups) > 1 and BEST in findings.marks:
        table.bold = {(row, mean) for row, mark in enumerate(findings.marks) if mark == BEST}
        table.daggers = {(row, mean) for row, mark in enumerate(findings.marks) if mark == TIED}
    return table


def means_and_sds(estimates: list[Estimate], decimals: int, parentheses: bool) -> list[Column]:
    if parentheses:
        return [("mean", [with_uncertainty(estimate.mean, estimate.sd, decimals) for estimate in estimates])]
    return [
        ("mean", [rounded(estimate.mean, decimals) for estimate in estimates]),
        ("SD", [rounded(estimate.sd, decimals) for estimate in estimates]),
    ]


def per_class_table(findings: Findings, data: str = "", parentheses: bool = False) -> Table | None:
    """Rows: classes; columns: settings on this data. None where no metric is per class."""
    results = findings.results
    names = results.names
    of_split = [metric for metric in findings.summary if split_of(metric) == split_of(results.metric)]
    found = {metric: names.parts(quantity_of(metric)) for metric in of_split}
    found = {metric: parts for metric, parts in found.items() if parts[1]}
    if not found:
        return None
    shown = _first_groups(findings)
    estimates = {metric: [findings.summary[metric][i] for i in shown] for metric in found}
    decimals = decimals_for(estimate.sd for row in estimates.values() for estimate in row)
    quantities = {metric: names.of_all(*parts[:2]) for metric, parts in found.items()}
    measured = list(dict.fromkeys(quantities.values()))
    kind = " or ".join(dict.fromkeys(kind for _, kind, _ in found.values()))
    texts = [(kind, [names.class_name(*parts[1:]) for parts in found.values()])]
    if len(measured) > 1:
        texts.insert(0, ("metric", list(quantities.values())))
    numbers = [
        (results.groups[i].label, [_mean_and_sd(row[column], decimals, parentheses) for row in estimates.values()])
        for column, i in enumerate(shown)
    ]
    caption = per_class_caption(findings, measured, len(shown), kind, data) + (IN_PARENTHESES if parentheses else "")
    table = Table.of_columns(texts, numbers, caption)
    worst_first: list[tuple[float, int]] = []
    for row, (metric, (quantity, _, _)) in enumerate(found.items()):
        asked = results.direction if quantity == quantity_of(results.metric) else None
        direction = asked or known_direction(metric, names, results.monitor)
        table.bold |= {(row, len(texts) + column) for column in _best(estimates[metric], direction)}
        mean = findings.summary[metric][findings.ranking[0]].mean
        worst_first.append((-mean if direction == "min" else mean, row))
    table.order = [row for _, row in sorted(worst_first, key=lambda item: (math.isnan(item[0]), item))]
    table.shown = f"those that {results.groups[findings.ranking[0]].label} finds hardest"
    return table


def _first_groups(findings: Findings) -> list[int]:
    """All groups in their order, or the baseline, the best, the next best, ..."""
    count = len(findings.results.groups)
    if count <= MOST_COLUMNS:
        return list(range(count))
    order = dict.fromkeys([*findings.baselines[:1], *findings.ranking])
    return list(order)[:MOST_COLUMNS]


def _best(estimates: list[Estimate], direction: str | None) -> list[int]:
    """The positions of the best means, none where all are equal."""
    means = [estimate.mean for estimate in estimates if estimate.n]
    if direction is None or len(set(means)) < 2:
        return []
    best = max(means) if direction == "max" else min(means)
    return [i for i, estimate in enumerate(estimates) if estimate.mean == best]


def _mean_and_sd(estimate: Estimate, decimals: int, parentheses: bool) -> str:
    if parentheses:
        return with_uncertainty(estimate.mean, estimate.sd, decimals)
    mean, sd = rounded(estimate.mean, decimals), rounded(estimate.sd, decimals)
    return f"{mean} ({sd})" if sd else mean
