"""Whether the runs come to what a paper reports: `published:` of the study's file."""

import math
from collections.abc import Mapping, Sequence

from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.plan import find_groups
from labkit.reporting.analysis.statistics import Estimate
from labkit.reporting.analysis.study_file import StudyFile
from labkit.text import alternatives, quantity_of


def compare_published(results: Results, summary: Mapping[str, Sequence[Estimate]], file: StudyFile) -> list[str]:
    """A sentence for each published value and each setting that it is about. ValueError for an unknown metric."""
    values = {file.metric if name == "metric" else name: value for name, value in file.published.items()}
    tolerance, setting = values.pop("tolerance", 0), values.pop("setting", file.baseline)
    groups = find_groups(results, file.fixed | setting, "published") if values else []
    sentences = []
    for metric, value in values.items():
        direction = results.names.direction(metric)
        if quantity_of(metric) == quantity_of(results.metric):
            direction = results.direction
        estimates = summary.get(metric)
        if metric.startswith("test/") and not estimates:
            sentences.append(f"Published: {metric} is {value:g}. No run has been evaluated yet: runs/evaluate.py.")
            continue
        if not estimates or not direction:
            known = [name for name in summary if results.names.direction(name)]
            raise ValueError(
                f"studies/{results.study.name}.yaml: published: no run measures {metric}; {alternatives(metric, known)}"
            )
        factor = results.names.factor(metric)
        sign = 1 if direction == "max" else -1
        least = factor * (value - sign * tolerance)
        for i in groups:
            about = f"{results.names.label(metric)} of {results.groups[i].label} is {factor * value:g}"
            reached = _reached(estimates[i], sign, least)
            sentences.append(f"Published: {about}, within {factor * tolerance:g}. {reached}.")
    return sentences


def _reached(found: Estimate, sign: int, least: float) -> str:
    """`least`: the worst value that counts as reached."""
    if not found.n:
        return "No run has measured it"
    interval = f" [{found.low:.4g}, {found.high:.4g}]" if math.isfinite(found.low) else ""
    measured = f"{found.mean:.4g}{interval} (n = {found.n})"
    worst, best = sorted((sign * found.low, sign * found.high))
    if sign * found.mean >= sign * least:
        return f"{'Reached' if worst >= sign * least else 'Reached on average, but not for sure'}: {measured}"
    return f"{'Not reached' if best < sign * least else 'Not reached on average, but not ruled out'}: {measured}"
