"""From run folders to results: which settings vary, which runs differ in the seed only, and every number they wrote.

Nothing here knows the name of a metric or of a setting: both are found in the files.
"""

import csv
import io
import json
import math
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import yaml

from modules.reporting.run_folders import Run, Study, is_number, one_line, suggest

# What never changes the result; the name of an ablation says the same as the settings that it changes.
NOT_A_SETTING = ("study", "system", "restart", "ablation")
ABLATION = "ablation"  # shown like a setting where a study has ablations
NO_ABLATION = "none"
SPLIT = "data.split_seed"
Signature = tuple[tuple[str, str], ...]
Repeat = tuple[Any, ...]  # what tells a run from the others of its group: (seed,), or (seed, split_seed)


@dataclass
class Group:
    """The runs that differ in nothing but what repeats them: the seed."""

    settings: dict[str, str]  # what varies in this study, as text: {"model": "net2", "training.epochs": "5"}
    config: dict[str, Any] = field(default_factory=dict)  # all of it, dotted; also "model" for "model.name"
    runs: list[Run] = field(default_factory=list)  # with results, by seed
    unfinished: list[Run] = field(default_factory=list)  # same settings, no result
    repeats: dict[Repeat, Run] = field(default_factory=dict)  # the runs with results by their seed
    diverged: list[Repeat] = field(default_factory=list)  # what repeats those without a result that diverged

    @property
    def label(self) -> str:
        """net5, lr=0.001: names speak for themselves, other values need the end of their key."""
        shown = {key: value for key, value in self.settings.items() if value}  # a model may lack a setting of another
        parts = [f"{key.split('.')[-1]}={value}" if "." in key else value for key, value in shown.items()]
        return ", ".join(parts)

    def has(self, setting: dict[str, Any]) -> bool:
        """Whether this is a group of {"model": "net2"}, or of whatever keys and values are given."""
        return all(key in self.config and _same(self.config[key], value) for key, value in setting.items())


@dataclass
class Results:
    """What a study found, read once; the other modules only compute and draw."""

    study: Study
    groups: list[Group]
    varying: list[str]  # names of the settings that vary, beside the seed
    constant: dict[str, str]  # settings that are the same in every run with results
    values: pd.DataFrame  # one row per run with results; metrics of the best evaluation and of the test split
    curves: pd.DataFrame  # all metrics.csv, with the column "run"
    metric: str  # the one that the report is about
    direction: str  # of that metric: "max" or "min" is better
    monitor: dict[str, str]  # {"metric": ..., "direction": "max" | "min"}: what chose the best evaluation
    repeats: list[str]  # the keys that tell the runs of a group apart

    def measured(self, group: Group, metric: str) -> dict[Repeat, float]:
        """The metric by seed, where it is a number."""
        names = [run.name for run in group.repeats.values()]
        found = dict(zip(group.repeats, self.values.loc[names, metric].to_numpy(float).tolist(), strict=True))
        return {repeat: value for repeat, value in found.items() if math.isfinite(value)}

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
    settings = {run.name: settings_of(run.record["config"], repeats) for run in study.ended}
    shown = _with_ablations(study, settings)
    varying = _find_varying(list(shown.values()))
    groups = _group(study, settings, shown, varying, repeats)
    runs = [run for group in groups for run in group.runs]
    measured = pd.DataFrame([run_metrics(run) for run in runs], index=[run.name for run in runs])
    values = pd.DataFrame({metric: pd.to_numeric(column, errors="coerce") for metric, column in measured.items()})
    monitor = _most_common([run.record["monitor"] for run in runs])  # checks.py says so if there are several
    about: str = metric or monitor["metric"]
    if about not in values.columns:
        raise ValueError(f"metric: no run of study {study.name!r} measured {about!r}; {suggest(about, list(values))}")
    better = direction or _direction(about, monitor)
    constant = _find_constant(list(settings.values()), groups)
    names = [shorten(key) for key in varying]
    return Results(study, groups, names, constant, values, _read_curves(study), about, better, monitor, repeats)


def settings_of(config: dict[str, Any], repeats: list[str]) -> dict[str, Any]:
    """All that may make runs differ, with dotted keys: {"model": {"name": "net2"}} -> {"model.name": "net2"}."""
    flat = flatten({key: value for key, value in config.items() if key not in NOT_A_SETTING})
    return {key: value for key, value in flat.items() if key not in repeats}


def _repeat(config: dict[str, Any], repeats: list[str]) -> Repeat:
    """What tells a run of this configuration from the others of its group."""
    flat = flatten(config)
    return tuple(flat.get(key) for key in repeats)


def seed_text(repeat: Repeat) -> str:
    """3, or 3/0 where a run is told apart by more than its seed."""
    return "/".join(map(as_text, repeat))


def run_metrics(run: Run) -> dict[str, float | None]:
    """The metrics of the best evaluation, and those of the test split for the same weights."""
    return metrics_in(run.record["best"]) | run.test


def metrics_in(evaluation: dict[str, Any]) -> dict[str, float | None]:
    """What was measured on a split, such as validation/loss; not the step, the epoch or the learning rate."""
    return {name: value for name, value in evaluation["metrics"].items() if "/" in name}


def as_text(value: object) -> str:
    """A setting as YAML writes it, never rounded."""
    return one_line(value) if isinstance(value, str) else json.dumps(value)


def shorten(key: str) -> str:
    """model.name is shown as model."""
    return key.removesuffix(".name")


def runs_rows(results: Results | None, study: Study) -> list[dict[str, Any]]:
    """One row per member of the study, in full precision; blank where there is nothing to know."""
    groups = results.groups if results else []
    settings = {run.name: group.settings for group in groups for run in group.runs + group.unfinished}
    rows = []
    for run in study.runs:
        row: dict[str, Any] = {"run": run.name, "status": run.status, "reason": run.reason}
        row["folder"] = run.path.as_posix()
        row |= settings.get(run.name, {})
        if run.ended:
            record, launch = run.record, run.record["launches"][-1]
            row |= {key: flatten(record["config"]).get(key) for key in results.repeats} if results else {}
            row |= {"best_step": record["best"]["step"], "best_epoch": record["best"]["epoch"]}
            row |= run_metrics(run)
            row |= {f"last.{name}": value for name, value in metrics_in(record["last"]).items()}
            row |= record["cost"] | {"finished": record["finished"], "launches": len(record["launches"])}
            row |= {"host": launch["host"], "code_id": launch["code_id"], "commit": launch["git"]["commit"]}
        rows.append(row)
    return rows


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"model": {"name": "net2"}} -> {"model.name": "net2"}, values in the form in which they are compared."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": _canonical(value)}
    return flat


def _same(one: object, other: object) -> bool:
    return as_text(_canonical(one)) == as_text(_canonical(other))


def _canonical(value: object) -> object:
    """As in a run's identity, 1 and 1.0 are one number and a letter with an accent is one letter however typed."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def _most_common(monitors: list[dict[str, str]]) -> dict[str, str]:
    texts = [json.dumps(monitor, sort_keys=True) for monitor in monitors]
    return json.loads(max(sorted(set(texts)), key=texts.count))


def _direction(metric: str, monitor: dict[str, str]) -> str:
    """Of the monitored metric, or of the same quantity on another split; a loss is better when it is lower."""
    quantity = metric.split("/", 1)[-1]
    if quantity == monitor["metric"].split("/", 1)[-1]:
        return monitor["direction"]
    if quantity == "loss":
        return "min"
    raise ValueError(f"direction: is {metric} better when it is higher or lower? Add direction=max or direction=min")


def _with_ablations(study: Study, settings: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings with the names of the ablations as one more, if there are any: equal settings have one name."""
    names: dict[Signature, set[str]] = defaultdict(set)
    for run in study.ended:
        if name := run.record["config"].get(ABLATION):
            names[_signature(settings[run.name])].add(name)
    if not set().union(*names.values()) - {NO_ABLATION}:
        return settings
    chosen = {signature: " = ".join(sorted(given)) for signature, given in names.items()}
    return {name: {ABLATION: chosen.get(_signature(own), NO_ABLATION), **own} for name, own in settings.items()}


def _find_varying(configs: list[dict[str, Any]]) -> list[str]:
    """The keys with more than one value, without those that an ablation and a `<section>.name` already determine."""
    keys = list(dict.fromkeys(key for config in configs for key in config))
    values = {key: [repr(config.get(key, ...)) for config in configs] for key in keys}
    varying = [key for key in keys if len(set(values[key])) > 1]
    shown = []
    for key in varying:
        section = key.split(".", 1)[0] + ".name"
        labels = [label for label in (ABLATION, section) if label in varying and label != key]
        by_label = list(zip(*(values[label] for label in labels), strict=True))
        determined = labels and len(set(zip(by_label, values[key], strict=True))) == len(set(by_label))
        if key == ABLATION or not determined:
            shown.append(key)
    return sorted(shown, key=lambda key: (not key.endswith(".name"), key != ABLATION))


def _find_constant(configs: list[dict[str, Any]], groups: list[Group]) -> dict[str, str]:
    return {
        key: as_text(value)
        for key, value in configs[0].items()
        if shorten(key) not in groups[0].settings and all(config.get(key, ...) == value for config in configs)
    }


def _signature(settings: dict[str, Any]) -> Signature:
    """Two runs are repetitions of each other only if these are equal."""
    return tuple(sorted((key, repr(value)) for key, value in settings.items()))


def _group(
    study: Study,
    settings: dict[str, dict[str, Any]],
    shown: dict[str, dict[str, Any]],
    varying: list[str],
    repeats: list[str],
) -> list[Group]:
    keys = varying or ["model.name"]  # where nothing varies, the one row still needs a name
    groups: dict[Signature, Group] = {}
    order: dict[Signature, list[tuple[bool, float, str]]] = {}
    repeat = {run.name: _repeat(run.record["config"], repeats) for run in study.ended}
    for run in sorted(study.ended, key=lambda run: ([_natural(key) for key in repeat[run.name]], run.name)):
        own = shown[run.name]
        signature = _signature(settings[run.name])
        if signature not in groups:
            cells = {shorten(key): as_text(own[key]) if key in own else "" for key in keys}
            groups[signature] = Group(cells, {ABLATION: NO_ABLATION} | own | {shorten(key): own[key] for key in own})
            order[signature] = [_natural(own.get(key, "")) for key in keys]
        first = groups[signature].repeats.setdefault(repeat[run.name], run)
        if first is run:
            groups[signature].runs.append(run)
        else:
            run.status, run.reason = "duplicate", f"has the settings and the seed of {one_line(first.name)}"
    for run in study.runs:
        if not run.ended and run.status != "duplicate" and (config := _read_config(run)):
            group = groups.get(_signature(settings_of(config, repeats)))
            if group:
                group.unfinished.append(run)
                group.diverged += [_repeat(config, repeats)] if run.status == "diverged" else []
    return [groups[signature] for signature in sorted(groups, key=order.__getitem__)]


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
