"""Whether what one key does depends on another: its effect at each value of the other one."""

import numpy as np
from matplotlib.figure import Figure

from labkit.reporting import captions
from labkit.reporting.analysis.comparisons import Pair, compare
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.figures import style

OVER_DATA_SETS = True  # a data set may be one of the two keys


def interaction(findings: Findings, width_cm: float) -> list[style.Drawing]:
    """The difference that each value of the first key makes, beside each other for the values of the second. None
    unless exactly two keys vary."""
    found = findings.interactions
    results = findings.results
    if found is None:
        return []
    first, second = found.keys
    places = {(group.settings[first], group.settings[second]): i for i, group in enumerate(results.groups)}
    columns = found.levels[1]
    compared = [value for value in found.levels[0] if value != found.references[0]]
    shown = compared[: style.MOST_CURVES]
    inches = width_cm * style.CM
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color="#555555", linewidth=0.8, linestyle="--", zorder=0.9)
    looks = [style.look(position) for position in range(len(shown))]
    for position, (value, look) in enumerate(zip(shown, looks, strict=True)):
        pairs = [Pair(places[value, at], places[found.references[0], at]) for at in columns]
        differences = compare(results, pairs, findings.alpha)
        mean, reach = style.mean_and_reach([comparison.difference for comparison in differences])
        x = np.arange(len(columns)) + 0.08 * (position - (len(shown) - 1) / 2)
        axes.errorbar(x, mean, yerr=reach, elinewidth=0.8, capsize=2, linewidth=1.2, markersize=4, **look)
    width = max(8, 72 // len(columns))
    style.set_ticks(axes.xaxis, range(len(columns)), [style.wrap(results.word(value), width) for value in columns])
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_xlabel(style.axis_label(results.word(second), 0.8 * inches))
    reference = results.word(found.references[0])
    axes.set_ylabel(style.axis_label(f"{results.label}: difference to {reference}", 0.4 * inches))
    axes.grid(axis="y")
    below = style.add_legend(figure, [results.word(value) for value in shown], looks, inches)
    figure.set_size_inches(inches, max(2.2, 0.45 * inches) + below)
    run = results.repetition
    caption = (
        f"Interaction of {results.word(first)} and {results.word(second)}: difference in {results.label} between each "
        f"{results.word(first)} and {reference}, on the same {run}s, at each {results.word(second)}. Level lines: the "
        f"effect is the same everywhere. Bars: {captions.percent(1 - findings.alpha)} % t interval of the mean "
        f"difference. {captions.selection_rule(results)} Table interaction has the differences of differences."
    )
    if len(shown) < len(compared):
        caption += f" Shown: the first {len(shown)} of {len(compared)} values."
    return [("interaction", figure, caption)]
