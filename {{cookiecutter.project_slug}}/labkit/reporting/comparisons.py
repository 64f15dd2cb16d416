"""Who is compared with whom, and what comes out: planned comparisons first, everything else is exploratory."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from labkit.reporting.collect import Results
from labkit.reporting.grouping import ABLATION, NO_ABLATION, Group, Repeat
from labkit.reporting.statistics import (
    NAN,
    TEST_FROM,
    Array,
    Difference,
    holm,
    paired_difference,
    probability_of_improvement,
    sign_flip_p,
    unpaired_difference,
)
from labkit.reporting.study_file import StudyFile
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
        family = [one for one in comparisons if one.planned == planned]
        adjusted = zip(
            family,
            holm([one.difference.p for one in family]),
            holm([one.p_sign_flip for one in family]),
            strict=True,
        )
        for one, p, p_sign_flip in adjusted:
            one.p_holm, one.p_sign_flip_holm = p, p_sign_flip
    return comparisons


def planned_pairs(results: Results, file: StudyFile) -> list[tuple[int, int, bool]]:
    """All settings against the baseline that the study's file names, and what else it planned to compare."""
    baseline = find_groups(results, file.baseline, "baseline")
    pairs: dict[tuple[int, int], bool] = {}
    for setting in file.comparisons:
        own = {key: value for key, value in setting.items() if key != "against"}
        against = setting.get("against")
        others = find_groups(results, against, "comparisons") if against else baseline
        for position in find_groups(results, own, "comparisons"):
            opponent = _opponent(results, position, others, {*own, *(against or file.baseline)})
            if opponent is not None:
                pairs[position, opponent] = True
    for position in range(len(results.groups)):
        opponent = _opponent(results, position, baseline, set(file.baseline))
        if opponent is not None and (position, opponent) not in pairs:
            pairs[position, opponent] = False
    return [(*pair, planned) for pair, planned in pairs.items()]


def ablation_pairs(results: Results) -> list[tuple[int, int]]:
    """Every named ablation and the same setting without it."""
    whole = [i for i, group in enumerate(results.groups) if group.config[ABLATION] == NO_ABLATION]
    parts = [i for i, group in enumerate(results.groups) if group.config[ABLATION] != NO_ABLATION]
    pairs = [(i, _opponent(results, i, whole, {ABLATION})) for i in parts]
    return [(i, opponent) for i, opponent in pairs if opponent is not None]


def compared_with_nothing(
    results: Results, file: StudyFile | None, comparisons: list[Comparison], ablations: list[Comparison]
) -> list[str]:
    """The labels of settings that have no opponent which differs from them in nothing but what was named."""
    baseline = find_groups(results, file.baseline, "baseline") if file else []
    compared = {one.group for one in ablations}
    expected = [i for i, group in enumerate(results.groups) if group.config[ABLATION] != NO_ABLATION]
    if baseline:
        compared |= {*baseline, *(one.group for one in comparisons)}
        expected = list(range(len(results.groups)))
    return [results.groups[i].label for i in expected if i not in compared]


def by_mean(results: Results, means: list[float]) -> list[int]:
    """The positions of all groups, the best mean of the report's metric first, those without one last."""
    worse = [-results.sign * mean if np.isfinite(mean) else np.inf for mean in means]
    return sorted(range(len(means)), key=worse.__getitem__)


def is_distinguishable(comparison: Comparison, alpha: float) -> bool:
    """By the adjusted test; with too few seeds for one, by the interval alone."""
    if min(comparison.n) >= TEST_FROM and np.isfinite(comparison.p_holm):
        return comparison.p_holm < alpha
    return comparison.difference.low > 0 or comparison.difference.high < 0


def _compare(results: Results, group: int, against: int, planned: bool, alpha: float) -> Comparison:
    own, other = (results.groups[i] for i in (group, against))
    b, a = (results.measured(one, results.metric) for one in (own, other))
    alone = sorted(own.repeats.keys() ^ other.repeats.keys(), key=str)
    confidence, splits = 1 - alpha, _test_per_train(results, own, other)
    if alone and not splits:
        x, y = (np.array(list(one.values())) for one in (b, a))
        difference, flip, outcome = unpaired_difference(x, y, confidence), NAN, (None, None, None)
        method, n = WELCH, (len(x), len(y))
    else:
        shared = [repeat for repeat in b if repeat in a]  # a seed without a number takes its partner with it
        x, y = (np.array([one[repeat] for repeat in shared]) for one in (b, a))
        difference, flip = paired_difference(x, y, confidence, splits), sign_flip_p(x, y)
        outcome, method, n = _outcome(x, y, results.direction), CORRECTED if splits else PAIRED, (len(x), len(y))
    better = probability_of_improvement(x, y, results.direction)
    return Comparison(group, against, planned, method, n, difference, flip, better, *outcome, alone=alone)


def _outcome(b: Array, a: Array, direction: str) -> tuple[int, int, int]:
    """Wins, ties and losses of the pairs."""
    gain = (b - a) if direction == "max" else (a - b)
    return int((gain > 0).sum()), int((gain == 0).sum()), int((gain < 0).sum())


def _test_per_train(results: Results, *groups: Group) -> float | None:
    """n_test / n_train, if the runs of a group were trained on more than one split of the data."""
    if all(len({run.record["data"]["split_fingerprint"] for run in group.runs}) < 2 for group in groups):
        return None
    split = "test" if results.metric.startswith("test/") else "validation"
    examples = groups[0].runs[0].record["data"]["examples"]
    return examples[split] / examples["train"]


def find_groups(results: Results, setting: dict[str, Any], key: str) -> list[int]:
    """The positions of the groups of a setting; none if no such run has ended. ValueError where no run has its key."""
    known = sorted({name for group in results.groups for name in group.config})
    for name in setting:
        if name not in known:
            raise ValueError(
                f"studies/{results.study.name}.yaml: {key}: no run has a setting {name!r}; {alternatives(name, known)}"
            )
    return [i for i, group in enumerate(results.groups) if group.has(setting)]


def _opponent(results: Results, position: int, candidates: list[int], named: set[str]) -> int | None:
    """The one candidate that agrees with the group in all that varies beside the keys that were named: any other
    difference could be the cause as well. A key that one of the two does not have is no difference."""
    if position in candidates:
        return None
    own = {key: value for key, value in results.groups[position].settings.items() if key not in named}
    differing = {
        i: [(value, there) for key, value in own.items() if (there := results.groups[i].settings[key]) != value]
        for i in candidates
    }
    equal = [i for i in candidates if not differing[i]]
    agreeing = equal or [i for i in candidates if all("" in pair for pair in differing[i])]
    return agreeing[0] if len(agreeing) == 1 else None
