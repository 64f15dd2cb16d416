"""The answer to the question of a study: supported, not supported, or not decidable with this many seeds.

Every planned comparison gets a word of its own. It is *supported* where the adjusted test finds an improvement and the
improvement is at least the smallest difference that matters; *not supported* where the interval leaves no room for such
an improvement; *not decidable* otherwise, and with fewer than five seeds. The hypothesis is supported if all planned
comparisons are.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from labkit.reporting.collect import FOLD, Results
from labkit.reporting.comparisons import CORRECTED, Comparison, find_groups
from labkit.reporting.grouping import Group, as_text, seed_text
from labkit.reporting.statistics import TEST_FROM, seeds_needed
from labkit.reporting.study_file import Setting, StudyFile
from labkit.text import counted

SUPPORTED, NOT_SUPPORTED, NOT_DECIDABLE = "supported", "not supported", "not decidable"


@dataclass
class Verdict:
    """On one planned comparison."""

    name: str  # "net5 against net2"
    word: str  # SUPPORTED, NOT_SUPPORTED or NOT_DECIDABLE
    why: str  # the numbers behind the word, in a sentence without its full stop
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
    planned = [comparison for comparison in comparisons if comparison.planned]
    tests = max(len(file.comparisons), len(planned))
    verdicts = []
    for own, against in file.planned:
        positions = find_groups(results, own, "comparisons")
        opponents = find_groups(results, against, "comparisons")
        matching = [pair for pair in planned if pair.group in positions and pair.against in opponents]
        verdicts += [_judge(results, file, comparison, tests) for comparison in matching]
        if matching:
            continue
        if not positions:
            why = f"{_name(own)} has no finished run yet"
        elif not opponents:
            why = f"{_name(against)} has no finished run yet"
        else:
            why = "the two differ in more than the plan names, so nothing tells which of it makes the difference"
        verdicts.append(Verdict(f"{_name(own)} against {_name(against)}", NOT_DECIDABLE, why, None, None))
    return _together(results, file, verdicts)


def _judge(results: Results, file: StudyFile, comparison: Comparison, tests: int) -> Verdict:
    word, reason = _decide(results, file, comparison)
    numbers = _numbers(results, file, comparison)
    needed = None
    if comparison.method != CORRECTED:  # more splits of the same data are no new data
        needed = seeds_needed(comparison.difference.sd, file.smallest_difference, file.alpha / tests)
    name = f"{results.groups[comparison.group].label} against {results.groups[comparison.against].label}"
    return Verdict(name, word, f"{numbers}; {reason}" if reason else numbers, comparison, needed)


def _decide(results: Results, file: StudyFile, comparison: Comparison) -> tuple[str, str]:
    """The word, and what there is to say beside the numbers."""
    run = results.repetition
    groups = (results.groups[comparison.group], results.groups[comparison.against])
    # Nothing is decided while planned seeds are to come: whoever keeps looking finds something in the end.
    if to_come := [sentence for group in groups if (sentence := _to_come(results, file, group))]:
        return NOT_DECIDABLE, " and ".join(to_come)
    if min(comparison.n) < TEST_FROM:
        return NOT_DECIDABLE, f"a test needs at least {TEST_FROM} {run}s per setting"
    if not np.isfinite(comparison.p_holm):
        why = f"every {run} gives the same difference: the {run} has no effect, so there is nothing to test"
        return NOT_DECIDABLE, why
    difference = comparison.difference
    gain = results.sign * difference.mean
    largest = max(results.sign * difference.low, results.sign * difference.high)  # that the interval allows
    improved = comparison.p_holm < file.alpha and gain > 0
    if improved and gain >= file.smallest_difference:
        return SUPPORTED, ""
    if largest < file.smallest_difference or largest <= 0:
        return NOT_SUPPORTED, f"the interval rules out an improvement of {results.amount(file.smallest_difference)}"
    if improved:
        return NOT_DECIDABLE, "there is an improvement, but it may be too small to matter"
    return NOT_DECIDABLE, ""


def _numbers(results: Results, file: StudyFile, comparison: Comparison) -> str:
    difference = comparison.difference
    own, other = comparison.n
    text = f"{results.names.opening(results.metric)} differs by {difference.mean:+.4g}"
    counts = f"n = {own}" if own == other else f"n = {own} and {other}"
    if np.isfinite(difference.low):
        level = f"{100 * (1 - file.alpha):g} % t interval"
        text += f" [{difference.low:.4g}, {difference.high:.4g}] ({level}, {comparison.method}, {counts})"
    else:
        text += f" ({counts})"
    if np.isfinite(comparison.p_holm):
        text += f", Holm-adjusted p = {comparison.p_holm:.2g}"
    return f"{text}; {results.amount(file.smallest_difference)} is the smallest difference that matters"


def _to_come(results: Results, file: StudyFile, group: Group) -> str:
    """Which planned seeds have no result, or which folds; one that diverged has given all that it can."""
    folds = file.folds or (group.config.get("data.folds") if results.repetition != "seed" else None)
    places = [results.repeats.index(key) for key in ("seed", FOLD)[: 2 if folds else 1] if key in results.repeats]
    there = {tuple(repeat[place] for place in places) for repeat in (*group.repeats, *group.diverged)}
    planned = list(itertools.product(file.seeds, range(folds))) if folds else [(seed,) for seed in file.seeds]
    absent = [repeat for repeat in planned if repeat not in there]
    if not absent:
        return ""
    plural = "" if len(absent) == 1 else "s"
    if folds and len(file.seeds) > 1:
        return f"{group.label} lacks the planned run{plural} {', '.join(map(seed_text, absent))} (seed/fold)"
    what = "fold" if folds else "seed"
    return f"{group.label} lacks the planned {what}{plural} {', '.join(str(repeat[-1]) for repeat in absent)}"


def _together(results: Results, file: StudyFile, verdicts: list[Verdict]) -> Answer:
    words = {verdict.word for verdict in verdicts}
    if not verdicts:
        return Answer(NOT_DECIDABLE, "The study's file plans no comparison.", verdicts)
    if words == {SUPPORTED}:
        return Answer(SUPPORTED, "Every planned comparison shows the improvement.", verdicts)
    if NOT_SUPPORTED in words:
        lost = "; ".join(verdict.name for verdict in verdicts if verdict.word == NOT_SUPPORTED)
        return Answer(NOT_SUPPORTED, f"No improvement that matters: {lost}.", verdicts)
    runs = min(min(verdict.comparison.n) if verdict.comparison else 0 for verdict in verdicts)
    word = f"{NOT_DECIDABLE} with {counted(runs, results.repetition)}"
    needed = [verdict.seeds_needed for verdict in verdicts if verdict.seeds_needed]
    if not needed:
        return Answer(word, f"These runs do not tell how many {results.repetition}s would be enough.", verdicts)
    found = f"would find a difference of {results.amount(file.smallest_difference)}"
    return Answer(word, f"With {max(needed)} seeds per setting, 80 % of such studies {found}.", verdicts)


def _name(setting: Setting) -> str:
    return ", ".join(as_text(value) if "." not in key else f"{key}={as_text(value)}" for key, value in setting.items())
