"""One study whose runs lie in several places, such as this computer and a copy of the cluster's folder."""

from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from labkit.runs.study import Run, Study, find_studies, mark_duplicates, read_study
from labkit.text import one_line

LEAST_KNOWN = ("missing", "refused", "unreadable", "queued")  # of two entries for a run, the other one says more


def find_places(runs_dirs: list[str], study: str | None) -> dict[str, list[Path]]:
    """The folders of each study, or of the one asked for, in the order of the places."""
    for place in runs_dirs[1:]:
        if not Path(place).is_dir():
            raise ValueError(f"more_runs_dirs: there is no folder {place}; correct the path")
        if not _studies(place, None):
            raise ValueError(f"more_runs_dirs: {place}: no study here; a study is a folder that holds run folders")
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in (folder for place in runs_dirs for folder in _studies(place, study)):
        found[folder.name].append(folder)
    if not found:
        find_studies(runs_dirs[0], study)  # says what there is
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
    chosen = {name: max(runs, key=_weight) for name, runs in sorted(copies.items())}
    warnings = []
    for folder, study in zip(folders, studies, strict=True):
        elsewhere = tuple(f"{one_line(name)}:" for name, run in chosen.items() if run.study != folder)
        warnings += [f"{folder}: {text}" for text in study.warnings if not text.startswith(elsewhere)]
    for name, runs in copies.items():
        if len({str(run.record["best"]) for run in runs if run.ended}) > 1:
            kept = chosen[name].study
            warnings.append(f"{one_line(name)} has other results in each place: those in {kept} count")
    runs = list(chosen.values())
    mark_duplicates(runs, warnings)
    return Study(studies[0].name, runs, warnings)


def _studies(place: str, study: str | None) -> list[Path]:
    """None where another place may have what is asked for."""
    with suppress(ValueError):
        return find_studies(place, study)
    return []


def _weight(run: Run) -> tuple[bool, bool, bool, int]:
    """The first of equals counts."""
    return run.ended, bool(run.test), run.status not in LEAST_KNOWN, run.state.get("step") or 0
