"""How a search came to its best setting: what each trial reached, and what the trials say of the keys."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labkit.reporting import captions
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.statistics import Array
from labkit.reporting.figures import style
from labkit.text import counted

OVER_DATA_SETS = True
MOST_KEYS = 12
GREY = "#888888"


def search_history(findings: Findings, width_cm: float) -> list[style.Drawing] | str:
    """A figure for each search of the study; none where there is none."""
    drawn: list[style.Drawing] = []
    for number, search in enumerate(findings.results.study.searches, 1):
        values = _values(findings, [trial["name"] for trial in search["members"]])
        if np.isfinite(values).any():
            name = "search_history" if number == 1 else f"search_history_{number}"
            importance = search["search"].get("importance") or {}
            drawn.append((name, *_draw(findings, values, importance, width_cm)))
    return drawn


def _values(findings: Findings, names: list[str]) -> Array:
    """What each trial reached (trials,); NaN for one without a result."""
    results = findings.results
    runs = {run.name: run for run in results.study.ended}
    found = [results.value(runs[name], results.metric) if name in runs else None for name in names]
    return results.names.factor(results.metric) * np.array([np.nan if value is None else value for value in found])


def _draw(findings: Findings, values: Array, importance: dict[str, float], width_cm: float) -> tuple[Figure, str]:
    results = findings.results
    inches = width_cm * style.CM
    figure = Figure(layout="constrained", figsize=(inches, 0.42 * inches))
    panels = figure.subplots(1, 2 if importance else 1, squeeze=False, width_ratios=[2, 1] if importance else [1])[0]
    better = np.fmax if results.direction == "max" else np.fmin
    trials = np.arange(1, len(values) + 1)
    panels[0].plot(trials, values, "o", color=GREY, markersize=3)
    panels[0].plot(trials, better.accumulate(values), drawstyle="steps-post", color="black", linewidth=1)
    panels[0].set_xlabel("trial")
    panels[0].set_ylabel(style.axis_label(results.label, 0.42 * inches))
    panels[0].grid()
    if importance:
        _draw_importance(panels[1], {results.word(key): share for key, share in importance.items()})
    without = int(np.isnan(values).sum())
    caption = (
        f"{results.names.opening(results.metric)} of the {counted(len(values), 'trial')} of a search, in the order in "
        f"which they were chosen; line: the best so far. {captions.selection_rule(results)} {captions.NO_TESTS} "
        "The best of many trials is lucky as well: its value is no estimate."
    )
    caption += f" {counted(without, 'trial')} ended without a result." if without else ""
    caption += " Right: the share of the variance that each key explains (fANOVA)." if importance else ""
    return figure, caption


def _draw_importance(axes: Axes, shares: dict[str, float]) -> None:
    shown = list(shares.items())[:MOST_KEYS][::-1]
    axes.barh(
        [style.drawable(style.wrap(key, 24)) for key, _ in shown], [100 * share for _, share in shown], color=GREY
    )
    axes.set_xlabel("importance (%)")
