"""Which method is better in general: mean ranks over data sets, and the share of runs that score above a threshold."""

import numpy as np
from matplotlib.figure import Figure

from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.over_data_sets import RANKS_FROM, SCORES_FROM, Ranks, Scores
from labkit.reporting.figures import style
from labkit.reporting.rounding import p_equals

OVER_DATA_SETS = True
MOST_METHODS = 20  # with a row of their own


def data_sets(findings: Findings, width_cm: float) -> list[style.Drawing] | str:
    """The ranks with their critical difference, and the performance profiles. None for one data set."""
    inches = width_cm * style.CM
    drawn: list[style.Drawing] = []
    if findings.ranks:
        drawn.append(("mean_ranks", *_draw_ranks(findings, findings.ranks, inches)))
    if findings.scores:
        drawn.append(("performance_profiles", *_draw_profiles(findings, findings.scores, inches)))
    if drawn or len(findings.blocks) == 1:
        return drawn
    return (
        f"mean ranks need {RANKS_FROM} data sets, and profiles {SCORES_FROM} on which each method has a share as its "
        f"metric; there are {len(findings.blocks)}."
    )


def _draw_ranks(findings: Findings, ranks: Ranks, inches: float) -> tuple[Figure, str]:
    names = [style.wrap(name, 36) for name in ranks.methods[:MOST_METHODS]]
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    rows, height = style.name_rows(axes, names)
    means = np.array(ranks.mean_ranks[:MOST_METHODS])
    axes.plot([means[0], means[0] + ranks.critical_difference], [rows[0]] * 2, color="#999999", linewidth=2.5)
    axes.plot(means, rows, "D", color="black", markersize=5)
    axes.axvline(means[0] + ranks.critical_difference, color=style.COLOURS[1], linewidth=0.8, linestyle="--")
    axes.set_xlabel("mean rank (1 is best)")
    axes.grid(axis="x")
    style.limit_ticks(axes.xaxis, 0.6 * inches)
    figure.set_size_inches(inches, 0.5 + style.LINE * height)
    caption = (
        f"Mean ranks over {ranks.data_sets} data sets by {findings.results.label}, 1 is best; "
        f"{ranks.test}, p {p_equals(ranks.p)}. Bar: the critical "
        f"difference, {ranks.critical_difference:.2f} (Nemenyi, level {findings.alpha:g}). Beyond the dashed line a "
        f"method is worse than the first one. Each data set counts once, by its mean."
    )
    if len(ranks.methods) > MOST_METHODS:
        caption += f" Shown: the best {MOST_METHODS} of {len(ranks.methods)} methods."
    return figure, caption


def _draw_profiles(findings: Findings, scores: Scores, inches: float) -> tuple[Figure, str]:
    best_first = np.argsort(-findings.results.sign * scores.mean, kind="stable")[: style.MOST_CURVES]
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    looks = [style.look(position) for position in range(len(best_first))]
    for method, look in zip(best_first, looks, strict=True):
        low, high = scores.profile_interval[:, method]
        axes.fill_between(scores.thresholds, low, high, color=look["color"], alpha=0.15, linewidth=0)
        axes.plot(scores.thresholds, scores.profile[method], linewidth=1.3, markersize=2.5, markevery=12, **look)
    axes.set_xlabel(style.axis_label(f"threshold of {findings.results.label}", 0.8 * inches))
    axes.set_ylabel("share of runs above it")
    axes.grid()
    below = style.add_legend(figure, [scores.methods[method] for method in best_first], looks, inches)
    figure.set_size_inches(inches, max(2.0, 0.42 * inches) + below)
    caption = (
        f"Performance profiles over {scores.data_sets} data sets: the share of runs whose {findings.results.label} is "
        f"above a threshold, every data set with the same weight. Bands: 95 % intervals of a bootstrap that draws runs "
        f"within data sets (Agarwal et al. 2021). No tests, hence no correction."
    )
    if len(best_first) < len(scores.methods):
        caption += f" Shown: the best {len(best_first)} of {len(scores.methods)} methods by interquartile mean."
    return figure, caption
