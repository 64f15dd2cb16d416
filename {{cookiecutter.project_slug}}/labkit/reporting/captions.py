"""The sentences that the captions of figures and tables share.

Names stand in a caption as the runs wrote them: each page and table cleans and escapes what it writes.
"""

import math
from collections.abc import Iterable

from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.comparisons import CORRECTED, PAIRED, WELCH, Comparison
from labkit.reporting.analysis.evaluation_set import evaluation_error
from labkit.reporting.analysis.findings import BEST, TIED, Findings
from labkit.reporting.analysis.grouping import seed_text
from labkit.reporting.analysis.interaction import Interactions
from labkit.reporting.analysis.statistics import CONFIDENCE, INTERVAL_FROM, SIGN_FLIP_FROM, TEST_FROM
from labkit.reporting.analysis.study_file import EQUIVALENT, LAST
from labkit.reporting.rounding import p_equals, percent
from labkit.text import BETTER, counted, split_of

NO_TESTS = "No tests, hence no correction."
SHARED = "corrected for the examples that splits of one data set share (Nadeau and Bengio)"
TESTS = {
    PAIRED: "the t test on pairs of the same {}",
    WELCH: f"Welch's t test where the two share fewer than {TEST_FROM} {{}}s",
    CORRECTED: f"the t test on pairs, {SHARED}",
}
ALL_PAIRS = "corrected for all pairs of settings on the same data (Bonferroni), as the best was chosen by these numbers"
EQUIVALENCE = "for a claim of equivalence, of two one-sided t tests (Schuirmann), and the interval is the {} % one"
MOST_NAMED = 3  # comparisons whose missing seeds a caption lists


def basis(findings: Findings, metric: str, settings: Iterable[int]) -> str:
    """What the numbers rest on: how many seeds, which split, and which evaluation of a run."""
    counts = runs_per_setting(findings.results, (findings.summary[metric][i].n for i in settings))
    return f"{counts}. Split: {split_of(metric)}. {selection_rule(findings.results)}"


def mean_interval(results: Results) -> str:
    """Which interval the means have, and over what they vary."""
    corrected = any(results.test_per_train(results.metric, group) for group in results.groups)
    over = "over training seeds on one fixed split"
    if corrected:
        over = {"fold": "over folds", "split": "over splits"}.get(results.repetition, "over seeds and folds")
        over = f"{over}, {SHARED}"
    return f"{percent(CONFIDENCE)} % t interval of the mean (from {INTERVAL_FROM} {results.repetition}s) {over}"


def at_bounds(findings: Findings, metric: str) -> str:
    """The sentence on intervals that would leave what the metric can be."""
    bounds = findings.results.names.bounds(metric)
    scattered = [estimate for estimate in findings.summary[metric] if estimate.sd > 0]
    ends = sorted({end for estimate in scattered for end in (estimate.low, estimate.high) if end in bounds})
    return f"Intervals end at {' and '.join(f'{end:g}' for end in ends)}, which the metric cannot pass." if ends else ""


def selection_rule(results: Results) -> str:
    """The sentence on which evaluation of a run counts."""
    if results.select == LAST:
        return "Of each run, the last evaluation counts."
    end = {"max": "highest", "min": "lowest"}[results.monitor["direction"]]
    return f"Of each run, the evaluation with the {end} {results.names.title(results.monitor['metric'])} counts."


def from_to(counts: Iterable[int]) -> str:
    """5, or 3 to 5: the smallest and the largest."""
    first, *others = sorted(set(counts))
    return f"{first} to {others[-1]}" if others else str(first)


def runs_per_setting(results: Results, counts: Iterable[int]) -> str:
    """n = 5 seeds per setting."""
    number = from_to(counts)
    if number == "1":
        return f"one {results.repetition} per setting"
    return f"n = {number} {results.repetition}s per setting"


def paragraph(*sentences: str) -> str:
    """The sentences that have something to say."""
    return " ".join(filter(None, sentences))


# ---- of the tables

UNFINISHED = "Runs without results: they are in no other table and in no figure."
DATA = "Data of the runs with results: number of examples in each split. Equal fingerprints mean equal content."
PROVENANCE = (
    "What made the runs with results; a run that was resumed may count in several rows. The code is identified by "
    "the files that ran, committed or not. Packages are listed where they are not the same in all runs."
)


SPENT = (
    "What the study took in all: every launch from its start to its end, of runs with and without results. CPU-hours: "
    "hours times threads and processes; GPU-hours: hours times processes, of launches on a GPU. Restarted: what "
    "restart=true has deleted."
)


def target_caption(findings: Findings) -> str:
    results = findings.results
    target = results.amount(findings.target or math.nan)
    file = findings.file
    which = "the target of the study's file" if file and file.target is not None else "the mean of the baseline"
    return paragraph(
        f"How long a run took until {results.title} first reached {target}, {which}: mean over the runs that reached "
        f"it, and the slowest of them. Time: the wall time of a run in proportion to its steps.",
        "Runs that never reached it are not in the means: compare settings that reached it in all runs.",
    )


def summary_caption(findings: Findings, metric: str) -> str:
    results = findings.results
    marks = f"No best is marked: it would be chosen by {results.title}, not here."
    over = f"{results.repetition}s"
    return paragraph(
        f"{results.names.opening(metric)} per setting over n {over}: mean, sample standard deviation (from 2 {over}) "
        f"and {mean_interval(results)}; {BETTER[results.direction]} is better.",
        at_bounds(findings, metric),
        evaluation_error(results, metric, (estimate.mean for estimate in findings.summary[metric])),
        selection_rule(results),
        _marks(findings) if metric == results.metric else marks,
    )


def comparison_caption(findings: Findings, columns: list[str]) -> str:
    """`columns`: the headers of the numbers that the table shows."""
    results, comparisons = findings.results, findings.comparisons
    opponents = {comparison.against for comparison in comparisons}
    opponent = results.groups[comparisons[0].against].label if len(opponents) == 1 else 'the setting under "against"'
    of_which = opponent
    why = ""
    if not findings.file:
        best = f"{opponent} has the best mean, and" if len(opponents) == 1 else "The best on the same data"
        why = f"{best} is the opponent because no baseline was named: studies/{results.study.name}.yaml can name one."
    elif len(opponents) == 1:
        of_which = f"{opponent}, the baseline"
    what = f"Difference in {results.label}, setting minus {of_which}"
    return _difference_caption(findings, comparisons, what, columns, why)


def ablation_caption(findings: Findings, columns: list[str]) -> str:
    label = findings.results.label
    what = f"Difference in {label} that each ablation makes, setting minus the same setting without it"
    return _difference_caption(findings, findings.ablations, what, columns)


def tuned_caption(findings: Findings) -> str:
    results = findings.results
    over = f"{results.repetition}s"
    trials = sorted({row.trials for row in findings.tuned})
    optimistic = f"The best of several is optimistic by chance on {results.title}"
    if results.test_metric:
        said = f"Each model's setting with the best mean {results.title}, reported on the test split over n {over}"
        said += f". {optimistic}, and not on the test split, which chose nothing."
    else:
        said = f"Each model's setting with the best mean {results.title}, over n {over}. {optimistic}: "
        said += "python runs/evaluate.py measures the test split, which has chosen nothing."
    unequal = ""
    if len(trials) > 1:
        unequal = f"Unequal numbers of settings were tried ({from_to(trials)}), which favours those with more."
    difference = ""
    if any(row.against for row in findings.tuned) and findings.file:
        baseline = results.word(str(findings.file.baseline["model"]))
        difference = f"Difference: on the test split, to the best setting of {baseline} on the same {over}."
    return paragraph(
        said,
        "Tried: settings of the model, with results or without.",
        unequal,
        f"Interval: {mean_interval(results)}.",
        difference,
        selection_rule(results),
    )


def interaction_caption(findings: Findings, interactions: Interactions) -> str:
    results = findings.results
    first, second = map(results.word, interactions.keys)
    a, b = map(results.word, interactions.references)
    run = results.repetition
    return paragraph(
        f"Interaction of {first} and {second} in {results.label}: how much more each {first} gains over {a} at this "
        f"{second} than at {b}; mean over the n {run}s that all four settings have, {percent(1 - findings.alpha)} % t "
        f"interval (from {INTERVAL_FROM} {run}s). Where it holds 0, nothing tells whether there is an interaction.",
        f"p (from {TEST_FROM} {run}s): of the t test on {run}s; Holm: adjusted for the number of rows.",
        "Exploratory: it suggests, and proves nothing.",
        selection_rule(results),
    )


def scores_caption(findings: Findings) -> str:
    results, ranks, scores = findings.results, findings.ranks, findings.scores
    sentences = []
    if ranks:
        sentences.append(
            f"Mean rank: over {ranks.data_sets} data sets by {results.label}, 1 is best; {ranks.test}: "
            f"p {p_equals(ranks.p)}. Two mean ranks differ if they are {ranks.critical_difference:.2f} apart "
            f"(Nemenyi, level {findings.alpha:g})."
        )
    if scores:
        sentences.append(
            f"Interquartile mean: of the middle half of all runs on {scores.data_sets} data sets, with the 95 % "
            f"interval of a bootstrap that draws runs within data sets (Agarwal et al. 2021)."
        )
    return paragraph("Methods over all data sets.", *sentences, selection_rule(results))


def per_class_caption(findings: Findings, measured: Iterable[str], shown: int, kind: str, data: str) -> str:
    """`measured`: the quantities; `kind`: what a row is about, a class or a label."""
    results = findings.results
    count = len(results.groups)
    which = "the baseline and the best" if findings.file else "the best"
    what = results.names.together(split_of(results.metric), measured)
    over = f"{results.repetition}s"
    of_what = f"{kind} of {data}" if data else kind
    return paragraph(
        f"{what} of each {of_what}: mean over {over} (sample standard deviation, from 2 {over}). "
        f"Bold: the best mean of the row; no difference within a {kind} was tested.",
        selection_rule(results),
        f"Shown are {shown} of {count} settings: {which}; all are in summary.csv." if shown < count else "",
    )


def cost_caption(not_measured: list[str]) -> str:
    return paragraph(
        "Cost of a run, mean over the n runs with results; memory is the largest at any time. Blank: not measured.",
        f"Zero or not measured in all runs: {', '.join(not_measured)}." if not_measured else "",
    )


def runs_caption(results: Results) -> str:
    return f"Every run with results; time is wall time. {selection_rule(results)}"


def _marks(findings: Findings) -> str:
    """What bold and the dagger mean."""
    if len(findings.marks) < 2 or BEST not in findings.marks:
        return ""
    on = " on the same data" if len(findings.blocks) > 1 else ""
    what = f"the {percent(1 - findings.alpha)} % interval of the difference, {ALL_PAIRS}"
    if TIED in findings.marks:
        said = f"†: not distinguishable from it ({what}, holds 0, or there is none)."
    else:
        said = f"All others are distinguishable from it ({what}, does not hold 0)."
    chosen = f", of {len(findings.marks)}, which flatters it" if len(findings.marks) > 2 and not on else ""
    return f"Bold: the best mean{on}{chosen}. {said}"


def _difference_caption(
    findings: Findings, comparisons: list[Comparison], what: str, columns: list[str], why: str = ""
) -> str:
    run = findings.results.repetition
    better = BETTER[findings.results.direction]
    level = percent(1 - findings.alpha)
    tests = ", or ".join(dict.fromkeys(TESTS[comparison.method].format(run) for comparison in comparisons))
    if any(comparison.claim == EQUIVALENT for comparison in comparisons):
        tests += f"; {EQUIVALENCE.format(percent(1 - 2 * findings.alpha))}"
    explained = {
        "p": f"p (from {TEST_FROM} {run}s): two-sided, of {tests}.",
        "p Holm": "Holm: adjusted for the number of comparisons.",
        "sign-flip p": f"Sign-flip p: of a permutation test that flips signs (from {SIGN_FLIP_FROM} {run}s).",
        "P(better)": f"P(better): that a {run} of the setting beats one of its opponent (from {INTERVAL_FROM} {run}s).",
        "wins/ties/losses": f"Wins, ties and losses count {run}s.",
    }
    return paragraph(
        f"{what}: mean over n {run}s, {level} % t interval (from {INTERVAL_FROM} {run}s); {better} is better.",
        "" if findings.file or findings.ablations == comparisons else f"Intervals and p all pairs: {ALL_PAIRS}.",
        *(sentence for column, sentence in explained.items() if column in columns),
        why,
        *_families(comparisons, findings),
        _few_seeds(comparisons, run),
        _missing_seeds(findings.results, comparisons),
        selection_rule(findings.results),
    )


def _families(comparisons: list[Comparison], findings: Findings) -> list[str]:
    """How many comparisons each Holm correction is over, and what an exploratory one is worth.

    All planned comparisons are one family, whichever table they are in.
    """
    planned = [comparison for comparison in comparisons if comparison.planned]
    exploratory = [comparison for comparison in comparisons if not comparison.planned]
    families = {
        "planned": (planned, [comparison for comparison in findings.comparisons if comparison.planned]),
        "exploratory": (exploratory, exploratory),
    }
    sentences = []
    for kind, (shown, family) in families.items():
        tested = sum(math.isfinite(comparison.p_holm) for comparison in family)
        if shown:
            count = counted(len(shown), f"{kind} comparison")
            sentences.append(f"{count}, Holm-adjusted over {tested}." if tested else f"{count}.")
    if exploratory:
        sentences.append("Exploratory comparisons were not planned: they suggest, and prove nothing.")
    return sentences


def _few_seeds(comparisons: list[Comparison], run: str) -> str:
    few = sum(min(comparison.n) < TEST_FROM for comparison in comparisons)
    if not few:
        return ""
    which = "" if few == len(comparisons) else f" in {few} of {len(comparisons)} comparisons"
    return f"Fewer than {TEST_FROM} {run}s{which} are too few for a test: no p."


def _missing_seeds(results: Results, comparisons: list[Comparison]) -> str:
    """Which seeds only one of the two has: net5 (lacks 3; the other lacks 7, 8)."""
    run = results.repetition
    torn = [comparison for comparison in comparisons if comparison.alone]
    sentences = {
        f"Not in pairs, for lack of shared {run}s": [one for one in torn if one.method == WELCH],
        f"Pairs leave out the {run}s that only one of the two has": [one for one in torn if one.method != WELCH],
    }
    return paragraph(*(f"{what}: {_lacking(results, torn)}." for what, torn in sentences.items() if torn))


def _lacking(results: Results, torn: list[Comparison]) -> str:
    named = []
    for comparison in torn[:MOST_NAMED]:
        own, other = results.groups[comparison.group], results.groups[comparison.against]
        lacking = {"lacks": own.repeats, "the other lacks": other.repeats}
        missing = {
            who: [seed_text(seed) for seed in comparison.alone if seed not in has] for who, has in lacking.items()
        }
        said = [f"{who} {', '.join(seeds)}" for who, seeds in missing.items() if seeds]
        named.append(f"{own.label} ({'; '.join(said)})")
    if len(torn) > MOST_NAMED:
        named.append(f"{len(torn) - MOST_NAMED} more are in comparisons.csv")
    return "; ".join(named)
