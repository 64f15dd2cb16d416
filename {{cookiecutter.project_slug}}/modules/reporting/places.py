"""One study whose runs lie in several places, such as this computer and a copy of the cluster's folder."""

from collections import defaultdict
from pathlib import Path

from modules.reporting.run_folders import Run, Study, find_studies, mark_duplicates, one_line, read_study

LEAST_KNOWN = ("missing", "refused", "unreadable", "queued")  # of two entries for a run, the other one says more


def find_places(runs_dirs: list[str], study: str | None) -> dict[str, list[Path]]:
    """The folders of each study, or of the one asked for, in the order of the places."""
    for place in runs_dirs[1:]:
        if not Path(place).is_dir():
            raise ValueError(f"more_runs_dirs: there is no folder {place}; correct the path")
    found: dict[str, list[Path]] = defaultdict(list)
    problems = []
    for place in runs_dirs:
        try:
            for folder in find_studies(place, study):
                found[folder.name].append(folder)
        except ValueError as error:  # another place may have it
            problems.append(error)
    if not found:
        raise problems[0]
    return dict(sorted(found.items()))


def read_places(folders: list[Path]) -> Study:
    """The study with each of its runs once: a result before anything else, then what has come furthest."""
    studies = [read_study(folder) for folder in folders]
    if len(studies) == 1:
        return studies[0]
    copies: dict[str, list[Run]] = defaultdict(list)
    for study in studies:
        for run in study.runs:
            copies[run.name].append(run)
    warnings = [f"{folder}: {text}" for folder, study in zip(folders, studies, strict=True) for text in study.warnings]
    for name, runs in copies.items():
        results = {str(run.record["best"]) for run in runs if run.ended}
        if len(results) > 1:
            kept = max(runs, key=_weight).study
            warnings.append(f"{one_line(name)} has other results in each place: those in {kept} count")
    runs = [max(copies[name], key=_weight) for name in sorted(copies)]
    mark_duplicates(runs)
    return Study(studies[0].name, runs, warnings)


def _weight(run: Run) -> tuple[bool, bool, int]:
    """The first of equals counts."""
    return run.ended, run.status not in LEAST_KNOWN, run.state.get("step") or 0
