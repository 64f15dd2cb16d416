"""How training went: every evaluation of every seed, on both splits."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from labkit.reporting.collect import Results
from labkit.reporting.figures.style import (
    CM,
    COLOURS,
    LINES,
    MARKERS,
    MOST_CURVES,
    Drawing,
    add_legend,
    axis_label,
    choose,
    limit_ticks,
    set_log,
    spans,
    wrap,
)
from labkit.reporting.findings import Findings
from labkit.reporting.statistics import Array, describe
from labkit.text import one_line

MOST_QUANTITIES = 3


def learning_curves(findings: Findings, width_cm: float) -> list[Drawing] | str:
    """Rows: quantities measured on both splits, that of the report first; left: training, right: validation."""
    results = findings.results
    quantities, left_out = _quantities(results)
    if not quantities:
        return "no quantity was measured on both the training and the validation split."
    shown, note = choose(findings, MOST_CURVES)
    columns = [f"{split}/{quantity}" for quantity in quantities for split in ("train", "validation")]
    tables = _tables(results, shown, columns)
    inches = width_cm * CM
    figure = Figure(layout="constrained")
    grid = figure.subplots(len(quantities), 2, sharex=True, sharey="row", squeeze=False)
    for axes, column in zip(grid.flat, columns, strict=True):
        for style, table in enumerate(tables):
            if table is not None:
                _draw(axes, pd.DataFrame(table[column]), style)
        axes.autoscale_view()
        axes.set_ylabel(axis_label(column, 0.29 * inches))
        axes.grid()
        axes.tick_params(labelleft=True)
        limit_ticks(axes.xaxis, inches / 2 - 0.4)
    for row, quantity in zip(grid, quantities, strict=True):
        if spans(results.curves[[f"train/{quantity}", f"validation/{quantity}"]].to_numpy()):
            set_log(row[0].yaxis)  # one run that explodes must not flatten all others
    for axes in grid[-1]:
        axes.set_xlabel(axis_label("step (updates of the weights)", 0.45 * inches))
    below = add_legend(figure, [wrap(results.groups[i].label, 60) for i in shown], inches)
    figure.set_size_inches(inches, max(1.35, 0.31 * inches) * len(quantities) + 0.3 + below)
    counts = sorted({len(results.groups[i].runs) for i in shown})
    caption = f"Learning curves of {' and '.join(map(one_line, quantities))}, training on the left, validation on the "
    caption += "right. Thin: each seed; thick: mean where "
    caption += "every seed has a value; band: 95 % t interval of the mean (from 3 seeds). n: "
    caption += f"{counts[0]}{f' to {counts[-1]}' if len(counts) > 1 else ''} seeds per setting. Every evaluation is "
    return [("learning_curves", figure, f"{caption}shown, not only the best one. No tests.{note}{left_out}")]


def _quantities(results: Results) -> tuple[list[str], str]:
    """Those on both splits, as many as fit; a sentence on the others."""
    columns = [name for name in results.curves.columns if results.curves[name].notna().any()]
    quantities = [name.removeprefix("train/") for name in columns if name.startswith("train/")]
    primary = results.metric.split("/", 1)[-1]
    quantities = sorted((q for q in quantities if f"validation/{q}" in columns), key=lambda q: q != primary)
    rest = quantities[MOST_QUANTITIES:]
    return quantities[:MOST_QUANTITIES], f" Not drawn: {', '.join(map(one_line, rest))}." if rest else ""


def _tables(results: Results, shown: list[int], columns: list[str]) -> list[pd.DataFrame | None]:
    """Per group a table of its steps, with the columns (metric, run); None where no run has a metrics.csv."""
    rows_of = results.curves.groupby("run").indices
    tables: list[pd.DataFrame | None] = []
    for i in shown:
        rows = [rows_of[run.name] for run in results.groups[i].runs if run.name in rows_of]
        own = results.curves.iloc[np.concatenate(rows)] if rows else None
        tables.append(None if own is None else own.groupby(["step", "run"])[columns].last().unstack())
    return tables


def _draw(axes: Axes, table: pd.DataFrame, style: int) -> None:
    table = table.dropna(how="all").dropna(how="all", axis=1)
    if table.empty:
        return
    steps, seeds = table.index.to_numpy(float), table.to_numpy(float)  # seeds: (steps, seeds), NaN where one has none
    measured = [np.isfinite(one) for one in seeds.T]
    lines = [np.column_stack([steps[there], one[there]]) for one, there in zip(seeds.T, measured, strict=True)]
    axes.add_collection(LineCollection(lines, colors=COLOURS[style], linewidths=0.4, alpha=0.5))
    complete = np.isfinite(seeds).all(1)
    steps, (_, mean, _, half) = steps[complete], describe(seeds[complete])
    axes.fill_between(steps, mean - half, mean + half, color=COLOURS[style], alpha=0.15, linewidth=0)
    _draw_mean(axes, steps, mean, style)


def _draw_mean(axes: Axes, steps: Array, mean: Array, style: int) -> None:
    look = {
        "linestyle": LINES[style],
        "marker": MARKERS[style],
        "markevery": max(1, len(steps) // 6),
        "markersize": 2.5,
    }
    axes.plot(steps, mean, color=COLOURS[style], linewidth=1.3, **look)
