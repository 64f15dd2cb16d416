"""What a reader must know before believing the numbers: each function looks for one thing and says it in sentences."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from labkit.reporting.collect import Results, metrics_in
from labkit.reporting.comparisons import compared_with_nothing, find_groups
from labkit.reporting.findings import Findings, Summary, not_a_number
from labkit.runs.study import Run, Study
from labkit.text import one_line


def find_warnings(findings: Findings) -> list[str]:
    results, summary = findings.results, findings.summary
    study = results.study
    checks = (
        _plan(findings),
        _seeds(results, summary),
        _diverged(results),
        _metrics(findings),
        _code(study),
        _packages(study),
        _data(study),
    )
    return study.warnings + [warning for check in checks for warning in check]


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
    file, results = findings.file, findings.results
    for label in compared_with_nothing(results, file, findings.comparisons, findings.ablations):
        yield f"{label} is in no comparison: no baseline differs from it in nothing but what was named"
    if file is None:
        return
    if not find_groups(results, file.baseline, "baseline"):
        yield f"the baseline {file.baseline} has no run with results: nothing is compared with it"
    if findings.answer and file.metric == results.monitor["metric"] and file.direction != results.monitor["direction"]:
        yield f"direction: the study's file says {file.direction}, the runs chose their best epoch by the opposite"
    first = [run.record["launches"][0] for run in results.study.ended]
    later = sum(launch.get("study_file", file.digest) != file.digest for launch in first)
    if later:
        yield (
            f"studies/{one_line(results.study.name)}.yaml was written or changed after {later} of {len(first)} "
            "runs had begun: its plan was not made before them"
        )
    seeds = {repeat[results.repeats.index("seed")] for group in results.groups for repeat in group.repeats}
    if unplanned := sorted(seeds - set(file.seeds)):
        yield f"seeds that were not planned are in the means: {', '.join(map(str, unplanned))}"
    if findings.answer is None:
        yield f"this report is about {results.metric}; the study is about {file.metric}: it is not answered here"


def _seeds(results: Results, summary: Summary) -> Iterator[str]:
    for (position, metric), seeds in not_a_number(results).items():
        if metric in (results.metric, results.test_metric):
            named = ", ".join(seeds)
            yield f"{results.groups[position].label}: {metric} is no number for seed {named}: left out of its mean"
    counts = [one.n for one in summary[results.metric]]
    if len(set(counts)) > 1:
        yield f"unequal numbers of seeds per setting: {min(counts)} to {max(counts)}"
    for group, one in zip(results.groups, summary[results.metric], strict=True):
        if one.sd == 0:
            yield f"{group.label}: {results.metric} is the same for all seeds: had the seed an effect?"


def _diverged(results: Results) -> Iterator[str]:
    lost = sum(run.status == "diverged" and not run.ended for run in results.study.runs)
    for group in results.groups:
        here = sum(run.status == "diverged" for run in group.unfinished)
        lost -= here
        if here:
            runs = len(group.runs) + len(group.unfinished)
            yield f"{group.label}: {here} of {runs} runs diverged without a result: left out of its mean"
    if lost:
        yield f"{lost} run{'s' if lost > 1 else ''} diverged in settings where none has a result: in no mean"


def _metrics(findings: Findings) -> Iterator[str]:
    results = findings.results
    ended = results.study.ended
    rules = Counter(f"{run.record['monitor']['direction']} {run.record['monitor']['metric']}" for run in ended)
    if len(rules) > 1:
        yield f"the best evaluation was not chosen by one rule: {_enumerate(rules)}"
    if results.metric.startswith("test/") and not findings.answer:
        yield f"the report is about {results.metric}: settings chosen by it have seen the test set"
    evaluated = sum(bool(run.test) for run in ended)
    if 0 < evaluated < len(ended):
        yield f"only {evaluated} of {len(ended)} runs were evaluated on the test set"
    measured = Counter(metric for run in ended for metric in metrics_in(run.record["best"]))
    if partial := sorted(metric for metric, n in measured.items() if n < len(ended)):
        yield f"not every run measured {', '.join(map(one_line, partial))}: blank where it was not"


def _code(study: Study) -> Iterator[str]:
    runs = Counter(run.record["launches"][-1]["code_id"] for run in study.ended)
    if len(runs) > 1:
        yield f"mixed versions of the code: {_enumerate(runs)}"
    for run in study.ended:
        if len({launch["code_id"] for launch in run.record["launches"]}) > 1:
            yield f"{one_line(run.name)} was resumed after the code had changed"


def _packages(study: Study) -> Iterator[str]:
    runs = Counter(run.packages_id for run in study.ended)
    if len(runs) > 1:
        yield f"the runs had {len(runs)} different sets of packages: the table of packages says which differ"


def _data(study: Study) -> Iterator[str]:
    fingerprints: dict[str, Counter[str]] = defaultdict(Counter)
    for run in study.ended:
        data = run.record["data"]
        fingerprints[data["name"]][f"{data['fingerprint']}, split {data['split_fingerprint']}"] += 1
    for name, runs in fingerprints.items():
        if len(runs) > 1:
            yield f"data {one_line(name)} was not the same in all runs: {_enumerate(runs)}"


def _enumerate(counts: Counter[str]) -> str:
    return "; ".join(f"{name} ({n} run{'s' if n > 1 else ''})" for name, n in counts.most_common())
