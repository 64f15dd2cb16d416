"""Two settings against each other, and what the difference is worth: the same for planned and other comparisons."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.grouping import ABLATION, NO_ABLATION, PROCESSES, Repeat
from labkit.reporting.analysis.statistics import (
    NAN,
    TEST_FROM,
    Difference,
    holm,
    paired_difference,
    probability_of_improvement,
    sign_flip_p,
    unpaired_difference,
)
from labkit.reporting.analysis.study_file import BETTER, EQUIVALENT

PAIRED, WELCH, CORRECTED = "paired", "Welch", "Nadeau-Bengio"


class Pair(NamedTuple):
    """Two settings to be compared, by their positions in results.groups."""

    group: int
    against: int
    planned: bool = False
    claim: str = BETTER


@dataclass
class Comparison:
    """One setting against another on a metric; NaN stands for what so few seeds do not tell.

    `difference` is group minus against, in the unit of the metric, so it may be an improvement with either sign.
    """

    group: int  # positions in results.groups
    against: int
    planned: bool
    claim: str  # what is tested: BETTER or EQUIVALENT
    method: str  # PAIRED on the same seeds; WELCH where too few are shared; CORRECTED where each seed has its own split
    n: tuple[int, int]  # seeds that count of each
    difference: Difference
    p: float  # of the claim: the two-sided t test, or both one-sided tests against the margin
    p_sign_flip: float
    better: float  # the probability of improvement: that a seed of the group is better than one of the other
    wins: int | None  # of the pairs; None without pairs
    ties: int | None
    losses: int | None
    alone: list[Repeat] = field(default_factory=list)  # seeds that only one of the two has
    p_holm: float = NAN  # adjusted over the comparisons of the same kind, planned or not
    p_sign_flip_holm: float = NAN
    p_all_pairs: float = NAN  # instead, where the opponent is the best: adjusted over all pairs of settings

    @property
    def p_adjusted(self) -> float:
        """By whichever correction belongs to it."""
        return self.p_holm if np.isfinite(self.p_holm) else self.p_all_pairs


def compare(
    results: Results, pairs: Iterable[Pair], alpha: float, margin: float = 0.0, metric: str | None = None
) -> list[Comparison]:
    """The Holm correction is over the planned ones, and over all others.

    `margin`: within which two settings are equivalent; `metric` None: that of the report.
    """
    comparisons = [_compare(results, pair, alpha, margin, metric or results.metric) for pair in pairs]
    for planned in (True, False):
        family = [comparison for comparison in comparisons if comparison.planned == planned]
        p_holm = holm([comparison.p for comparison in family])
        p_sign_flip_holm = holm([comparison.p_sign_flip for comparison in family])
        for position, comparison in enumerate(family):
            comparison.p_holm = p_holm[position]
            comparison.p_sign_flip_holm = p_sign_flip_holm[position]
    return comparisons


def compare_with_best(results: Results, groups: list[int], best: int, measured: int, alpha: float) -> list[Comparison]:
    """Each of the groups with the one that has the best mean; so many of them are `measured`.

    The best was chosen by the numbers that are then tested, so each test and interval is corrected for all pairs that
    there are (Bonferroni). Each pair has its own SD: with the pooled one of Tukey's procedure, one setting that
    scatters more than the others makes it err in 32 % instead of 5 % (benchmarks/decisions.py).
    """
    pairs = measured * (measured - 1) // 2
    level = alpha / max(pairs, 1)
    comparisons = [_compare(results, Pair(i, best), level, 0.0, results.metric) for i in groups if i != best]
    for comparison in comparisons:
        comparison.p_all_pairs = min(1.0, comparison.p * pairs) if np.isfinite(comparison.p) else NAN
    return comparisons


def is_distinguishable(comparison: Comparison) -> bool:
    """From the best: by the interval, which is corrected for all pairs."""
    return comparison.difference.low > 0 or comparison.difference.high < 0


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


def ablation_pairs(results: Results) -> list[Pair]:
    """Every named ablation and the same setting without it."""
    ablations = _ablations(results)
    whole = [i for i in range(len(results.groups)) if i not in ablations]
    pairs = [(i, find_opponent(results, i, whole, {ABLATION})) for i in ablations]
    return [Pair(i, opponent) for i, opponent in pairs if opponent is not None]


def find_opponent(results: Results, position: int, candidates: list[int], named: set[str]) -> int | None:
    """The one candidate that agrees with the group in all that varies beside the keys that were named: any other
    difference could be the cause as well. A key that one of the two does not have is no difference, and of a number of
    processes the answer says that it may be the cause."""
    if position in candidates:
        return None
    own = results.groups[position].settings
    equal = []
    agreeing = []
    otherwise_equal = []
    for i in candidates:
        other = results.groups[i].settings
        differing = [key for key in own if key not in named and own[key] != other[key]]
        if not differing:
            equal.append(i)
        elif all("" in (own[key], other[key]) for key in differing):
            agreeing.append(i)
        elif differing == [PROCESSES]:
            otherwise_equal.append(i)
    opponents = equal or agreeing or otherwise_equal
    return opponents[0] if len(opponents) == 1 else None


def _compare(results: Results, pair: Pair, alpha: float, margin: float, metric: str) -> Comparison:
    own = results.groups[pair.group]
    other = results.groups[pair.against]
    b = results.measured(own, metric)
    a = results.measured(other, metric)
    alone = sorted(own.repeats.keys() ^ other.repeats.keys(), key=str)
    shared = [repeat for repeat in b if repeat in a]
    test_per_train = results.test_per_train(metric, own, other)
    in_pairs = not alone or len(shared) >= TEST_FROM or bool(test_per_train)
    if in_pairs:  # a seed without a number takes its partner with it
        b = {repeat: b[repeat] for repeat in shared}
        a = {repeat: a[repeat] for repeat in shared}
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
    p = difference.p
    if pair.claim == EQUIVALENT:  # two one-sided tests (Schuirmann 1987), whose interval is that of twice alpha
        p = max(difference.p_above(-margin), difference.p_below(margin))
        if np.isfinite(difference.low):
            half = difference.half(1 - 2 * alpha)
            difference = replace(difference, low=difference.mean - half, high=difference.mean + half)
    return Comparison(
        *pair,
        method=method,
        n=(len(x), len(y)),
        difference=difference,
        p=p,
        p_sign_flip=sign_flip_p(x, y) if method == PAIRED else NAN,  # splits share examples: no signs to draw apart
        better=probability_of_improvement(x, y, results.direction),
        wins=outcome[0],
        ties=outcome[1],
        losses=outcome[2],
        alone=alone,
    )


def _ablations(results: Results) -> list[int]:
    """The positions of the groups that have the name of an ablation."""
    return [i for i, group in enumerate(results.groups) if group.config[ABLATION] != NO_ABLATION]
