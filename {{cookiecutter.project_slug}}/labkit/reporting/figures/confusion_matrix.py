"""Which classes are taken for which: the best setting beside the baseline."""

import json
from collections import Counter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from labkit.reporting.captions import selection_rule
from labkit.reporting.figures.style import CM, LINE, Drawing, draw_cells, set_ticks, wrap
from labkit.reporting.findings import BEST, Findings
from labkit.reporting.statistics import Array
from labkit.runs.study import Run
from labkit.text import one_line

MOST_PANELS = 4
FILES = {"validation": "run.json", "test": "test.json"}


def confusion_matrix(findings: Findings, width_cm: float) -> list[Drawing] | str:
    """One figure for the best validation evaluation, and one for the test split, of the same weights."""
    drawn: list[Drawing] = []
    for split, name in (("validation", "confusion_matrix"), ("test", "confusion_matrix_test")):
        panels, skipped = _panels(findings, split)
        if panels:
            figure = _draw(panels, width_cm)
            drawn.append((name, figure, _caption(findings, panels, split) + skipped))
    return drawn or "the runs of the best setting and of the baseline hold no confusion matrix."


def _panels(findings: Findings, split: str) -> tuple[list[tuple[str, int, Array]], str]:
    """(name, seeds, counts summed over the seeds) of the baseline and the best setting; which runs do not count."""
    groups = findings.results.groups
    chosen = [groups[i] for i in _choose(findings)]
    found = {run.name: _read(run, split) for group in chosen for run in group.runs}
    sizes = Counter(matrix.shape for matrix in found.values() if matrix is not None)
    if not sizes:
        return [], ""
    (size, _), *_ = sizes.most_common()
    counted = {name: matrix for name, matrix in found.items() if matrix is not None and matrix.shape == size}
    panels = []
    for group in chosen:
        own = [counted[run.name] for run in group.runs if run.name in counted]
        if own:
            panels.append((group.label, len(own), np.sum(own, axis=0)))
    skipped = sorted(set(found) - set(counted))
    note = f" Left out, without a matrix of {size[0]} classes: {', '.join(map(one_line, skipped))}." if skipped else ""
    return panels, note


def _choose(findings: Findings) -> list[int]:
    """The baseline, that of the best setting first if there are several, and the best setting."""
    best = [i for i, mark in enumerate(findings.marks) if mark == BEST]
    opponents = [one.against for one in findings.comparisons if one.group in best]
    named = findings.baselines
    ordered = [i for i in opponents if i in named] + [i for i in named if i not in opponents]
    others = [i for i in ordered if i not in best][: MOST_PANELS - len(best)]
    return others + best


def _read(run: Run, split: str) -> Array | None:
    """None if there is none; the run itself keeps no matrix: thousands would fill the memory."""
    if split == "test" and not run.test:  # there is no test.json, or it is about other weights
        return None
    try:
        content: Any = json.loads((run.path / FILES[split]).read_bytes())
        matrix = np.array(content.get("confusion_matrix"), float)
    except (OSError, ValueError, TypeError):
        return None
    return matrix if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 0 else None


def _draw(panels: list[tuple[str, int, Array]], width_cm: float) -> Figure:
    inches = width_cm * CM
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure = Figure(layout="compressed")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    side = min(inches - 0.6, 3.2) if columns == 1 else (inches - 1.1) / 2
    names = [wrap(_name(i, panels), int(side * 14)) for i in range(len(panels))]
    mesh = None
    for axes, name, (_, _, counts) in zip(grid.flat, names, panels, strict=False):
        mesh = _draw_matrix(axes, counts, side)
        axes.set_title(name, loc="left")
        axes.set_xlabel("predicted class")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel("true class")
    assert mesh is not None
    bar = figure.colorbar(mesh, ax=grid, pad=0.02, aspect=30, ticks=[0, 1, 5, 10, 25, 50, 75, 100])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.set_label("share of the true class (%)")
    lines = max(name.count("\n") + 1 for name in names)
    figure.set_size_inches(inches, rows * (side + 0.35 + LINE * lines))
    return figure


def _name(position: int, panels: list[tuple[str, int, Array]]) -> str:
    name = panels[position][0]
    return f"({'abcd'[position]}) {name}" if len(panels) > 1 else name


def _draw_matrix(axes: Axes, counts: Array, side: float) -> QuadMesh:
    total = counts.sum(1, keepdims=True)
    shares = 100 * np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    classes = len(counts)
    texts = [[_percent(share) for share in row] for row in shares] if classes <= side * 4.6 else None
    mesh = draw_cells(axes, shares, texts, cmap="Blues", norm=PowerNorm(0.5, 0, 100))
    every = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if classes <= side * 7 * step)
    shown = range(0, classes, every)
    for axis in (axes.xaxis, axes.yaxis):
        set_ticks(axis, [one + 0.5 for one in shown], [str(one) for one in shown])
    axes.set_aspect("equal")
    return mesh


def _percent(share: float) -> str:
    """Nothing where nothing was confused: what there is stands out."""
    return "" if share == 0 else "<1" if share < 0.5 else ">99" if 99.5 <= share < 100 else f"{share:.0f}"


def _caption(findings: Findings, panels: list[tuple[str, int, Array]], split: str) -> str:
    what = "; ".join(f"{one_line(_name(i, panels))}, n = {n} seeds" for i, (_, n, _) in enumerate(panels))
    evaluation = {"validation": "the best validation evaluation", "test": "the test split, with the same weights"}[
        split
    ]
    caption = f"Confusion matrices of {evaluation}, counts summed over the seeds: {what}. Rows: the true class; "
    caption += (
        "columns: the predicted one; in percent of the true class, on a square-root scale of colour, so that rare "
    )
    caption += f"confusions are seen. {selection_rule(findings.results)} No tests, hence no correction."
    return caption
