"""The answer to the question of a study: supported, improvement shown, not supported, or not decidable.

Every planned comparison gets a word of its own. The claim that a setting is better is *supported* where an improvement
of at least the smallest difference that matters is shown; *improvement shown* says that there is one, and leaves open
whether it matters; *not supported* rules out one that matters. The claim that two settings are equivalent is
*supported* where the difference is shown to be smaller than that, either way, and *not supported* where it is shown to
be larger. Anything else is *not decidable*, and so is what has fewer than five seeds, planned seeds without a result,
or another cause that coincides with the setting. All words hold at once: the tests behind each are Holm-adjusted over
the planned comparisons. The hypothesis is supported if all of them are.
"""

from dataclasses import dataclass, field

import numpy as np

from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.comparisons import CORRECTED, Comparison
from labkit.reporting.analysis.confounding import confounders, unequal_effort, unequal_trials
from labkit.reporting.analysis.grouping import as_text
from labkit.reporting.analysis.plan import Plan, find_groups, to_come
from labkit.reporting.analysis.power import Needed, equivalence_power, needed_with_range
from labkit.reporting.analysis.statistics import TEST_FROM, holm
from labkit.reporting.analysis.study_file import CONFOUNDERS, EQUIVALENT, Setting, StudyFile
from labkit.text import counted

SUPPORTED, SHOWN = "supported", "improvement shown"
NOT_SUPPORTED, NOT_DECIDABLE = "not supported", "not decidable"
POSITIVE = (SUPPORTED, SHOWN)


@dataclass
class Verdict:
    """On one planned comparison."""

    name: str  # "net5 against net2"
    word: str  # SUPPORTED, SHOWN, NOT_SUPPORTED or NOT_DECIDABLE
    why: str  # the numbers behind the word, in a sentence without its full stop
    comparison: Comparison | None  # None: one of the two has no results
    needed: Needed  # seeds per setting, for 80 % power to show the claim
    confirmed: str = ""  # what the test split says, in a sentence without its full stop
    contradicted: bool = False  # by the test split
    confounded: bool = False
    unequal: list[str] = field(default_factory=list)  # what was spent on one of the two and not on the other


@dataclass
class Answer:
    """To the study's question."""

    word: str
    sentence: str
    verdicts: list[Verdict]


@dataclass
class Decision:
    """The word that the numbers of a comparison give."""

    word: str
    reason: str = ""  # what there is to say beside the numbers


def answer(
    results: Results, file: StudyFile, plan: Plan, comparisons: list[Comparison], on_test: list[Comparison]
) -> Answer:
    """`comparisons`: the planned ones; `on_test`: the same on the test split, where it was evaluated."""
    tests = max(len(file.comparisons), len(comparisons))
    decided = _by_pair(results, file, comparisons)
    tested = _by_pair(results, file, on_test)
    verdicts = []
    for position, (own, against, claim) in enumerate(file.planned):
        pairs = plan.pairs[position]
        if not pairs:
            why = _why_nothing_is_compared(results, file, own, against)
            name = _title(_name(own), _name(against), claim)
            verdicts.append(Verdict(name, NOT_DECIDABLE, why, None, Needed(None, None, None)))
        for pair in pairs:
            key = (pair.group, pair.against, claim)
            verdicts.append(_judge(results, file, decided[key], tested.get(key), tests, [*own, *against]))
    return _together(results, file, verdicts)


def _by_pair(
    results: Results, file: StudyFile, comparisons: list[Comparison]
) -> dict[tuple[int, int, str], tuple[Comparison, Decision]]:
    decisions = decide(results, file, comparisons)
    return {(one.group, one.against, one.claim): (one, word) for one, word in zip(comparisons, decisions, strict=True)}


def decide(results: Results, file: StudyFile, comparisons: list[Comparison]) -> list[Decision]:
    """A word for each comparison, from tests that are adjusted over all of them."""
    margin = file.smallest_difference
    above, below = [], []  # two-sided p of "at least the margin" and of "less than the margin"
    for comparison in comparisons:
        difference = comparison.difference
        if comparison.claim == EQUIVALENT:
            p = (min(difference.p_above(margin), difference.p_below(-margin)), comparison.p / 2)
        elif results.sign > 0:
            p = (difference.p_above(margin), difference.p_below(margin))
        else:
            p = (difference.p_below(-margin), difference.p_above(-margin))
        above.append(min(1.0, 2 * p[0]))
        below.append(min(1.0, 2 * p[1]))
    adjusted = zip(comparisons, holm(above), holm(below), strict=True)
    return [_decide_one(results, file, comparison, *p) for comparison, *p in adjusted]


def _decide_one(results: Results, file: StudyFile, comparison: Comparison, above: float, below: float) -> Decision:
    run = results.repetition
    groups = (results.groups[comparison.group], results.groups[comparison.against])
    # Nothing is decided while planned seeds are to come: whoever keeps looking finds something in the end.
    if missing := [sentence for group in groups if (sentence := to_come(results, file, group))]:
        return Decision(NOT_DECIDABLE, " and ".join(missing))
    if min(comparison.n) < TEST_FROM:
        return Decision(NOT_DECIDABLE, f"a test needs at least {TEST_FROM} {run}s per setting")
    if not np.isfinite(comparison.p_holm):
        why = f"every {run} gives the same difference: the {run} has no effect, so there is nothing to test"
        return Decision(NOT_DECIDABLE, why)
    amount = results.amount(file.smallest_difference)
    if comparison.claim == EQUIVALENT:
        if below < file.alpha:
            return Decision(SUPPORTED, f"the difference is shown to be smaller than {amount}, either way")
        if above < file.alpha:
            return Decision(NOT_SUPPORTED, f"the difference is shown to be larger than {amount}")
        return Decision(NOT_DECIDABLE)
    improved = comparison.p_holm < file.alpha and results.sign * comparison.difference.mean > 0
    if above < file.alpha:
        return Decision(SUPPORTED, f"an improvement of at least {amount} is shown")
    if below < file.alpha:
        less = "there is an improvement, and it is shown to be smaller than"
        return Decision(NOT_SUPPORTED, f"{less if improved else 'the tests rule out an improvement of'} {amount}")
    if improved:
        return Decision(SHOWN, f"an improvement is shown; that it is at least {amount} is not")
    return Decision(NOT_DECIDABLE)


def _judge(
    results: Results,
    file: StudyFile,
    decided: tuple[Comparison, Decision],
    tested: tuple[Comparison, Decision] | None,
    tests: int,
    named: list[str],
) -> Verdict:
    comparison, decision = decided
    own, other = (results.groups[i].label for i in (comparison.group, comparison.against))
    word = decision.word
    amount = results.amount(file.smallest_difference)
    why = f"{_numbers(results, file, comparison, results.metric)}; {amount} is the smallest difference that matters"
    if decision.reason:
        why += f"; {decision.reason}"
    causes = [name for name in confounders(results, comparison) if name not in file.allow]
    if causes:
        word = NOT_DECIDABLE
        why = f"{_may_be_the_cause(results, causes)}. {why}"
    needed = Needed(None, None, None)
    if comparison.method != CORRECTED:  # more splits of the same data are no new data
        power = equivalence_power if comparison.claim == EQUIVALENT else None
        alpha = file.alpha / tests
        needed = needed_with_range(comparison.difference.sd, min(comparison.n), file.smallest_difference, alpha, power)
    unequal = unequal_effort(results, comparison)
    if trials := unequal_trials(results, comparison, named):
        unequal.append(trials)
    return Verdict(
        _title(own, other, comparison.claim),
        word,
        why,
        comparison,
        needed,
        confirmed=f"{tested[1].word}: {_numbers(results, file, tested[0], str(results.test_metric))}" if tested else "",
        contradicted=bool(tested) and _contradicts(word, *tested),
        confounded=bool(causes),
        unequal=unequal,
    )


def _may_be_the_cause(results: Results, causes: list[str]) -> str:
    what = " and ".join(CONFOUNDERS[name] for name in causes)
    differs = "differs" if len(causes) == 1 else "differ"
    return (
        f"{what} {differs} between the two as well, and may be the cause; if not, write allow: [{', '.join(causes)}] "
        f"into studies/{results.study.name}.yaml"
    )


def _contradicts(word: str, test: Comparison, decision: Decision) -> bool:
    """Whether the test split, which chose no evaluation and no setting, says the opposite."""
    if min(test.n) < TEST_FROM:
        return False
    if word in POSITIVE:
        return decision.word not in POSITIVE
    return word == NOT_SUPPORTED and decision.word in POSITIVE


def _numbers(results: Results, file: StudyFile, comparison: Comparison, metric: str) -> str:
    difference = comparison.difference
    own, other = comparison.n
    text = f"{results.names.opening(metric)} differs by {difference.mean:+.4g}"
    counts = f"n = {own}" if own == other else f"n = {own} and {other}"
    if np.isfinite(difference.low):
        equivalent = comparison.claim == EQUIVALENT
        level = f"{100 * (1 - file.alpha * (1 + equivalent)):g} % t interval"
        text += f" [{difference.low:.4g}, {difference.high:.4g}] ({level}, {comparison.method}, {counts})"
    else:
        text += f" ({counts})"
    if np.isfinite(comparison.p_holm):
        text += f", Holm-adjusted p = {comparison.p_holm:.2g}"
    return text


def _why_nothing_is_compared(results: Results, file: StudyFile, own: Setting, against: Setting) -> str:
    for setting in (own, against):
        if not find_groups(results, file.fixed | setting, "comparisons"):
            return f"{_name(setting)} has no finished run yet"
    return "the two differ in more than the plan names, so nothing tells which of it makes the difference"


def _together(results: Results, file: StudyFile, verdicts: list[Verdict]) -> Answer:
    word, sentence = _word(results, file, verdicts)
    first = []
    if confounded := [verdict.name for verdict in verdicts if verdict.confounded]:
        first.append(f"Another cause coincides with the setting: {'; '.join(confounded)}.")
    if contradicted := [verdict.name for verdict in verdicts if verdict.contradicted]:
        first.append(f"The test split contradicts this answer: {'; '.join(contradicted)}.")
    return Answer(word, " ".join([*first, sentence]), verdicts)


def _word(results: Results, file: StudyFile, verdicts: list[Verdict]) -> tuple[str, str]:
    words = {verdict.word for verdict in verdicts}
    amount = results.amount(file.smallest_difference)
    if not verdicts:
        return NOT_DECIDABLE, "The study's file plans no comparison."
    if words == {SUPPORTED}:
        kept = f"with {amount} as the smallest difference that matters" if file.smallest_difference else ""
        return SUPPORTED, f"Every planned comparison shows what it claims{', ' + kept if kept else ''}."
    if NOT_SUPPORTED in words:
        lost = "; ".join(verdict.name for verdict in verdicts if verdict.word == NOT_SUPPORTED)
        claims = {verdict.comparison.claim for verdict in verdicts if verdict.comparison}
        what = "What was claimed is ruled out" if EQUIVALENT in claims else "No improvement that matters"
        return NOT_SUPPORTED, f"{what}: {lost}."
    if words <= {*POSITIVE}:
        shown = "; ".join(verdict.name for verdict in verdicts if verdict.word == SHOWN)
        return SHOWN, f"Whether it is at least {amount} is open: {shown}."
    runs = min(min(verdict.comparison.n) if verdict.comparison else 0 for verdict in verdicts)
    word = f"{NOT_DECIDABLE} with {counted(runs, results.repetition)}"
    needed = [verdict.needed for verdict in verdicts if verdict.needed.seeds]
    if not needed:
        return word, f"These runs do not tell how many {results.repetition}s would be enough."
    most = max(needed, key=lambda need: need.seeds or 0)
    return word, (
        f"With {most.seeds} seeds per setting ({seed_range(most)}, as the scatter of so few is uncertain), 80 % of "
        f"such studies would show a difference of {amount}."
    )


def seed_range(needed: Needed) -> str:
    """9 to 40; 9 to over 1000."""
    return f"{needed.low} to {needed.high or 'over 1000'}"


def _title(own: str, other: str, claim: str) -> str:
    return f"{own} equivalent to {other}" if claim == EQUIVALENT else f"{own} against {other}"


def _name(setting: Setting) -> str:
    return ", ".join(as_text(value) if "." not in key else f"{key}={as_text(value)}" for key, value in setting.items())
