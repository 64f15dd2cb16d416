"""How training went: every evaluation of every seed. This is also the example of how a figure is made.

For one of your own, write a function `my_figure` in modules/figures/my_figure.py, and add my_figure to `figures:` in
config/report.yaml. The function gets what the report found (labkit/reporting/analysis/findings.py) and the width of a
page. It returns a list of (file name, figure, caption), or a sentence that says why there is nothing to draw. The
report saves the figure as PDF and PNG. Use matplotlib as you like; `style` holds what the figures share.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labkit.reporting import captions
from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.statistics import describe
from labkit.reporting.figures import style
from labkit.text import quantity_of

MOST_QUANTITIES = 3


def learning_curves(findings: Findings, width_cm: float) -> list[style.Drawing] | str:
    """One row for each quantity, training on the left and validation on the right; a colour for each setting."""
    results = findings.results
    quantities = _quantities(results)
    if not quantities:
        return "no quantity was measured on both the training and the validation split."
    drawn = quantities[:MOST_QUANTITIES]
    shown, note = style.choose(findings, style.MOST_CURVES)  # the settings that fit, as positions in results.groups
    looks = [style.look(position) for position in range(len(shown))]
    setting_of = {run.name: i for i in shown for run in results.groups[i].runs}
    measured = [name for name in results.curves if "/" in name]
    tables = {  # {setting: a row for each step, a column for each metric and run}
        setting: rows.groupby(["step", "run"])[measured].last().unstack("run")
        for setting, rows in results.curves.groupby(results.curves["run"].map(setting_of.get))
    }

    inches = width_cm * style.CM
    figure = Figure(layout="constrained")
    grid = figure.subplots(len(drawn), 2, sharex=True, sharey="row", squeeze=False)
    for row, quantity in zip(grid, drawn, strict=True):
        metrics = [f"train/{quantity}", f"validation/{quantity}"]
        for axes, metric in zip(row, metrics, strict=True):
            for i, look in zip(shown, looks, strict=True):
                if i in tables:  # not where each metrics.csv of a setting is lost
                    shared = results.test_per_train(metric, results.groups[i])
                    _draw(axes, pd.DataFrame(tables[i][metric]), shared, results.names.bounds(metric), look)
            axes.grid()
            axes.set_ylabel(style.axis_label(results.names.label(metric), 0.29 * inches))
            axes.tick_params(labelleft=True)
            style.limit_ticks(axes.xaxis, inches / 2 - 0.4)
        if style.spans(results.curves[metrics].to_numpy()):
            style.set_log(row[0].yaxis)  # one run that explodes must not flatten all others
    for axes in grid[-1]:
        axes.set_xlabel(style.axis_label("step (updates of the weights)", 0.45 * inches))
    below = style.add_legend(figure, [results.groups[i].label for i in shown], looks, inches)
    figure.set_size_inches(inches, max(1.35, 0.31 * inches) * len(drawn) + 0.3 + below)

    counts = captions.runs_per_setting(results, (len(results.groups[i].runs) for i in shown))
    titles = [results.names.quantity(quantity) for quantity in quantities]
    run = results.repetition
    caption = (
        f"Learning curves of {' and '.join(titles[:MOST_QUANTITIES])}: training on the left, validation on the right. "
        f"Thin: each {run}; thick: the mean, where every {run} has a value; band: {captions.mean_interval(results)}; "
        f"{counts}. Every evaluation is shown, not only the best one. No tests.{note}"
    )
    if len(quantities) > len(drawn):
        caption += f" Not drawn: {', '.join(titles[MOST_QUANTITIES:])}."
    return [("learning_curves", figure, caption)]


def _draw(
    axes: Axes, seeds: pd.DataFrame, test_per_train: float, bounds: tuple[float, float], look: dict[str, Any]
) -> None:
    """`seeds` has a row for each step and a column for each run, NaN where a run has no value."""
    steps = seeds.index.to_numpy()
    values = seeds.to_numpy(float)
    values = values[:, np.isfinite(values).any(0)]
    if not values.size:
        return
    finite = np.isfinite(values)
    curves = [np.column_stack([steps, curve])[there] for curve, there in zip(values.T, finite.T, strict=True)]
    lines = [curve[style.telling(curve[:, 1])] for curve in curves]
    style.draw_together(axes, lines, color=look["color"], linewidth=0.4, alpha=0.5)
    complete = finite.all(1)
    _, mean, _, half = describe(values[complete], test_per_train)
    shown = style.telling(mean)
    steps = steps[complete][shown]
    low, high = np.clip([mean - half, mean + half], *bounds)[:, shown]
    axes.fill_between(steps, low, high, color=look["color"], alpha=0.15, linewidth=0)
    axes.plot(steps, mean[shown], linewidth=1.3, markersize=2.5, markevery=max(1, len(steps) // 6), **look)


def _quantities(results: Results) -> list[str]:
    """What was measured on both splits, the quantity of the report first."""
    measured = results.curves.dropna(axis=1, how="all").columns
    names = [name.removeprefix("train/") for name in measured if name.startswith("train/")]
    both = [name for name in names if f"validation/{name}" in measured]
    return sorted(both, key=lambda name: name != quantity_of(results.metric))
