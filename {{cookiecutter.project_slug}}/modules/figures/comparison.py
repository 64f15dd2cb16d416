"""All settings side by side: every seed, the mean and how well it is known."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labkit.reporting.captions import selection_rule
from labkit.reporting.figures.style import (
    CM,
    COLOURS,
    LINE,
    Drawing,
    axis_label,
    beside_each_other,
    choose,
    fitting,
    limit_ticks,
    nothing_measured,
    rows_of,
    seed_counts,
    seeds_of,
    split_of,
    wrap,
)
from labkit.reporting.findings import BEST, Findings
from labkit.reporting.statistics import Array
from labkit.text import one_line


def comparison(findings: Findings, width_cm: float) -> list[Drawing] | str:
    """One row per setting, for the metric of the report and for the same quantity on the test split."""
    if nothing := nothing_measured(findings):
        return nothing
    results = findings.results
    drawn: list[Drawing] = [("comparison", *_rows(findings, results.metric, width_cm))]
    if results.test_metric:
        drawn.append(("comparison_test", *_rows(findings, results.test_metric, width_cm)))
    return drawn


def _rows(findings: Findings, metric: str, width_cm: float) -> tuple[Figure, str]:
    results, estimates = findings.results, findings.summary[metric]
    names = [wrap(group.label, 36) for group in results.groups]
    shown, note = choose(findings, fitting(names))
    rows, height = rows_of([names[i] for i in shown])  # in lines of text
    counts = {estimates[i].n for i in shown}
    figure = Figure(figsize=(width_cm * CM, 0.5 + LINE * height), layout="constrained")
    axes = figure.subplots()
    _draw_seeds(axes, rows, [seeds_of(results, results.groups[i], metric) for i in shown])
    drawn = [estimates[i] for i in shown]
    mean, low = (np.array([getattr(one, end) for one in drawn]) for end in ("mean", "low"))
    axes.errorbar(mean, rows, xerr=mean - low, fmt="none", ecolor="black", elinewidth=1.1, capsize=2.5)
    about = metric == results.metric
    marked = np.array([about and findings.marks[i] != "" for i in shown])
    for which, face in ((marked, "black"), (~marked, "white")):
        look = {"color": "black", "marker": "D", "markersize": 4.5, "markerfacecolor": face}
        axes.plot(mean[which], rows[which], linestyle="", **look)
    named = findings.baselines
    ends = ["  (baseline)" if i in named else "" for i in range(len(names))]
    ends = [f"{end}  (n = {one.n})" if len(counts) > 1 else end for end, one in zip(ends, estimates, strict=True)]
    axes.set_yticks(rows, [names[i] + ends[i] for i in shown], fontsize=8)
    for label, i in zip(axes.get_yticklabels(), shown, strict=True):
        label.set_fontweight("bold" if findings.marks[i] == BEST else "normal")
    if len(named) == 1 and estimates[named[0]].n:
        axes.axvline(estimates[named[0]].mean, color="#555555", linewidth=0.8, linestyle="--", zorder=0.9)
    axes.set_ylim(height, 0)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(axis_label(metric, 0.6 * width_cm * CM))
    axes.grid(axis="x")
    limit_ticks(axes.xaxis, 0.6 * width_cm * CM)
    caption = f"{one_line(metric)} per setting. Points: seeds; diamond: their mean; bar: 95 % t interval of the mean "
    caption += f"(from 3 seeds); {seed_counts(findings, metric, shown)}. Split: {split_of(metric)}. "
    caption += f"{selection_rule(results)} " + _marks(findings, about)
    caption += " Dashed: the mean of the baseline." if len(named) == 1 else ""
    return figure, caption + note


def _draw_seeds(axes: Axes, rows: Array, seeds: list[Array]) -> None:
    look = {"marker": "o", "markersize": 3.8, "alpha": 0.6, "markeredgewidth": 0}
    axes.plot(*beside_each_other(rows, seeds, 0.25), linestyle="", color=COLOURS[0], **look)


def _marks(findings: Findings, about: bool) -> str:
    """What bold and filled mean, and how many tests they rest on."""
    metric, others = one_line(findings.results.metric), len(findings.results.groups) - 1
    if not others:
        return "One setting: nothing is compared."
    if not about:
        return f"Bold: the best mean {metric}; no tests on this split, hence no correction."
    tests = f"{others} comparison{'s' if others > 1 else ''} with it, Holm-corrected, alpha = {findings.alpha:g}"
    caption = f"Bold: the best mean; filled diamonds: it, and what is not distinguishable from it ({tests}; "
    return caption + "with fewer than 5 seeds by the interval of the difference; fewer than 3 tell nothing apart)."
