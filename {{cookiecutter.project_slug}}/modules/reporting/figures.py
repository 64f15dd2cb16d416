"""Figures, each one function that returns a matplotlib figure and its caption.

Colours are those of Okabe and Ito, which colour-blind readers tell apart; line styles and markers repeat what the
colours say, for printing in black and white.
"""

import functools
import math
import textwrap
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modules.reporting.collect import Group, Results
from modules.reporting.findings import Findings, Summary
from modules.reporting.run_folders import one_line
from modules.reporting.statistics import describe
from modules.reporting.tables import selection_rule

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999"]
LINES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<"]
MOST_CURVES = len(COLOURS)  # more lines in one plot cannot be told apart
MOST_LINES = 60  # of labels beside a plot; more do not fit on a page
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.4,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "pdf.fonttype": 42,  # fonts that a publisher accepts
    "text.parse_math": False,  # a $ in a name is a $
    "savefig.dpi": 200,
}


def draw_figures(findings: Findings, names: list[str], width_cm: float, folder: Path) -> dict[str, str]:
    """Write every figure as PDF and PNG; returns {file name without suffix: caption}."""
    captions = {}
    results, summary = findings.results, findings.summary
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the reader's own matplotlibrc must not change the report
        matplotlib.rcParams.update(STYLE)
        for name, drawn in {
            "comparison": comparison(results, summary, results.metric, width_cm),
            "comparison_test": results.test_metric and comparison(results, summary, results.test_metric, width_cm),
            "learning_curves": learning_curves(results, summary, width_cm),
        }.items():
            if drawn:
                figure, captions[name] = drawn
                # Without a date and a version, the same runs give the same bytes.
                figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
                figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    return captions


def comparison(results: Results, summary: Summary, metric: str, width_cm: float) -> tuple[Figure, str]:
    """One row per setting: every seed, the mean and its interval."""
    names = [_wrap(group.label, 36) for group in results.groups]
    height = max(1.5, 1.2 + max(name.count("\n") for name in names))  # of a row, in lines of text
    shown, note = _choose(results, summary, int(MOST_LINES / height))
    labels = [f"{names[i]}  (n = {summary[metric][i].n})" for i in shown]
    figure = Figure(figsize=(width_cm / 2.54, 0.7 + 0.17 * height * len(shown)), layout="constrained")
    axes = figure.subplots()
    for y, i in enumerate(shown):
        values = results.values.loc[[run.name for run in results.groups[i].runs], metric].to_numpy()
        spread = np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(1)
        axes.plot(values, y + spread, linestyle="", marker="o", markersize=3.8, color=COLOURS[0], alpha=0.7, mew=0)
        one = summary[metric][i]
        axes.plot([one.low, one.high], [y, y], color="black", linewidth=1.2, marker="|", markersize=6)
        axes.plot([one.mean], [y], color="black", marker="D", markersize=4, linestyle="", markerfacecolor="white")
    axes.set_yticks(range(len(shown)), labels)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel(drawable(metric))
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.ticklabel_format(axis="x", useOffset=False)
    caption = f"{one_line(metric)} per setting. Points: seeds; diamond: their mean; bar: 95 % t interval of the mean "
    caption += f"(from 3 seeds). n is the number of seeds. Split: {_split(metric)}. {selection_rule(results)} "
    return figure, caption + "No tests, hence no correction." + note


def learning_curves(results: Results, summary: Summary, width_cm: float) -> tuple[Figure, str] | None:
    """Rows: quantities measured on both splits; left: training, right: validation."""
    columns = set(results.curves.columns)
    quantities = [name.removeprefix("train/") for name in results.curves.columns if name.startswith("train/")]
    primary = results.metric.split("/", 1)[-1]
    quantities = sorted((q for q in quantities if f"validation/{q}" in columns), key=lambda q: q != primary)[:3]
    if not quantities:
        return None
    shown, note = _choose(results, summary, MOST_CURVES)
    inches = width_cm / 2.54
    figure = Figure(layout="constrained")
    grid = figure.subplots(len(quantities), 2, sharex=True, sharey="row", squeeze=False)
    for axes_row, quantity in zip(grid, quantities, strict=True):
        for axes, split in zip(axes_row, ("train", "validation"), strict=True):
            for style, i in enumerate(shown):
                _draw_curves(axes, results.curves, results.groups[i], f"{split}/{quantity}", style)
            axes.set_ylabel(drawable(f"{split}/{quantity}"))
            axes.grid()
            axes.tick_params(labelleft=True)
        measured = results.curves[[f"train/{quantity}", f"validation/{quantity}"]].to_numpy()
        measured = measured[np.isfinite(measured)]
        if measured.size and measured.min() > 0 and measured.max() > 100 * measured.min():
            axes_row[0].set_yscale("log")  # one run that explodes must not flatten all others
            axes_row[0].yaxis.set_major_formatter("{x:g}")  # the usual one writes TeX
    for axes in grid[-1]:
        axes.set_xlabel("step (updates of the weights)")
    legend_rows = _add_legend(figure, [_wrap(results.groups[i].label, 60) for i in shown], inches)
    figure.set_size_inches(inches, inches * 0.31 * len(quantities) + 0.4 + 0.16 * legend_rows)
    caption = "Learning curves, training on the left, validation on the right. Thin: each seed; thick: mean where "
    caption += f"every seed has a value; band: 95 % t interval of the mean (from 3 seeds). n: {_n_range(results)} "
    return figure, caption + "seeds per setting. Every evaluation is shown, not only the best one." + note


def _draw_curves(axes: Axes, curves: pd.DataFrame, group: Group, metric: str, style: int) -> None:
    own = curves.loc[curves["run"].isin([run.name for run in group.runs]) & curves[metric].notna()]
    if own.empty:
        return
    table = own.pivot_table(index="step", columns="run", values=metric, aggfunc="last")
    steps, seeds = table.index.to_numpy(), table.to_numpy()  # seeds: (steps, seeds), NaN where one has none
    colour = COLOURS[style]
    for one in seeds.T:
        axes.plot(steps[np.isfinite(one)], one[np.isfinite(one)], color=colour, linewidth=0.4, alpha=0.5)
    complete = np.isfinite(seeds).all(1)
    steps, (_, mean, _, half) = steps[complete], describe(seeds[complete])
    axes.fill_between(steps, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
    every = max(1, len(steps) // 6)
    look = {"linestyle": LINES[style], "marker": MARKERS[style], "markevery": every, "markersize": 2.5}
    axes.plot(steps, mean, color=colour, linewidth=1.3, **look)


def _add_legend(figure: Figure, names: list[str], width_inches: float) -> int:
    """A legend below the axes, in as many columns as fit; returns its number of text lines."""
    looks = zip(COLOURS, LINES, MARKERS, strict=True)
    handles = [
        Line2D([], [], color=colour, linestyle=line, marker=marker, markersize=3, linewidth=1.3)
        for _, (colour, line, marker) in zip(names, looks, strict=False)
    ]
    longest = max(len(line) for name in names for line in name.split("\n"))
    columns = int(max(1, min(len(names), width_inches * 15 // (longest + 7))))
    # matplotlib leaves a name that begins with _ out of the legend.
    names = [f" {name}" if name.startswith("_") else name for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=columns, handlelength=3)
    return -(-len(names) // columns) * max(1 + name.count("\n") for name in names)


def _choose(results: Results, summary: Summary, most: int) -> tuple[list[int], str]:
    """The positions of the groups that fit into a figure: the best ones; a sentence if some are left out."""
    count = len(results.groups)
    if count <= most:
        return list(range(count)), ""
    metric, sign = results.monitor["metric"], {"max": -1, "min": 1}[results.monitor["direction"]]
    means = [sign * one.mean if one.n else math.inf for one in summary[metric]]
    best = sorted(range(count), key=means.__getitem__)[:most]
    return sorted(best), f" Shown: the best {most} of {count} settings by mean {metric}; all are in the table."


def _split(metric: str) -> str:
    return one_line(metric.split("/", 1)[0])


def _n_range(results: Results) -> str:
    counts = sorted({len(group.runs) for group in results.groups})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _wrap(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(drawable(text), width, break_on_hyphens=False))


def drawable(text: str) -> str:
    """The text on one line, with U+4E2D in the place of a letter that the fonts of figures and report.pdf lack."""
    known = _letters()
    return "".join(char if ord(char) in known else f"U+{ord(char):04X}" for char in one_line(text))


@functools.cache
def _letters() -> set[int]:
    # Among the fonts inside typst this one knows the most letters; the one of the figures knows all of these, too.
    return set(font_manager.get_font(font_manager.findfont("DejaVu Sans Mono")).get_charmap())
