"""What a reader must know before believing the numbers: each function looks for one thing and says it in sentences."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from labkit.reporting.collect import Results, metrics_in
from labkit.reporting.comparisons import compared_with_nothing
from labkit.reporting.findings import Findings, not_a_number
from labkit.runs.study import Run, Study
from labkit.text import counted, split_of


def find_warnings(findings: Findings) -> list[str]:
    results = findings.results
    study = results.study
    return [
        *study.warnings,
        *_plan(findings),
        *_seeds(findings),
        *_diverged(results),
        *_metrics(findings),
        *_code(study),
        *_packages(study),
        *_data(study),
    ]


def code_versions(study: Study) -> list[dict[str, str]]:
    """One entry per version of the code that launched a run with results, most runs first."""
    versions: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
    for run in study.ended:
        for launch in {launch["code_id"]: launch for launch in run.record["launches"]}.values():
            git = launch["git"]
            dirty = {True: "yes", False: "no", None: "unknown"}[git["dirty"]]
            versions[launch["code_id"], git["commit"] or git["missing"] or "none", dirty].append(run)
    return [
        {
            "code": code,
            "commit": commit,
            "uncommitted changes": dirty,
            "runs": str(len(runs)),
            "hosts": ", ".join(sorted({launch["host"] for run in runs for launch in run.record["launches"]})),
        }
        for (code, commit, dirty), runs in sorted(versions.items(), key=lambda item: (-len(item[1]), item[0]))
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
    seeds = {repeat[results.repeats.index("seed")] for group in results.groups for repeat in group.repeats}
    if unplanned := sorted(seeds - set(file.seeds)):
        yield f"the means include seeds that were not planned: {', '.join(map(str, unplanned))}"
    if findings.answer is None:
        yield f"this report is about {results.metric} and the study about {file.metric}, so it is not answered here"


def _seeds(findings: Findings) -> Iterator[str]:
    results = findings.results
    estimates = findings.summary[results.metric]
    for (position, metric), seeds in not_a_number(results).items():
        if metric in (results.metric, results.test_metric):
            label = results.groups[position].label
            yield f"{label}: {metric} is not a number for seed {', '.join(seeds)}, which its mean leaves out"
    counts = {estimate.n for estimate in estimates}
    if len(counts) > 1:
        yield f"the settings have unequal numbers of seeds: {min(counts)} to {max(counts)}"
    for group, estimate in zip(results.groups, estimates, strict=True):
        if estimate.sd == 0:
            yield f"{group.label}: {results.metric} is the same for all seeds; check that the seed has an effect"


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
    rules = Counter(f"{run.record['monitor']['direction']} {run.record['monitor']['metric']}" for run in ended)
    if len(rules) > 1:
        yield f"the runs chose their best evaluation by different rules: {_enumerate(rules)}"
    if split_of(results.metric) == "test" and not findings.answer:
        yield f"this report is about {results.metric}: a setting chosen by it has seen the test set"
    evaluated = sum(bool(run.test) for run in ended)
    if 0 < evaluated < len(ended):
        yield f"only {evaluated} of {len(ended)} runs were evaluated on the test set"
    measured = Counter(metric for run in ended for metric in metrics_in(run.record["best"]))
    if partial := sorted(metric for metric, n in measured.items() if n < len(ended)):
        yield f"not every run measured {', '.join(partial)}; it is blank where it was not measured"


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


def _data(study: Study) -> Iterator[str]:
    versions: dict[str, Counter[str]] = defaultdict(Counter)
    for run in study.ended:
        data = run.record["data"]
        versions[data["name"]][f"{data['fingerprint']}, split {data['split_fingerprint']}"] += 1
    for name, runs in versions.items():
        if len(runs) > 1:
            yield f"the data {name} was not the same in all runs: {_enumerate(runs)}"


def _enumerate(counts: Counter[str]) -> str:
    return "; ".join(f"{name} ({counted(n, 'run')})" for name, n in counts.most_common())
