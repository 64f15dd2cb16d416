"""Who differs from whom by how much, as tables to read and as rows in full precision."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labkit.reporting.captions import selection_rule
from labkit.reporting.comparisons import CORRECTED, PAIRED, WELCH, Comparison
from labkit.reporting.findings import Findings
from labkit.reporting.grouping import ABLATION, Group, as_text, beside, seed_text
from labkit.reporting.statistics import INTERVAL_FROM, SIGN_FLIP_FROM, TEST_FROM
from labkit.reporting.tables.formats import Table
from labkit.reporting.tables.rounding import decimals_for, interval, p_value, percent, rounded
from labkit.text import one_line

TESTS = {
    PAIRED: "the t test on pairs of the same seed",
    WELCH: "Welch's t test, because the two have other seeds",
    CORRECTED: "the t test on pairs, corrected for splits of one data set (Nadeau and Bengio)",
}
MOST_NAMED = 3  # comparisons whose missing seeds a caption lists


@dataclass
class _Column:
    header: str
    cell: Callable[[Comparison], str]
    needed: bool = False  # shown even where it is blank in every row


def comparison_table(findings: Findings) -> Table | None:
    """One row per comparison; what is the same in all rows is in the caption, what is blank in all is left out."""
    comparisons = findings.comparisons
    if not comparisons:
        return None
    results, groups = findings.results, findings.results.groups
    against = list(dict.fromkeys(one.against for one in comparisons))
    columns = [_setting(findings, key) for key in groups[0].settings]
    if len(against) > 1:
        columns.append(_Column("against", lambda one: groups[one.against].label))
    if len({one.planned for one in comparisons}) > 1:
        columns.append(_Column("kind", lambda one: "planned" if one.planned else "exploratory"))
    if len({one.method for one in comparisons}) > 1:
        columns.append(_Column("test", lambda one: one.method))
    opponent = one_line(groups[against[0]].label) if len(against) == 1 else "the setting under against"
    table = _table(comparisons, columns, _numbers(findings, comparisons))
    best = (
        ""
        if findings.file
        else (
            f" {opponent} has the best mean, and is the opponent because no baseline was named: "
            f"studies/{one_line(results.study.name)}.yaml names one."
        )
    )
    table.caption = " ".join(
        [
            f"Difference in {one_line(results.metric)}, setting minus {opponent}"
            f"{', the baseline' if findings.file and len(against) == 1 else ''}:",
            _how(findings, comparisons) + best,
            *_families(comparisons, comparisons),
            *_few_seeds(comparisons),
            *_missing_seeds(findings, comparisons),
            selection_rule(results),
        ]
    )
    return table


def ablation_table(findings: Findings) -> Table | None:
    """One row per named ablation: what it changes, and by how much that changes the metric."""
    ablations = findings.ablations
    if not ablations:
        return None
    results = findings.results
    changes = {id(one): _changes(results.groups[one.group], results.groups[one.against]) for one in ablations}
    columns = [_setting(findings, key) for key in results.groups[0].settings]
    columns.append(_Column("changes", lambda one: changes[id(one)]))
    table = _table(ablations, columns, _numbers(findings, ablations, ("p", "sign-flip p", "sign-flip p Holm")))
    table.caption = " ".join(
        [
            f"Difference in {one_line(results.metric)} that each ablation makes, setting minus the same setting "
            f"without it:",
            _how(findings, ablations),
            *_families(ablations, findings.comparisons),
            *_few_seeds(ablations),
            *_missing_seeds(findings, ablations),
            selection_rule(results),
        ]
    )
    return table


def comparison_rows(findings: Findings) -> list[dict[str, Any]]:
    """Every comparison and every ablation in full precision."""
    kinds = (("comparison", findings.comparisons), ("ablation", findings.ablations))
    return [_row(findings, one) | {"table": kind} for kind, comparisons in kinds for one in comparisons]


def _row(findings: Findings, one: Comparison) -> dict[str, Any]:
    groups, difference = findings.results.groups, one.difference
    against = {f"against.{key}": value for key, value in groups[one.against].settings.items()}
    columns = (
        {"metric": findings.results.metric, "planned": one.planned, "method": one.method}
        | {"n": one.n[0], "n_against": one.n[1], "difference": difference.mean, "sd": difference.sd}
        | {"low": difference.low, "high": difference.high, "confidence": 1 - findings.alpha}
        | {"p": difference.p, "p_holm": one.p_holm}
        | {"p_sign_flip": one.p_sign_flip, "p_sign_flip_holm": one.p_sign_flip_holm}
        | {"improvement_probability": one.better, "wins": one.wins, "ties": one.ties, "losses": one.losses}
        | {"seeds_of_one_only": " ".join(map(seed_text, one.alone))}
    )
    return beside(groups[one.group].settings | against, columns)


def _setting(findings: Findings, key: str) -> _Column:
    return _Column(key, lambda one: findings.results.groups[one.group].settings[key])


def _numbers(findings: Findings, comparisons: list[Comparison], without: tuple[str, ...] = ()) -> list[_Column]:
    decimals = decimals_for(one.difference.sd for one in comparisons)
    outcome = "wins/ties/losses"
    columns = [
        _Column("n", lambda one: str(one.n[0]) if one.n[0] == one.n[1] else f"{one.n[0]}, {one.n[1]}", True),
        _Column("difference", lambda one: rounded(one.difference.mean, decimals, "+"), True),
        _Column(
            f"{percent(1 - findings.alpha)} % interval",
            lambda one: interval(one.difference.low, one.difference.high, decimals),
        ),
        _Column("p", lambda one: p_value(one.difference.p)),
        _Column("p Holm", lambda one: p_value(one.p_holm)),
        _Column("sign-flip p", lambda one: p_value(one.p_sign_flip)),
        _Column("sign-flip p Holm", lambda one: p_value(one.p_sign_flip_holm)),
        _Column("P(better)", lambda one: rounded(one.better, 2)),
        _Column(outcome, lambda one: "" if one.wins is None else f"{one.wins}/{one.ties}/{one.losses}"),
    ]
    return [column for column in columns if column.header not in without]


def _table(comparisons: list[Comparison], texts: list[_Column], numbers: list[_Column]) -> Table:
    shown = [column for column in numbers if column.needed or any(map(column.cell, comparisons))]
    columns = [*texts, *shown]
    rows = [[column.cell(one) for column in columns] for one in comparisons]
    return Table("", [column.header for column in columns], rows, len(texts))


def _how(findings: Findings, comparisons: list[Comparison]) -> str:
    """What the columns are."""
    better = {"max": "higher", "min": "lower"}[findings.results.direction]
    level = percent(1 - findings.alpha)
    text = f"mean over n seeds, {level} % t interval (from {INTERVAL_FROM} seeds); {better} is better."
    if any(math.isfinite(one.difference.p) for one in comparisons):
        methods = list(dict.fromkeys(one.method for one in comparisons))
        tests = ", or ".join(TESTS[method] for method in methods)
        text += f" p: two-sided, of {tests} (from {TEST_FROM} seeds); Holm: adjusted for the number of comparisons."
    if any(math.isfinite(one.p_sign_flip) for one in comparisons):
        text += f" Sign-flip p: of the permutation of signs (from {SIGN_FLIP_FROM} seeds)."
    if any(math.isfinite(one.better) for one in comparisons):
        text += f" P(better): that a seed of the setting is better than one of the other (from {INTERVAL_FROM} seeds)."
    if any(one.wins is not None for one in comparisons):
        text += " Wins, ties and losses count seeds."
    return text


def _families(comparisons: list[Comparison], planned_with: list[Comparison]) -> list[str]:
    """How many comparisons each Holm correction is over, and what an exploratory one is worth. All planned comparisons
    are one family, whichever table they are in."""
    sentences = []
    for planned, name in ((True, "planned"), (False, "exploratory")):
        family = [one for one in comparisons if one.planned == planned]
        together = [one for one in planned_with if one.planned] if planned else family
        tested = sum(math.isfinite(one.p_holm) for one in together)
        if family:
            count = f"{len(family)} {name} comparison{'s' if len(family) > 1 else ''}"
            sentences.append(f"{count}, Holm-adjusted over {tested}." if tested else f"{count}.")
    if not all(one.planned for one in comparisons):
        sentences.append("Exploratory comparisons were not planned: they suggest, and prove nothing.")
    return sentences


def _few_seeds(comparisons: list[Comparison]) -> list[str]:
    few = sum(min(one.n) < TEST_FROM for one in comparisons)
    if not few:
        return []
    which = "" if few == len(comparisons) else f" in {few} of {len(comparisons)} comparisons"
    return [f"Fewer than {TEST_FROM} seeds{which} are too few for a test: no p."]


def _missing_seeds(findings: Findings, comparisons: list[Comparison]) -> list[str]:
    """Which seeds only one of the two has, where that forbids pairs."""
    torn = [one for one in comparisons if one.alone]
    if not torn:
        return []
    more = f"; {len(torn) - MOST_NAMED} more are in comparisons.csv" if len(torn) > MOST_NAMED else ""
    return [f"Not in pairs, for lack of seeds: {'; '.join(_torn(findings, one) for one in torn[:MOST_NAMED])}{more}."]


def _torn(findings: Findings, one: Comparison) -> str:
    """net5 (lacks 3; the other lacks 7, 8)."""
    own, other = (findings.results.groups[i] for i in (one.group, one.against))
    lacking = {"lacks": own.repeats, "the other lacks": other.repeats}
    missing = {who: [seed_text(seed) for seed in one.alone if seed not in there] for who, there in lacking.items()}
    said = "; ".join(f"{who} {', '.join(seeds)}" for who, seeds in missing.items() if seeds)
    return f"{one_line(own.label)} ({said})"


def _changes(group: Group, against: Group) -> str:
    """dropout 0.1 → 0: the keys in which two settings differ; a name that differs stands for its section."""
    keys = [key for key in dict.fromkeys([*against.config, *group.config]) if key != ABLATION]
    differing = [key for key in keys if _text(group, key) != _text(against, key)]
    named = {key.removesuffix(".name") for key in differing if key.endswith(".name")}
    shown = [key for key in differing if key in named or key.split(".", 1)[0] not in named]
    return "; ".join(f"{key} {_text(against, key) or 'none'} → {_text(group, key) or 'none'}" for key in shown)


def _text(group: Group, key: str) -> str:
    return as_text(group.config[key]) if key in group.config else ""
