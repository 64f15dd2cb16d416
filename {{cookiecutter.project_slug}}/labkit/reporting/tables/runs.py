"""The runs of a study, one by one: with results and without."""

from labkit.reporting.collect import Results
from labkit.reporting.tables.formats import Table
from labkit.reporting.tables.metrics import selection_rule
from labkit.reporting.tables.rounding import rounded
from labkit.runs.study import Study
from labkit.text import duration, one_line


def runs_table(results: Results) -> Table:
    """One row per run with results."""
    metrics = [metric for metric in (results.metric, results.test_metric) if metric]
    measured = {metric: results.values[metric].to_dict() for metric in metrics}  # .loc takes its time
    keys = [key for key in results.varying if "." in key]  # the others are in the run's name
    reasons = any(run.reason for group in results.groups for run in group.runs)
    header = ["run", "status", *(["reason"] if reasons else []), *keys]
    body = []
    for group in results.groups:
        settings = [group.settings[key] for key in keys]
        for run in group.runs:
            status = [run.status, *([run.reason] if reasons else [])]
            values = [rounded(measured[metric][run.name], 4) for metric in metrics]
            end = [f"{run.record['best']['epoch']:g}", *values, duration(run.record["cost"]["wall_s"])]
            body.append([one_line(run.name), *status, *settings, *end])
    caption = f"Every run with results; time is wall time. {selection_rule(results)}"
    full_header = [*header, "epoch", *map(one_line, metrics), "time"]
    return Table(caption, full_header, body, len(header), long=True)


def unfinished_table(study: Study) -> Table | None:
    """One row per member of the study that has no results."""
    rows = [[one_line(run.name), run.status, run.reason or run.progress] for run in study.runs if not run.ended]
    if not rows:
        return None
    caption = "Runs without results: they are in no other table and in no figure."
    return Table(caption, ["run", "status", "reason"], rows, 3, long=True)
