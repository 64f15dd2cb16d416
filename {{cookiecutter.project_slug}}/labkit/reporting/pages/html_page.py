"""report.html: the report as one offline file, with every run in a list to sort and filter and a curve to point at.

The page is page.html.jinja with page.css and script/ inside, readable without script, and the runs as JSON. Nothing in
it can make the browser ask for another file or run a name as code: its policy allows the one style, the one script and
the pictures inside.
"""

import base64
import hashlib
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from labkit.reporting.collect import Results, runs_rows
from labkit.reporting.grouping import ABLATION, PROCESSES, Group, Settings, as_text, shorten
from labkit.reporting.pages.contents import Contents, each_text, words
from labkit.runs.json_shapes import is_number
from labkit.runs.study import Study
from labkit.text import one_line, quantity_of, split_of

RUN_LISTS = ("runs", "unfinished")  # tables of runs: the page has its own list of all of them
SCRIPTS = ("data", "view", "filter", "list", "plot", "pointing", "start")
LONG = 60  # letters of a cell that is set on several lines
MOST_ROWS = 100  # of a table
MOST_DRAWN = 100_000  # values of all curves of a metric; a browser draws so many at once
MOST_KEPT = 500_000  # of all metrics: 2 MB
MOST_OF_RUN = 1000  # a plot is not much wider
NAMED = 5  # of the metrics that are left out


def write_page(folder: Path, contents: Contents) -> None:
    """Write report.html into the folder that holds figures/; without results it only lists the runs."""
    style, markup = _read("page.css"), _read("page.html.jinja")
    script = "\n".join(_read(f"script/{name}.js") for name in SCRIPTS)
    study, results = contents.study, contents.findings.results if contents.findings else None
    data = each_text(_run_list(study, results), one_line) | _curves(study, results)
    environment = Environment(
        autoescape=True, finalize=_clean, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    page = environment.from_string(markup).render(
        **words(contents),
        tables={name: table for name, table in contents.tables.items() if name not in RUN_LISTS},
        figures=[_figure(folder, name) for name in contents.captions],
        long=LONG,
        most_rows=MOST_ROWS,
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        data=_json(data),
    )
    (folder / "report.html").write_text(page, encoding="utf-8", newline="\n")


def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _clean(value: Any) -> Any:
    """Every text of the page goes through here before it is escaped; what is markup already is ours."""
    return one_line(value) if type(value) is str else value


def _run_list(study: Study, results: Results | None) -> dict[str, Any]:
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


def _curves(study: Study, results: Results | None) -> dict[str, Any]:
    """The curves of the runs: `at` holds the position of each run's steps, or None for a run without any."""
    if not results or results.curves.empty:
        nothing: dict[str, Any] = {"at": [None] * len(study.runs), "steps": [], "epochs": [], "thinned": 0}
        return nothing | {"metrics": [], "left_out": ""}
    frame = results.curves.loc[~results.curves.duplicated(["run", "step"], keep="last")]
    rows_of = frame.groupby("run", sort=False).indices
    most = max(2, min(MOST_OF_RUN, MOST_DRAWN // len(rows_of)))
    thinned = {name: _thinned(rows, most) for name, rows in rows_of.items()}
    kept = [thinned.get(run.name) if run.ended else None for run in study.runs]  # a duplicate may share its name
    axes = frame.reindex(columns=["step", "epoch"]).to_numpy(float)
    known: dict[bytes, int] = {}
    at = [None if rows is None else known.setdefault(axes[rows].tobytes(), len(known)) for rows in kept]
    steps, epochs = ([_short_list(np.frombuffer(x).reshape(-1, 2)[:, i]) for x in known] for i in (0, 1))
    return {
        "at": at,
        "steps": steps,
        "epochs": [] if any(None in one for one in epochs) else epochs,
        "thinned": most if max(map(len, rows_of.values())) > most else 0,
        **_values(results, frame, np.concatenate([rows for rows in kept if rows is not None])),
    }


def _thinned(rows: np.ndarray, most: int) -> np.ndarray:
    """Every one, or every second, fourth, eighth, so that runs of different lengths keep steps that they share; and the
    last."""
    stride = 1 << max(0, math.ceil(math.log2(len(rows) / most)))
    return rows if stride == 1 else rows[sorted({*range(0, len(rows), stride), len(rows) - 1})]


def _short_list(values: np.ndarray) -> list[float | None]:
    return [int(x) if x.is_integer() else float(f"{x:.6g}") if math.isfinite(x) else None for x in values.tolist()]


def _values(results: Results, frame: pd.DataFrame, rows: np.ndarray) -> dict[str, Any]:
    """Of each metric the values of all runs, one after the other, as far as they fit; the others are named."""
    metrics: list[dict[str, str]] = []
    left_out: list[str] = []
    for name in _curve_metrics(results):
        label = results.names.label(name)
        if metrics and (len(metrics) + 1) * len(rows) > MOST_KEPT:
            left_out.append(label)
            continue
        values = frame[name].to_numpy(float)[rows]
        if np.isfinite(values).any():
            metrics.append({"name": one_line(name), "title": one_line(label), "values": _packed(values)})
    more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    return {"metrics": metrics, "left_out": one_line(", ".join(left_out[:NAMED]) + more)}


def _curve_metrics(results: Results) -> list[str]:
    """Those of the report, of validation where it is about test, the monitored one, the losses, the others."""
    first = [results.metric, f"validation/{quantity_of(results.metric)}", results.monitor["metric"]]
    there = [name for name in results.curves if "/" in name and split_of(name) != "test"]
    ahead = [name for name in dict.fromkeys(first) if name in there]
    losses = [name for name in there if quantity_of(name) == "loss"]
    return list(dict.fromkeys([*ahead, *losses, *there]))


def _packed(values: np.ndarray) -> str:
    """Four digits of each number in three bytes, the upper ones of its 32 bits: as text it would take twice as much."""
    with np.errstate(over="ignore"):
        bits = values.astype("<f4").view("<u4") + np.uint32(0x80)
    return base64.b64encode(bits.astype("<u4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()).decode()


def _figure(folder: Path, name: str) -> dict[str, Any]:
    """The picture itself, with the size at which it is as wide as the text."""
    png = (folder / "figures" / f"{name}.png").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    return {"data": base64.b64encode(png).decode(), "width": round(width / 1.6), "height": round(height / 1.6)}


def _json(content: dict[str, Any]) -> str:
    """JSON that can stand inside a script element: without a < nothing in it ends the element."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _hash(code: str) -> str:
    """What the policy of the page names its one style or script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
