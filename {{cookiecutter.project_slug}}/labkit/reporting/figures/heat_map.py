"""The map that figures/swept_keys.py draws where two numbers vary: no figure of its own in config/report.yaml."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from labkit.reporting import captions
from labkit.reporting.figures import style
from labkit.reporting.findings import Findings
from labkit.reporting.grouping import as_text
from labkit.reporting.statistics import Array

MOST_UPRIGHT = 12  # columns with numbers beside each other; more are turned
MOST_NUMBERS = 30
MOST_CELLS = 60  # on a side


def heat_map(findings: Findings, keys: list[str], width_cm: float) -> tuple[Figure, str] | None:
    """The mean for each pair of values of two keys; None where less than half of the pairs were tried."""
    results = findings.results
    tried = {i: group.config for i, group in enumerate(results.groups) if set(keys) <= set(group.config)}
    down, across = sorted(keys, key=lambda key: len({config[key] for config in tried.values()}))  # a wide map
    rows = sorted({config[down] for config in tried.values()}, reverse=True)
    columns = sorted({config[across] for config in tried.values()})
    means = np.full((len(rows), len(columns)), np.nan)
    places = {i: (rows.index(config[down]), columns.index(config[across])) for i, config in tried.items()}
    for i, place in places.items():
        means[place] = findings.summary[results.metric][i].mean
    if np.isfinite(means).sum() < 0.5 * max(means.size, 1) or len(columns) > MOST_CELLS:
        return None
    turned = len(columns) > MOST_UPRIGHT
    numbered = len(columns) <= MOST_NUMBERS
    inches = width_cm * style.CM
    height = max(1.2, _row_height(turned, numbered) * len(rows))
    figure = Figure(figsize=(inches, 0.5 + height), layout="constrained")
    axes = figure.subplots()
    better = {"max": "Blues", "min": "Blues_r"}[results.direction]  # dark is better
    mesh = style.draw_cells(axes, means, _texts(means) if numbered else None, 90 if turned else 0, cmap=better)
    row, column = next(places[i] for i in findings.ranking if i in places)
    axes.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor="black", linewidth=1.6, clip_on=False))
    for axis, values in ((axes.xaxis, columns), (axes.yaxis, rows)):
        style.set_ticks(axis, np.arange(len(values)) + 0.5, [as_text(value) for value in values])
    axes.tick_params(axis="x", rotation=90 if turned else 0)
    axes.set_xlabel(style.axis_label(across, 0.7 * inches))
    axes.set_ylabel(style.axis_label(down, height))
    if not numbered:
        figure.colorbar(mesh, ax=axes, pad=0.02, aspect=25)
    hatched = " Hatched: not tried, or no number." if np.isnan(means).any() else ""
    caption = (
        f"Mean {results.label} for each pair of {across} and {down}, darker is better; "
        f"framed: the best; {captions.basis(findings, results.metric, range(len(results.groups)))} "
        f"{captions.NO_TESTS}{hatched}"
    )
    return figure, caption


def _row_height(turned: bool, numbered: bool) -> float:
    """In inches."""
    if not numbered:
        return 0.13
    return 0.46 if turned else 0.28


def _texts(means: Array) -> list[list[str]]:
    """With as many decimals that the range of the means has three digits."""
    finite = means[np.isfinite(means)]
    size = np.ptp(finite) or abs(finite[0])
    decimals = min(max(2 - math.floor(math.log10(size)), 0), 6) if size else 0
    return [[f"{value:.{decimals}f}" for value in row] for row in means]
