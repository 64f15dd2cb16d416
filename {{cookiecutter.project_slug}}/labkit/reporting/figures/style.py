"""What the figures share: their look, the names in them, and the choice of the settings that fit.

Colours are those of Okabe and Ito, which colour-blind readers tell apart; line styles and markers repeat what the
colours say, for printing in black and white.
"""

import functools
import re
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from labkit.reporting.collect import Results
from labkit.reporting.findings import BEST, Findings
from labkit.reporting.grouping import Group
from labkit.reporting.statistics import Array
from labkit.text import one_line

Drawing = tuple[str, Figure, str]  # the file's name without suffix, the figure, its caption
Draw = Callable[[Findings, float], list[Drawing] | str]

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999"]
LINES: list[Any] = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<"]
MOST_CURVES = len(COLOURS)  # more lines in one plot cannot be told apart
MOST_LINES = 40  # of labels beside a plot; more do not fit on a page with a caption
MOST_LABEL_LINES = 4
LINE = 0.17  # inches: the height of a line of text, with some air
CM = 1 / 2.54  # inches
SMALL = 7  # points
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.linewidth": 0.4,
    "grid.color": "#dddddd",
    "hatch.linewidth": 0.4,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # fonts that a publisher accepts
    "text.parse_math": False,  # a $ in a name is a $
    "axes.formatter.useoffset": False,
}


def seeds_of(results: Results, group: Group, metric: str) -> Array:
    """The metric of every seed that has a number (seeds,)."""
    return np.array(list(results.measured(group, metric).values()))


def choose(findings: Findings, most: int) -> tuple[list[int], str]:
    """The positions of the groups that fit into a figure: the baseline and the best ones; a sentence if some do not."""
    results, count = findings.results, len(findings.results.groups)
    if count <= most:
        return list(range(count)), ""
    named = [i for i in findings.baselines if findings.marks[i] != BEST][: most - 1]
    best = [i for i in findings.ranking if i not in named][: most - len(named)]
    note = f" Shown: the best {len(best)} of {count} settings by mean {one_line(results.metric)}"
    note += f"{' and the baseline' if named else ''}; all are in the table."
    return sorted(named + best), note


def split_of(metric: str) -> str:
    return one_line(metric.split("/", 1)[0])


def seed_counts(findings: Findings, metric: str, shown: Iterable[int]) -> str:
    """n = 5 seeds per setting."""
    counts = sorted({findings.summary[metric][i].n for i in shown})
    if counts == [1]:
        return "one seed per setting"
    return f"n = {counts[0]}{f' to {counts[-1]}' if len(counts) > 1 else ''} seeds per setting"


def nothing_measured(findings: Findings) -> str:
    """The sentence that stands for a figure if no run has a number of the report's metric; empty if one has."""
    metric = findings.results.metric
    measured = any(one.n for one in findings.summary[metric])
    return "" if measured else f"no run has a number of {one_line(metric)}."


def spans(values: Array) -> bool:
    """Whether the values are best drawn on a logarithmic axis: positive, and over two decades or more."""
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() >= 99.9 * values.min())


def beside_each_other(rows: Array, seeds: list[Array], half: float) -> tuple[Array, Array]:
    """x and y of the seeds of each row, up to `half` above and below it."""
    spread = [np.linspace(-half, half, len(one)) if len(one) > 1 else 0 * one for one in seeds]
    return np.concatenate(seeds), np.concatenate([row + one for row, one in zip(rows, spread, strict=True)])


def rows_of(names: list[str]) -> tuple[Array, float]:
    """Where to put rows beside wrapped names, and how high they are together, both in lines of text."""
    heights = np.array([1.5 + name.count("\n") for name in names])
    return np.cumsum(heights) - heights / 2, float(heights.sum())


def fitting(names: list[str]) -> int:
    """How many rows of such names fit on a page."""
    return int(MOST_LINES / (1.5 + max(name.count("\n") for name in names)))


def set_log(axis: Axis) -> None:
    """Logarithmic, with numbers as they are spoken: the usual ones write TeX."""
    axis.axes.set_xscale("log") if isinstance(axis, XAxis) else axis.axes.set_yscale("log")
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def limit_ticks(axis: Axis, inches: float) -> None:
    """As many as an axis of this length has room for: by itself matplotlib counts on shorter numbers."""
    axis.set_major_locator(MaxNLocator(max(2, int(2.2 * inches)), steps=[1, 2, 2.5, 5, 10]))


def set_ticks(axis: Axis, places: Iterable[float], names: list[str]) -> None:
    axis.set_ticks(list(places), names)
    axis.set_minor_locator(NullLocator())


def add_legend(figure: Figure, names: list[str], width_inches: float, lines: bool = True) -> float:
    """The first styles with their names, below the axes, in as many columns as fit; returns its height in inches."""
    styles: list[Any] = LINES if lines else ["none"] * MOST_CURVES
    looks = zip(COLOURS, styles, MARKERS, strict=True)
    handles = [
        Line2D([], [], color=colour, linestyle=line, marker=marker, markersize=3 if lines else 5, linewidth=1.3)
        for _, (colour, line, marker) in zip(names, looks, strict=False)
    ]
    return put_legend(figure, handles, names, width_inches, 3 if lines else 1)


def put_legend(figure: Figure, handles: list[Line2D], names: list[str], inches: float, length: float = 3) -> float:
    """Below the axes; returns its height in inches."""
    longest = max(len(line) for name in names for line in name.split("\n"))
    columns = int(max(1, min(len(names), inches * 15 // (longest + 4 + length))))
    # matplotlib leaves a name that begins with _ out of the legend.
    names = [f" {name}" if name.startswith("_") else name for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=columns, handlelength=length)
    return 0.14 * -(-len(names) // columns) * max(1 + name.count("\n") for name in names) + 0.05


def draw_cells(axes: Axes, values: Array, texts: list[list[str]] | None, rotation: float = 0, **look: Any) -> QuadMesh:
    """A map of values (rows, columns), the first row on top, with a text in each cell; NaN is hatched."""
    few = max(values.shape) <= 30
    axes.patch.set(hatch="////", edgecolor="#999999", facecolor="white")
    mesh = axes.pcolormesh(np.ma.masked_invalid(values), edgecolors="white" if few else "none", linewidth=0.4, **look)
    axes.set_ylim(len(values), 0)
    shade = mesh.to_rgba(values)[..., :3] @ np.array([0.299, 0.587, 0.114])
    for row, column in np.argwhere(np.isfinite(values)):
        if texts is None:
            break
        colour = "white" if shade[row, column] < 0.5 else "black"
        where = {"ha": "center", "va": "center", "rotation": rotation, "rotation_mode": "default"}
        axes.text(column + 0.5, row + 0.5, texts[row][column], color=colour, fontsize=SMALL, **where)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return mesh


def axis_label(text: str, inches: float) -> str:
    """Wrapped to the length of its axis, after a space, / or _ where there is one; the caption has all of it."""
    longest, lines = max(8, int(12 * inches)), [""]
    for part in re.findall(r"[^ /_]*[ /_]?", drawable(text)):
        for start in range(0, len(part), longest):
            piece = part[start : start + longest]
            if len(lines[-1]) + len(piece.rstrip()) > longest:
                lines.append("")
            lines[-1] += piece
    lines = [line.rstrip() for line in lines if line]
    return "\n".join(lines if len(lines) <= MOST_LABEL_LINES else [*lines[: MOST_LABEL_LINES - 1], "\u2026"])


def wrap(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(drawable(text), width, break_on_hyphens=False))


def drawable(text: str) -> str:
    """The text on one line, with U+4E2D in the place of a letter that the fonts of figures and report.pdf lack."""
    known = _letters()
    return "".join(char if ord(char) in known else f"U+{ord(char):04X}" for char in one_line(text))


@functools.cache
def _letters() -> set[int]:
    # Among the fonts inside typst this one knows the most letters; the one of the figures knows all of these, too.
    return set(font_manager.get_font(font_manager.findfont("DejaVu Sans Mono")).get_charmap())
