"""Tables to read and to paste, rounded.

The full precision is in runs.csv and summary.csv beside report.pdf: those are for programs, these for eyes.
"""

import math
import statistics

from modules.reporting.collect import Results
from modules.reporting.findings import Findings, Summary
from modules.reporting.run_folders import Study, duration, one_line
from modules.reporting.table_formats import Table


def make_tables(study: Study, findings: Findings | None) -> dict[str, Table]:
    """{file name without suffix: table}, in the order in which the report shows them."""
    tables: dict[str, Table] = {}
    if findings:
        results, summary = findings.results, findings.summary
        tables["summary"] = summary_table(results, summary, results.metric)
        if results.test_metric:
            tables["summary_test"] = summary_table(results, summary, results.test_metric)
        tables["runs"] = runs_table(results)
    if len(study.ended) < len(study.runs):
        tables["unfinished"] = unfinished_table(study)
    return tables


def summary_table(results: Results, summary: Summary, metric: str) -> Table:
    """One row per setting: how many seeds, mean, SD and interval of one metric."""
    decimals = _decimals([one.sd for one in summary[metric] if one.sd > 0])
    keys = list(results.groups[0].settings)
    unfinished = any(group.unfinished for group in results.groups)
    header = [*keys, "n", *(["unfinished"] if unfinished else []), "mean", "SD", "95 % interval"]
    body = []
    for group, one in zip(results.groups, summary[metric], strict=True):
        interval = f"{one.low:.{decimals}f} to {one.high:.{decimals}f}" if math.isfinite(one.low) else ""
        counts = [str(one.n), *([str(len(group.unfinished))] if unfinished else [])]
        numbers = [_number(one.mean, decimals), _number(one.sd, decimals), interval]
        body.append([*group.settings.values(), *counts, *numbers])
    caption = f"{one_line(metric)} per setting over n seeds: mean, sample standard deviation (from 2 seeds), "
    caption += f"95 % t interval of the mean (from 3 seeds). {selection_rule(results)}"
    return Table(caption, header, body, len(keys))


def runs_table(results: Results) -> Table:
    """One row per run with results."""
    metrics = [metric for metric in (results.metric, results.test_metric) if metric]
    keys = [key for key in results.varying if "." in key]  # the others are in the run's name
    body = []
    for group in results.groups:
        settings = [group.settings[key] for key in keys]
        for run in group.runs:
            values = [_number(results.values.loc[run.name, metric], 4) for metric in metrics]
            end = [f"{run.record['best']['epoch']:g}", *values, duration(run.record["cost"]["wall_s"])]
            body.append([one_line(run.name), run.status, *settings, *end])
    header = ["run", "status", *keys, "epoch", *map(one_line, metrics), "time"]
    caption = f"Every run with results; time is wall time. {selection_rule(results)}"
    return Table(caption, header, body, 2 + len(keys))


def unfinished_table(study: Study) -> Table:
    """One row per member of the study that has no results."""
    rows = [[one_line(run.name), run.status, run.reason or run.progress] for run in study.runs if not run.ended]
    return Table("Runs without results: they are in no table and no figure.", ["run", "status", "reason"], rows, 3)


def selection_rule(results: Results) -> str:
    """The sentence on how the epoch was chosen."""
    end = {"max": "highest", "min": "lowest"}[results.monitor["direction"]]
    return f"Each run counts with its evaluation of {end} {one_line(results.monitor['metric'])}."


def _decimals(sds: list[float]) -> int:
    """As many that a typical SD has two digits that mean something; four where there is none."""
    return min(max(1 - math.floor(math.log10(statistics.median(sds))), 0), 8) if sds else 4


def _number(value: float, decimals: int) -> str:
    """Blank for a value that does not exist; a value too small for the decimals keeps two digits of its own."""
    if not math.isfinite(value):
        return ""
    return f"{value:.2g}" if 0 < abs(value) < 0.5 * 10**-decimals else f"{value:.{decimals}f}"
