"""The runs of a study, one by one: with results and without."""

import math
from dataclasses import replace

from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.grouping import as_text
from labkit.reporting.captions import UNFINISHED, runs_caption
from labkit.reporting.rounding import rounded
from labkit.reporting.tables.costs import cost_of
from labkit.reporting.tables.formats import Table
from labkit.runs.study import Study
from labkit.text import duration

IN_NAME = ("model", "data", "seed")  # of a run


def runs_table(results: Results) -> Table:
    """One row per run with results; without columns that say nothing."""
    runs = [(group, run) for group in results.groups for run in group.runs]
    texts = [("run", [run.name for _, run in runs])]
    if any(run.status != "finished" for _, run in runs):
        texts.append(("status", [run.status for _, run in runs]))
    if any(run.reason for _, run in runs):
        texts.append(("reason", [run.reason for _, run in runs]))
    keys = [key for key in results.varying if key not in IN_NAME]
    settings = (len(texts), len(texts) + len(keys))
    texts += [(results.word(key), [results.word(group.settings[key]) for group, _ in runs]) for key in keys]
    repeats = [key for key in results.repeats if key not in IN_NAME]
    texts += [(results.word(key), [as_text(results.about[run.name][key]) for _, run in runs]) for key in repeats]
    numbers = [("epoch", [f"{run.record['best']['epoch']:g}" for _, run in runs])]
    for metric in filter(None, (results.metric, results.test_metric)):
        measured = results.values[metric].to_dict()  # .loc takes its time
        numbers.append((results.names.label(metric), [rounded(measured[run.name], 4) for _, run in runs]))
    times = [cost_of(run, "wall_s") for _, run in runs]
    numbers.append(("time", ["" if math.isnan(seconds) else duration(seconds) for seconds in times]))
    return replace(Table.of_columns(texts, numbers, runs_caption(results), settings), long=True)


def unfinished_table(study: Study) -> Table | None:
    """One row per member of the study that has no results."""
    rows = [[run.name, run.status, run.reason or run.progress] for run in study.runs if not run.ended]
    return Table(UNFINISHED, ["run", "status", "reason"], rows, 3, long=True) if rows else None
