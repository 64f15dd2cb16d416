"""Several data sets together: which method is better in general, where there are enough of them to say so.

A method is a setting without its data. Data sets are what is drawn here, not seeds: each counts once.
"""

from dataclasses import dataclass

import numpy as np
import scipy  # scipy.stats takes a second to import: scipy does so where it is used

from labkit.reporting.analysis.blocks import Block
from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.grouping import DATA_SET, shorten
from labkit.reporting.analysis.statistics import Array, Estimate

RANKS_FROM = 6  # data sets
SCORES_FROM = 4  # data sets
RUNS_FROM = 3  # of each method on each data set
DRAWS = 2000  # of the bootstrap


@dataclass
class Ranks:
    """Mean ranks over the data sets, 1 is best (Demsar 2006, Statistical comparisons of classifiers over multiple data
    sets)."""

    methods: list[str]  # in the order of their mean ranks
    mean_ranks: list[float]
    data_sets: int
    p: float  # of the Friedman test by Iman and Davenport; of two methods the Wilcoxon signed-rank test
    critical_difference: float  # of two mean ranks, Nemenyi

    @property
    def test(self) -> str:
        """What p is of."""
        return "Wilcoxon signed-rank test" if len(self.methods) == 2 else "Friedman test (Iman and Davenport)"


@dataclass
class Scores:
    """The interquartile mean and the profile of each method (Agarwal et al. 2021, Deep reinforcement learning at the
    edge of the statistical precipice), each with the 95 % interval of a bootstrap that draws runs within data sets."""

    methods: list[str]
    data_sets: int
    mean: Array  # (methods,): interquartile means
    interval: Array  # (2, methods)
    thresholds: Array  # (thresholds,)
    profile: Array  # (methods, thresholds): share of runs with a score above it, data sets weighted alike
    profile_interval: Array  # (2, methods, thresholds)


def rank_methods(results: Results, blocks: list[Block], estimates: list[Estimate], alpha: float) -> Ranks | None:
    """None with fewer than six data sets, or two methods that were measured on each of them."""
    table = _methods(results, blocks, estimates)
    if len(blocks) < RANKS_FROM or len(table) < 2:
        return None
    means = np.array([[estimates[i].mean for i in of_method] for of_method in table.values()])  # (methods, data sets)
    ranks = scipy.stats.rankdata(-results.sign * means, axis=0)
    count, data_sets = means.shape
    if count == 2:
        p = scipy.stats.wilcoxon(means[0], means[1]).pvalue if np.any(means[0] != means[1]) else 1.0  # type: ignore[union-attr]
    else:
        friedman = scipy.stats.friedmanchisquare(*means).statistic
        rest = data_sets * (count - 1) - friedman
        f = (data_sets - 1) * friedman / rest if rest > 0 else np.inf
        p = scipy.stats.f.sf(f, count - 1, (count - 1) * (data_sets - 1))
    quantile = scipy.stats.studentized_range.ppf(1 - alpha, count, np.inf) / np.sqrt(2)
    critical = float(quantile * np.sqrt(count * (count + 1) / (6 * data_sets)))
    mean_ranks = ranks.mean(1)
    order = np.argsort(mean_ranks, kind="stable")
    names = list(table)
    return Ranks([names[i] for i in order], mean_ranks[order].tolist(), data_sets, float(p), critical)


def score_methods(results: Results, blocks: list[Block], estimates: list[Estimate]) -> Scores | None:
    """None with fewer than four data sets or three runs of each, or where the metric is not a share between 0 and 1: of
    two data sets, only such values can be averaged."""
    table = _methods(results, blocks, estimates)
    if len(blocks) < SCORES_FROM or not table or not _is_share(results):
        return None
    runs = [
        [np.array(list(results.measured(results.groups[i], results.metric).values())) for i in of_method]
        for of_method in table.values()
    ]
    if min(len(values) for of_method in runs for values in of_method) < RUNS_FROM:
        return None
    everything = np.concatenate([values for of_method in runs for values in of_method])
    thresholds = np.linspace(everything.min(), everything.max(), 101)
    random = np.random.default_rng(0)  # always the same draws
    found = [_bootstrap(of_method, thresholds, random) for of_method in runs]
    mean, interval, profile, profile_interval = (np.array(part) for part in zip(*found, strict=True))
    return Scores(
        list(table),
        len(blocks),
        mean,
        np.moveaxis(interval, 1, 0),
        thresholds,
        profile,
        np.moveaxis(profile_interval, 1, 0),
    )


def _is_share(results: Results) -> bool:
    return results.names.bounds(results.metric) == (0, results.names.factor(results.metric))


def _methods(results: Results, blocks: list[Block], estimates: list[Estimate]) -> dict[str, list[int]]:
    """The groups of each method that was measured on every data set, in the order of the data sets."""
    if results.blocks != [shorten(DATA_SET)]:  # fractions and versions of one data set are no further data sets
        return {}
    found: dict[str, list[int]] = {}
    for block in blocks:
        for i in block.groups:
            if estimates[i].n:
                found.setdefault(results.without(results.groups[i], results.blocks).label, []).append(i)
    return {method: groups for method, groups in found.items() if len(groups) == len(blocks)}


def _bootstrap(runs: list[Array], thresholds: Array, random: np.random.Generator) -> tuple[float, Array, Array, Array]:
    """Of one method: the interquartile mean and the profile, and their intervals. `runs`: the scores by data set."""
    draws = [values[random.integers(0, len(values), (DRAWS, len(values)))] for values in runs]
    means = scipy.stats.trim_mean(np.concatenate(draws, axis=1), 0.25, axis=1)
    profiles = np.mean([_profile(values, thresholds) for values in draws], axis=0)  # (draws, thresholds)
    ends = (2.5, 97.5)
    return (
        float(scipy.stats.trim_mean(np.concatenate(runs), 0.25)),
        np.percentile(means, ends),
        np.mean([_profile(values[None], thresholds)[0] for values in runs], axis=0),
        np.percentile(profiles, ends, axis=0),
    )


def _profile(values: Array, thresholds: Array) -> Array:
    """(draws, runs) -> (draws, thresholds): the share of the runs that score more."""
    ordered = np.sort(values, axis=1)
    return np.array([1 - np.searchsorted(row, thresholds, side="right") / len(row) for row in ordered])
