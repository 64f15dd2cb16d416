"""What a setting does to the metric: one figure for each key that varies, and a map where just two numbers do."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from labkit.reporting import captions
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.grouping import Group, as_text, label_of
from labkit.reporting.analysis.statistics import Array
from labkit.reporting.figures import style
from labkit.runs.json_shapes import is_number
from labkit.text import file_word

LINEAR, LOG, EVEN = "linear", "log", "even"  # even: at equal distances
MOST_LABELLED = 12  # values of which each has its name below the axis
MOST_UPRIGHT = 12  # columns of the map with numbers beside each other; more are turned
MOST_NUMBERS = 30  # columns; more cells are without a number
MOST_CELLS = 60  # on a side of it


@dataclass
class _Line:
    """The groups that agree in all but the key, in the order of its values."""

    name: str
    groups: list[int]
    x: Array


def swept_keys(findings: Findings, width_cm: float) -> list[style.Drawing] | str:
    """Lines for keys with numbers, points for others; every seed, the means and their intervals."""
    if nothing := style.nothing_measured(findings):
        return nothing
    varying = findings.results.varying
    swept = {key: values for key in varying if len(values := _values(findings.results.groups, key)) > 1}
    if not swept:
        return f"the runs differ in nothing but {findings.results.repeated_over}."
    numeric = [key for key, values in swept.items() if all(map(_is_number, values))]
    if len(varying) == 1 and not numeric:
        return f"{findings.results.word(varying[0])} is all that varies, and figure comparison shows what it does."
    drawn: list[style.Drawing] = []
    for key, values in swept.items():
        name = _file_name(key, [name for name, *_ in drawn])
        drawn.append((name, *_effect(findings, key, values, key in numeric, width_cm)))
    if len(numeric) == len(varying) == 2 and (drawn_map := _heat_map(findings, numeric, width_cm)):
        drawn.append(("swept_map", *drawn_map))
    return drawn


def _values(groups: list[Group], key: str) -> list[Any]:
    """All values of the key, in the order of the groups, or by size."""
    values = list({as_text(group.config[key]): group.config[key] for group in groups if key in group.config}.values())
    return sorted(values) if all(map(_is_number, values)) else values


def _is_number(value: object) -> bool:
    return is_number(value) and not isinstance(value, bool)


def _file_name(key: str, taken: list[str]) -> str:
    """swept_optimizer_lr: letters that every file system and LaTeX take."""
    name = f"swept_{file_word(key)}"
    return name if name not in (*taken, "swept_map") else f"{name}_{len(taken) + 1}"


def _effect(findings: Findings, key: str, values: list[Any], numeric: bool, width_cm: float) -> tuple[Figure, str]:
    results = findings.results
    metric = results.metric
    scale = _scale(values) if numeric else EVEN
    lines, note = _lines(findings, key, {as_text(v): i if scale == EVEN else v for i, v in enumerate(values)})
    # No line through several settings with one value.
    joined = numeric and all(len(set(line.x)) == len(line.x) for line in lines)
    looks = [style.look(position, joined) for position in range(len(lines))]
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    if scale == LOG:
        style.set_log(axes.xaxis)
    reach = min(0.12, 0.7 / len(lines)) if scale == EVEN else 0.012  # of the distance of two values, or of the axis
    for position, (line, look) in enumerate(zip(lines, looks, strict=True)):
        shift = reach * (position - (len(lines) - 1) / 2)
        _draw(axes, findings, line, _moved(line.x, values, scale, shift), look)
    _label_values(axes, values, [results.word(as_text(value)) for value in values], scale)
    inches = width_cm * style.CM
    axes.set_xlabel(style.axis_label(results.word(key), 0.8 * inches))
    axes.set_ylabel(style.axis_label(results.names.label(metric), 0.35 * inches))
    axes.grid(axis="y")
    axes.margins(x=0.07)
    height = max(2.0, 0.42 * inches) + 0.11 * max(text.get_text().count("\n") for text in axes.get_xticklabels())
    if len(lines) > 1:
        names = [line.name for line in lines]
        sizes = {"markersize": 3 if joined else 5}
        height += style.add_legend(figure, names, [look | sizes for look in looks], inches, 3 if joined else 1)
        note += " Marks are moved aside a little where they would cover each other."
    figure.set_size_inches(inches, height)
    large = "lines and large markers" if joined else "large markers"
    shown = [i for line in lines for i in line.groups]
    axis = {LINEAR: "", LOG: " Logarithmic axis.", EVEN: " Values at equal distances."}[scale] if numeric else ""
    caption = (
        f"Effect of {results.word(key)} on {results.names.label(metric)}. "
        f"Points: {results.repetition}s; {large}: their mean; bars: {captions.mean_interval(results)}; "
        f"{captions.basis(findings, metric, shown)} {captions.NO_TESTS}{axis}{note}"
    )
    return figure, caption


def _scale(values: list[float]) -> str:
    """A 0 in front of values over decades (no weight decay) has no place on a logarithmic axis."""
    if style.spans(np.array(values, float)):
        return LOG
    behind_zero = values[0] == 0 and style.spans(np.array(values[1:], float))
    return EVEN if behind_zero and len(values) <= MOST_LABELLED else LINEAR


def _lines(findings: Findings, key: str, places: dict[str, float]) -> tuple[list[_Line], str]:
    """As many as can be told apart, those with the best settings, in their usual order; what is not shown."""
    groups = findings.results.groups
    there = [i for i in findings.ranking if key in groups[i].config]
    by_rest: dict[str, list[int]] = {}
    for i in there:
        rest = {name: value for name, value in groups[i].settings.items() if name != key}
        by_rest.setdefault(label_of(rest, findings.results.words), []).append(i)
    note = ""
    if without := len(groups) - len(there):
        note = f" Not shown: {captions.counted(without, 'setting')} without this key."
    if len(by_rest) > style.MOST_CURVES and len(by_rest) > 0.5 * len(there):  # a random search: few pairs to join
        by_rest = {"": there}
        note += " The other keys vary from mark to mark, too."
    if len(by_rest) > style.MOST_CURVES:
        note += f" Shown: the {style.MOST_CURVES} of {len(by_rest)} combinations of the other keys with the best mean."
    x = {i: places[as_text(groups[i].config[key])] for i in there}
    lines = []
    for name, own in sorted(list(by_rest.items())[: style.MOST_CURVES], key=lambda item: min(item[1])):
        own = sorted(own, key=x.__getitem__)
        lines.append(_Line(name, own, np.array([x[i] for i in own], float)))
    return lines, note


def _moved(x: Array, values: list[Any], scale: str, shift: float) -> Array:
    """By a part of the axis, so that intervals do not hide each other."""
    if scale == LOG:
        return x * (values[-1] / values[0]) ** shift
    return x + shift * (values[-1] - values[0] if scale == LINEAR else 1)


def _draw(axes: Axes, findings: Findings, line: _Line, x: Array, look: dict[str, Any]) -> None:
    metric = findings.results.metric
    seeds = [style.seeds_of(findings, i, metric) for i in line.groups]
    places = np.repeat(x, [len(values) for values in seeds])
    axes.plot(places, np.concatenate(seeds), "o", color=look["color"], markersize=2.8, alpha=0.5, markeredgewidth=0)
    mean, reach = style.mean_and_reach([findings.summary[metric][i] for i in line.groups])
    axes.errorbar(x, mean, yerr=reach, elinewidth=0.8, capsize=2, linewidth=1.2, markersize=4, **look)


def _label_values(axes: Axes, values: list[Any], names: list[str], scale: str) -> None:
    """The values that were tried, if there is room for their names."""
    few = len(values) <= MOST_LABELLED
    if scale == EVEN:
        width = max(8, 72 // len(values))
        style.set_ticks(axes.xaxis, range(len(values)), [style.wrap(name, width) for name in names])
        axes.set_xlim(-0.5, len(values) - 0.5)
        axes.tick_params(axis="x", rotation=0 if few else 90)
        return
    places = np.log(values) if scale == LOG else np.array(values, float)
    if few and np.diff(places).min() >= 0.07 * np.ptp(places):
        style.set_ticks(axes.xaxis, values, names)


def _heat_map(findings: Findings, keys: list[str], width_cm: float) -> tuple[Figure, str] | None:
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
        style.set_ticks(axis, np.arange(len(values)) + 0.5, [results.word(as_text(value)) for value in values])
    axes.tick_params(axis="x", rotation=90 if turned else 0)
    axes.set_xlabel(style.axis_label(results.word(across), 0.7 * inches))
    axes.set_ylabel(style.axis_label(results.word(down), height))
    if not numbered:
        figure.colorbar(mesh, ax=axes, pad=0.02, aspect=25)
    hatched = " Hatched: not tried, or no number." if np.isnan(means).any() else ""
    caption = (
        f"Mean {results.label} for each pair of {results.word(across)} and {results.word(down)}, darker is better; "
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
