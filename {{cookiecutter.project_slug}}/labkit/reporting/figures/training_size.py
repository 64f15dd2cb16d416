"""What more data would bring: the metric over the number of training examples, where fractions of a data set vary."""

import numpy as np
from matplotlib.figure import Figure

from labkit.reporting import captions
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.grouping import FRACTION
from labkit.reporting.analysis.statistics import Array
from labkit.reporting.figures import style

OVER_DATA_SETS = True  # a fraction is a data set of its own in all other figures


def training_size(findings: Findings, width_cm: float) -> list[style.Drawing] | str:
    """One line for each setting, over the sizes that it was trained on. None where the fraction does not vary."""
    results = findings.results
    if FRACTION not in results.blocks:
        return []
    if nothing := style.nothing_measured(findings):
        return nothing
    lines: dict[str, list[int]] = {}
    for i in findings.ranking:
        lines.setdefault(results.without(results.groups[i], [FRACTION]).label, []).append(i)
    shown = dict(list(lines.items())[: style.MOST_CURVES])
    inches = width_cm * style.CM
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    looks = [style.look(position) for position in range(len(shown))]
    for groups, look in zip(shown.values(), looks, strict=True):
        sizes = _sizes(findings, groups)
        order = np.argsort(sizes)
        estimates = [findings.summary[results.metric][groups[place]] for place in order]
        for place in order:
            seeds = style.seeds_of(findings, groups[place], results.metric)
            x = np.full(len(seeds), sizes[place])
            axes.plot(x, seeds, "o", color=look["color"], markersize=2.8, alpha=0.5, markeredgewidth=0)
        mean, reach = style.mean_and_reach(estimates)
        axes.errorbar(sizes[order], mean, yerr=reach, elinewidth=0.8, capsize=2, linewidth=1.2, markersize=4, **look)
    style.set_log(axes.xaxis)
    axes.set_xlabel("training examples")
    axes.set_ylabel(style.axis_label(results.label, 0.35 * inches))
    axes.grid()
    below = style.add_legend(figure, list(shown), looks, inches)
    figure.set_size_inches(inches, max(2.0, 0.42 * inches) + below)
    caption = (
        f"{results.names.opening(results.metric)} over the number of training examples. Points: {results.repetition}s; "
        f"lines: their mean; bars: {captions.mean_interval(results)}; "
        f"{captions.basis(findings, results.metric, [i for groups in shown.values() for i in groups])} "
        f"{captions.NO_TESTS}"
    )
    if len(shown) < len(lines):
        caption += f" Shown: {len(shown)} of {len(lines)} settings, those with the best mean."
    return [("training_size", figure, caption)]


def _sizes(findings: Findings, groups: list[int]) -> Array:
    """Training examples of each group (groups,)."""
    runs = [findings.results.groups[i].runs[0] for i in groups]
    return np.array([float(run.record["data"]["examples"].get("train") or np.nan) for run in runs])
