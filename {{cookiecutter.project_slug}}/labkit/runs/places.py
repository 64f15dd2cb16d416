"""One study whose runs are in several places, such as on this computer and in a copy of the cluster's folder."""

from collections import defaultdict
from pathlib import Path

from labkit.runs.study import Run, Study, mark_duplicates, read_study
from labkit.text import one_line

# Of two entries for a run, the other one says more.
LEAST_KNOWN = ("missing", "refused", "unreadable", "queued", "submitted")


def read_places(folders: list[Path]) -> Study:
    """The study with each run once: the one that has results, or else the one that came furthest."""
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
            warnings.append(f"{one_line(name)} has other results in each place; those in {kept} count")
    runs = list(chosen.values())
    mark_duplicates(runs, warnings)
    return Study(studies[0].name, runs, warnings, [search for study in studies for search in study.searches])


def _weight(run: Run) -> tuple[bool, bool, bool, int]:
    """The largest one counts, and the first of equals."""
    return run.ended, any(run.tests.values()), run.status not in LEAST_KNOWN, run.state.get("step") or 0
