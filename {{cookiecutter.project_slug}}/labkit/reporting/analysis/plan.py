"""What the study's file planned: who is compared with whom, in which of the settings that the study has by now.

A plan names few keys. In all others a planned setting has the study's own values, so that a run which somebody tries
out later changes no planned answer.
"""

import itertools
from dataclasses import dataclass

from labkit.reporting.analysis.collect import FOLD, Results
from labkit.reporting.analysis.comparisons import Pair, find_opponent
from labkit.reporting.analysis.grouping import Group, Repeat, seed_text
from labkit.reporting.analysis.study_file import Setting, StudyFile
from labkit.text import alternatives

AT_REST = ("finished", "diverged", "duplicate", "refused", "pruned")  # a run that is none of these may still end


@dataclass
class Plan:
    """The planned comparisons, and the study's own values of all settings that vary."""

    pairs: dict[int, list[Pair]]  # of each planned comparison, by its position in the file
    own: dict[str, set[str]]  # the study's own values of each key that varies
    exploratory: list[int]  # groups that match a planned comparison in all that it names, but not in the rest
    unsettled: bool = False  # no pair of some comparison has the study's own values, so every pair counts


def make_plan(results: Results, file: StudyFile | None) -> Plan:
    """ValueError where the file names a key that no run has."""
    own = _own_values(results, file)
    if file is None:
        return Plan({}, own, [])
    pairs: dict[int, list[Pair]] = {}
    exploratory: set[int] = set()
    unsettled = False
    for position, (setting, against, claim) in enumerate(file.planned):
        own_groups = find_groups(results, file.fixed | setting, "comparisons")
        opponents = find_groups(results, file.fixed | against, "comparisons")
        named = {*setting, *against}
        found = []
        for i in own_groups:
            opponent = find_opponent(results, i, opponents, named)
            if opponent is not None:
                found.append(Pair(i, opponent, planned=True, claim=claim))
        settled = [pair for pair in found if _has_own_values(results, pair, own, named)]
        unsettled |= bool(found) and not settled
        pairs[position] = settled or found
        exploratory |= {pair.group for pair in found if pair not in pairs[position]}
    return Plan(pairs, own, sorted(exploratory), unsettled)


def pairs_with_baseline(results: Results, file: StudyFile, plan: Plan) -> list[Pair]:
    """The planned pairs, and every other setting with the baseline on the same data."""
    pairs = {pair[:2]: pair for of_one in plan.pairs.values() for pair in of_one}
    baseline = find_groups(results, file.baseline, "baseline")
    for i, group in enumerate(results.groups):
        there = [j for j in baseline if results.block_of(results.groups[j]) == results.block_of(group)]
        opponent = find_opponent(results, i, there, set(file.baseline))
        if opponent is not None:
            pairs.setdefault((i, opponent), Pair(i, opponent))
    return list(pairs.values())


def find_groups(results: Results, setting: Setting, key: str) -> list[int]:
    """The positions of the groups of a setting; none if no such run has ended. ValueError where no run has its key."""
    known = sorted({name for group in results.groups for name in group.config})
    for name in setting:
        if name not in known:
            raise ValueError(
                f"studies/{results.study.name}.yaml: {key}: no run has a setting {name!r}; {alternatives(name, known)}"
            )
    return [i for i, group in enumerate(results.groups) if group.has(setting)]


def to_come(results: Results, file: StudyFile, group: Group) -> str:
    """Which planned seeds have no result, or which folds; one that diverged has given all that it can."""
    folds, absent = _absent(results, file, group)
    if not absent:
        return ""
    plural = "" if len(absent) == 1 else "s"
    if folds and len(file.seeds) > 1:
        return f"{group.label} lacks the planned run{plural} {', '.join(map(seed_text, absent))} (seed/fold)"
    what = "fold" if folds else "seed"
    return f"{group.label} lacks the planned {what}{plural} {', '.join(str(repeat[-1]) for repeat in absent)}"


def _absent(results: Results, file: StudyFile, group: Group) -> tuple[int | None, list[Repeat]]:
    folds = file.folds or (group.config.get("data.folds") if results.repetition in ("fold", "run") else None)
    places = [results.repeats.index(key) for key in ("seed", FOLD)[: 2 if folds else 1] if key in results.repeats]
    there = {tuple(repeat[place] for place in places) for repeat in (*group.repeats, *group.diverged)}
    planned = list(itertools.product(file.seeds, range(folds))) if folds else [(seed,) for seed in file.seeds]
    return folds, [repeat for repeat in planned if repeat not in there]


def _own_values(results: Results, file: StudyFile | None) -> dict[str, set[str]]:
    """Those that the study's first command gave its runs: the first one of which the study's file was there.

    Where one command tells nothing apart and no run is to come, those with every planned seed: whoever tries one more
    value on one seed has not planned it.
    """
    first = [(run.record["launches"][0], i) for i, group in enumerate(results.groups) for run in group.runs]
    planned = [found for found in first if found[0].get("study_file")] or first
    begun, _ = min(planned, key=lambda found: str(found[0].get("started")))
    own = sorted({i for launch, i in planned if launch.get("argv") == begun.get("argv")})
    if file and all(run.status in AT_REST for run in results.study.runs):
        own = [i for i in own if not _absent(results, file, results.groups[i])[1]] or own
    return {key: {results.groups[i].settings[key] for i in own} for key in results.groups[0].settings}


def _has_own_values(results: Results, pair: Pair, own: dict[str, set[str]], named: set[str]) -> bool:
    settings = [results.groups[i].settings for i in pair[:2]]
    return all(value in own[key] for of_one in settings for key, value in of_one.items() if key not in named and value)
