"""All that the report says about a study's runs: computed once, here; tables, figures and pages only show it."""

import functools
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from labkit.reporting.analysis.answer import Answer, answer
from labkit.reporting.analysis.blocks import BEST, TIED, Block, make_blocks, marks_of, ranking_of
from labkit.reporting.analysis.collect import Results, collect, run_metrics
from labkit.reporting.analysis.comparisons import Comparison, ablation_pairs, compare
from labkit.reporting.analysis.grouping import beside, seed_text
from labkit.reporting.analysis.interaction import Interactions, find_interactions
from labkit.reporting.analysis.names import Label
from labkit.reporting.analysis.over_data_sets import Ranks, Scores, rank_methods, score_methods
from labkit.reporting.analysis.plan import Plan, find_groups, make_plan, pairs_with_baseline
from labkit.reporting.analysis.published import compare_published
from labkit.reporting.analysis.statistics import Estimate, describe
from labkit.reporting.analysis.study_file import BEST as BEST_EVALUATION
from labkit.reporting.analysis.study_file import StudyFile
from labkit.reporting.analysis.target import Reached, times_to
from labkit.reporting.analysis.tuning import Tuned, tune
from labkit.runs.json_shapes import is_number
from labkit.runs.study import Study
from labkit.text import split_of

__all__ = ["BEST", "TIED", "Findings", "find"]
ALPHA = 0.05  # where no study file names another
MOST_DATA_SETS = 6  # with figures and tables of their own
Summary = dict[str, list[Estimate]]  # metric -> one estimate per group, in the order of the groups


@dataclass
class Findings:
    results: Results
    summary: Summary
    file: StudyFile | None  # studies/<name>.yaml
    plan: Plan
    blocks: list[Block]  # one for each data set
    comparisons: list[Comparison]  # against the baseline of the study's file; without one against the best setting
    on_test: list[Comparison]  # the planned ones on the test split, where it was evaluated
    ablations: list[Comparison]  # of each named ablation against the same setting without it
    ranking: list[int]  # the positions of the groups, best mean first, those without one last
    marks: list[str]  # per group: BEST on its data, TIED or ""
    answer: Answer | None  # None: no study file, or the report is about another metric than the study

    @property
    def alpha(self) -> float:
        return self.file.alpha if self.file else ALPHA

    @functools.cached_property
    def baselines(self) -> list[int]:
        """The positions of the groups that the study's file calls the baseline."""
        return find_groups(self.results, self.file.baseline, "baseline") if self.file else []

    @functools.cached_property
    def published(self) -> list[str]:
        """A sentence on each value that a paper reports and the study's file names."""
        return compare_published(self.results, self.summary, self.file) if self.file else []

    @functools.cached_property
    def tuned(self) -> list[Tuned]:
        """The best setting of each model, where several were tried."""
        return tune(self.results, self.blocks, self.summary[self.results.metric], self.file, self.alpha)

    @functools.cached_property
    def target(self) -> float | None:
        """A value of the metric to be reached: of the study's file, or the mean of the baseline."""
        if self.file and self.file.target is not None:
            return self.file.target
        means = [self.summary[self.results.metric][i].mean for i in self.baselines]
        return means[0] if len(means) == 1 and np.isfinite(means[0]) else None

    @functools.cached_property
    def target_times(self) -> list[list[Reached]] | None:
        """Per group, of the runs that reached the target. None without one, or for a metric without a curve."""
        if self.target is None or self.results.metric not in self.results.curves:
            return None
        return times_to(self.results, self.target)

    @functools.cached_property
    def interactions(self) -> Interactions | None:
        return find_interactions(self.results, self.file, self.alpha)

    @functools.cached_property
    def ranks(self) -> Ranks | None:
        return rank_methods(self.results, self.blocks, self.summary[self.results.metric], self.alpha)

    @functools.cached_property
    def scores(self) -> Scores | None:
        return score_methods(self.results, self.blocks, self.summary[self.results.metric])

    @functools.cached_property
    def by_data_set(self) -> list[tuple[Block, Self]]:
        """The first data sets, and what was found on each."""
        return [(block, self.within(block)) for block in self.blocks[:MOST_DATA_SETS]]

    def within(self, block: Block) -> Self:
        """What was found on one data set, as if there were no other."""
        if len(self.blocks) == 1:
            return self
        results = self.results
        places = {i: place for place, i in enumerate(block.groups)}
        own = [results.groups[i] for i in block.groups]
        keys = [key for key in results.varying if key not in results.blocks]
        groups = [results.without(group, results.blocks) for group in own]
        names = [run.name for group in own for run in group.runs]
        curves = results.curves.loc[results.curves["run"].isin(names)]
        values = results.values.loc[results.values.index.isin(names)]
        parts = [
            [
                replace(comparison, group=places[comparison.group], against=places[comparison.against])
                for comparison in comparisons
                if {comparison.group, comparison.against} <= places.keys()
            ]
            for comparisons in (self.comparisons, self.on_test, self.ablations, block.against_best)
        ]
        ranking = [places[i] for i in block.ranking]
        best = None if block.best is None else places[block.best]
        return replace(
            self,
            results=replace(results, groups=groups, varying=keys, blocks=[], curves=curves, values=values),
            summary={metric: [found[i] for i in block.groups] for metric, found in self.summary.items()},
            blocks=[Block(block.label, list(places.values()), ranking, best, parts[3])],
            comparisons=parts[0],
            on_test=parts[1],
            ablations=parts[2],
            ranking=ranking,
            marks=[self.marks[i] for i in block.groups],
        )


def find(
    study: Study,
    file: StudyFile | None,
    metric: str | None,
    direction: str | None,
    repeats: list[str],
    labels: dict[str, Label] | None = None,
) -> Findings:
    """Of a study with at least one run with results; `metric` and `direction` None: those of the study's file."""
    asked = file if file and metric in (None, file.metric) else None  # None: the report is about something else
    if asked:
        if direction not in (None, asked.direction):
            raise ValueError(f"direction: studies/{study.name}.yaml says {asked.direction}; leave it out, or change it")
        metric = asked.metric
        direction = asked.direction
    results = collect(study, metric, direction, repeats, labels or {}, file.select if file else BEST_EVALUATION)
    if file:
        factor = results.names.factor(file.metric)
        target = None if file.target is None else factor * file.target
        smallest = factor * file.smallest_difference  # in the unit of the values
        file = replace(file, smallest_difference=smallest, target=target)
        asked = file if asked else None
    alpha = file.alpha if file else ALPHA
    margin = file.smallest_difference if file else 0.0
    summary = summarise(results)
    estimates = summary[results.metric]
    blocks = make_blocks(results, estimates, alpha)
    plan = make_plan(results, file)
    pairs = pairs_with_baseline(results, file, plan) if file else []
    if not asked:  # nothing was planned for this metric
        pairs = [pair._replace(planned=False) for pair in pairs]
    if file:
        comparisons = compare(results, pairs, alpha, margin)
    else:
        comparisons = [comparison for block in blocks for comparison in block.against_best]
    planned = [comparison for comparison in comparisons if comparison.planned]
    # What was planned is judged once, whichever table shows it.
    decided = {(comparison.group, comparison.against): comparison for comparison in planned}
    parts = ablation_pairs(results)
    exploratory = compare(results, [pair for pair in parts if pair[:2] not in decided], alpha)
    ablations = [decided[pair[:2]] for pair in parts if pair[:2] in decided] + exploratory
    on_test = []
    if asked and results.test_metric:
        on_test = compare(results, [pair for pair in pairs if pair.planned], alpha, margin, results.test_metric)
    answered = answer(results, asked, plan, planned, on_test) if asked else None
    return Findings(
        results,
        summary,
        file,
        plan,
        blocks,
        comparisons,
        on_test,
        ablations,
        ranking_of(blocks),
        marks_of(blocks, estimates),
        answered,
    )


def summarise(results: Results) -> Summary:
    """Every metric over the seeds of every group."""
    summary: Summary = {}
    sizes = np.array([len(group.runs) for group in results.groups])
    splits = {split_of(metric) for metric in results.values}
    shared = {split: np.array([results.test_per_train(split, group) for group in results.groups]) for split in splits}
    for metric in results.values:
        column = results.values[metric].to_numpy(float)
        rows = np.full((len(sizes), sizes.max()), np.nan)  # the runs of values are in the order of the groups
        rows[np.arange(sizes.max()) < sizes[:, None]] = column
        n, mean, sd, half = describe(rows, shared[split_of(metric)])
        least, most = results.names.bounds(metric)
        low, high = np.maximum(mean - half, np.minimum(mean, least)), np.minimum(mean + half, np.maximum(mean, most))
        summary[metric] = [
            Estimate(int(count), *map(float, numbers)) for count, *numbers in zip(n, mean, sd, low, high, strict=True)
        ]
    return summary


def summary_rows(results: Results, summary: Summary) -> list[dict[str, Any]]:
    """The summary of every metric in full precision, with the settings and the seeds that were left out."""
    dropped = not_a_number(results)
    return [
        beside(
            group.settings,
            {"metric": metric, **_plain(estimates[position], results.names.factor(metric))}
            | {"unfinished": len(group.unfinished)}
            | {"seeds_not_a_number": " ".join(dropped.get((position, metric), []))},
        )
        for position, group in enumerate(results.groups)
        for metric, estimates in summary.items()
    ]


def _plain(estimate: Estimate, factor: float) -> dict[str, Any]:
    """In the unit of the runs, for programs."""
    return {key: value if key == "n" else value / factor for key, value in asdict(estimate).items()}


def not_a_number(results: Results) -> dict[tuple[int, str], list[str]]:
    """(group, metric) -> the seeds that measured NaN or infinity there."""
    dropped: dict[tuple[int, str], list[str]] = {}
    for position, group in enumerate(results.groups):
        for repeat, run in group.repeats.items():
            for metric, value in run_metrics(run, results.select).items():
                if not is_number(value):
                    dropped.setdefault((position, metric), []).append(seed_text(repeat))
    return dropped
