"""What quality costs: the metric over the time that a run took, and over the size of the model."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labkit.reporting.captions import selection_rule
from labkit.reporting.collect import Results
from labkit.reporting.figures.style import (
    CM,
    COLOURS,
    MARKERS,
    MOST_CURVES,
    Drawing,
    add_legend,
    axis_label,
    choose,
    limit_ticks,
    nothing_measured,
    seed_counts,
    set_log,
    spans,
    split_of,
    wrap,
)
from labkit.reporting.findings import Findings
from labkit.reporting.statistics import Array
from labkit.runs.json_shapes import is_number
from labkit.runs.study import Run
from labkit.text import one_line

GREY = "#bbbbbb"


def cost(findings: Findings, width_cm: float) -> list[Drawing] | str:
    """Every seed a point, every setting's mean a marker; a second panel where the number of parameters varies."""
    if nothing := nothing_measured(findings):
        return nothing
    results, inches = findings.results, width_cm * CM
    time = "gpu_s" if all(_cost(run, "gpu_s") > 0 for group in results.groups for run in group.runs) else "wall_s"
    costs = [time, "parameters"] if _varies(results, "parameters") else [time]
    shown, _ = choose(findings, MOST_CURVES)
    figure = Figure(layout="constrained")
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for axes in panels:
        limit_ticks(axes.xaxis, (inches - 0.6) / len(panels))
    units = [_draw(axes, findings, key, shown) for axes, key in zip(panels, costs, strict=True)]
    panels[0].set_ylabel(axis_label(results.metric, 0.35 * inches))
    below = add_legend(figure, [wrap(results.groups[i].label, 60) for i in shown], inches, lines=False)
    figure.set_size_inches(inches, max(2.0, 0.42 * inches) + below)
    rest = len(results.groups) - len(shown)
    note = f" Grey crosses: the {rest} other settings." if rest else ""
    return [("cost", figure, _caption(findings, units) + note)]


def _cost(run: Run, key: str) -> float:
    """NaN where it was not measured."""
    value = run.record["cost"].get(key)
    return float(value) if is_number(value) else float("nan")


def _varies(results: Results, key: str) -> bool:
    values = {_cost(run, key) for group in results.groups for run in group.runs}
    return len(values) > 1 and all(map(np.isfinite, values))


def _draw(axes: Axes, findings: Findings, key: str, shown: list[int]) -> str:
    """Returns the name of the cost, as the caption needs it."""
    points = [_points(findings.results, i, key) for i in range(len(findings.results.groups))]
    everything = np.concatenate(points)[:, 0]
    divisor, name = _unit(key, everything)
    rest = [one.mean(0) for i, one in enumerate(points) if i not in shown and len(one)]
    if rest:
        x, y = np.array(rest).T
        axes.plot(x / divisor, y, linestyle="", marker="x", markersize=4, color=GREY, zorder=1)
    for style, i in enumerate(shown):
        x, y = points[i][:, 0] / divisor, points[i][:, 1]
        axes.plot(x, y, linestyle="", marker=MARKERS[style], markersize=3, color=COLOURS[style], alpha=0.55, mew=0)
        if len(x):
            look = {"markeredgecolor": "black", "markeredgewidth": 0.6, "markersize": 6.5, "zorder": 3}
            axes.plot(x.mean(), y.mean(), linestyle="", marker=MARKERS[style], color=COLOURS[style], **look)
    if spans(everything):
        set_log(axes.xaxis)
    axes.set_xlabel(name)
    axes.grid()
    return name


def _points(results: Results, position: int, key: str) -> Array:
    """(seeds, 2): cost and metric of every seed that has both."""
    group = results.groups[position]
    measured = results.measured(group, results.metric)
    points = [(_cost(group.repeats[repeat], key), value) for repeat, value in measured.items()]
    return np.array([point for point in points if np.isfinite(point[0])]).reshape(-1, 2)


def _unit(key: str, values: Array) -> tuple[float, str]:
    largest = values.max(initial=0)
    if key == "parameters":
        divisor, unit = (1e6, "millions") if largest >= 1e6 else (1e3, "thousands")
        return divisor, f"parameters ({unit})"
    kind = {"gpu_s": "GPU time", "wall_s": "wall time"}[key]
    divisor, unit = (3600, "h") if largest > 7200 else (60, "min") if largest > 300 else (1, "s")
    return divisor, f"{kind} ({unit})"


def _caption(findings: Findings, units: list[str]) -> str:
    metric, results = findings.results.metric, findings.results
    costs = " and ".join(unit.split(" (")[0] for unit in units)
    caption = f"{one_line(metric)} against {costs} of a whole run. Small: seeds; large: their mean; "
    caption += f"{seed_counts(findings, metric, range(len(results.groups)))}. Split: {split_of(metric)}. "
    return caption + f"{selection_rule(results)} No tests, hence no correction."
