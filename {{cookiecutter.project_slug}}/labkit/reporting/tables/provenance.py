"""What made the results: code, machines, packages and data."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from labkit.reporting.captions import DATA, PROVENANCE
from labkit.reporting.tables.formats import Table
from labkit.runs.files import RESULT
from labkit.runs.study import Run, Study

LAUNCH = {"host": "host", "python": "Python", "platform": "system", "cpu": "CPU", "gpu": "GPU"}  # of a run


def data_table(study: Study) -> Table:
    """One row per data set and split that the runs with results used."""
    data = [run.record["data"] for run in study.ended]
    splits = list(dict.fromkeys(split for used in data for split in used.get("examples") or {}))
    used = Counter(
        (
            *(str(used.get(key) or "") for key in ("name", "fingerprint", "split_fingerprint")),
            *(str((used.get("examples") or {}).get(split, "")) for split in splits),
        )
        for used in data
    )
    rows = [[*row, str(n)] for row, n in used.most_common()]
    return Table(DATA, ["data", "fingerprint", "split", *splits, "runs"], rows, 3)


def provenance_table(study: Study) -> Table:
    """What made the results, and how many runs each of it made."""
    rows = [*_code(study), *_machines(study), *_packages(study)]
    return Table(PROVENANCE, ["what", "which", "runs"], rows, 2)


def _code(study: Study) -> list[list[str]]:
    """A run that was resumed after the code had changed counts for each version."""
    versions = [{_version(launch) for launch in run.record["launches"]} for run in study.ended]
    return _counted("code", Counter(version for of_run in versions for version in of_run))


def _version(launch: dict[str, Any]) -> str:
    git = launch["git"]
    changes = {True: ", uncommitted changes", False: ", nothing uncommitted"}.get(git["dirty"], "")
    return f"{launch['code_id']} (commit {git['commit'] or git['missing'] or 'none'}{changes})"


def _machines(study: Study) -> Iterator[list[str]]:
    for key, what in LAUNCH.items():
        of_runs = [{str(launch[key]) for launch in run.record["launches"] if launch.get(key)} for run in study.ended]
        yield from _counted(what, Counter(value for values in of_runs for value in values))


def _packages(study: Study) -> Iterator[list[str]]:
    """The packages that were not the same in all runs."""
    runs = Counter(run.packages_id for run in study.ended)
    if len(runs) == 1:
        return
    packages = {run.packages_id: _read_packages(run) for run in {run.packages_id: run for run in study.ended}.values()}
    for name in sorted(set().union(*packages.values())):
        versions: Counter[str] = Counter()
        for packages_id, installed in packages.items():
            versions[installed.get(name, "not installed")] += runs[packages_id]
        if len(versions) > 1:
            yield from _counted(f"package {name}", versions)


def _read_packages(run: Run) -> dict[str, str]:
    """Of its last launch: they are most of a record, hence not kept in memory."""
    return json.loads((run.path / RESULT).read_bytes())["launches"][-1].get("packages") or {}


def _counted(what: str, found: Counter[str]) -> list[list[str]]:
    """Most runs first."""
    return [[what, value, str(n)] for value, n in sorted(found.items(), key=lambda item: (-item[1], item[0]))]
