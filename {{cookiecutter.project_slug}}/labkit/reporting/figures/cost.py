"""What quality costs: the metric over the time that a run took, and over the size of the model."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labkit.reporting import captions
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.statistics import Array
from labkit.reporting.figures import style
from labkit.reporting.tables.costs import cost_of

GREY = "#bbbbbb"


def cost(findings: Findings, width_cm: float) -> list[style.Drawing] | str:
    """Every seed a small point, every setting's mean a large one.

    A second panel shows the number of parameters, where it varies.
    """
    if nothing := style.nothing_measured(findings):
        return nothing
    results = findings.results
    runs = [run for group in results.groups for run in group.runs]
    costs = ["gpu_s" if all(cost_of(run, "gpu_s") > 0 for run in runs) else "wall_s"]
    sizes = {cost_of(run, "parameters") for run in runs}
    if len(sizes) > 1 and np.isfinite([*sizes]).all():
        costs.append("parameters")
    shown, _ = style.choose(findings, style.MOST_CURVES)
    inches = width_cm * style.CM
    figure = Figure(layout="constrained")
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for axes in panels:
        style.limit_ticks(axes.xaxis, (inches - 0.6) / len(panels))
    quantities = [_draw(axes, findings, key, shown) for axes, key in zip(panels, costs, strict=True)]
    panels[0].set_ylabel(style.axis_label(results.label, 0.35 * inches))
    names = [results.groups[i].label for i in shown]
    looks = [style.look(position, joined=False) | {"markersize": 5} for position in range(len(names))]
    below = style.add_legend(figure, names, looks, inches, length=1)
    figure.set_size_inches(inches, max(2.0, 0.42 * inches) + below)
    caption = (
        f"{results.names.opening(results.metric)} against {' and '.join(quantities)} of a whole run. "
        f"Small: {results.repetition}s; large: their mean; "
        f"{captions.basis(findings, results.metric, range(len(results.groups)))} {captions.NO_TESTS}"
    )
    if rest := len(results.groups) - len(shown):
        caption += f" Grey crosses: the means of {captions.counted(rest, 'other setting')}."
    return [("cost", figure, caption)]


def _draw(axes: Axes, findings: Findings, key: str, shown: list[int]) -> str:
    """Returns the name of the cost, as the caption needs it."""
    points = [_points(findings, i, key) for i in range(len(findings.results.groups))]
    everything = np.concatenate(points)[:, 0]
    divisor, quantity, unit = _unit(key, everything.max(initial=0))
    rest = np.array([seeds.mean(0) for i, seeds in enumerate(points) if i not in shown and len(seeds)]).reshape(-1, 2)
    axes.plot(rest[:, 0] / divisor, rest[:, 1], "x", markersize=4, color=GREY, zorder=1)
    for position, i in enumerate(shown):
        look = style.look(position, joined=False)
        x, y = points[i].T / [[divisor], [1]]
        axes.plot(x, y, markersize=3, alpha=0.55, markeredgewidth=0, **look)
        if len(x):
            edge = {"markeredgecolor": "black", "markeredgewidth": 0.6}
            axes.plot(x.mean(), y.mean(), markersize=6.5, zorder=3, **edge, **look)
    if style.spans(everything):
        style.set_log(axes.xaxis)
    axes.set_xlabel(f"{quantity} ({unit})")
    axes.grid()
    return quantity


def _points(findings: Findings, position: int, key: str) -> Array:
    """(seeds, 2): cost and metric of every seed that has both."""
    group = findings.results.groups[position]
    measured = findings.results.measured(group, findings.results.metric)
    points = [(cost_of(group.repeats[repeat], key), value) for repeat, value in measured.items()]
    return np.array([point for point in points if np.isfinite(point[0])]).reshape(-1, 2)


def _unit(key: str, largest: float) -> tuple[float, str, str]:
    """By what to divide, the name of the quantity, and its unit."""
    if key == "parameters":
        return (1e6, key, "millions") if largest >= 1e6 else (1e3, key, "thousands")
    name = {"gpu_s": "GPU time", "wall_s": "wall time"}[key]
    if largest > 7200:
        return 3600, name, "h"
    return (60, name, "min") if largest > 300 else (1, name, "s")
