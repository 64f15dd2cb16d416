"""Every number that the runs of a study wrote, in one place: nothing here knows the name of a metric."""

import csv
import functools
import io
import json
import math
import operator
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from labkit.reporting.analysis.grouping import Group, Grouping, Repeat, as_text, beside, group_runs, label_of
from labkit.reporting.analysis.names import Label, Names, read_names, unknown_labels
from labkit.reporting.analysis.statistics import NAN
from labkit.reporting.analysis.study_file import BEST
from labkit.runs.files import METRICS
from labkit.runs.json_shapes import LARGEST, is_number
from labkit.runs.study import Run, Study
from labkit.text import BETTER, alternatives, quantity_of, split_of

COMMAS = operator.methodcaller("count", b",")
FOLD = "data.fold"  # tells runs apart like a seed, where they were trained on folds
SPLIT = "data.split_seed"  # the same, where each seed has a split of its own
CHUNK = 1000  # files of curves that are parsed at once: more cost memory, fewer cost time


@dataclass
class Results(Grouping):
    """What a study found, read once; the other modules only compute and draw.

    Every value of a metric is in the unit that people read, such as percent: see `Names.factor`.
    """

    study: Study
    values: pd.DataFrame  # one row per run with results; metrics of the best evaluation and of the test split
    curves: pd.DataFrame  # all metrics.csv, with the column "run"
    metric: str  # the one that the report is about
    direction: str  # of that metric: "max" or "min" is better
    monitor: dict[str, str]  # {"metric": ..., "direction": "max" | "min"}: what chose the best evaluation
    repeats: list[str]  # the keys that tell the runs of a group apart
    names: Names  # what people call the metrics and classes
    unknown_labels: dict[str, str]  # by label, a sentence on each that is of no use here
    select: str  # BEST or LAST: the evaluation of a run that counts

    def measured(self, group: Group, metric: str) -> dict[Repeat, float]:
        """The metric by seed, where it is a number."""
        found = {repeat: self.value(run, metric) for repeat, run in group.repeats.items()}
        factor = self.names.factor(metric)
        return {repeat: factor * float(value) for repeat, value in found.items() if is_number(value)}

    def value(self, run: Run, metric: str) -> float | None:
        """The metric of the evaluation that counts."""
        if split_of(metric) == "test":
            return run.tests[self.select].get(metric)
        return run.record[self.select]["metrics"].get(metric)

    def block_of(self, group: Group) -> dict[str, str]:
        """The data that the group was trained on: {"data": "mnist"}; {} where all groups have the same."""
        return {key: group.settings[key] for key in self.blocks}

    def without(self, group: Group, keys: list[str]) -> Group:
        """The group as it is called where these keys say nothing."""
        settings = {key: value for key, value in group.settings.items() if key not in keys}
        settings = settings or {"model": as_text(group.config.get("model"))}
        shown = {self.word(key): self.word(value) for key, value in settings.items()}
        return replace(group, settings=settings, shown=shown, label=label_of(settings, self.words))

    @property
    def title(self) -> str:
        """What people call the metric of the report."""
        return self.names.title(self.metric)

    @property
    def label(self) -> str:
        """The same with its unit."""
        return self.names.label(self.metric)

    @functools.cached_property
    def evaluations(self) -> dict[str, int]:
        """How often each run was evaluated, as far as its metrics.csv tells."""
        return self.curves["run"].value_counts().to_dict()

    @functools.cached_property
    def repetition(self) -> str:
        """What one run of a group is called: a seed, a fold, or a run where both vary."""
        varying = [
            key
            for position, key in enumerate(self.repeats)
            if len({repeat[position] for group in self.groups for repeat in group.repeats}) > 1
        ]
        if FOLD not in varying:
            return "split" if SPLIT in varying else "seed"
        return "run" if "seed" in varying else "fold"

    @property
    def repeated_over(self) -> str:
        """In what the runs of a group differ."""
        both = "the seed and the split" if len(self.repeats) > 1 else "the split"
        return {"seed": "the seed", "fold": "the fold", "run": "the seed and the fold", "split": both}[self.repetition]

    def amount(self, value: float) -> str:
        """A difference in the metric of the report with its unit: 0.5 mmol/L."""
        unit = self.names.unit(self.metric)
        return f"{value:.4g} {'percentage points' if unit == '%' else unit}".strip()

    def test_per_train(self, metric: str, *groups: Group) -> float:
        """n_test / n_train if the runs of a group were trained on more than one split of the data, or 0; NaN where the
        runs do not say."""
        if all(len({run.record["data"]["split_fingerprint"] for run in group.runs}) < 2 for group in groups):
            return 0.0
        examples = groups[0].runs[0].record["data"]["examples"]
        tested = examples.get("test" if split_of(metric) == "test" else "validation")
        trained = examples.get("train")
        return tested / trained if is_number(tested) and is_number(trained) and trained else NAN

    @property
    def sign(self) -> int:
        """By which to multiply the metric of the report so that more is better."""
        return {"max": 1, "min": -1}[self.direction]

    @property
    def test_metric(self) -> str | None:
        """The same quantity on the test split, if any run was evaluated there."""
        name = f"test/{quantity_of(self.metric)}"
        return name if name in self.values.columns and name != self.metric else None


def collect(
    study: Study,
    metric: str | None,
    direction: str | None,
    repeats: list[str],
    labels: dict[str, Label],
    select: str = BEST,
) -> Results:
    """Group the runs of a study, which has at least one with results.

    `metric` None: the one that they monitored; `direction` None: that of the monitored metric; `repeats`: the keys in
    which the runs of a group may differ.
    """
    if any(run.record["data"].get("split_kind") == "fold" for run in study.ended) and FOLD not in repeats:
        repeats = [*repeats, FOLD]
    grouping = group_runs(study, repeats, labels)
    runs = [run for group in grouping.groups for run in group.runs]
    values = pd.DataFrame([_numbers(run_metrics(run, select)) for run in runs], index=[run.name for run in runs])
    monitor = _most_common([run.record["monitor"] for run in runs])  # checks.py says so if there are several
    about = metric or monitor["metric"]
    if about not in values.columns:
        hint = "python runs/evaluate.py measures it" if split_of(about) == "test" else alternatives(about, list(values))
        raise ValueError(f"metric: no run of study {study.name!r} measured {about!r}; {hint}")
    names = read_names(study.ended, labels, values)
    known = names.direction(about)
    if known and direction not in (None, known):
        raise ValueError(
            f"direction: {names.title(about)} is better when it is {BETTER[known]}; leave direction out here, and "
            f"write {known} in studies/{study.name}.yaml"
        )
    better = direction or known_direction(about, names, monitor)
    if better is None:
        raise ValueError(f"direction: is {about} better when it is higher or lower? Add direction=max or direction=min")
    return Results(
        **vars(grouping),
        study=study,
        values=_for_people(values, names),
        curves=_for_people(_read_curves(study), names),
        metric=about,
        direction=better,
        monitor=monitor,
        repeats=repeats,
        names=names,
        unknown_labels=unknown_labels(labels, values, _words_of(grouping, repeats)) if labels else {},
        select=select,
    )


def _for_people(values: pd.DataFrame, names: Names) -> pd.DataFrame:
    """In the unit that people read."""
    return values.assign(**{name: factor * values[name] for name in values if (factor := names.factor(name)) != 1})


def _words_of(grouping: Grouping, repeats: list[str]) -> set[str]:
    """Names and values of settings, as text."""
    settings = [item for group in grouping.groups for item in group.config.items()]
    return {*repeats, *(key for key, _ in settings), *(as_text(value) for _, value in settings)}


def run_metrics(run: Run, select: str) -> dict[str, float | None]:
    """The metrics of the best or the last evaluation, and those of the test split for the same weights."""
    return metrics_in(run.record[select]) | run.tests[select]


def metrics_in(evaluation: dict[str, Any]) -> dict[str, float | None]:
    """What was measured on a split, such as validation/loss; not the step, the epoch or the learning rate."""
    return {name: value for name, value in evaluation["metrics"].items() if "/" in name}


def known_direction(metric: str, names: Names, monitor: dict[str, str]) -> str | None:
    """As the task says, or as the runs that monitored it; a loss is better when it is lower. None: nothing tells."""
    known = {"loss": "min", quantity_of(monitor["metric"]): monitor["direction"]}
    return names.direction(metric) or known.get(names.parts(quantity_of(metric))[0])


def runs_rows(results: Results | None, study: Study) -> list[dict[str, Any]]:
    """One row per member of the study, in full precision; blank where there is nothing to know."""
    rows = []
    for run in study.runs:
        columns = {"run": run.name, "status": run.status, "reason": run.reason, "folder": run.path.as_posix()}
        settings = results.about.get(run.name, {}) if results else {}
        outcome = _outcome(run, results.select if results else BEST) if run.ended else {}
        rows.append(columns | beside(settings, columns | outcome))
    return rows


def _outcome(run: Run, select: str) -> dict[str, Any]:
    record = run.record
    launch = record["launches"][-1]
    return (
        {"best_step": record["best"]["step"], "best_epoch": record["best"]["epoch"]}
        | run_metrics(run, select)
        | {f"last.{name}": value for name, value in metrics_in(record["last"]).items()}
        | record["cost"]
        | {"finished": record["finished"], "launches": len(record["launches"])}
        | {"host": launch["host"], "code_id": launch["code_id"], "commit": launch["git"]["commit"]}
    )


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) if is_number(value) else math.nan for name, value in metrics.items()}


def _most_common(monitors: list[dict[str, str]]) -> dict[str, str]:
    counts = Counter(json.dumps(monitor, sort_keys=True) for monitor in monitors)
    return json.loads(max(sorted(counts), key=counts.__getitem__))  # of equals the first by name, wherever it was read


def _read_curves(study: Study) -> pd.DataFrame:
    """Every metrics.csv of the runs with results; a half-written last line is cut, a damaged file is named."""
    names = pd.CategoricalDtype([run.name for run in study.ended])  # a name on each row would fill the memory
    bodies: dict[bytes, list[tuple[int, bytes]]] = defaultdict(list)  # by header: those are parsed together
    frames = []
    damaged = []
    for position, run in enumerate(study.ended):
        try:
            with open(f"{run.study}/{run.name}/{METRICS}", "rb") as file:  # a Path takes as long as the reading
                header, _, body = file.read().partition(b"\n")
        except OSError:
            header = body = b""
        header = header.strip()
        body = body[: body.rfind(b"\n") + 1]
        columns = next(csv.reader([header.decode("utf-8", "replace")]), [])
        if "step" not in columns or not _is_table(body, len(columns)):
            damaged.append(run.name)
            continue
        bodies[header].append((position, body))
        if len(bodies[header]) == CHUNK:
            frames.append(_parse(header, bodies.pop(header), names))
    frames += [_parse(header, parts, names) for header, parts in bodies.items()]
    curves = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"run": [], "step": []})
    astray = sorted(curves.loc[~np.isfinite(curves["step"].to_numpy(float)), "run"].unique())
    for name in damaged + astray:
        study.warnings.append(f"{name}: metrics.csv is missing or damaged: not in the learning curves")
    return curves.loc[~curves["run"].isin(astray)] if astray else curves


def _is_table(body: bytes, columns: int) -> bool:
    """Whether there are rows, each of so many cells, and no quotes, which would join rows."""
    return b'"' not in body and set(map(COMMAS, body.splitlines())) == {columns - 1}


def _parse(header: bytes, parts: list[tuple[int, bytes]], names: pd.CategoricalDtype) -> pd.DataFrame:
    """One parse for all files with the same columns: pandas is fast per byte and slow per call."""
    text = pd.read_csv(io.BytesIO(header + b"\n" + b"".join(body for _, body in parts)))
    frame = pd.DataFrame({name: pd.to_numeric(column, errors="coerce") for name, column in text.items()})
    frame = frame.mask(frame.abs() > LARGEST)
    runs = np.repeat([position for position, _ in parts], [body.count(b"\n") for _, body in parts])
    frame["run"] = pd.Categorical.from_codes(runs, dtype=names)
    return frame
