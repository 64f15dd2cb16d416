"""Who is compared with whom, and what comes out: planned comparisons first, everything else is exploratory."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from labkit.reporting.collect import Results
from labkit.reporting.grouping import ABLATION, NO_ABLATION, Repeat
from labkit.reporting.statistics import (
    NAN,
    TEST_FROM,
    Difference,
    holm,
    paired_difference,
    probability_of_improvement,
    sign_flip_p,
    unpaired_difference,
)
from labkit.reporting.study_file import Setting, StudyFile
from labkit.text import alternatives

PAIRED, WELCH, CORRECTED = "paired", "Welch", "Nadeau-Bengio"


@dataclass
class Comparison:
    """One setting against another on the metric of the report; NaN stands for what so few seeds do not tell.

    `difference` is group minus against, in the unit of the metric, so it may be an improvement with either sign.
    """

    group: int  # positions in results.groups
    against: int
    planned: bool
    method: str  # PAIRED on the same seeds; WELCH where the seeds differ; CORRECTED where each seed has its own split
    n: tuple[int, int]  # seeds that count of each
    difference: Difference
    p_sign_flip: float
    better: float  # the probability of improvement: that a seed of the group is better than one of the other
    wins: int | None  # of the pairs; None without pairs
    ties: int | None
    losses: int | None
    alone: list[Repeat] = field(default_factory=list)  # seeds that only one of the two has
    p_holm: float = NAN  # adjusted over the comparisons of the same kind, planned or not
    p_sign_flip_holm: float = NAN


def compare(results: Results, pairs: Iterable[tuple[int, int, bool]], alpha: float) -> list[Comparison]:
    """(group, against, planned) each; the Holm correction is over the planned ones, and over all others."""
    comparisons = [_compare(results, *pair, alpha) for pair in pairs]
    for planned in (True, False):
        family = [comparison for comparison in comparisons if comparison.planned == planned]
        p_holm = holm([comparison.difference.p for comparison in family])
        p_sign_flip_holm = holm([comparison.p_sign_flip for comparison in family])
        for position, comparison in enumerate(family):
            comparison.p_holm = p_holm[position]
            comparison.p_sign_flip_holm = p_sign_flip_holm[position]
    return comparisons


def planned_pairs(results: Results, file: StudyFile) -> list[tuple[int, int, bool]]:
    """All settings against the baseline that the study's file names, and what else it planned to compare."""
    pairs: dict[tuple[int, int], bool] = {}
    baseline = find_groups(results, file.baseline, "baseline")
    for own, against in file.planned:
        opponents = find_groups(results, against, "comparisons")
        for position in find_groups(results, own, "comparisons"):
            opponent = _opponent(results, position, opponents, {*own, *against})
            if opponent is not None:
                pairs[position, opponent] = True
    for position in range(len(results.groups)):
        opponent = _opponent(results, position, baseline, set(file.baseline))
        if opponent is not None:
            pairs.setdefault((position, opponent), False)
    return [(*pair, planned) for pair, planned in pairs.items()]


def ablation_pairs(results: Results) -> list[tuple[int, int]]:
    """Every named ablation and the same setting without it."""
    ablations = _ablations(results)
    whole = [i for i in range(len(results.groups)) if i not in ablations]
    pairs = [(i, _opponent(results, i, whole, {ABLATION})) for i in ablations]
    return [(i, opponent) for i, opponent in pairs if opponent is not None]


def compared_with_nothing(
    results: Results, baselines: list[int], comparisons: list[Comparison], ablations: list[Comparison]
) -> list[str]:
    """The labels of settings that have no opponent which differs from them in nothing but what was named."""
    compared = {comparison.group for comparison in ablations}
    expected = _ablations(results)
    if baselines:
        compared |= {*baselines, *(comparison.group for comparison in comparisons)}
        expected = list(range(len(results.groups)))
    return [results.groups[i].label for i in expected if i not in compared]


def find_groups(results: Results, setting: Setting, key: str) -> list[int]:
    """The positions of the groups of a setting; none if no such run has ended. ValueError where no run has its key."""
    known = sorted({name for group in results.groups for name in group.config})
    for name in setting:
        if name not in known:
            raise ValueError(
                f"studies/{results.study.name}.yaml: {key}: no run has a setting {name!r}; {alternatives(name, known)}"
            )
    return [i for i, group in enumerate(results.groups) if group.has(setting)]


def is_distinguishable(comparison: Comparison, alpha: float) -> bool:
    """By the adjusted test; with too few seeds for one, by the interval alone."""
    if min(comparison.n) >= TEST_FROM and np.isfinite(comparison.p_holm):
        return comparison.p_holm < alpha
    return comparison.difference.low > 0 or comparison.difference.high < 0


def _compare(results: Results, group: int, against: int, planned: bool, alpha: float) -> Comparison:
    own = results.groups[group]
    other = results.groups[against]
    b = results.measured(own, results.metric)
    a = results.measured(other, results.metric)
    alone = sorted(own.repeats.keys() ^ other.repeats.keys(), key=str)
    test_per_train = results.test_per_train(results.metric, own, other)
    in_pairs = not alone or bool(test_per_train)
    if in_pairs:  # a seed without a number takes its partner with it
        b = {repeat: value for repeat, value in b.items() if repeat in a}
        a = {repeat: a[repeat] for repeat in b}
    x = np.array(list(b.values()))
    y = np.array(list(a.values()))
    if in_pairs:
        method = CORRECTED if test_per_train else PAIRED
        difference = paired_difference(x, y, 1 - alpha, test_per_train)
        gains = results.sign * (x - y)
        outcome = [int(count) for count in ((gains > 0).sum(), (gains == 0).sum(), (gains < 0).sum())]
    else:
        method = WELCH
        difference = unpaired_difference(x, y, 1 - alpha)
        outcome = [None, None, None]
    return Comparison(
        group,
        against,
        planned,
        method,
        (len(x), len(y)),
        difference,
        sign_flip_p(x, y) if method == PAIRED else NAN,  # splits share examples: their signs are not drawn apart
        probability_of_improvement(x, y, results.direction),
        *outcome,
        alone=alone,
    )


def _ablations(results: Results) -> list[int]:
    """The positions of the groups that have the name of an ablation."""
    return [i for i, group in enumerate(results.groups) if group.config[ABLATION] != NO_ABLATION]


def _opponent(results: Results, position: int, candidates: list[int], named: set[str]) -> int | None:
    """The one candidate that agrees with the group in all that varies beside the keys that were named: any other
    difference could be the cause as well. A key that one of the two does not have is no difference."""
    if position in candidates:
        return None
    own = results.groups[position].settings
    equal = []
    agreeing = []
    for i in candidates:
        other = results.groups[i].settings
        differing = [key for key in own if key not in named and own[key] != other[key]]
        if not differing:
            equal.append(i)
        elif all("" in (own[key], other[key]) for key in differing):
            agreeing.append(i)
    opponents = equal or agreeing
    return opponents[0] if len(opponents) == 1 else None
