"""What a setting does to the metric: one figure for each key that varies, and a map where just two numbers do."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labkit.reporting.captions import selection_rule
from labkit.reporting.figures.heat_map import heat_map
from labkit.reporting.figures.style import (
    CM,
    COLOURS,
    LINES,
    MARKERS,
    MOST_CURVES,
    Drawing,
    add_legend,
    axis_label,
    nothing_measured,
    seed_counts,
    seeds_of,
    set_log,
    set_ticks,
    spans,
    split_of,
    wrap,
)
from labkit.reporting.findings import Findings
from labkit.reporting.grouping import Group, as_text, label_of
from labkit.reporting.statistics import Array
from labkit.runs.json_shapes import is_number
from labkit.text import one_line

LINEAR, LOG, EVEN = "linear", "log", "even"  # even: at equal distances


@dataclass
class _Line:
    """The groups that agree in all but the key, in the order of its values."""

    name: str
    groups: list[int]
    x: Array


def swept_keys(findings: Findings, width_cm: float) -> list[Drawing] | str:
    """Lines for keys with numbers, points for others; every seed, the means and their intervals."""
    results = findings.results
    if nothing := nothing_measured(findings):
        return nothing
    values = {key: _values(results.groups, key) for key in results.varying}
    keys = [key for key in values if len(values[key]) > 1]
    if not keys:
        return "the runs differ in nothing but the seed."
    numeric = [key for key in keys if all(map(_is_number, values[key]))]
    if len(results.varying) == 1 and not numeric:
        return f"{one_line(results.varying[0])} is all that varies, and figure comparison shows what it does."
    drawn: list[Drawing] = []
    for key in keys:
        name = _file_name(key, [name for name, *_ in drawn])
        drawn.append((name, *_effect(findings, key, values[key], key in numeric, width_cm)))
    if len(numeric) == len(results.varying) == 2 and (drawn_map := heat_map(findings, numeric, width_cm)):
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
    name = "swept_" + re.sub(r"[^A-Za-z0-9]+", "_", key).strip("_")
    return name if name not in (*taken, "swept_map") else f"{name}_{len(taken) + 1}"


def _effect(findings: Findings, key: str, values: list[Any], numeric: bool, width_cm: float) -> tuple[Figure, str]:
    scale = _scale(values) if numeric else EVEN
    lines, note = _lines(findings, key, {as_text(v): v if scale != EVEN else i for i, v in enumerate(values)})
    # No line through several settings with one value.
    joined = numeric and all(len({*line.x}) == len(line.x) for line in lines)
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    if scale == LOG:
        set_log(axes.xaxis)
    reach = 0.012 if scale != EVEN else min(0.12, 0.7 / len(lines))  # of the axis, or of the distance of two values
    for style, line in enumerate(lines):
        place = _beside(line.x, values, scale, reach * (style - (len(lines) - 1) / 2))
        _draw(axes, findings, line, place, style, joined)
    _label_values(axes, values, scale)
    inches = width_cm * CM
    axes.set_xlabel(axis_label(key, 0.8 * inches))
    axes.set_ylabel(axis_label(findings.results.metric, 0.35 * inches))
    axes.grid(axis="y")
    axes.margins(x=0.07)
    names = [wrap(line.name, 60) for line in lines]
    below = add_legend(figure, names, inches, lines=joined) if len(lines) > 1 else 0.0
    labels = max(text.get_text().count("\n") for text in axes.get_xticklabels())
    figure.set_size_inches(inches, max(2.0, 0.42 * inches) + 0.11 * labels + below)
    shown = [i for line in lines for i in line.groups]
    note += " Marks are moved aside a little where they would cover each other." if len(lines) > 1 else ""
    return figure, _caption(findings, key, joined, scale if numeric else LINEAR, shown) + note


def _scale(values: list[float]) -> str:
    """A 0 in front of values over decades (no weight decay) has no place on a logarithmic axis."""
    if spans(np.array(values, float)):
        return LOG
    return EVEN if len(values) <= 12 and values[0] == 0 and spans(np.array(values[1:], float)) else LINEAR


def _lines(findings: Findings, key: str, places: dict[str, float]) -> tuple[list[_Line], str]:
    """As many as can be told apart, those with the best settings, in their usual order; what is not shown."""
    groups = findings.results.groups
    there = [i for i in findings.ranking if key in groups[i].config]
    without = len(groups) - len(there)
    note = f" Not shown: {without} setting{'s' if without > 1 else ''} without this key." if without else ""
    x = {i: places[as_text(groups[i].config[key])] for i in there}
    by_rest: dict[str, list[int]] = {}
    for i in there:
        rest = {name: value for name, value in groups[i].settings.items() if name != key}
        by_rest.setdefault(label_of(rest), []).append(i)
    if len(by_rest) > MOST_CURVES and len(by_rest) > 0.5 * len(there):  # a random search, with few pairs to join
        by_rest, note = {"": there}, note + " The other keys vary from mark to mark, too."
    if len(by_rest) > MOST_CURVES:
        note += f" Shown: the {MOST_CURVES} of {len(by_rest)} combinations of the other keys with the best mean."
    chosen = sorted(list(by_rest.items())[:MOST_CURVES], key=lambda item: min(item[1]))
    ordered = [(name, sorted(own, key=x.__getitem__)) for name, own in chosen]
    return [_Line(name, own, np.array([x[i] for i in own], float)) for name, own in ordered], note


def _beside(x: Array, values: list[Any], scale: str, shift: float) -> Array:
    """Moved by a part of the axis, so that intervals do not hide each other."""
    if scale == LOG:
        return x * (values[-1] / values[0]) ** shift
    return x + shift * (values[-1] - values[0] if scale == LINEAR else 1)


def _draw(axes: Axes, findings: Findings, line: _Line, place: Array, style: int, joined: bool) -> None:
    results, colour = findings.results, COLOURS[style]
    seeds = [seeds_of(results, results.groups[i], results.metric) for i in line.groups]
    x = np.repeat(place, [len(one) for one in seeds])
    axes.plot(x, np.concatenate(seeds), linestyle="", marker="o", markersize=2.8, color=colour, alpha=0.5, mew=0)
    estimates = [findings.summary[results.metric][i] for i in line.groups]
    mean, low = (np.array([getattr(one, end) for one in estimates]) for end in ("mean", "low"))
    look = {"marker": MARKERS[style], "markersize": 4, "linestyle": LINES[style] if joined else "", "linewidth": 1.2}
    axes.errorbar(place, mean, yerr=mean - low, color=colour, elinewidth=0.8, capsize=2, **look)


def _label_values(axes: Axes, values: list[Any], scale: str) -> None:
    """The values that were tried, if there is room for their names."""
    if scale == EVEN:
        width = max(8, 72 // len(values))
        names = [wrap(as_text(value), width) for value in values]
        set_ticks(axes.xaxis, range(len(values)), names)
        axes.set_xlim(-0.5, len(values) - 0.5)
        axes.tick_params(axis="x", rotation=0 if len(values) <= 12 else 90)
        return
    places = np.log(values) if scale == LOG else np.array(values, float)
    if len(values) <= 12 and np.diff(places).min() >= 0.07 * np.ptp(places):
        set_ticks(axes.xaxis, values, [as_text(value) for value in values])


def _caption(findings: Findings, key: str, joined: bool, scale: str, shown: list[int]) -> str:
    metric, results = findings.results.metric, findings.results
    caption = f"Effect of {one_line(key)} on {one_line(metric)}. Points: seeds; {'lines and ' * joined}large markers: "
    caption += f"their mean; bars: 95 % t interval of the mean (from 3 seeds); {seed_counts(findings, metric, shown)}. "
    caption += f"Split: {split_of(metric)}. {selection_rule(results)} No tests, hence no correction."
    return caption + {LINEAR: "", LOG: " Logarithmic axis.", EVEN: " Values at equal distances."}[scale]
