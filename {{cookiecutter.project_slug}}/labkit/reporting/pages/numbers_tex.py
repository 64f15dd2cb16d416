"""numbers.tex: every number of the report as a LaTeX macro, so that a text never holds a number typed by hand.

A name says study, setting and quantity, in the letters that TeX allows: \\SweepModelsNetTwoValidationAccuracyMean. It
depends on nothing else, so that a number keeps its name when runs are added.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from labkit.reporting.analysis.answer import Verdict
from labkit.reporting.analysis.comparisons import Comparison
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.grouping import Group
from labkit.reporting.analysis.statistics import CONFIDENCE
from labkit.reporting.pages.macro_names import Name, macro_names
from labkit.reporting.rounding import decimals_for, p_value, percent, rounded, three_digits
from labkit.reporting.tables.costs import COSTS, mean_cost, total_spent
from labkit.reporting.tables.latex import escape_latex
from labkit.runs.spent import spent
from labkit.runs.study import STATUSES, Study
from labkit.text import one_line, quantity_of, shortened

HEAD = r"""% Every number of this report. Once, in the preamble: \input{numbers.tex}
% In the text: \EXAMPLE{}; the braces keep the space behind it.
% Numbers are rounded as in the tables, each comment has all digits. A number that does not exist, such as the SD of one
% seed, prints as ?? with a warning of LaTeX; one that has left the report stops LaTeX: undefined control sequence.
\DeclareRobustCommand{\NumberMissing}[1]{\textbf{??}\PackageWarning{numbers.tex}{#1 has no value}}
"""
LEFT_OUT = "% Left out, for TeX has no room for so many: {}. They are in summary.csv.\n"
MOST_OF_GROUPS = 4000  # metrics of all settings together; each has five macros


@dataclass
class _Number:
    name: Name  # without the study, which begins all of them
    value: object  # with all digits
    meaning: str
    text: str | None = None  # for LaTeX; empty: there is no value; None: as it is


def to_macros(study: Study, findings: Findings | None) -> str:
    """The content of numbers.tex."""
    found = list(_of_runs(study))
    left_out = ""
    if findings:
        metrics, left_out = _metrics(findings)
        found += [*_of_study(findings), *_of_groups(findings, metrics)]
        metric = findings.results.metric
        found += [*_of_comparisons(findings, findings.comparisons, metric), *_of_answer(findings)]
        found += _of_comparisons(findings, findings.on_test, findings.results.test_metric or "")
        found += _of_comparisons(findings, findings.ablations, metric, "ablation")
        found += _of_tuned(findings)
    numbers = {_name(study.name) + number.name: number for number in found}
    names = macro_names(list(numbers))
    example = next((name for full, name in names.items() if full[-1] == ("", "mean")), next(iter(names.values())))
    return (
        HEAD.replace("EXAMPLE", example)
        + left_out
        + "".join(_line(names[name], number) for name, number in numbers.items())
    )


def _line(name: str, number: _Number) -> str:
    text, full = number.text, number.value
    if text is None and number.value is not None:
        text = str(number.value)
    if not text:
        text, full = rf"\NumberMissing{{{name}}}", "no value"
    return rf"\newcommand{{\{name}}}{{{text}}}% {one_line(f'{full}: {number.meaning}')}" + "\n"


def _of_runs(study: Study) -> Iterator[_Number]:
    counts = study.counts()
    yield _Number(_name("runs"), len(study.runs), "runs of the study, whatever became of them")
    yield _Number(_name("runs with results"), len(study.ended), "runs that the numbers are made of")
    for status in STATUSES:
        yield _Number(_name(f"runs {status}"), counts.get(status, 0), f"runs that are {status}")
    total = total_spent(spent(study))
    for what, hours in (("hours", total.hours), ("CPU hours", total.cpu_hours), ("GPU hours", total.gpu_hours)):
        meaning = f"{what} of the whole study, also of runs that failed or were repeated"
        yield _Number(_name("total", what), hours, meaning, three_digits(hours))


def _of_study(findings: Findings) -> Iterator[_Number]:
    results = findings.results
    yield _Number(_name("settings"), len(results.groups), "settings with results")
    yield _Number(_name("alpha"), findings.alpha, "level of the tests", f"{findings.alpha:g}")
    planned = sum(comparison.planned for comparison in findings.comparisons)
    counts = {"planned": planned, "exploratory": len(findings.comparisons) - planned}
    counts["ablation"] = len(findings.ablations)
    for kind, count in counts.items():
        yield _Number(_name(f"{kind} comparisons"), count, f"{kind} comparisons in the tables")
    for block in findings.blocks:
        best = results.groups[block.best].label if block.best is not None else None
        on = f" on {block.label}" if block.label else ""
        name = _name(*([one_line(block.label)] if block.label else []), "best setting", results.metric)
        yield _Number(name, best, f"setting with the best mean {results.metric}{on}", escape_latex(best or ""))


def _metrics(findings: Findings) -> tuple[list[str], str]:
    """As many as TeX has room for, and a comment if some are left out: the classes first, then all but the report's."""
    results, names = findings.results, findings.results.names
    every = list(findings.summary)
    no_class = [metric for metric in every if not names.parts(quantity_of(metric))[1]]
    own = [metric for metric in every if metric in (results.metric, results.test_metric)]
    choices = {"": every, "the numbers of single classes": no_class, "all other metrics": own}
    fitting = [gone for gone, metrics in choices.items() if len(metrics) * len(results.groups) <= MOST_OF_GROUPS]
    gone = next(iter(fitting), "all other metrics")
    return choices[gone], LEFT_OUT.format(gone) if gone else ""


def _of_groups(findings: Findings, metrics: list[str]) -> Iterator[_Number]:
    summary = {metric: findings.summary[metric] for metric in metrics}
    decimals = {metric: decimals_for(estimate.sd for estimate in found) for metric, found in summary.items()}
    level = f"{percent(CONFIDENCE)} % t interval of the mean"
    run = findings.results.repetition
    for position, group in enumerate(findings.results.groups):
        setting, label = _setting(findings, group), _said(group)
        yield _Number(setting + _name("unfinished"), len(group.unfinished), f"runs without results, {label}")
        for metric, estimates in summary.items():
            estimate = estimates[position]
            said = f"{_in_unit(findings, metric)}, {label}"
            yield _Number(setting + _name(metric, "n"), estimate.n, f"{run}s with a number, {said}")
            for quantity, value, meaning in (
                ("mean", estimate.mean, f"mean over {run}s"),
                ("SD", estimate.sd, f"sample standard deviation over {run}s"),
                ("low", estimate.low, f"lower end of the {level}"),
                ("high", estimate.high, f"upper end of the {level}"),
            ):
                text = _math(rounded(value, decimals[metric]))
                yield _Number(setting + _name(metric, quantity), value, f"{meaning}, {said}", text)
        for key, cost in mean_cost(group).items():
            words = COSTS[key].words
            meaning = f"{words} of a run, mean over {run}s, {label}"
            yield _Number(setting + _name(words), cost, meaning, three_digits(cost))


def _of_comparisons(
    findings: Findings, comparisons: list[Comparison], metric: str, kind: str = ""
) -> Iterator[_Number]:
    groups = findings.results.groups
    run = findings.results.repetition
    decimals = decimals_for(comparison.difference.sd for comparison in comparisons)
    level = f"{percent(1 - findings.alpha)} % interval of the difference"
    for comparison in comparisons:
        own, other = groups[comparison.group], groups[comparison.against]
        start = _setting(findings, own) + _name(kind, "against") + _setting(findings, other) + _name(metric)
        said = f"{_in_unit(findings, metric)}, {_said(own)} against {_said(other)}"
        difference = comparison.difference
        test = f"p of the t test ({comparison.method})"
        flip, flip_holm = comparison.p_sign_flip, comparison.p_sign_flip_holm
        chance = f"that a {run} is better than one of it"
        for quantity, value, meaning, text in (
            ("difference", difference.mean, "difference of the means", rounded(difference.mean, decimals)),
            ("low", difference.low, f"lower end of the {level}", rounded(difference.low, decimals)),
            ("high", difference.high, f"upper end of the {level}", rounded(difference.high, decimals)),
            ("p", comparison.p, test, p_value(comparison.p)),
            ("p Holm", comparison.p_holm, f"Holm-adjusted {test}", p_value(comparison.p_holm)),
            ("p all pairs", comparison.p_all_pairs, f"{test}, for all pairs", p_value(comparison.p_all_pairs)),
            ("p sign flip", flip, "p of the sign-flip test", p_value(flip)),
            ("p sign flip Holm", flip_holm, "the same, Holm-adjusted", p_value(flip_holm)),
            ("probability of improvement", comparison.better, chance, rounded(comparison.better, 2)),
        ):
            yield _Number(start + _name(quantity), value, f"{meaning}, {said}", _math(text))
        counts = {"n": comparison.n[0], "n against": comparison.n[1]}
        counts |= {"wins": comparison.wins, "ties": comparison.ties, "losses": comparison.losses}
        for quantity, count in counts.items():
            yield _Number(start + _name(quantity), count, f"{quantity} ({run}s), {said}")


def _of_answer(findings: Findings) -> Iterator[_Number]:
    file, answer = findings.file, findings.answer
    if file:
        smallest = file.smallest_difference
        yield _Number(_name("smallest difference"), smallest, "that matters", _math(f"{smallest:g}"))
        yield _Number(_name("seeds planned"), len(file.seeds), "seeds that the study planned")
    if not answer:
        return
    yield _Number(_name("answer"), answer.word, "answer to the study's question", escape_latex(answer.word))
    needed = [verdict.needed.seeds for verdict in answer.verdicts]
    most = max((seeds for seeds in needed if seeds), default=None) if all(needed) else None
    yield _Number(_name("seeds needed"), most, "seeds per setting for 80 % power in all planned comparisons")
    for verdict in answer.verdicts:
        name = _of_verdict(findings, verdict)
        yield _Number(name + _name("answer"), verdict.word, verdict.name, escape_latex(verdict.word))
        meaning = f"seeds per setting for 80 % power, {verdict.name}"
        yield _Number(name + _name("seeds needed"), verdict.needed.seeds, meaning)


def _of_tuned(findings: Findings) -> Iterator[_Number]:
    """\\SweepBestNetTwoTestAccuracyMean: of a model's best setting, whichever that is."""
    results = findings.results
    for row in findings.tuned:
        start = _name("best", row.model, *row.block.values())
        said = f"the best setting of {', '.join([row.model, *row.block.values()])}"
        yield _Number(start + _name("setting"), row.setting, said, escape_latex(row.setting))
        yield _Number(start + _name("settings tried"), row.trials, f"settings tried, {row.model}")
        for metric in filter(None, (results.metric, results.test_metric)):
            estimates = findings.summary[metric]
            decimals = decimals_for(estimate.sd for estimate in estimates)
            estimate = estimates[row.chosen]
            for quantity, value in (("mean", estimate.mean), ("SD", estimate.sd)):
                text = _math(rounded(value, decimals))
                yield _Number(start + _name(metric, quantity), value, f"{quantity} {metric}, {said}", text)


def _of_verdict(findings: Findings, verdict: Verdict) -> Name:
    if verdict.comparison is None:
        return _name(one_line(verdict.name))
    groups = findings.results.groups
    own, other = groups[verdict.comparison.group], groups[verdict.comparison.against]
    return _setting(findings, own) + _name("against") + _setting(findings, other)


def _name(*words: str) -> Name:
    return tuple(("", word) for word in words)


def _setting(findings: Findings, group: Group) -> Name:
    """What tells the group from the study's own settings: whatever is tried out later, the names that were there stay
    what they are."""
    own = findings.plan.own
    telling = {key: value for key, value in group.settings.items() if len(own[key]) > 1 or value not in own[key]}
    telling = telling or {"model": str(group.config.get("model"))}
    return tuple((key, one_line(value)) for key, value in telling.items())


def _in_unit(findings: Findings, metric: str) -> str:
    """The metric; with a word on its unit where that is not the one of the runs."""
    return metric if findings.results.names.factor(metric) == 1 else f"{metric} in percent"


def _said(group: Group) -> str:
    return ", ".join(f"{key}={shortened(value, 100)}" for key, value in group.settings.items())


def _math(text: str) -> str:
    """A rounded number that may stand in a text and in a formula."""
    number = re.sub(r"e([-+]?)0*(\d+)", r"\\cdot10^{\1\2}", text).replace("{+", "{").replace("<", "{<}")
    return text if re.fullmatch(r"[\d.]*", text) else rf"\ensuremath{{{number}}}"
