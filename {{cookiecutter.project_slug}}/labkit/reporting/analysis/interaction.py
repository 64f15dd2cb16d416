"""Whether what one key does depends on another: the difference of differences of two swept keys."""

from dataclasses import dataclass

import numpy as np

from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.grouping import Group
from labkit.reporting.analysis.statistics import NAN, Difference, holm, paired_difference
from labkit.reporting.analysis.study_file import StudyFile

MOST = 200  # contrasts; nobody reads more, and a finer grid is a curve


@dataclass
class Interaction:
    """(first - its reference) at one value of the second key, minus the same at the reference of the second key."""

    first: str  # the value of the first key
    second: str  # the value of the second key
    n: int  # seeds that all four settings have
    difference: Difference
    p_holm: float = NAN


@dataclass
class Interactions:
    keys: tuple[str, str]
    levels: tuple[list[str], list[str]]  # the values of each key, in the order of the groups
    references: tuple[str, str]  # the value that each is compared with
    found: list[Interaction]


def find_interactions(results: Results, file: StudyFile | None, alpha: float) -> Interactions | None:
    """None unless exactly two keys vary. Values of the second key that were not tried with each of the first are left
    out."""
    if len(results.varying) != 2:
        return None
    first, second = results.varying
    grid = {(group.settings[first], group.settings[second]): group for group in results.groups}
    levels = [list(dict.fromkeys(pair[place] for pair in grid)) for place in (0, 1)]
    levels[1] = [b for b in levels[1] if all((a, b) in grid for a in levels[0])]
    if min(map(len, levels)) < 2 or len(levels[0]) * len(levels[1]) > MOST:
        return None
    named = {key: str(value) for key, value in file.baseline.items()} if file else {}
    references = [named.get(key, "") for key in (first, second)]
    a0, b0 = (value if value in of_key else of_key[0] for value, of_key in zip(references, levels, strict=True))
    found = [
        _interaction(results, a, b, [grid[a, b], grid[a0, b], grid[a, b0], grid[a0, b0]], alpha)
        for a in levels[0]
        for b in levels[1]
        if a != a0 and b != b0
    ]
    for one, p in zip(found, holm([one.difference.p for one in found]), strict=True):
        one.p_holm = p
    return Interactions((first, second), (levels[0], levels[1]), (a0, b0), found)


def _interaction(results: Results, a: str, b: str, groups: list[Group], alpha: float) -> Interaction:
    values = [results.measured(group, results.metric) for group in groups]
    seeds = [seed for seed in values[0] if all(seed in of_group for of_group in values[1:])]
    here, reference, there, other = (np.array([of_group[seed] for seed in seeds]) for of_group in values)
    shared = results.test_per_train(results.metric, *groups)
    return Interaction(a, b, len(seeds), paired_difference(here - reference, there - other, 1 - alpha, shared))
