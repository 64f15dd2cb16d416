"""Settings against each other seed by seed: what a seed gains or loses says more than two means."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from labkit.reporting.captions import selection_rule
from labkit.reporting.comparisons import CORRECTED, Comparison
from labkit.reporting.figures.style import (
    CM,
    COLOURS,
    LINE,
    MOST_LINES,
    Drawing,
    axis_label,
    beside_each_other,
    drawable,
    fitting,
    limit_ticks,
    put_legend,
    rows_of,
    set_ticks,
    split_of,
    wrap,
)
from labkit.reporting.findings import Findings
from labkit.reporting.statistics import Array
from labkit.text import one_line

MOST_PANELS = 6
BETTER, WORSE, EQUAL = "better", "worse", "equal"
LOOKS: dict[str, dict[str, Any]] = {  # told apart without colour, too
    BETTER: {"color": COLOURS[0], "linestyle": "-", "marker": "^", "markerfacecolor": COLOURS[0]},
    WORSE: {"color": COLOURS[1], "linestyle": "--", "marker": "v", "markerfacecolor": "white"},
    EQUAL: {"color": "#777777", "linestyle": ":", "marker": "o", "markerfacecolor": "white"},
}


@dataclass
class _Pairs:
    """One comparison on shared seeds."""

    comparison: Comparison
    names: tuple[str, str]  # against, group
    values: Array  # (2, seeds): against, group
    outcomes: list[str]  # of each seed


def paired_seeds(findings: Findings, width_cm: float) -> list[Drawing] | str:
    """Two figures: the values of each pair as a slope, and the differences with their interval."""
    pairs = _pairs(findings)
    if not pairs:
        alone = len(findings.results.groups) == 1
        return "there is one setting." if alone else "no two settings that are compared have the same seeds."
    slopes, differences = _slopes(findings, pairs, width_cm), _differences(findings, pairs, width_cm)
    return [("paired_seeds", *slopes), ("paired_differences", *differences)]


def _pairs(findings: Findings) -> list[_Pairs]:
    """The planned comparisons first, then those that gain most."""
    results, sign = findings.results, findings.results.sign
    pairs = []
    for one in findings.comparisons:
        if one.wins is None or not one.n[0]:
            continue
        groups = results.groups[one.against], results.groups[one.group]
        a, b = (results.measured(group, results.metric) for group in groups)
        values = np.array([[a[seed], b[seed]] for seed in b if seed in a]).T
        outcomes = [{1: BETTER, -1: WORSE, 0: EQUAL}[int(gain)] for gain in np.sign(sign * (values[1] - values[0]))]
        pairs.append(_Pairs(one, (groups[0].label, groups[1].label), values, outcomes))
    return sorted(pairs, key=lambda pair: (not pair.comparison.planned, -sign * pair.comparison.difference.mean))


def _slopes(findings: Findings, pairs: list[_Pairs], width_cm: float) -> tuple[Figure, str]:
    inches, label = width_cm * CM, axis_label(findings.results.metric, 1.6)
    columns, room = _columns(pairs[:MOST_PANELS], inches - 0.14 * label.count("\n"))
    names = [[wrap(name, room) for name in pair.names] for pair in pairs[:MOST_PANELS]]
    height = 1.75 + LINE * max(name.count("\n") + 1 for ends in names for name in ends)
    rows = min(-(-len(names) // columns), max(1, int(MOST_LINES * LINE / height)))
    shown = pairs[: min(len(names), rows * columns)]
    figure = Figure(layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, pair, ends in zip(grid.flat, shown, names, strict=False):
        _draw_slopes(axes, pair, ends)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel(label)
    below = _add_legend(figure, [kind for pair in shown for kind in pair.outcomes], inches, True)
    figure.set_size_inches(inches, rows * height + below)
    caption = f"{_metric(findings)} of two settings on the same seeds: one line per seed, upward triangles where the "
    caption += "setting on the right is better, downward ones where it is worse. Thick: the means. "
    return figure, caption + _ending(findings, pairs, len(shown))


def _columns(pairs: list[_Pairs], inches: float) -> tuple[int, int]:
    """How many panels beside each other leave room for the words below them, and for how many letters."""
    longest = max(len(word) for pair in pairs for name in pair.names for word in drawable(name).split())
    fewest, most = (2 if inches > 4.5 else 1), (2 if len(pairs) == 4 else 3)
    rooms = {columns: min(18, int((inches / columns - 0.5) * 9)) for columns in range(most, fewest - 1, -1)}
    columns = next((columns for columns, room in rooms.items() if longest <= room), fewest)
    return min(columns, len(pairs)), rooms[columns]


def _draw_slopes(axes: Axes, pair: _Pairs, names: list[str]) -> None:
    for seed, kind in zip(pair.values.T, pair.outcomes, strict=True):
        axes.plot([0, 1], seed, linewidth=0.8, markersize=3.5, markeredgewidth=0.8, **LOOKS[kind])
    mean = pair.values.mean(1)
    axes.plot([0, 1], mean, color="black", linewidth=2, marker="D", markersize=4, zorder=3)
    axes.set_xlim(-0.45, 1.45)
    axes.set_xticks([0, 1], names)
    axes.tick_params(axis="x", length=0)
    axes.tick_params(labelleft=True)
    axes.grid(axis="y")


def _differences(findings: Findings, pairs: list[_Pairs], width_cm: float) -> tuple[Figure, str]:
    opponents = {pair.comparison.against for pair in pairs}
    against = f" to {pairs[0].names[0]}" if len(opponents) == 1 else ""
    names = [pair.names[1] if against else f"{pair.names[1]} against {pair.names[0]}" for pair in pairs]
    names = [wrap(name, 34) + "  (planned)" * one.comparison.planned for name, one in zip(names, pairs, strict=True)]
    shown, inches = pairs[: fitting(names)], width_cm * CM
    rows, height = rows_of(names[: len(shown)])  # in lines of text
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    _draw_differences(axes, rows, shown)
    _draw_limits(axes, findings)
    axes.set_ylim(height, 0)
    set_ticks(axes.yaxis, rows, names[: len(shown)])
    arrow = {"max": "better\xa0\u2192", "min": "\u2190\xa0better"}[findings.results.direction]
    label = axis_label(f"{findings.results.metric}: difference{against} ({arrow})", 0.78 * inches)
    axes.set_xlabel(label)
    right = axes.twinx()
    right.set_ylim(axes.get_ylim())
    set_ticks(right.yaxis, rows, [_outcome(pair.comparison) for pair in shown])
    for side in (axes, right):
        side.tick_params(axis="y", length=0)
        side.spines["left"].set_visible(False)
    axes.grid(axis="x")
    limit_ticks(axes.xaxis, 0.55 * inches)
    below = _add_legend(figure, [kind for pair in shown for kind in pair.outcomes], inches, False)
    figure.set_size_inches(inches, 0.4 + LINE * (height + label.count("\n")) + below)
    return figure, _differences_caption(findings, pairs, len(shown))


def _draw_differences(axes: Axes, rows: Array, pairs: list[_Pairs]) -> None:
    x, y = beside_each_other(rows, [pair.values[1] - pair.values[0] for pair in pairs], 0.3)
    outcomes = np.array([outcome for pair in pairs for outcome in pair.outcomes])
    for kind, look in LOOKS.items():
        look = look | {"linestyle": "", "markersize": 3.8, "markeredgewidth": 0.8, "alpha": 0.8}
        axes.plot(x[outcomes == kind], y[outcomes == kind], **look)
    mean, low = np.array([[pair.comparison.difference.mean, pair.comparison.difference.low] for pair in pairs]).T
    axes.errorbar(mean, rows, xerr=mean - low, color="black", fmt="D", markersize=4.5, capsize=2.5)


def _draw_limits(axes: Axes, findings: Findings) -> None:
    """Where nothing differs, and where a difference begins to matter."""
    axes.axvline(0, color="black", linewidth=0.8, zorder=0.9)
    if findings.file and findings.file.smallest_difference:
        matters = findings.results.sign * findings.file.smallest_difference
        axes.axvline(matters, color="#555555", linewidth=0.9, linestyle="--", zorder=0.9)


def _outcome(one: Comparison) -> str:
    p = one.p_holm
    tested = "" if not math.isfinite(p) else "  p < 0.001" if p < 0.001 else f"  p = {p:.2g}"
    return f"{one.wins}/{one.ties}/{one.losses}{tested}"


def _differences_caption(findings: Findings, pairs: list[_Pairs], shown: int) -> str:
    caption = f"Differences in {_metric(findings)} between two settings on the same seeds. Triangles: seeds, upward "
    caption += "where the first is better, downward where it is worse; diamond: mean; bar: "
    caption += f"{100 * (1 - findings.alpha):g} % t interval of the mean difference (from 3 seeds), not corrected"
    if any(pair.comparison.method == CORRECTED for pair in pairs[:shown]):
        caption += " for the number of comparisons, but for splits that share data (Nadeau and Bengio)"
    caption += ". Right: wins/ties/losses, and from 5 seeds the Holm-adjusted p of the paired t test. "
    if findings.file and findings.file.smallest_difference:
        caption += f"Dashed: {findings.file.smallest_difference:g}, the smallest difference that matters. "
    return caption + _ending(findings, pairs, shown)


def _ending(findings: Findings, pairs: list[_Pairs], shown: int) -> str:
    """Of both captions: n, how many comparisons, which correction, what is not shown."""
    counts = sorted({pair.comparison.n[0] for pair in pairs[:shown]})
    total, planned = len(findings.comparisons), sum(one.planned for one in findings.comparisons)
    kinds = {0: "all exploratory", total: "all planned"}.get(planned, f"{planned} planned, the others exploratory")
    caption = f"n = {counts[0]}{f' to {counts[-1]}' if len(counts) > 1 else ''} pairs. "
    caption += (
        f"{selection_rule(findings.results)} {total} comparison{'s' if total > 1 else ''}, {kinds}; p values are "
    )
    caption += "Holm-adjusted over all of a kind."
    if shown < len(pairs):
        caption += f" Shown: {shown} of {len(pairs)}, planned ones first, then those that gain most."
    if unpaired := len(findings.comparisons) - len(pairs):
        caption += f" Not shown: {unpaired} on other seeds or without a number."
    return caption


def _metric(findings: Findings) -> str:
    metric = findings.results.metric
    return f"{one_line(metric)} (split: {split_of(metric)})"


def _add_legend(figure: Figure, kinds: list[str], inches: float, lines: bool) -> float:
    present = [kind for kind in LOOKS if kind in kinds]
    looks: list[dict[str, Any]] = [LOOKS[kind] | ({} if lines else {"linestyle": "none"}) for kind in present]
    handles = [Line2D([], [], markersize=4, **look) for look in looks]
    return put_legend(figure, handles, [f"{kind} on this seed" for kind in present], inches)
