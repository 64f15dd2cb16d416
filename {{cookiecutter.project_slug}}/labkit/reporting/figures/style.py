"""What the figures share: their look, the names in them, and which settings fit.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart. Line styles and markers repeat what
the colours say, for prints in black and white.
"""

import functools
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from labkit.reporting.analysis.findings import BEST, Findings
from labkit.reporting.analysis.statistics import Array, Difference, Estimate
from labkit.text import one_line, shortened

Drawing = tuple[str, Figure, str]  # the file's name without a suffix, the figure, its caption
Draw = Callable[[Findings, float], list[Drawing] | str]

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999"]
LINES: list[Any] = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<"]
MOST_DECADES = 100  # of an axis: matplotlib cannot draw margins beside more
MOST_POINTS = 400  # of a line: a panel is not wider
MOST_CELLS = 60  # on a side of a map, as rectangles
MOST_CURVES = len(COLOURS)  # more lines in one plot cannot be told apart
MOST_LINES = 40  # of labels beside a plot; more do not fit on a page with a caption
MOST_LABEL_LINES = 4
MOST_NAME_LINES = 8  # of a setting; a longer name is cut in the middle
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


def look(position: int, joined: bool = True) -> dict[str, Any]:
    """Of the line at this position in the legend; not joined: of its marks alone."""
    return {"color": COLOURS[position], "linestyle": LINES[position] if joined else "", "marker": MARKERS[position]}


def choose(findings: Findings, most: int) -> tuple[list[int], str]:
    """The positions of the groups that fit into a figure, and a sentence if some do not.

    Those are the baseline and the best ones.
    """
    count = len(findings.results.groups)
    if count <= most:
        return list(range(count)), ""
    named = [i for i in findings.baselines if findings.marks[i] != BEST][: most - 1]
    best = [i for i in findings.ranking if i not in named][: most - len(named)]
    baseline = " and the baseline" if named else ""
    by = f"by mean {findings.results.title}{baseline}"
    return sorted(named + best), f" Shown: the best {len(best)} of {count} settings {by}; all are in summary.csv."


def nothing_measured(findings: Findings) -> str:
    """The sentence that stands for a figure if no run has a number of the report's metric; empty if one has."""
    results = findings.results
    measured = any(estimate.n for estimate in findings.summary[results.metric])
    return "" if measured else f"no run has a number of {results.title}."


def seeds_of(findings: Findings, position: int, metric: str) -> Array:
    """The metric of every seed of a group that has a number (seeds,)."""
    results = findings.results
    return np.array(list(results.measured(results.groups[position], metric).values()))


def mean_and_reach(estimates: Sequence[Estimate | Difference]) -> tuple[Array, Array]:
    """The means (estimates,), and how far their intervals reach below and above them (2, estimates)."""
    means = np.array([estimate.mean for estimate in estimates])
    low, high = np.array([(estimate.low, estimate.high) for estimate in estimates]).reshape(-1, 2).T
    return means, np.array([means - low, high - means])


def spans(values: Array) -> bool:
    """Whether the values are best drawn on a logarithmic axis: positive, and over two decades or more."""
    values = values[np.isfinite(values)]
    if not values.size or values.min() <= 0:
        return False
    decades = np.log10(values.max()) - np.log10(values.min())
    return bool(1.9995 <= decades <= MOST_DECADES)


def telling(values: Array) -> npt.NDArray[np.intp]:
    """The positions of what a line of these values shows: of each stretch the lowest and the highest one."""
    positions = np.arange(len(values))
    if len(values) <= MOST_POINTS:
        return positions
    stretches = np.array_split(positions, MOST_POINTS // 2)
    ends = [stretch[extreme(values[stretch])] for stretch in stretches for extreme in (np.argmin, np.argmax)]
    return np.unique([0, *ends, len(values) - 1])


def draw_together(axes: Axes, lines: Iterable[Array], **look: Any) -> None:
    """Lines of points (points, 2) as a single one with gaps: a line takes matplotlib as long as hundreds of points."""
    gap = np.full((1, 2), np.nan)
    if parts := [part for line in lines for part in (line, gap)]:
        axes.plot(*np.concatenate(parts).T, **look)


def beside_each_other(rows: Array, seeds: list[Array], half: float) -> tuple[Array, Array]:
    """x and y of the seeds of each row, up to `half` above and below it."""
    y = []
    for row, values in zip(rows, seeds, strict=True):
        reach = half if len(values) > 1 else 0
        y.append(row + np.linspace(-reach, reach, len(values)))
    return np.concatenate(seeds), np.concatenate(y)


def name_rows(axes: Axes, names: list[str]) -> tuple[Array, float]:
    """Put wrapped names beside the axes, the first on top.

    Returns where their rows are, and how high they are together, both in lines of text.
    """
    heights = np.array([1.5 + name.count("\n") for name in names])
    rows = np.cumsum(heights) - heights / 2
    set_ticks(axes.yaxis, rows, names)
    axes.set_ylim(heights.sum(), 0)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return rows, float(heights.sum())


def fitting(names: list[str]) -> int:
    """How many rows of such names fit on a page."""
    return int(MOST_LINES / (1.5 + max(name.count("\n") for name in names)))


def set_log(axis: Axis) -> None:
    """Logarithmic, with numbers as they are spoken: the usual ones write TeX."""
    set_scale = axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale
    set_scale("log")
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def limit_ticks(axis: Axis, inches: float) -> None:
    """As many as an axis of this length has room for: by itself matplotlib counts on shorter numbers."""
    axis.set_major_locator(MaxNLocator(max(2, int(2.2 * inches)), steps=[1, 2, 2.5, 5, 10]))


def set_ticks(axis: Axis, places: Iterable[float], names: list[str]) -> None:
    axis.set_ticks(list(places), names)
    axis.set_minor_locator(NullLocator())


def add_legend(
    figure: Figure, names: list[str], looks: list[dict[str, Any]], inches: float, length: float = 3
) -> float:
    """Below the axes, in as many columns as fit; `length`: of its lines, in letters. Returns its height in inches."""
    names = [wrap(name, 60) for name in names]
    handles = [Line2D([], [], **{"markersize": 3, "linewidth": 1.3} | look) for look in looks]
    longest = max(len(line) for name in names for line in name.split("\n"))
    columns = int(max(1, min(len(names), inches * 15 // (longest + 4 + length))))
    # matplotlib leaves a name that begins with _ out of the legend.
    shown = [f" {name}" if name.startswith("_") else name for name in names]
    figure.legend(handles, shown, loc="outside lower center", ncols=columns, handlelength=length)
    return 0.14 * -(-len(names) // columns) * max(1 + name.count("\n") for name in names) + 0.05


def draw_cells(
    axes: Axes, values: Array, texts: list[list[str]] | None, rotation: float = 0, **colours: Any
) -> ScalarMappable:
    """A map of values (rows, columns), the first row on top, with a text in each cell; NaN is hatched."""
    axes.patch.set(hatch="////", edgecolor="#999999", facecolor="white")
    cells = np.ma.masked_invalid(values)
    if max(values.shape) > MOST_CELLS:  # as an image: a million rectangles are 16 MB and take a minute
        mesh: ScalarMappable = axes.imshow(cells, extent=(0, values.shape[1], len(values), 0), **colours)
    else:
        edges = "white" if max(values.shape) <= 30 else "none"
        mesh = axes.pcolormesh(cells, edgecolors=edges, linewidth=0.4, **colours)
    axes.set_ylim(len(values), 0)
    if texts is not None:
        brightness = mesh.to_rgba(values)[..., :3] @ np.array([0.299, 0.587, 0.114])
        where = {"ha": "center", "va": "center", "rotation": rotation, "rotation_mode": "default"}
        for row, column in np.argwhere(np.isfinite(values)):
            colour = "white" if brightness[row, column] < 0.5 else "black"
            axes.text(column + 0.5, row + 0.5, texts[row][column], color=colour, fontsize=SMALL, **where)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return mesh


def axis_label(text: str, inches: float) -> str:
    """Wrapped to the length of its axis, after a space, / or _ where there is one; the caption has all of it."""
    wrapper = textwrap.TextWrapper(
        max(8, int(12 * inches)), break_on_hyphens=False, max_lines=MOST_LABEL_LINES, placeholder="\u2026"
    )
    wrapper.wordsep_simple_re = re.compile(r"( +|(?<=[/_])(?![^(]*\)))")  # a unit stays whole: (mmol/L)
    return "\n".join(wrapper.wrap(drawable(text)))


def wrap(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(shortened(drawable(text), MOST_NAME_LINES * width), width, break_on_hyphens=False))


def drawable(text: str) -> str:
    """The text on one line, with U+4E2D in the place of a letter that the fonts of figures and report.pdf lack."""
    known = _letters()
    return "".join(char if ord(char) in known else f"U+{ord(char):04X}" for char in one_line(text))


@functools.cache
def _letters() -> set[int]:
    # Among the fonts inside typst this one knows the most letters; the one of the figures knows all of these, too.
    return set(font_manager.get_font(font_manager.findfont("DejaVu Sans Mono")).get_charmap())
