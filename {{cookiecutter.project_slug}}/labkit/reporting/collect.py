"""Every number that the runs of a study wrote, in one place: nothing here knows the name of a metric."""

import csv
import io
import json
import math
import operator
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from labkit.reporting.grouping import Group, Grouping, Repeat, beside, group_runs
from labkit.runs.json_shapes import is_number
from labkit.runs.study import Run, Study
from labkit.text import alternatives, one_line

DAMAGED = "{}: metrics.csv is missing or damaged: not in the learning curves"
COMMAS = operator.methodcaller("count", b",")
CHUNK = 1000  # files of curves that are parsed at once: more cost memory, fewer cost time


@dataclass
class Results(Grouping):
    """What a study found, read once; the other modules only compute and draw."""

    study: Study
    values: pd.DataFrame  # one row per run with results; metrics of the best evaluation and of the test split
    curves: pd.DataFrame  # all metrics.csv, with the column "run"
    metric: str  # the one that the report is about
    direction: str  # of that metric: "max" or "min" is better
    monitor: dict[str, str]  # {"metric": ..., "direction": "max" | "min"}: what chose the best evaluation
    repeats: list[str]  # the keys that tell the runs of a group apart
    _columns: dict[str, dict[str, float]] = field(default_factory=dict, repr=False)

    def measured(self, group: Group, metric: str) -> dict[Repeat, float]:
        """The metric by seed, where it is a number."""
        if metric not in self._columns:
            self._columns[metric] = dict(zip(self.values.index, self.values[metric].tolist(), strict=True))
        column = self._columns[metric]
        found = {repeat: column[run.name] for repeat, run in group.repeats.items()}
        return {repeat: value for repeat, value in found.items() if math.isfinite(value)}

    @property
    def sign(self) -> int:
        """By which to multiply the metric of the report so that more is better."""
        return {"max": 1, "min": -1}[self.direction]

    @property
    def test_metric(self) -> str | None:
        """The same quantity on the test split, if any run was evaluated there."""
        name = "test/" + self.metric.split("/", 1)[-1]
        return name if name in self.values.columns and name != self.metric else None


def collect(study: Study, metric: str | None, direction: str | None, repeats: list[str]) -> Results:
    """Group the runs of a study, which has at least one with results.

    `metric` None: the one that they monitored; `direction` None: that of the monitored metric; `repeats`: the keys in
    which the runs of a group may differ.
    """
    grouping = group_runs(study, repeats)
    runs = [run for group in grouping.groups for run in group.runs]
    values = pd.DataFrame([_numbers(run_metrics(run)) for run in runs], index=[run.name for run in runs])
    monitor = _most_common([run.record["monitor"] for run in runs])  # checks.py says so if there are several
    about: str = metric or monitor["metric"]
    if about not in values.columns:
        raise ValueError(
            f"metric: no run of study {study.name!r} measured {about!r}; {alternatives(about, list(values))}"
        )
    better = direction or known_direction(about, {monitor["metric"]: monitor["direction"]})
    if better is None:
        raise ValueError(f"direction: is {about} better when it is higher or lower? Add direction=max or direction=min")
    curves = _read_curves(study)
    return Results(
        **vars(grouping),
        study=study,
        values=values,
        curves=curves,
        metric=about,
        direction=better,
        monitor=monitor,
        repeats=repeats,
    )


def run_metrics(run: Run) -> dict[str, float | None]:
    """The metrics of the best evaluation, and those of the test split for the same weights."""
    return metrics_in(run.record["best"]) | run.test


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) if is_number(value) else math.nan for name, value in metrics.items()}


def metrics_in(evaluation: dict[str, Any]) -> dict[str, float | None]:
    """What was measured on a split, such as validation/loss; not the step, the epoch or the learning rate."""
    return {name: value for name, value in evaluation["metrics"].items() if "/" in name}


def runs_rows(results: Results | None, study: Study) -> list[dict[str, Any]]:
    """One row per member of the study, in full precision; blank where there is nothing to know."""
    rows = []
    for run in study.runs:
        known = {"run": run.name, "status": run.status, "reason": run.reason, "folder": run.path.as_posix()}
        about = results.about.get(run.name, {}) if results else {}
        rows.append(known | beside(about, known | (_outcome(run) if run.ended else {})))
    return rows


def _outcome(run: Run) -> dict[str, Any]:
    record, launch = run.record, run.record["launches"][-1]
    return (
        {"best_step": record["best"]["step"], "best_epoch": record["best"]["epoch"]}
        | run_metrics(run)
        | {f"last.{name}": value for name, value in metrics_in(record["last"]).items()}
        | record["cost"]
        | {"finished": record["finished"], "launches": len(record["launches"])}
        | {"host": launch["host"], "code_id": launch["code_id"], "commit": launch["git"]["commit"]}
    )


def _most_common(monitors: list[dict[str, str]]) -> dict[str, str]:
    texts = [json.dumps(monitor, sort_keys=True) for monitor in monitors]
    return json.loads(max(sorted(set(texts)), key=texts.count))


def known_direction(metric: str, known: dict[str, str]) -> str | None:
    """Of the same quantity on whatever split; a loss is better when it is lower. None: nothing tells."""
    quantity = metric.split("/", 1)[-1]
    directions = {name.split("/", 1)[-1]: direction for name, direction in known.items()}
    return directions.get(quantity, "min" if quantity == "loss" else None)


def _read_curves(study: Study) -> pd.DataFrame:
    """Every metrics.csv of the runs with results; a half-written last line is cut, a damaged file is named."""
    bodies: dict[bytes, list[tuple[str, bytes]]] = defaultdict(list)
    frames = []
    for run in study.ended:
        try:
            with open(f"{run.study}/{run.name}/metrics.csv", "rb") as file:  # a Path takes as long as the reading
                header, _, body = file.read().partition(b"\n")
        except OSError:
            header, body = b"", b""
        header, body = header.strip(), body[: body.rfind(b"\n") + 1]
        columns = next(csv.reader([header.decode("utf-8", "replace")]), [])
        if "step" not in columns or not _is_table(body, len(columns)):
            study.warnings.append(DAMAGED.format(one_line(run.name)))
            continue
        bodies[header].append((run.name, body))
        if len(bodies[header]) == CHUNK:
            frames.append(_parse(header, bodies.pop(header)))
    frames += [_parse(header, parts) for header, parts in bodies.items()]
    curves = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"run": [], "step": []})
    astray = set(curves.loc[~np.isfinite(curves["step"].to_numpy(float)), "run"])
    study.warnings += [DAMAGED.format(one_line(name)) for name in sorted(astray)]
    return curves.loc[~curves["run"].isin(astray)] if astray else curves


def _is_table(body: bytes, columns: int) -> bool:
    """Whether there are rows, each of so many cells, and no quotes, which would join rows."""
    return b'"' not in body and set(map(COMMAS, body.splitlines())) == {columns - 1}


def _parse(header: bytes, parts: list[tuple[str, bytes]]) -> pd.DataFrame:
    """One parse for all files with the same columns: pandas is fast per byte and slow per call."""
    text = pd.read_csv(io.BytesIO(header + b"\n" + b"".join(body for _, body in parts)))
    frame = pd.DataFrame({name: pd.to_numeric(column, errors="coerce") for name, column in text.items()})
    names = np.array([name for name, _ in parts], dtype=object)
    frame["run"] = np.repeat(names, [body.count(b"\n") for _, body in parts])
    return frame
