"""All settings side by side: every seed, the mean, and how well the mean is known."""

from matplotlib.figure import Figure

from labkit.reporting import captions
from labkit.reporting.analysis.findings import BEST, Findings
from labkit.reporting.figures import style


def comparison(findings: Findings, width_cm: float) -> list[style.Drawing] | str:
    """One row for each setting: on the metric of the report, and on the same quantity of the test split."""
    if nothing := style.nothing_measured(findings):
        return nothing
    results = findings.results
    drawn = [("comparison", *_draw(findings, results.metric, width_cm))]
    if results.test_metric:
        drawn.append(("comparison_test", *_draw(findings, results.test_metric, width_cm)))
    return drawn


def _draw(findings: Findings, metric: str, width_cm: float) -> tuple[Figure, str]:
    results = findings.results
    estimates = findings.summary[metric]
    names = [style.wrap(group.label, 36) for group in results.groups]
    shown, note = style.choose(findings, style.fitting(names))
    unequal = len({estimates[i].n for i in shown}) > 1
    for i in shown:
        names[i] += "  (baseline)" if i in findings.baselines else ""
        names[i] += f"  (n = {estimates[i].n})" if unequal else ""
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    rows, height = style.name_rows(axes, [names[i] for i in shown])  # in lines of text
    inches = width_cm * style.CM
    below = style.axis_label(results.names.label(metric), 0.6 * inches)
    figure.set_size_inches(inches, 0.5 + style.LINE * (height + below.count("\n")))

    x, y = style.beside_each_other(rows, [style.seeds_of(findings, i, metric) for i in shown], 0.25)
    axes.plot(x, y, "o", color=style.COLOURS[0], markersize=3.8, alpha=0.6, markeredgewidth=0)
    mean, reach = style.mean_and_reach([estimates[i] for i in shown])
    axes.errorbar(mean, rows, xerr=reach, fmt="none", ecolor="black", elinewidth=1.1, capsize=2.5)
    for i, x, row in zip(shown, mean, rows, strict=True):
        filled = metric == results.metric and findings.marks[i]
        axes.plot(x, row, "D", color="black", markersize=4.5, markerfacecolor="black" if filled else "white")
    baselines = findings.baselines
    if len(baselines) == 1 and estimates[baselines[0]].n:
        axes.axvline(estimates[baselines[0]].mean, color="#555555", linewidth=0.8, linestyle="--", zorder=0.9)

    axes.tick_params(axis="y", labelsize=8)
    for label, i in zip(axes.get_yticklabels(), shown, strict=True):
        label.set_fontweight("bold" if findings.marks[i] == BEST else "normal")
    axes.set_xlabel(below)
    axes.grid(axis="x")
    style.limit_ticks(axes.xaxis, 0.6 * inches)

    dashed = " Dashed: the mean of the baseline." if len(baselines) == 1 else ""
    caption = (
        f"{results.names.opening(metric)} per setting. "
        f"Points: {results.repetition}s; diamond: their mean; bar: {captions.mean_interval(results)}; "
        f"{captions.basis(findings, metric, shown)} {_marks(findings, metric)}{dashed}{note}"
    )
    return figure, caption


def _marks(findings: Findings, metric: str) -> str:
    """What bold and filled mean, and how many tests they rest on."""
    results = findings.results
    others = len(results.groups) - 1
    if not others:
        return "One setting: nothing is compared."
    if metric != results.metric:
        return f"Bold: the best mean {results.title}; no tests on this split, hence no correction."
    return (
        f"Bold: the best mean. Filled: the best, and what is not distinguishable from it (alpha = {findings.alpha:g}, "
        f"{captions.ALL_PAIRS}; fewer than 3 {results.repetition}s tell nothing apart)."
    )
