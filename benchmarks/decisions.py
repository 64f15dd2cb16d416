"""How often the report's words are wrong: each rule over thousands of drawn studies, beside what it claims.

python benchmarks/decisions.py [--studies 2000]

The rules are those of the report (labkit/reporting/analysis/answer.py, comparisons.py), called on numbers in memory.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

PROJECT = Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}"
sys.path.insert(0, str(PROJECT))

from labkit.reporting.analysis.answer import NOT_SUPPORTED, SUPPORTED, decide  # noqa: E402
from labkit.reporting.analysis.comparisons import Pair, compare, compare_with_best, is_distinguishable  # noqa: E402
from labkit.reporting.analysis.study_file import BETTER, EQUIVALENT, StudyFile  # noqa: E402

Array = npt.NDArray[np.float64]
ALPHA = 0.05


class Drawn(SimpleNamespace):
    """As much of `Results` as the rules read: settings (settings, seeds) and nothing else."""

    def __init__(self, values: Array) -> None:
        repeats = [(seed,) for seed in range(values.shape[1])]
        groups = [
            SimpleNamespace(repeats=dict.fromkeys(repeats), number=i, diverged=[], label="", config={})
            for i in range(len(values))
        ]
        super().__init__(groups=groups, metric="m", sign=1, direction="max", repeats=["seed"], repetition="seed")
        self.values = values

    def measured(self, group: Any, _metric: str) -> dict[tuple[int], float]:
        return dict(zip(group.repeats, self.values[group.number].tolist(), strict=True))

    def test_per_train(self, *_: Any) -> float:
        return 0.0

    def amount(self, value: float) -> str:
        return f"{value:g}"


def plan(margin: float, seeds: int, claim: str, comparisons: int) -> StudyFile:
    own: list[dict[str, Any]] = [{"model": f"m{i}", "claim": claim} for i in range(comparisons)]
    return StudyFile("", "", "", "m", "max", {"model": "base"}, own, margin, ALPHA, list(range(seeds)), "")


def draw(random: np.random.Generator, means: Array, seeds: int, sds: Array, shared: float) -> Array:
    """(settings, seeds): each seed shifts all settings alike by a part `shared` of the variance."""
    of_seed = random.normal(size=seeds) * np.sqrt(shared)
    own = random.normal(size=(len(means), seeds)) * np.sqrt(1 - shared)
    return means[:, None] + sds[:, None] * (of_seed + own)


def words(values: Array, margin: float, claim: str) -> list[str]:
    """Of every setting against the first one, planned."""
    results: Any = Drawn(values)
    file = plan(margin, values.shape[1], claim, len(values) - 1)
    pairs = [Pair(i, 0, planned=True, claim=claim) for i in range(1, len(values))]
    comparisons = compare(results, pairs, ALPHA, margin)
    return [decision.word for decision in decide(results, file, comparisons)]


def any_word(
    word: str, gain: float, margin: float, settings: int, seeds: int, claim: str = BETTER
) -> Callable[..., bool]:
    """Whether any of the comparisons gets the word, where all true differences are `gain`, in SDs of a difference."""

    def one_study(random: np.random.Generator) -> bool:
        means = np.array([0.0] + [gain] * settings)
        values = draw(random, means, seeds, np.ones(settings + 1), 0.5)  # the SD of a difference is 1
        return word in words(values, margin, claim)

    return one_study


def by_the_rules_before(word: str, gain: float, settings: int, seeds: int) -> Callable[..., bool]:
    """The same as the report decided before: by the mean alone, and by each interval for itself. The margin is 1."""

    def one_study(random: np.random.Generator) -> bool:
        means = np.array([0.0] + [gain] * settings)
        results: Any = Drawn(draw(random, means, seeds, np.ones(settings + 1), 0.5))
        comparisons = compare(results, [Pair(i, 0, planned=True) for i in range(1, settings + 1)], ALPHA)
        if word == SUPPORTED:
            return any(one.p_holm < ALPHA and one.difference.mean >= 1.0 for one in comparisons)
        return any(one.difference.high < 1.0 for one in comparisons)

    return one_study


def equal_settings(random: np.random.Generator, settings: int, seeds: int, noisy: bool) -> Array:
    """(settings, seeds); `noisy`: the first one scatters five times as much."""
    sds = np.ones(settings)
    if noisy:
        sds[0] = 5.0
    return draw(random, np.zeros(settings), seeds, sds, 0.5)


def lost_best(settings: int, seeds: int, noisy: bool) -> Callable[..., bool]:
    """Whether any of several equal settings is told apart from the one that happens to be best."""

    def one_study(random: np.random.Generator) -> bool:
        values = equal_settings(random, settings, seeds, noisy)
        best = int(values.mean(1).argmax())
        results: Any = Drawn(values)
        found = compare_with_best(results, list(range(settings)), best, settings, ALPHA)
        return any(map(is_distinguishable, found))

    return one_study


def lost_best_tukey(settings: int, seeds: int, noisy: bool) -> Callable[..., bool]:
    """The same by Tukey's procedure, seeds as blocks, with the pooled SD of all settings."""
    freedom = (settings - 1) * (seeds - 1)
    limit = stats.studentized_range.ppf(1 - ALPHA, settings, freedom)

    def one_study(random: np.random.Generator) -> bool:
        values = equal_settings(random, settings, seeds, noisy)
        rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
        error = np.sqrt((rest**2).sum() / freedom / seeds)
        return bool(np.ptp(values.mean(1)) > limit * error)

    return one_study


def lost_best_holm(settings: int, seeds: int, noisy: bool) -> Callable[..., bool]:
    """The same by Holm's correction of tests against the chosen best, as the report did it before."""

    def one_study(random: np.random.Generator) -> bool:
        values = equal_settings(random, settings, seeds, noisy)
        best = int(values.mean(1).argmax())
        p = [stats.ttest_rel(values[best], values[i]).pvalue for i in range(settings) if i != best]
        return min(p) * (settings - 1) < ALPHA

    return one_study


def rate(study: Callable[..., bool], studies: int) -> float:
    random = np.random.default_rng(0)
    return sum(study(random) for _ in range(studies)) / studies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    studies = parser.parse_args().studies
    scatter = 1 / np.sqrt(2 * studies)  # about two standard errors of a rate of 5 %
    print(f"{studies} studies each, two standard errors of 5 %: {100 * scatter:.1f} %; wrong in per cent")
    rows: list[tuple[str, Callable[..., bool], float]] = []
    for seeds in (5, 10):
        for k in (1, 5, 20):
            at = f"{k:2} planned, {seeds:2} seeds"
            rows += [
                (f"supported, true gain 0.9 of the margin   {at}", any_word(SUPPORTED, 0.9, 1.0, k, seeds), 2.5),
                (f"supported, true gain equals the margin   {at}", any_word(SUPPORTED, 1.0, 1.0, k, seeds), 2.5),
                (f"shown or supported, no gain              {at}", shown_without_gain(k, seeds), 2.5),
                (f"not supported, gain equals the margin    {at}", any_word(NOT_SUPPORTED, 1.0, 1.0, k, seeds), 2.5),
                (
                    f"equivalent, difference equals the margin {at}",
                    any_word(SUPPORTED, 1.0, 1.0, k, seeds, EQUIVALENT),
                    5.0,
                ),
            ]
    for k in (1, 20):
        at = f"{k:2} planned, 10 seeds"
        rows += [
            (f"supported by the mean, 0.9 of the margin {at}", by_the_rules_before(SUPPORTED, 0.9, k, 10), 2.5),
            (f"not supported by each interval           {at}", by_the_rules_before(NOT_SUPPORTED, 1.0, k, 10), 2.5),
        ]
    for seeds in (5, 10):
        for k in (5, 20):
            for noisy in (False, True):
                at = f"{k:2} equal settings, {seeds:2} seeds{', one noisy' if noisy else ''}"
                rows += [
                    (f"told apart from the best                 {at}", lost_best(k, seeds, noisy), 5.0),
                    (f"  ... by Tukey's pooled SD               {at}", lost_best_tukey(k, seeds, noisy), 5.0),
                    (f"  ... by Holm                            {at}", lost_best_holm(k, seeds, noisy), 5.0),
                ]
    for name, study, claimed in rows:
        print(f"{name:78} {100 * rate(study, studies):5.1f}   at most {claimed:g}", flush=True)


def shown_without_gain(comparisons: int, seeds: int) -> Callable[..., bool]:
    def one_study(random: np.random.Generator) -> bool:
        values = draw(random, np.zeros(comparisons + 1), seeds, np.ones(comparisons + 1), 0.5)
        return not {"supported", "improvement shown"}.isdisjoint(words(values, 0.1, BETTER))

    return one_study


if __name__ == "__main__":
    main()
