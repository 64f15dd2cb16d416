"""The map that figures/swept_keys.py draws where two numbers vary: no figure of its own in config/report.yaml."""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from labkit.reporting.captions import selection_rule
from labkit.reporting.figures.style import CM, axis_label, draw_cells, seed_counts, set_ticks, split_of
from labkit.reporting.findings import Findings
from labkit.reporting.grouping import as_text
from labkit.reporting.statistics import Array
from labkit.text import one_line

MOST_UPRIGHT = 12  # columns with numbers beside each other; more are turned
MOST_NUMBERS = 30
MOST_CELLS = 60  # on a side


def heat_map(findings: Findings, keys: list[str], width_cm: float) -> tuple[Figure, str] | None:
    """The mean for each pair of values of two keys; None where less than half of the pairs were tried."""
    configs = [group.config for group in findings.results.groups]
    sides = [sorted({config[key] for config in configs if key in config}) for key in keys]
    (down, rows), (across, columns) = sorted(zip(keys, sides, strict=True), key=lambda side: len(side[1]))
    means = _means(findings, (down, across), rows, columns)
    if np.isfinite(means).mean() < 0.5 or len(columns) > MOST_CELLS:
        return None
    turned, numbered = len(columns) > MOST_UPRIGHT, len(columns) <= MOST_NUMBERS
    height = 0.46 if turned and numbered else 0.28 if numbered else 0.13
    inches, height = width_cm * CM, max(1.2, height * len(rows))
    figure = Figure(figsize=(inches, 0.5 + height), layout="constrained")
    axes = figure.subplots()
    better = {"max": "Blues", "min": "Blues_r"}[findings.results.direction]  # dark is better
    texts = _texts(means) if numbered else None
    mesh = draw_cells(axes, means[::-1], texts and texts[::-1], 90 if turned else 0, cmap=better)
    best = next(configs[i] for i in findings.ranking if down in configs[i] and across in configs[i])
    place = (columns.index(best[across]), len(rows) - 1 - rows.index(best[down]))
    axes.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor="black", linewidth=1.6, clip_on=False))
    set_ticks(axes.xaxis, np.arange(len(columns)) + 0.5, [as_text(value) for value in columns])
    set_ticks(axes.yaxis, np.arange(len(rows)) + 0.5, [as_text(value) for value in rows[::-1]])
    axes.tick_params(axis="x", rotation=90 if turned else 0)
    axes.set_xlabel(axis_label(across, 0.7 * inches))
    axes.set_ylabel(axis_label(down, height))
    if not numbered:
        figure.colorbar(mesh, ax=axes, pad=0.02, aspect=25)
    hatched = " Hatched: not tried, or no number." if np.isnan(means).any() else ""
    return figure, _caption(findings, down, across) + hatched


def _means(findings: Findings, keys: tuple[str, str], rows: list[Any], columns: list[Any]) -> Array:
    means = np.full((len(rows), len(columns)), np.nan)
    for group, one in zip(findings.results.groups, findings.summary[findings.results.metric], strict=True):
        down, across = (group.config.get(key) for key in keys)
        if down is not None and across is not None:
            means[rows.index(down), columns.index(across)] = one.mean
    return means


def _texts(means: Array) -> list[list[str]]:
    """With as many decimals that the range of the means has three digits."""
    finite = means[np.isfinite(means)]
    size = np.ptp(finite) or abs(finite[0])
    decimals = min(max(2 - math.floor(math.log10(size)), 0), 6) if size else 0
    return [[f"{value:.{decimals}f}" for value in row] for row in means]


def _caption(findings: Findings, down: str, across: str) -> str:
    metric, results = findings.results.metric, findings.results
    caption = f"Mean {one_line(metric)} for each pair of {one_line(across)} and {one_line(down)}, darker is better; "
    caption += f"framed: the best. {seed_counts(findings, metric, range(len(results.groups)))}. Split: "
    return caption + f"{split_of(metric)}. {selection_rule(results)} No tests, hence no correction."
