"""Settings against each other seed by seed: what a seed gains or loses says more than two means."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labkit.reporting import captions
from labkit.reporting.analysis.comparisons import CORRECTED, Comparison
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.statistics import Array
from labkit.reporting.figures import style

MOST_PANELS = 6
BETTER, WORSE, EQUAL = "better", "worse", "equal"
LOOKS: dict[str, dict[str, Any]] = {  # told apart without colour, too
    BETTER: {"color": style.COLOURS[0], "linestyle": "-", "marker": "^", "markerfacecolor": style.COLOURS[0]},
    WORSE: {"color": style.COLOURS[1], "linestyle": "--", "marker": "v", "markerfacecolor": "white"},
    EQUAL: {"color": "#777777", "linestyle": ":", "marker": "o", "markerfacecolor": "white"},
}


@dataclass
class _Pairs:
    """One comparison on shared seeds."""

    comparison: Comparison
    names: tuple[str, str]  # against, group
    values: Array  # (2, seeds): against, group
    outcomes: list[str]  # of each seed


def paired_seeds(findings: Findings, width_cm: float) -> list[style.Drawing] | str:
    """Two figures: the values of each pair as a slope, and the differences with their interval."""
    pairs = _pairs(findings)
    if not pairs and len(findings.results.groups) == 1:
        return "there is one setting."
    if not pairs:
        return f"no two settings that are compared have the same {findings.results.repetition}s."
    inches = width_cm * style.CM
    slopes = ("paired_seeds", *_slopes(findings, pairs, inches))
    differences = ("paired_differences", *_differences(findings, pairs, inches))
    return [slopes, differences]


def _pairs(findings: Findings) -> list[_Pairs]:
    """The planned comparisons first, then those that gain most."""
    results = findings.results
    pairs = []
    for comparison in findings.comparisons:
        if comparison.wins is None or not comparison.n[0]:
            continue
        against, group = results.groups[comparison.against], results.groups[comparison.group]
        a, b = results.measured(against, results.metric), results.measured(group, results.metric)
        values = np.array([[a[seed], b[seed]] for seed in b if seed in a]).T
        gains = np.sign(results.sign * (values[1] - values[0]))
        outcomes = [{1: BETTER, -1: WORSE, 0: EQUAL}[int(gain)] for gain in gains]
        pairs.append(_Pairs(comparison, (against.label, group.label), values, outcomes))
    sign = results.sign
    return sorted(pairs, key=lambda pair: (not pair.comparison.planned, -sign * pair.comparison.difference.mean))


def _slopes(findings: Findings, pairs: list[_Pairs], inches: float) -> tuple[Figure, str]:
    metric = findings.results.metric
    names, run = findings.results.names, findings.results.repetition
    label = style.axis_label(names.label(metric), 1.6)
    columns, room = _columns(pairs[:MOST_PANELS], inches - 0.14 * label.count("\n"))
    ends_of = [[style.wrap(name, room) for name in pair.names] for pair in pairs[:MOST_PANELS]]
    height = 1.75 + style.LINE * max(name.count("\n") + 1 for ends in ends_of for name in ends)
    rows = min(-(-len(ends_of) // columns), max(1, int(style.MOST_LINES * style.LINE / height)))
    shown = pairs[: min(len(ends_of), rows * columns)]
    figure = Figure(layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, pair, ends in zip(grid.flat, shown, ends_of, strict=False):
        _draw_slopes(axes, pair, ends)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel(label)
    figure.set_size_inches(inches, rows * height + _add_legend(figure, shown, inches, run))
    caption = (
        f"{names.opening(metric)} of two settings on the same {run}s: one line per {run}, upward triangles where"
        f" the setting on the right is better, downward ones where it is worse. Thick: the means. "
        f"{_ending(findings, pairs, len(shown))}"
    )
    return figure, caption


def _columns(pairs: list[_Pairs], inches: float) -> tuple[int, int]:
    """How many panels beside each other leave room for the words below them, and for how many letters."""
    longest = max(len(word) for pair in pairs for name in pair.names for word in style.drawable(name).split())
    fewest = 2 if inches > 4.5 else 1
    columns = 2 if len(pairs) == 4 else 3
    while columns > fewest and longest > _letters(inches / columns):
        columns -= 1
    return min(columns, len(pairs)), _letters(inches / columns)


def _letters(inches: float) -> int:
    """That fit below one end of the slopes, in a panel of this width."""
    return min(18, int((inches - 0.5) * 9))


def _draw_slopes(axes: Axes, pair: _Pairs, names: list[str]) -> None:
    for outcome, look in LOOKS.items():
        seeds = pair.values.T[np.array(pair.outcomes) == outcome]
        lines = [np.column_stack([[0, 1], seed]) for seed in seeds]
        style.draw_together(axes, lines, linewidth=0.8, markersize=3.5, markeredgewidth=0.8, **look)
    axes.plot([0, 1], pair.values.mean(1), "D-", color="black", linewidth=2, markersize=4, zorder=3)
    axes.set_xlim(-0.45, 1.45)
    axes.set_xticks([0, 1], names)
    axes.tick_params(axis="x", length=0)
    axes.tick_params(labelleft=True)
    axes.grid(axis="y")


def _differences(findings: Findings, pairs: list[_Pairs], inches: float) -> tuple[Figure, str]:
    results = findings.results
    run = results.repetition
    one_opponent = len({pair.comparison.against for pair in pairs}) == 1
    names = []
    for pair in pairs:
        against, group = pair.names
        planned = "  (planned)" if pair.comparison.planned else ""
        names.append(style.wrap(group if one_opponent else f"{group} against {against}", 34) + planned)
    shown = pairs[: style.fitting(names)]
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    rows, height = style.name_rows(axes, names[: len(shown)])  # in lines of text
    _draw_differences(axes, rows, shown)
    axes.axvline(0, color="black", linewidth=0.8, zorder=0.9)
    matters = findings.file.smallest_difference if findings.file else 0
    if matters:
        axes.axvline(results.sign * matters, color="#555555", linewidth=0.9, linestyle="--", zorder=0.9)
    right = axes.twinx()
    style.name_rows(right, names[: len(shown)])
    style.set_ticks(right.yaxis, rows, [_outcome(pair.comparison) for pair in shown])
    to = f" to {pairs[0].names[0]}" if one_opponent else ""
    arrow = {"max": "better\xa0\u2192", "min": "\u2190\xa0better"}[results.direction]
    label = style.axis_label(f"{results.label}: difference{to} ({arrow})", 0.78 * inches)
    axes.set_xlabel(label)
    axes.grid(axis="x")
    style.limit_ticks(axes.xaxis, 0.55 * inches)
    below = _add_legend(figure, shown, inches, run, linestyle="none")
    figure.set_size_inches(inches, 0.4 + style.LINE * (height + label.count("\n")) + below)

    corrected = any(pair.comparison.method == CORRECTED for pair in shown)
    but = f", {captions.SHARED}" if corrected else ""
    but += ", not corrected for the number of comparisons" if findings.file else f", {captions.ALL_PAIRS}"
    dashed = f" Dashed: {results.amount(matters)}, the smallest difference that matters." if matters else ""
    caption = (
        f"Differences in {results.label} between two settings on the same {run}s. Triangles: {run}s, upward where the "
        f"first is better, downward where it is worse; diamond: mean; bar: "
        f"{100 * (1 - findings.alpha):g} % t interval of the mean difference (from 3 {run}s){but}. Right: "
        f"wins/ties/losses, and from 5 {run}s the adjusted p of the paired t test.{dashed} "
        f"{_ending(findings, pairs, len(shown))}"
    )
    return figure, caption


def _draw_differences(axes: Axes, rows: Array, pairs: list[_Pairs]) -> None:
    x, y = style.beside_each_other(rows, [pair.values[1] - pair.values[0] for pair in pairs], 0.3)
    outcomes = np.array([outcome for pair in pairs for outcome in pair.outcomes])
    for outcome, look in LOOKS.items():
        marks = look | {"linestyle": "", "markersize": 3.8, "markeredgewidth": 0.8, "alpha": 0.8}
        axes.plot(x[outcomes == outcome], y[outcomes == outcome], **marks)
    mean, reach = style.mean_and_reach([pair.comparison.difference for pair in pairs])
    axes.errorbar(mean, rows, xerr=reach, color="black", fmt="D", markersize=4.5, capsize=2.5)


def _outcome(comparison: Comparison) -> str:
    counts = f"{comparison.wins}/{comparison.ties}/{comparison.losses}"
    p = comparison.p_adjusted
    if not math.isfinite(p):
        return counts
    return f"{counts}  p < 0.001" if p < 0.001 else f"{counts}  p = {p:.2g}"


def _ending(findings: Findings, pairs: list[_Pairs], shown: int) -> str:
    """Of both captions: n, how many comparisons, which correction, what is not shown."""
    total = len(findings.comparisons)
    planned = sum(comparison.planned for comparison in findings.comparisons)
    kinds = {0: "all exploratory", total: "all planned"}.get(planned, f"{planned} planned, the others exploratory")
    n = captions.from_to(pair.comparison.n[0] for pair in pairs[:shown])
    adjusted = (
        "p values are Holm-adjusted over all of a kind." if findings.file else f"p values are {captions.ALL_PAIRS}."
    )
    text = (
        f"n = {n} pairs. {captions.selection_rule(findings.results)} {captions.counted(total, 'comparison')}, {kinds}; "
        f"{adjusted}"
    )
    if shown < len(pairs):
        text += f" Shown: {shown} of {len(pairs)}, planned ones first, then those that gain most."
    if unpaired := total - len(pairs):
        text += f" Not shown: {unpaired} on other {findings.results.repetition}s or without a number."
    return text


def _add_legend(figure: Figure, pairs: list[_Pairs], inches: float, run: str, **changes: Any) -> float:
    """Of the outcomes that there are."""
    present = [outcome for outcome in LOOKS if any(outcome in pair.outcomes for pair in pairs)]
    looks = [LOOKS[outcome] | {"markersize": 4, "linewidth": 1.5} | changes for outcome in present]
    return style.add_legend(figure, [f"{outcome} on this {run}" for outcome in present], looks, inches)
