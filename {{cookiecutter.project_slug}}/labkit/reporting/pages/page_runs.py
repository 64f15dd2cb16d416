"""The runs of a study as report.html lists, filters and compares them."""

import math
from typing import Any

from labkit.reporting.analysis.collect import Results, runs_rows
from labkit.reporting.analysis.grouping import ABLATION, PROCESSES, Group, Settings, as_text, shorten
from labkit.runs.json_shapes import is_number
from labkit.runs.study import Study


def list_runs(study: Study, results: Results | None) -> dict[str, Any]:
    """Every run of the study as columns and rows.

    `setting` holds the position of its settings among those of the groups, with those of runs that belong to none
    behind them, or None where they are not known.
    """
    table = runs_rows(results, study)
    columns: list[str] = ["run", "status"]
    if results:
        metrics = [metric for metric in (results.metric, results.test_metric, results.monitor["metric"]) if metric]
        columns += [*results.groups[0].settings, *results.repeats, *metrics, "best_epoch"]
        costs = dict.fromkeys(key for run in study.ended for key in run.record["cost"])
        columns += [key for key in costs if any(row.get(key) for row in table)]  # no GPU, no column of zeros
        for row in table:
            row |= {key: _short(row.get(key)) for key in costs}
            row |= {metric: _times(results.names.factor(metric), row.get(metric)) for metric in metrics}
    if any(row["reason"] for row in table):
        columns.append("reason")
    columns = list(dict.fromkeys(columns))
    groups = results.groups if results else []
    positions = {run.name: i for i, group in enumerate(groups) for run in group.runs + group.unfinished}
    strays = results.strays if results else {}
    positions |= {name: i for i, name in enumerate(strays, len(groups))}
    return {
        "metric": results.metric if results else None,
        "columns": columns,
        "words": _words(results, columns) if results else [],
        "settings": [*results.groups[0].settings, *results.repeats] if results else [],
        "rows": [[_cell(row.get(column)) for column in columns] for row in table],
        "groups": [group.label for group in groups],
        "setting": [positions.get(run.name) for run in study.runs],
        "unlisted": _unlisted([*map(_dotted, groups), *strays.values()], columns),
    }


def _dotted(group: Group) -> Settings:
    """What a configuration says, once: without short names, and what was made of other keys."""
    derived = {ABLATION, PROCESSES, *(shorten(key) for key in group.config if key != shorten(key))}
    return {key: value for key, value in group.config.items() if key not in derived}


def _unlisted(configs: list[Settings], columns: list[str]) -> list[dict[str, Any]]:
    """The settings that vary without a column of their own: `of` holds the position of each configuration's value."""
    found = []
    for key in dict.fromkeys(key for config in configs for key in config):
        written = [repr(config.get(key, "")) for config in configs]
        if shorten(key) not in columns and len(set(written)) > 1:
            values = {text: as_text(config.get(key, "")) for text, config in zip(written, configs, strict=True)}
            places = {text: i for i, text in enumerate(values)}
            found.append({"key": key, "values": list(values.values()), "of": [places[text] for text in written]})
    return found


def _words(results: Results, columns: list[str]) -> list[tuple[str, str]]:
    """What people call the columns and the values of settings, where it is another name."""
    labels = {column: results.names.label(column) for column in columns if "/" in column}
    return [(name, word) for name, word in (results.words | labels).items() if name != word]


def _times(factor: float, value: object) -> object:
    """A metric in the unit that people read."""
    return float(f"{factor * value:.15g}") if factor != 1 and is_number(value) else value


def _cell(value: object) -> str | float | None:
    """In full precision; None where there is nothing to know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return as_text(value)


def _short(value: object) -> object:
    """A cost with four digits, or to the unit: what it scatters by is more than that."""
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return float(round(value)) if abs(value) >= 1000 else float(f"{value:.4g}")
