"""Data sets side by side: settings are ranked on the data that they share, and never across data sets."""

from dataclasses import dataclass

import numpy as np

from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.comparisons import Comparison, compare_with_best, is_distinguishable
from labkit.reporting.analysis.grouping import label_of
from labkit.reporting.analysis.statistics import Estimate

BEST, TIED = "best", "indistinguishable from the best"


@dataclass
class Block:
    """One data set, or a fraction of it, and the settings that were trained on it."""

    label: str  # mnist; empty where all runs used the same data
    groups: list[int]  # positions in results.groups
    ranking: list[int]  # the same, best mean first, those without one last
    best: int | None  # the one with the best mean; None where no run has a number
    against_best: list[Comparison]


def make_blocks(results: Results, estimates: list[Estimate], alpha: float) -> list[Block]:
    """In the order of the groups; `estimates`: of the metric of the report, one per group."""
    by_label: dict[str, list[int]] = {}
    for i, group in enumerate(results.groups):
        by_label.setdefault(label_of(results.block_of(group), results.words), []).append(i)
    worse = [-results.sign * estimate.mean if estimate.n else np.inf for estimate in estimates]
    blocks = []
    for label, groups in by_label.items():
        ranking = sorted(groups, key=worse.__getitem__)
        best = ranking[0] if estimates[ranking[0]].n else None
        measured = sum(bool(estimates[i].n) for i in groups)
        against_best = [] if best is None else compare_with_best(results, groups, best, measured, alpha)
        blocks.append(Block(label, groups, ranking, best, against_best))
    return blocks


def ranking_of(blocks: list[Block]) -> list[int]:
    """All groups: the best of every block, then the second of every block, and so on."""
    longest = max(len(block.ranking) for block in blocks)
    return [block.ranking[place] for place in range(longest) for block in blocks if place < len(block.ranking)]


def marks_of(blocks: list[Block], estimates: list[Estimate]) -> list[str]:
    """Per group: BEST and TIED on its own data, or ""."""
    marks = [""] * len(estimates)
    for block in blocks:
        if block.best is not None:
            marks[block.best] = BEST
        for comparison in block.against_best:
            if estimates[comparison.group].n and not is_distinguishable(comparison):
                marks[comparison.group] = TIED
    return marks
