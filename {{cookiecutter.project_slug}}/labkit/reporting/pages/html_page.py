"""report.html: the report as one offline file, with every run in a list to sort and filter and a curve to point at.

The page is page.html.jinja with page.css and page.js inside, readable without script, and the runs as JSON. Nothing in
it can make the browser ask for another file or run a name as code: its policy allows the one style and the one script.
"""

import base64
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from labkit.reporting.collect import Results, runs_rows
from labkit.reporting.grouping import as_text
from labkit.reporting.pages.contents import Contents, each_text, words
from labkit.runs.study import Study
from labkit.text import one_line, quantity_of, split_of

RUN_LISTS = ("runs", "unfinished")  # tables of runs: the page has its own list of all of them
LONG = 60  # letters of a cell that is set on several lines
MOST_VALUES = 100_000  # of all curves together; a browser draws so many at once, and they are 0.7 MB


def write_page(folder: Path, contents: Contents) -> None:
    """Write report.html into the folder that holds figures/; without results it only lists the runs."""
    style, script, markup = (_read(f"page.{suffix}") for suffix in ("css", "js", "html.jinja"))
    study, results = contents.study, contents.findings.results if contents.findings else None
    data = each_text(_run_list(study, results), one_line) | _curves(study, results)
    environment = Environment(
        autoescape=True, finalize=_clean, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    page = environment.from_string(markup).render(
        **words(contents),
        tables={name: table for name, table in contents.tables.items() if name not in RUN_LISTS},
        long=LONG,
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        data=_json(data),
    )
    (folder / "report.html").write_text(page, encoding="utf-8", newline="\n")


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _clean(value: Any) -> Any:
    """Every text of the page goes through here before it is escaped; what is markup already is ours."""
    return one_line(value) if type(value) is str else value


def _run_list(study: Study, results: Results | None) -> dict[str, Any]:
    """Every run of the study as columns and rows; `group` holds the position of each run's setting, or None."""
    table = runs_rows(results, study)
    columns: list[str] = ["run", "status"]
    if results:
        metrics = [metric for metric in (results.metric, results.test_metric, results.monitor["metric"]) if metric]
        columns += [*results.groups[0].settings, *results.repeats, *metrics, "best_epoch"]
        costs = dict.fromkeys(key for run in study.ended for key in run.record["cost"])
        columns += [key for key in costs if any(row.get(key) for row in table)]  # no GPU, no column of zeros
        for row in table:
            row |= {key: _short(row.get(key)) for key in costs}
    if any(row["reason"] for row in table):
        columns.append("reason")
    columns = list(dict.fromkeys(columns))
    groups = results.groups if results else []
    group_of = {run.name: i for i, group in enumerate(groups) for run in group.runs + group.unfinished}
    return {
        "columns": columns,
        "rows": [[_cell(row.get(column)) for column in columns] for row in table],
        "groups": [group.label for group in groups],
        "group": [group_of.get(run.name) for run in study.runs],
    }


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


def _curves(study: Study, results: Results | None) -> dict[str, Any]:
    """The curve of every run as [position in steps, value, value, ...], None without one; four digits are drawn."""
    metric = _curve_metric(results) if results else None
    if not results or not metric:
        return {"metric": None, "title": None, "every": 1, "steps": [], "curves": []}
    frame = results.curves.loc[~results.curves.duplicated(["run", "step"], keep="last")]
    frame = frame.loc[frame["run"].isin(frame.loc[np.isfinite(frame[metric]), "run"])]
    every = math.ceil(len(frame) / MOST_VALUES) or 1
    curves: dict[str, list[Any]] = {}
    steps: dict[tuple[float, ...], int] = {}
    for run, curve in frame.groupby("run", sort=False):
        kept = sorted({*range(0, len(curve), every), len(curve) - 1})  # the last one always
        x, y = (curve[column].to_numpy(float)[kept].tolist() for column in ("step", metric))
        at = tuple(int(step) if step.is_integer() else step for step in x)
        values = [float(f"{value:.4g}") if math.isfinite(value) else None for value in y]
        curves[str(run)] = [steps.setdefault(at, len(steps)), *values]
    drawn = [curves.get(run.name) if run.ended else None for run in study.runs]  # a duplicate may share its name
    title = one_line(results.names.label(metric))
    return {"metric": one_line(metric), "title": title, "every": every, "steps": list(steps), "curves": drawn}


def _curve_metric(results: Results) -> str | None:
    """The metric of the report; the same quantity on validation for one that has no curve; else the monitored one."""
    same = f"validation/{quantity_of(results.metric)}"
    candidates = [results.metric, same, results.monitor["metric"]]
    return next((name for name in candidates if name in results.curves and split_of(name) != "test"), None)


def _json(content: dict[str, Any]) -> str:
    """JSON that can stand inside a script element: without a < nothing in it ends the element."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _hash(code: str) -> str:
    """What the policy of the page names its one style or script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
