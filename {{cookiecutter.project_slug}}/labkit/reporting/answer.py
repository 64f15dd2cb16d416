"""The answer to the question of a study: supported, not supported, or not decidable with so many seeds.

Every planned comparison gets a word of its own. It is *supported* where the adjusted test finds an improvement and the
improvement is at least the smallest difference that matters; *not supported* where the interval leaves no room for such
an improvement; *not decidable* otherwise, and with fewer than five seeds. The hypothesis is supported if all planned
comparisons are.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from labkit.reporting.collect import Results
from labkit.reporting.comparisons import CORRECTED, Comparison, find_groups
from labkit.reporting.grouping import Group, as_text
from labkit.reporting.statistics import TEST_FROM, seeds_needed
from labkit.reporting.study_file import StudyFile

SUPPORTED, NOT_SUPPORTED, NOT_DECIDABLE = "supported", "not supported", "not decidable"


@dataclass
class Verdict:
    """On one planned comparison."""

    name: str  # "net5 against net2"
    word: str  # SUPPORTED, NOT_SUPPORTED or NOT_DECIDABLE
    why: str  # the numbers behind the word, in a sentence
    comparison: Comparison | None  # None: one of the two has no results
    seeds_needed: int | None  # per setting, for 80 % power to find the smallest difference that matters


@dataclass
class Answer:
    """To the study's question."""

    word: str
    sentence: str
    verdicts: list[Verdict]


def answer(results: Results, file: StudyFile, comparisons: list[Comparison]) -> Answer:
    """`comparisons`: those of the study, of which the planned ones decide."""
    verdicts = []
    for setting in file.comparisons:
        against = setting.get("against", file.baseline)
        own = {key: value for key, value in setting.items() if key != "against"}
        positions, others = (find_groups(results, one, "comparisons") for one in (own, against))
        matching = [c for c in comparisons if c.planned and c.group in positions and c.against in others]
        tests = max(len(file.comparisons), sum(c.planned for c in comparisons))
        verdicts += [_judge(results, file, comparison, tests) for comparison in matching]
        if not matching:
            why = "it has no finished run yet" if not positions else "the other has no finished run yet"
            if positions and others:
                why = "its runs differ from the other's in more than was named: nothing tells what made the difference"
            verdicts.append(Verdict(f"{_name(own)} against {_name(against)}", NOT_DECIDABLE, why, None, None))
    return _together(file, verdicts)


def _judge(results: Results, file: StudyFile, comparison: Comparison, tests: int) -> Verdict:
    sign = results.sign
    groups = [results.groups[i] for i in (comparison.group, comparison.against)]
    difference, n = comparison.difference, min(comparison.n)
    gain, room = sign * difference.mean, max(sign * difference.low, sign * difference.high)
    word, why = NOT_DECIDABLE, _numbers(results, file, comparison)
    needed = seeds_needed(difference.sd, file.smallest_difference, file.alpha / tests)
    needed = None if comparison.method == CORRECTED else needed  # more splits of the same data are no new data
    if to_come := [text for group in groups if (text := _to_come(results, file, group))]:
        why += f"; {' and '.join(to_come)}"
    elif n < TEST_FROM:
        why += f"; {n} seeds are too few for a test"
    elif not np.isfinite(comparison.p_holm):
        why += "; the differences of all seeds are equal: the seed has no effect, and there is nothing to test with"
    elif comparison.p_holm < file.alpha and gain > 0 and gain >= file.smallest_difference:
        word = SUPPORTED
    elif room < file.smallest_difference or room <= 0:
        word, why = NOT_SUPPORTED, f"{why}; an improvement of {file.smallest_difference:.4g} is outside the interval"
    elif comparison.p_holm < file.alpha and gain > 0:
        why += "; there is an improvement, but whether it is large enough to matter is open"
    return Verdict(f"{groups[0].label} against {groups[1].label}", word, why, comparison, needed)


def _numbers(results: Results, file: StudyFile, comparison: Comparison) -> str:
    one, n = comparison.difference, comparison.n
    counts = f"n = {n[0]}" if n[0] == n[1] else f"n = {n[0]} and {n[1]}"
    text = f"{results.metric} differs by {one.mean:+.4g}"
    if np.isfinite(one.low):
        text += f" [{one.low:.4g}, {one.high:.4g}]"
        text += f" ({100 * (1 - file.alpha):g} % t interval, {comparison.method}, {counts})"
    else:
        text += f" ({counts})"
    if np.isfinite(comparison.p_holm):
        text += f", Holm-adjusted p = {comparison.p_holm:.2g}"
    return f"{text}; {file.smallest_difference:.4g} is the smallest difference that matters"


def _to_come(results: Results, file: StudyFile, group: Group) -> str:
    """Which planned seeds have no result; one that diverged has given all that it can."""
    position = results.repeats.index("seed")
    there = {repeat[position] for repeat in (*group.repeats, *group.diverged)}
    absent = ", ".join(str(seed) for seed in file.seeds if seed not in there)
    return f"{group.label} lacks the planned seeds {absent}" if absent else ""


def _together(file: StudyFile, verdicts: list[Verdict]) -> Answer:
    words = [verdict.word for verdict in verdicts]
    if not verdicts:
        return Answer(NOT_DECIDABLE, "The study's file plans no comparison.", verdicts)
    if set(words) == {SUPPORTED}:
        return Answer(SUPPORTED, "Every planned comparison shows the improvement.", verdicts)
    if NOT_SUPPORTED in words:
        lost = "; ".join(verdict.name for verdict in verdicts if verdict.word == NOT_SUPPORTED)
        return Answer(NOT_SUPPORTED, f"No improvement that matters: {lost}.", verdicts)
    seeds = min(min(verdict.comparison.n) if verdict.comparison else 0 for verdict in verdicts)
    word = f"{NOT_DECIDABLE} with {seeds} seed{'' if seeds == 1 else 's'}"
    needed = [verdict.seeds_needed for verdict in verdicts if verdict.seeds_needed]
    if not needed:
        return Answer(word, "How many seeds would do cannot be told from these runs.", verdicts)
    power = f"{max(needed)} seeds per setting would find a difference of {file.smallest_difference:.4g}"
    return Answer(word, f"{power} in 80 % of such studies.", verdicts)


def _name(setting: dict[str, Any]) -> str:
    return ", ".join(as_text(value) if "." not in key else f"{key}={as_text(value)}" for key, value in setting.items())
