"""What a reader must know before believing the numbers: each function looks for one thing and says it in sentences."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from labkit.reporting.analysis.collect import FOLD, Results, metrics_in
from labkit.reporting.analysis.comparisons import compared_with_nothing
from labkit.reporting.analysis.confounding import confounders
from labkit.reporting.analysis.findings import Findings, not_a_number
from labkit.reporting.analysis.study_file import CONFOUNDERS
from labkit.runs.study import Study
from labkit.text import counted, quantity_of, split_of

MOST_NAMED = 3  # of a kind


def find_warnings(findings: Findings) -> list[str]:
    results = findings.results
    study = results.study
    return [
        *study.warnings,
        *_plan(findings),
        *_searches(study),
        *_causes(findings),
        *_seeds(findings),
        *_diverged(results),
        *_metrics(findings),
        *_code(study),
        *_packages(study),
        *_data(results),
    ]


def _plan(findings: Findings) -> Iterator[str]:
    file = findings.file
    results = findings.results
    for label in compared_with_nothing(results, findings.baselines, findings.comparisons, findings.ablations):
        yield f"{label} is in no comparison: every other setting differs from it in more than was named"
    if file is None:
        return
    if not findings.baselines:
        yield f"the baseline {file.baseline} has no run with results, so nothing is compared with it"
    if findings.answer and file.metric == results.monitor["metric"] and file.direction != results.monitor["direction"]:
        yield f"direction: the study's file says {file.direction}, but the runs chose their best epoch by the opposite"
    first = [run.record["launches"][0] for run in results.study.ended]
    later = sum(launch.get("study_file", file.digest) != file.digest for launch in first)
    if later:
        yield f"studies/{results.study.name}.yaml was written or changed after {later} of {len(first)} runs had begun"
    if findings.plan.exploratory:
        pinned = ", ".join(f"{key}: {value}" for key, value in _own_where_others_were_tried(findings).items())
        yield (
            f"the plan does not name all that varies: it is about {pinned}, the values of the first runs, and what "
            f"else was tried is exploratory; write fixed: {{{pinned}}} into studies/{results.study.name}.yaml to pin it"
        )
    if findings.plan.unsettled:
        yield (
            "the plan does not name all that varies, and no pair has the values of the study's first runs: every pair "
            f"that fits counts as planned; write fixed: into studies/{results.study.name}.yaml to choose"
        )
    repeats = [repeat for group in results.groups for repeat in group.repeats]
    planned = {"seed": file.seeds} | ({FOLD: range(file.folds)} if file.folds and FOLD in results.repeats else {})
    for key, numbers in planned.items():
        had = {repeat[results.repeats.index(key)] for repeat in repeats}
        if unplanned := sorted(had - set(numbers)):
            what = key.removeprefix("data.")
            yield f"the means include {what}s that were not planned: {', '.join(map(str, unplanned))}"
    if findings.answer is None:
        asked = results.names.title(file.metric)
        yield f"this report is about {results.title} and the study about {asked}, so it is not answered here"


def _own_where_others_were_tried(findings: Findings) -> dict[str, str]:
    """{"optimizer.lr": "0.001"}"""
    groups, own = findings.results.groups, findings.plan.own
    return {
        key: " or ".join(sorted(own[key]))
        for key in findings.results.varying
        if any(groups[i].settings[key] not in own[key] for i in findings.plan.exploratory)
    }


def _searches(study: Study) -> Iterator[str]:
    status = {run.name: run.status for run in study.runs}
    for search in study.searches:
        counts = Counter(status.get(trial["name"], "missing") for trial in search["members"])
        ended = ", ".join(f"{n} {what}" for what, n in counts.items())
        yield (
            f"a search chose these settings in {counted(len(search['members']), 'trial')} ({ended}): the best of them "
            f"is lucky as well; judge it on fresh seeds, as the experiment best_of_{study.name} does"
        )


def _causes(findings: Findings) -> Iterator[str]:
    """Of comparisons that were not planned: of the others the answer says it."""
    results = findings.results
    found: dict[str, list[str]] = defaultdict(list)
    allowed = findings.file.allow if findings.file else []
    for comparison in findings.comparisons:
        for name in [] if comparison.planned else confounders(results, comparison):
            if name not in allowed:
                own, other = (results.groups[i].label for i in (comparison.group, comparison.against))
                found[name].append(f"{own} against {other}")
    for name, pairs in found.items():
        more = f" and {len(pairs) - MOST_NAMED} more" if len(pairs) > MOST_NAMED else ""
        yield f"{CONFOUNDERS[name]} may be the cause of a difference: {'; '.join(pairs[:MOST_NAMED])}{more}"


def _seeds(findings: Findings) -> Iterator[str]:
    results = findings.results
    run = results.repetition
    estimates = findings.summary[results.metric]
    for (position, metric), seeds in not_a_number(results).items():
        if metric in (results.metric, results.test_metric):
            label = results.groups[position].label
            name = results.names.title(metric)
            yield f"{label}: {name} is not a number for {run} {', '.join(seeds)}, which its mean leaves out"
    counts = {estimate.n for estimate in estimates}
    if len(counts) > 1:
        yield f"the settings have unequal numbers of {run}s: {min(counts)} to {max(counts)}"
    for group, estimate in zip(results.groups, estimates, strict=True):
        if estimate.sd == 0:
            yield f"{group.label}: {results.title} is the same for all {run}s; check that the {run} has an effect"


def _diverged(results: Results) -> Iterator[str]:
    elsewhere = sum(run.status == "diverged" and not run.ended for run in results.study.runs)
    for group in results.groups:
        lost = sum(run.status == "diverged" for run in group.unfinished)
        elsewhere -= lost
        if lost:
            runs = len(group.repeats) + len(group.unfinished)
            yield f"{group.label}: {lost} of {runs} runs diverged without a result; its mean leaves them out"
    if elsewhere:
        yield f"{counted(elsewhere, 'run')} diverged in settings that have no result at all, and count in no mean"


def _metrics(findings: Findings) -> Iterator[str]:
    results = findings.results
    ended = results.study.ended
    rules = Counter(
        f"{run.record['monitor']['direction']} {results.names.title(run.record['monitor']['metric'])}" for run in ended
    )
    if len(rules) > 1:
        yield f"the runs chose their best evaluation by different rules: {_enumerate(rules)}"
    if quantity_of(results.metric) in results.names.disputed:
        yield f"the runs give {results.metric} different names or units: check that they measured the same"
    if split_of(results.metric) == "test" and not findings.answer:
        yield f"this report is about {results.title}: a setting chosen by it has seen the test set"
    evaluated = sum(bool(run.tests[results.select]) for run in ended)
    if 0 < evaluated < len(ended):
        yield f"only {evaluated} of {len(ended)} runs were evaluated on the test set"
    measured = Counter(metric for run in ended for metric in metrics_in(run.record[results.select]))
    if partial := sorted(metric for metric, n in measured.items() if n < len(ended)):
        names = ", ".join(map(results.names.title, partial))
        yield f"not every run measured {names}; it is blank where it was not measured"


def _code(study: Study) -> Iterator[str]:
    versions = Counter(run.record["launches"][-1]["code_id"] for run in study.ended)
    if len(versions) > 1:
        yield f"the runs used different versions of the code: {_enumerate(versions)}"
    for run in study.ended:
        if len({launch["code_id"] for launch in run.record["launches"]}) > 1:
            yield f"{run.name} was resumed after the code had changed"


def _packages(study: Study) -> Iterator[str]:
    sets = {run.packages_id for run in study.ended}
    if len(sets) > 1:
        yield f"the runs used {len(sets)} different sets of packages; the table of provenance shows the differences"


def _data(results: Results) -> Iterator[str]:
    """What the data sets warn of, and what is not the same although nothing asked for it: `repeats` may differ."""
    versions: dict[str, Counter[str]] = defaultdict(Counter)
    fingerprints: dict[str, set[str]] = defaultdict(set)
    splits: dict[str, set[tuple[Any, str]]] = defaultdict(set)
    warned: dict[str, None] = {}  # in their order, each once
    for group in results.groups:
        settings = tuple((key, value) for key, value in group.settings.items() if key.startswith("data"))
        for repeat, run in group.repeats.items():
            data = run.record["data"]
            block = " ".join([data["name"], *(value for key, value in settings if key in results.blocks[1:])])
            repeated = tuple(value for key, value in zip(results.repeats, repeat, strict=True) if key != "seed")
            versions[block][f"{data['fingerprint']}, split {data['split_fingerprint']}"] += 1
            fingerprints[block].add(data["fingerprint"])
            splits[block].add(((repeated, settings), data["split_fingerprint"]))
            if isinstance(warnings := data.get("warnings"), list):
                warned |= {f"{data['name']}: {str(warning).removeprefix('data: ')}": None for warning in warnings}
    yield from warned
    for name, runs in versions.items():
        if len(fingerprints[name]) > 1 or len(splits[name]) > len({declared for declared, _ in splits[name]}):
            yield f"the data {name} was not the same in all runs: {_enumerate(runs)}"


def _enumerate(counts: Counter[str]) -> str:
    return "; ".join(f"{name} ({counted(n, 'run')})" for name, n in counts.most_common())
