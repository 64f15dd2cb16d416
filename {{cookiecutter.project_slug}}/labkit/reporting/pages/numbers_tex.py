"""numbers.tex: every number of the report as a LaTeX macro, so that a text never holds a number typed by hand.

A name says study, setting and quantity, in the letters that TeX allows: \\SweepModelsNetTwoValidationAccuracyMean. It
depends on nothing else, so that a number keeps its name when runs are added.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from labkit.reporting.comparisons import Comparison
from labkit.reporting.findings import BEST, Findings
from labkit.reporting.grouping import Group
from labkit.reporting.pages.macro_names import Name, macro_names
from labkit.reporting.statistics import CONFIDENCE
from labkit.reporting.tables.formats import escape_latex
from labkit.reporting.tables.provenance import mean_cost
from labkit.reporting.tables.rounding import decimals_for, p_value, percent, rounded, three_digits
from labkit.runs.study import STATUSES, Study
from labkit.text import one_line

COSTS = {
    "wall_s": "wall seconds",
    "cpu_s": "CPU seconds",
    "gpu_s": "GPU seconds",
    "examples_per_s": "examples per second",
    "parameters": "parameters",
    "peak_memory_mb": "peak memory mebibytes",
    "peak_gpu_memory_mb": "peak GPU memory mebibytes",
}
HEAD = r"""% Every number of this report. Once, in the preamble: \input{numbers.tex}
% In the text: \EXAMPLE{}; the braces keep the space behind it.
% Numbers are rounded as in the tables, each comment has all digits. A number that does not exist, such as the SD of one
% seed, prints as ?? with a warning of LaTeX; one that has left the report stops LaTeX: undefined control sequence.
\DeclareRobustCommand{\NumberMissing}[1]{\textbf{??}\PackageWarning{numbers.tex}{#1 has no value}}
"""


@dataclass
class _Number:
    name: Name
    text: str  # for LaTeX; empty: there is no value
    full: object  # with all digits
    meaning: str


def to_macros(study: Study, findings: Findings | None) -> str:
    """The content of numbers.tex."""
    numbers = [*_counts(study)]
    if findings:
        numbers += [*_of_study(findings), *_of_groups(findings)]
        numbers += [*_of_comparisons(findings, findings.comparisons, ""), *_of_answer(findings)]
        numbers += _of_comparisons(findings, findings.ablations, "ablation")
    numbers = list({number.name: number for number in numbers}.values())
    names = macro_names([number.name for number in numbers])
    lines = [_line(names[number.name], number) for number in numbers]
    example = next((name for full, name in names.items() if full[-1] == ("", "mean")), names[numbers[0].name])
    return HEAD.replace("EXAMPLE", example) + "".join(lines)


def _line(name: str, number: _Number) -> str:
    text = number.text or rf"\NumberMissing{{{name}}}"
    full = f"{number.full}: " if number.text else "no value: "
    return rf"\newcommand{{\{name}}}{{{text}}}% {one_line(full + number.meaning)}" + "\n"


def _counts(study: Study) -> Iterator[_Number]:
    counts, start = study.counts(), (("", study.name),)
    yield _whole((*start, ("", "runs")), len(study.runs), "runs of the study, whatever became of them")
    yield _whole((*start, ("", "runs with results")), len(study.ended), "runs that the numbers are made of")
    for status in STATUSES:
        yield _whole((*start, ("", f"runs {status}")), counts.get(status, 0), f"runs that are {status}")


def _of_study(findings: Findings) -> Iterator[_Number]:
    results, start = findings.results, (("", findings.results.study.name),)
    yield _whole((*start, ("", "settings")), len(results.groups), "settings with results")
    alpha = f"{findings.alpha:g}"
    yield _Number((*start, ("", "alpha")), alpha, findings.alpha, "level of the tests")
    kinds = {"planned": findings.comparisons, "exploratory": findings.comparisons, "ablation": findings.ablations}
    for kind, comparisons in kinds.items():
        count = sum(kind == "ablation" or one.planned == (kind == "planned") for one in comparisons)
        yield _whole((*start, ("", f"{kind} comparisons")), count, f"{kind} comparisons in the tables")
    best = [group.label for group, mark in zip(results.groups, findings.marks, strict=True) if mark == BEST]
    name = (*start, ("", "best setting"), ("", results.metric))
    yield _Number(name, escape_latex(" ".join(best)), " ".join(best), f"setting with the best mean {results.metric}")


def _of_groups(findings: Findings) -> Iterator[_Number]:
    decimals = {metric: decimals_for(one.sd for one in found) for metric, found in findings.summary.items()}
    for position, group in enumerate(findings.results.groups):
        start, label = _setting(findings, group), _said(group)
        yield _whole((*start, ("", "unfinished")), len(group.unfinished), f"runs without results, {label}")
        for metric, estimates in findings.summary.items():
            one, of = estimates[position], f"{metric}, {label}"
            yield _whole((*start, ("", metric), ("", "n")), one.n, f"seeds with a number, {of}")
            for quantity, value, meaning in (
                ("mean", one.mean, "mean over seeds"),
                ("SD", one.sd, "sample standard deviation over seeds"),
                ("low", one.low, f"lower end of the {percent(CONFIDENCE)} % t interval of the mean"),
                ("high", one.high, f"upper end of the {percent(CONFIDENCE)} % t interval of the mean"),
            ):
                name = (*start, ("", metric), ("", quantity))
                yield _Number(name, _math(rounded(value, decimals[metric])), value, f"{meaning}, {of}")
        for key, cost in mean_cost(group).items():
            yield _Number(
                (*start, ("", COSTS[key])), three_digits(cost), cost, f"{COSTS[key]} of a run, mean over seeds, {label}"
            )


def _of_comparisons(findings: Findings, comparisons: list[Comparison], kind: str) -> Iterator[_Number]:
    metric, groups = findings.results.metric, findings.results.groups
    decimals = decimals_for(one.difference.sd for one in comparisons)
    level = f"{percent(1 - findings.alpha)} % interval of the difference"
    for one in comparisons:
        own, other = groups[one.group], groups[one.against]
        against = (("", "against"), *_setting(findings, other)[1:])
        start = (*_setting(findings, own), ("", kind), *against, ("", metric))
        said = f"{metric}, {_said(own)} against {_said(other)}"
        difference = one.difference
        for quantity, value, text, meaning in (
            ("difference", difference.mean, rounded(difference.mean, decimals), "difference of the means"),
            ("low", difference.low, rounded(difference.low, decimals), f"lower end of the {level}"),
            ("high", difference.high, rounded(difference.high, decimals), f"upper end of the {level}"),
            ("p", difference.p, p_value(difference.p), f"p of the t test ({one.method})"),
            ("p Holm", one.p_holm, p_value(one.p_holm), f"Holm-adjusted p of the t test ({one.method})"),
            ("p sign flip", one.p_sign_flip, p_value(one.p_sign_flip), "p of the sign-flip test"),
            ("p sign flip Holm", one.p_sign_flip_holm, p_value(one.p_sign_flip_holm), "the same, Holm-adjusted"),
            ("probability of improvement", one.better, rounded(one.better, 2), "that a seed is better than one of it"),
        ):
            yield _Number((*start, ("", quantity)), _math(text), value, f"{meaning}, {said}")
        counts = {"n": one.n[0], "n against": one.n[1], "wins": one.wins, "ties": one.ties, "losses": one.losses}
        for quantity, count in counts.items():
            yield _whole((*start, ("", quantity)), count, f"{quantity} (seeds), {said}")


def _of_answer(findings: Findings) -> Iterator[_Number]:
    start, file, answer = (("", findings.results.study.name),), findings.file, findings.answer
    if file:
        smallest = f"{file.smallest_difference:g}"
        yield _Number((*start, ("", "smallest difference")), _math(smallest), file.smallest_difference, "that matters")
        yield _whole((*start, ("", "seeds planned")), len(file.seeds), "seeds that the study planned")
    if not answer:
        return
    yield _Number((*start, ("", "answer")), escape_latex(answer.word), answer.word, "answer to the study's question")
    needed = [verdict.seeds_needed for verdict in answer.verdicts]
    most = max((seeds for seeds in needed if seeds), default=None) if all(needed) else None
    yield _whole((*start, ("", "seeds needed")), most, "seeds per setting for 80 % power in all planned comparisons")
    for verdict in answer.verdicts:
        name = (*start, ("", verdict.name))
        yield _Number((*name, ("", "answer")), escape_latex(verdict.word), verdict.word, verdict.name)
        meaning = f"seeds per setting for 80 % power, {verdict.name}"
        yield _whole((*name, ("", "seeds needed")), verdict.seeds_needed, meaning)


def _setting(findings: Findings, group: Group) -> Name:
    return (("", findings.results.study.name), *group.settings.items())


def _said(group: Group) -> str:
    return ", ".join(f"{key}={value}" for key, value in group.settings.items())


def _whole(name: Name, value: int | None, meaning: str) -> _Number:
    return _Number(name, "" if value is None else str(value), value, meaning)


def _math(text: str) -> str:
    """A rounded number that may stand in a text and in a formula."""
    number = re.sub(r"e([-+]?)0*(\d+)", r"\\cdot10^{\1\2}", text).replace("{+", "{").replace("<", "{<}")
    return text if re.fullmatch(r"[\d.]*", text) else rf"\ensuremath{{{number}}}"
