"""What a run had reached after how long: the metric over wall time."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from labkit.reporting import captions
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.statistics import Array
from labkit.reporting.figures import style
from labkit.runs.json_shapes import LARGEST
from labkit.runs.study import Run


def time_curves(findings: Findings, width_cm: float) -> list[style.Drawing] | str:
    """One line for each run, and the target where there is one."""
    results = findings.results
    metric = results.metric
    if metric not in results.curves:
        return f"{results.title} was measured once a run."
    shown, note = style.choose(findings, style.MOST_CURVES)
    looks = [style.look(position) for position in range(len(shown))]
    drawn = results.curves["run"].isin([run.name for i in shown for run in results.groups[i].runs])
    by_run = dict(list(results.curves.loc[drawn, ["run", "step", metric]].groupby("run", observed=True)))
    inches = width_cm * style.CM
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    for i, look in zip(shown, looks, strict=True):
        runs = [run for run in results.groups[i].runs if run.name in by_run]
        lines = [_over_time(by_run[run.name], run) for run in runs]
        style.draw_together(axes, lines, **look | {"marker": "", "linewidth": 0.7, "alpha": 0.7})
    if findings.target is not None:
        axes.axhline(findings.target, color="#555555", linewidth=0.8, linestyle="--", zorder=0.9)
    axes.set_xlabel("wall time (s)")
    axes.set_ylabel(style.axis_label(results.label, 0.35 * inches))
    axes.grid()
    style.limit_ticks(axes.xaxis, inches - 0.6)
    below = style.add_legend(figure, [results.groups[i].label for i in shown], looks, inches)
    figure.set_size_inches(inches, max(2.0, 0.42 * inches) + below)
    run = results.repetition
    dashed = f" Dashed: {results.amount(findings.target)}, the target." if findings.target is not None else ""
    caption = (
        f"{results.names.opening(metric)} over the wall time of training, one line for each {run}. Time passes in "
        f"proportion to steps. {captions.NO_TESTS}{dashed}{note}"
    )
    return [("time_curves", figure, caption)]


def _over_time(curve: Any, run: Run) -> Array:
    """(evaluations, 2): seconds and the metric, where it is a number. `curve`: the columns run, step and metric."""
    _, steps, values = (curve[column].to_numpy() for column in curve)
    a_step = run.record["cost"]["wall_s"] / max(run.record["last"]["step"], 1)
    with np.errstate(over="ignore"):
        points = np.column_stack([steps * a_step, values])
    points = points[(np.abs(points) <= LARGEST).all(1)]
    return points[style.telling(points[:, 1])]
