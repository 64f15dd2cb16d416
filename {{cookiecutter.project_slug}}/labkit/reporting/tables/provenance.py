"""What the results cost, and what made them: code, machines, packages and data."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from labkit.reporting.checks import code_versions
from labkit.reporting.collect import Results
from labkit.reporting.grouping import Group
from labkit.reporting.statistics import NAN
from labkit.reporting.tables.formats import Table
from labkit.reporting.tables.rounding import three_digits
from labkit.runs.json_shapes import is_number
from labkit.runs.study import Run, Study
from labkit.text import one_line

# The entries of "cost" in run.json
COSTS = {
    "wall_s": "wall time (s)",
    "cpu_s": "CPU time (s)",
    "gpu_s": "GPU time (s)",
    "examples_per_s": "examples/s",
    "parameters": "parameters",
    "peak_memory_mb": "memory (MiB)",
    "peak_gpu_memory_mb": "GPU memory (MiB)",
}


def cost_table(results: Results) -> Table:
    """One row per setting: means over its runs."""
    costs = [mean_cost(group) for group in results.groups]
    shown = [key for key in COSTS if any(cost[key] > 0 for cost in costs)]
    keys = list(results.groups[0].settings)
    rows = [
        [*group.settings.values(), str(len(group.runs)), *(three_digits(cost[key]) for key in shown)]
        for group, cost in zip(results.groups, costs, strict=True)
    ]
    caption = (
        "Cost of a run, mean over the n runs with results; memory is the largest at any time. Blank: not measured."
    )
    if absent := [header for key, header in COSTS.items() if key not in shown]:
        caption += f" Zero or not measured in all runs: {', '.join(absent)}."
    return Table(caption, [*keys, "n", *(COSTS[key] for key in shown)], rows, len(keys))


def mean_cost(group: Group) -> dict[str, float]:
    """By the entries of COSTS; NaN where no run measured it."""
    means: dict[str, float] = {}
    for key in COSTS:
        values = [run.record["cost"].get(key) for run in group.runs]
        measured = [float(value) for value in values if is_number(value)]
        means[key] = sum(measured) / len(measured) if measured else NAN
    return means


def data_table(study: Study) -> Table:
    """One row per data set and split that the runs with results used."""
    used = Counter(json.dumps(_about_data(run.record["data"]), sort_keys=True) for run in study.ended)
    splits = list(dict.fromkeys(split for run in study.ended for split in run.record["data"].get("examples") or {}))
    body = []
    for text, n in used.most_common():
        data = json.loads(text)
        examples = [str(data["examples"].get(split, "")) for split in splits]
        body.append([*(one_line(data[key]) for key in ("name", "fingerprint", "split_fingerprint")), *examples, str(n)])
    header = ["data", "fingerprint", "split", *map(one_line, splits), "runs"]
    caption = "Data of the runs with results: number of examples of each split. Equal fingerprints mean equal content."
    return Table(caption, header, body, 3)


def provenance_table(study: Study) -> Table:
    """What made the results, and how many runs each of it made."""
    rows = [[what, one_line(which), str(n)] for what, which, n in _provenance(study)]
    caption = (
        "What made the runs with results; a run that was resumed may have several. The code is identified by what "
    )
    caption += "ran, committed or not. Packages are listed where they are not the same in all runs."
    return Table(caption, ["what", "which", "runs"], rows, 2)


def _about_data(data: dict[str, Any]) -> dict[str, Any]:
    return {key: str(data.get(key) or "") for key in ("name", "fingerprint", "split_fingerprint")} | {
        "examples": data.get("examples") or {}
    }


def _provenance(study: Study) -> Iterable[tuple[str, str, int | str]]:
    for version in code_versions(study):
        changes = {"yes": "uncommitted changes", "no": "nothing uncommitted"}.get(version["uncommitted changes"], "")
        known = ", ".join(part for part in (f"commit {version['commit']}", changes) if part)
        yield "code", f"{version['code']} ({known})", version["runs"]
    for key, what in (("host", "host"), ("python", "Python"), ("platform", "system"), ("cpu", "CPU"), ("gpu", "GPU")):
        found = Counter(value for run in study.ended for value in _values(run, key))
        yield from ((what, value, n) for value, n in _ordered(found))
    for package, found in _differing(study).items():
        yield from ((f"package {one_line(package)}", version, n) for version, n in _ordered(found))


def _values(run: Run, key: str) -> set[str]:
    return {str(launch[key]) for launch in run.record["launches"] if launch.get(key)}


def _ordered(found: Counter[str]) -> list[tuple[str, int]]:
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _differing(study: Study) -> dict[str, Counter[str]]:
    """{package: {version: runs}} of the packages that were not the same in all runs."""
    runs = Counter(run.packages_id for run in study.ended)
    packages = {one: _read_packages(study, one) for one in runs} if len(runs) > 1 else {}
    found: dict[str, Counter[str]] = {}
    for name in sorted({name for installed in packages.values() for name in installed}):
        versions: Counter[str] = Counter()
        for one, installed in packages.items():
            versions[installed.get(name, "not installed")] += runs[one]
        if len(versions) > 1:
            found[name] = versions
    return found


def _read_packages(study: Study, packages_id: int) -> dict[str, str]:
    """Of the last launch of one of the runs that share them: they are most of a record, hence not kept in memory."""
    run = next(run for run in study.ended if run.packages_id == packages_id)
    return json.loads((run.path / "run.json").read_bytes())["launches"][-1].get("packages") or {}
