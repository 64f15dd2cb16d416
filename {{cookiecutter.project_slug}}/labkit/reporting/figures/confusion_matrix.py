"""Which classes are taken for which: the best setting beside the baseline."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from labkit.reporting import captions
from labkit.reporting.analysis.findings import BEST, Findings
from labkit.reporting.analysis.statistics import Array
from labkit.reporting.figures import style
from labkit.runs.files import RESULT, TEST
from labkit.runs.study import Run

MOST_PANELS = 4
LETTER = 0.065  # inches: the width of a letter
MOST_LETTERS = 16  # of the name of a class beside the matrix
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 10**9)  # from class to class with a tick


@dataclass
class _Panel:
    name: str
    seeds: int
    counts: Array  # (true class, predicted class), summed over the seeds


def confusion_matrix(findings: Findings, width_cm: float) -> list[style.Drawing] | str:
    """One figure for the best validation evaluation, and one for the test split, of the same weights."""
    drawn: list[style.Drawing] = []
    for name, split, evaluation in (
        ("confusion_matrix", "validation", "the best validation evaluation"),
        ("confusion_matrix_test", "test", "the test split, with the same weights"),
    ):
        panels, skipped = _panels(findings, split)
        if panels:
            run = findings.results.repetition
            what = "; ".join(f"{panel.name}, n = {captions.counted(panel.seeds, run)}" for panel in panels)
            caption = (
                f"Confusion matrices of {evaluation}, counts summed over the {run}s: {what}. Rows: the true class; "
                f"columns: the predicted one; in percent of the true class, on a square-root scale of colour, so that "
                f"rare confusions are seen. {captions.selection_rule(findings.results)} {captions.NO_TESTS}{skipped}"
            )
            classes = _class_names(findings, len(panels[0].counts))
            drawn.append((name, _draw(panels, classes, width_cm), caption))
    return drawn or "the runs of the best setting and of the baseline hold no confusion matrix."


def _panels(findings: Findings, split: str) -> tuple[list[_Panel], str]:
    """Of the baseline and the best setting; and a sentence on the runs that do not count."""
    chosen = [findings.results.groups[i] for i in _choose(findings)]
    found = {run.name: _read(run, split) for group in chosen for run in group.runs}
    sizes = Counter(len(matrix) for matrix in found.values() if matrix is not None)
    if not sizes:
        return [], ""
    size = sizes.most_common(1)[0][0]
    counted = {name: matrix for name, matrix in found.items() if matrix is not None and len(matrix) == size}
    panels = []
    for group in chosen:
        own = [counted[run.name] for run in group.runs if run.name in counted]
        if own:
            panels.append(_Panel(group.label, len(own), np.sum(own, axis=0)))
    if len(panels) > 1:
        for letter, panel in zip("abcd", panels, strict=False):
            panel.name = f"({letter}) {panel.name}"
    skipped = sorted(set(found) - set(counted))
    return panels, f" Left out, without a matrix of {size} classes: {', '.join(skipped)}." if skipped else ""


def _choose(findings: Findings) -> list[int]:
    """The baseline, that of the best setting first if there are several, and the best setting."""
    best = [i for i, mark in enumerate(findings.marks) if mark == BEST]
    opponents = [comparison.against for comparison in findings.comparisons if comparison.group in best]
    baselines = sorted(findings.baselines, key=lambda i: i not in opponents)
    return [i for i in baselines if i not in best][: MOST_PANELS - len(best)] + best


def _read(run: Run, split: str) -> Array | None:
    """None if there is none; the run itself keeps no matrix: thousands would fill the memory."""
    if split == "test" and not run.tests["best"]:  # there is no test.json, or it is about other weights
        return None
    try:
        content: Any = json.loads((run.path / {"validation": RESULT, "test": TEST}[split]).read_bytes())
        matrix = np.array(content.get("confusion_matrix"), float)
    except (OSError, ValueError, TypeError):
        return None
    return matrix if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 0 else None


def _class_names(findings: Findings, classes: int) -> list[str]:
    names = findings.results.names.classes["class"]
    if len(names) != classes:  # of something else, or not known
        return [str(number) for number in range(classes)]
    return [_short(style.drawable(name), number) for number, name in names.items()]


def _short(name: str, number: str) -> str:
    """Fits beside the matrix; a name that was cut has its number as well."""
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 5]}\u2026 ({number})"


def _draw(panels: list[_Panel], classes: list[str], width_cm: float) -> Figure:
    inches = width_cm * style.CM
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    side = min(inches - 0.6, 3.2) if columns == 1 else (inches - 1.1) / 2
    longest = LETTER * max(map(len, classes))
    turned = longest > _step(len(classes), side) * side / len(classes)
    below = longest if turned else 0.0
    side = min(side, (inches - 1.1 - longest) / columns)
    names = [style.wrap(panel.name, int(side * 14)) for panel in panels]
    figure = Figure(layout="compressed")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    meshes = [
        _draw_matrix(axes, panel.counts, classes, side, 90 if turned else 0)
        for axes, panel in zip(grid.flat, panels, strict=False)
    ]
    for axes, name in zip(grid.flat, names, strict=False):
        axes.set_title(name, loc="left")
        axes.set_xlabel("predicted class")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel("true class")
    bar = figure.colorbar(meshes[-1], ax=grid, pad=0.02, aspect=30, ticks=[0, 1, 5, 10, 25, 50, 75, 100])
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.set_label("share of the true class (%)")
    lines = max(name.count("\n") + 1 for name in names)
    figure.set_size_inches(inches, rows * (side + 0.35 + style.LINE * lines) + below)
    return figure


def _draw_matrix(axes: Axes, counts: Array, names: list[str], side: float, turn: int) -> ScalarMappable:
    total = counts.sum(1, keepdims=True)
    shares = 100 * np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    classes = len(counts)
    texts = [[_percent(share) for share in row] for row in shares] if classes <= side * 4.6 else None
    mesh = style.draw_cells(axes, shares, texts, cmap="Blues", norm=PowerNorm(0.5, 0, 100))
    shown = range(0, classes, _step(classes, side))
    for axis in (axes.xaxis, axes.yaxis):
        style.set_ticks(axis, [number + 0.5 for number in shown], [names[number] for number in shown])
    axes.tick_params(axis="x", rotation=turn)
    axes.set_aspect("equal")
    return mesh


def _step(classes: int, side: float) -> int:
    """From class to class with a tick, so that the ticks do not touch."""
    return next(step for step in STEPS if classes <= side * 7 * step)


def _percent(share: float) -> str:
    """Nothing where nothing was confused: what there is stands out."""
    if share == 0:
        return ""
    if share < 0.5:
        return "<1"
    return ">99" if 99.5 <= share < 100 else f"{share:.0f}"
