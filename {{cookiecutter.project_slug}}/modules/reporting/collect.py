"""From run folders to results: which settings vary, which runs differ in the seed only, and every number they wrote.

Nothing here knows the name of a metric or of a setting: both are found in the files.
"""

import csv
import io
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pandas as pd
import yaml

from modules.reporting.run_folders import Run, Study, is_number, one_line, suggest

# What may differ between runs that repeat one another; the folder and the machine never change the result.
NOT_A_SETTING = ("seed", "study", "system")


@dataclass
class Group:
    """The runs that differ in the seed only."""

    settings: dict[str, str]  # what varies in this study, as text: {"model": "net2", "training.epochs": "5"}
    runs: list[Run]  # with results, by seed
    unfinished: list[Run]  # same settings, no result

    @property
    def label(self) -> str:
        """net5, lr=0.001: names speak for themselves, other values need the end of their key."""
        parts = [f"{key.split('.')[-1]}={value}" if "." in key else value for key, value in self.settings.items()]
        return ", ".join(parts)


@dataclass
class Results:
    """What a study found, read once; the other modules only compute and draw."""

    study: Study
    groups: list[Group]
    varying: list[str]  # names of the settings that vary, beside the seed
    constant: dict[str, str]  # settings that are the same in every run with results
    values: pd.DataFrame  # one row per run with results; metrics of the best evaluation and of the test split
    group_of_run: pd.Series  # row -> position in `groups`
    curves: pd.DataFrame  # all metrics.csv, with the column "run"
    metric: str  # the one that the report is about
    monitor: dict[str, str]  # {"metric": ..., "direction": "max" | "min"}: what chose the best evaluation

    @property
    def test_metric(self) -> str | None:
        """The same quantity on the test split, if any run was evaluated there."""
        name = "test/" + self.metric.split("/", 1)[-1]
        return name if name in self.values.columns and name != self.metric else None


def collect(study: Study, metric: str | None) -> Results:
    """Group the runs of a study, which has at least one with results; `metric` None: the one that they monitored."""
    flat = {run.name: flatten(run.record["config"]) for run in study.ended}
    varying = _find_varying(list(flat.values()))
    groups = _group(study, flat, varying)
    values = pd.DataFrame({run.name: run.run_metrics(run) for run in study.ended}).T
    values = values.apply(pd.to_numeric, errors="coerce")
    order = [run.name for group in groups for run in group.runs]
    group_of_run = pd.Series({run.name: i for i, group in enumerate(groups) for run in group.runs}, dtype=int)
    first = next(iter(flat.values()))
    shown = {key for group in groups for key in group.settings}
    constant = {
        key: as_text(value)
        for key, value in first.items()
        if not _is_excluded(key)
        and shorten(key) not in shown
        and all(one.get(key, ...) == value for one in flat.values())
    }
    # Most runs win, should the runs of one study have monitored different metrics; checks.py says so.
    monitors = [json.dumps(run.record["monitor"], sort_keys=True) for run in study.ended]
    monitor = json.loads(max(sorted(set(monitors)), key=monitors.count))
    metric = metric or monitor["metric"]
    if metric not in values.columns:
        raise ValueError(f"metric: no run of study {study.name!r} measured {metric!r}; {suggest(metric, list(values))}")
    names = [shorten(key) for key in varying]
    curves = _read_curves(study)
    return Results(study, groups, names, constant, values.loc[order], group_of_run, curves, metric, monitor)


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"model": {"name": "net2"}} -> {"model.name": "net2"}; a list is one value."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def run_metrics(run: Run) -> dict[str, float | None]:
    """The metrics of the best evaluation, and those of the test split for the same weights."""
    return run.record["best"]["metrics"] | run.test


def as_text(value: object) -> str:
    """A setting as YAML writes it, never rounded."""
    return one_line(value) if isinstance(value, str) else json.dumps(value)


def shorten(key: str) -> str:
    """model.name is shown as model."""
    return key.removesuffix(".name")


def settings_of_runs(results: Results | None) -> dict[str, dict[str, str]]:
    """Run name -> what varies, for the runs that a group holds."""
    groups = results.groups if results else []
    return {run.name: group.settings for group in groups for run in group.runs + group.unfinished}


def runs_frame(results: Results | None, study: Study) -> pd.DataFrame:
    """One row per member of the study, in full precision; blank where there is nothing to know."""
    settings = settings_of_runs(results)
    rows = []
    for run in study.runs:
        row: dict[str, Any] = {"run": run.name, "status": run.status, "reason": run.reason}
        row |= settings.get(run.name, {})
        if run.ended:
            record, launch = run.record, run.record["launches"][-1]
            row["seed"] = record["config"]["seed"]
            row |= {"best_step": record["best"]["step"], "best_epoch": record["best"]["epoch"]}
            row |= run_metrics(run)
            row |= {f"last.{name}": value for name, value in record["last"]["metrics"].items()}
            row |= record["cost"] | {"finished": record["finished"], "launches": len(record["launches"])}
            row |= {"host": launch["host"], "code_id": launch["code_id"], "commit": launch["git"]["commit"]}
        rows.append(row)
    frame = pd.DataFrame(rows)
    # Whole numbers stay whole where some run has none; text, numbers and blanks may share a column.
    return frame.convert_dtypes(convert_string=False, convert_floating=False)


def _is_excluded(key: str) -> bool:
    return key.split(".", 1)[0] in NOT_A_SETTING


def _find_varying(configs: list[dict[str, Any]]) -> list[str]:
    """The keys with more than one value, without those that a varying `<section>.name` already determines."""
    keys = dict.fromkeys(key for config in configs for key in config if not _is_excluded(key))
    varying = [key for key in keys if len({repr(config.get(key, ...)) for config in configs}) > 1]
    shown = []
    for key in varying:
        label = key.split(".", 1)[0] + ".name"
        pairs = {(repr(config.get(label, ...)), repr(config.get(key, ...))) for config in configs}
        determined = len(pairs) == len({name for name, _ in pairs})
        if key == label or label not in varying or not determined:
            shown.append(key)
    return sorted(shown, key=lambda key: (not key.endswith(".name"), list(keys).index(key)))


def _signature(config: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """All settings but the seed: two runs are repetitions of each other only if these are equal."""
    return tuple(sorted((key, repr(value)) for key, value in config.items() if not _is_excluded(key)))


def _group(study: Study, flat: dict[str, dict[str, Any]], varying: list[str]) -> list[Group]:
    keys = varying or ["model.name"]  # where nothing varies, the one row still needs a name
    groups: dict[tuple[tuple[str, str], ...], Group] = {}
    natural: dict[int, list[tuple[bool, float, str]]] = {}
    for run in sorted(study.ended, key=lambda run: (flat[run.name]["seed"], run.name)):
        config = flat[run.name]
        signature = _signature(config)
        if signature not in groups:
            settings = {shorten(key): as_text(config[key]) if key in config else "" for key in keys}
            groups[signature] = group = Group(settings, [], [])
            natural[id(group)] = [_natural(config.get(key, "")) for key in keys]
        groups[signature].runs.append(run)
    for run in study.runs:
        if not run.ended and run.status != "duplicate" and (config := _read_config(run)):
            group = groups.get(_signature(flatten(config)))
            if group:
                group.unfinished.append(run)
    return sorted(groups.values(), key=lambda group: natural[id(group)])


def _natural(value: object) -> tuple[bool, float, str]:
    """Numbers by size, before text."""
    number = is_number(value) and not isinstance(value, bool)
    return (not number, float(value) if number else 0.0, as_text(value))  # type: ignore[arg-type]


def _read_config(run: Run) -> dict[str, Any] | None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        config = yaml.load((run.path / "config.yaml").read_bytes(), loader)
    except (OSError, yaml.YAMLError):
        return None
    return config if isinstance(config, dict) else None


def _read_curves(study: Study) -> pd.DataFrame:
    """Every metrics.csv of the runs with results; a half-written last line is cut, a damaged file is named."""
    bodies: dict[bytes, list[tuple[str, bytes]]] = defaultdict(list)
    for run in study.ended:
        try:
            header, _, body = (run.path / "metrics.csv").read_bytes().partition(b"\n")
        except OSError:
            header, body = b"", b""
        body = body[: body.rfind(b"\n") + 1]
        columns = next(csv.reader([header.decode("utf-8", "replace").strip()]), [])
        if "step" not in columns or body.count(b",") != body.count(b"\n") * (len(columns) - 1):
            study.warnings.append(
                f"{one_line(run.name)}: metrics.csv is missing or damaged: not in the learning curves"
            )
        else:
            bodies[header.strip()].append((run.name, body))
    frames = []
    for header, parts in bodies.items():
        # One parse for all files with the same columns: pandas is fast per byte and slow per call.
        frame = pd.read_csv(io.BytesIO(header + b"\n" + b"".join(body for _, body in parts)))
        frame = frame.apply(pd.to_numeric, errors="coerce")
        frame["run"] = [name for name, body in parts for _ in range(body.count(b"\n"))]
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"run": [], "step": []})
