"""What people call what a study measured and varied: `labels:` in config/report.yaml, or as its runs recorded it.

What runs recorded counts only where all agree: two tasks may measure a "score" in different units, and class 1 of one
data set is not class 1 of another. Otherwise a metric is called as in metrics.csv, and a class by its number. What
programs read (runs.csv, summary.csv, comparisons.csv, the names of macros and files) knows nothing of labels.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from labkit.runs.json_shapes import is_number
from labkit.runs.study import Run
from labkit.text import BETTER, alternatives, nearest, quantity_of, shortened, split_of

T = TypeVar("T")
OF_A_CLASS = re.compile(r"(.+)_(class|label)_(.+)", re.DOTALL)  # accuracy_class_3, f1_label_0
SPLITS = {"train": "training"}  # where a sentence says it otherwise than metrics.csv
MOST_LETTERS = 100  # of a setting; a longer one is cut in the middle where people read it


@dataclass(frozen=True)
class Label:
    """One entry of `labels:`; unit and percent are of a metric."""

    title: str = ""
    unit: str = ""
    percent: bool = False  # 100 times the value is shown


@dataclass(frozen=True)
class Names:
    titles: dict[str, str]  # by metric without its split: {"rmse": "RMSE"}; "iou_class" is that of each iou_class_<k>
    units: dict[str, str]
    directions: dict[str, str]  # "max" or "min" is better
    factors: dict[str, float]  # by which a value is multiplied where people read it: 100 for percent
    limits: dict[str, tuple[float, float]]  # what a metric cannot leave: (0, 1), or (0, inf)
    disputed: set[str]  # metrics to which the runs give different titles or units
    classes: dict[str, dict[str, str]]  # by number, {"0": "cat"}; "class": of the classes, "label": of the labels

    def title(self, metric: str) -> str:
        """validation RMSE; validation/rmse where no task says how it is called."""
        split, quantity = split_of(metric), quantity_of(metric)
        if self._declared(self.titles, quantity) is None:
            return metric
        return f"{SPLITS.get(split, split)} {self.quantity(quantity)}"

    def label(self, metric: str) -> str:
        """The title with its unit: validation RMSE (mmol/L)."""
        unit = self.unit(metric)
        return f"{self.title(metric)} ({unit})" if unit else self.title(metric)

    def opening(self, metric: str) -> str:
        """The label where a sentence begins."""
        label = self.label(metric)
        return label if label == metric else label[0].upper() + label[1:]

    def quantity(self, name: str) -> str:
        """Of a metric without its split: RMSE; IoU of class circle."""
        title = self._declared(self.titles, name)
        _, kind, number = self.parts(name)
        if title and kind and name not in self.titles:
            return f"{title} of {kind} {self.class_name(kind, number)}"
        return title or name

    def of_all(self, name: str, kind: str) -> str:
        """Of what is measured of each class or label: IoU, for the quantity "iou" and the kind "class"."""
        title, unit = (self._declared(words, f"{name}_{kind}_0") for words in (self.titles, self.units))
        return f"{title or name} ({unit})" if unit else title or name

    def together(self, split: str, quantities: Iterable[str]) -> str:
        """Several quantities where a sentence begins: Validation F1 and AUC."""
        if not self.titles:
            return f"{split}/{', '.join(quantities)}"
        return f"{SPLITS.get(split, split).capitalize()} {' and '.join(quantities)}"

    def unit(self, metric: str) -> str:
        return self._declared(self.units, quantity_of(metric)) or ""

    def factor(self, metric: str) -> float:
        return self._declared(self.factors, quantity_of(metric)) or 1.0

    def bounds(self, metric: str) -> tuple[float, float]:
        """In the unit that people read; infinite where nothing is known."""
        low, high = self._declared(self.limits, quantity_of(metric)) or (-math.inf, math.inf)
        return self.factor(metric) * low, self.factor(metric) * high

    def direction(self, metric: str) -> str | None:
        """None where no task says it, or two contradict each other."""
        return self._declared(self.directions, quantity_of(metric))

    def class_name(self, kind: str, number: str) -> str:
        return self.classes[kind].get(number, number)

    def _declared(self, values: dict[str, T], quantity: str) -> T | None:
        """What is said of the quantity itself, of that of every class, or of the same over all classes."""
        base, kind, _ = self.parts(quantity)
        return next((values[key] for key in (quantity, f"{base}_{kind}", base) if key in values), None)

    @staticmethod
    def parts(quantity: str) -> tuple[str, str, str]:
        """("iou", "class", "1") of iou_class_1; ("rmse", "", "") of rmse."""
        match = OF_A_CLASS.fullmatch(quantity)
        return (match[1], match[2], match[3]) if match else (quantity, "", "")


def read_names(runs: list[Run], labels: dict[str, Label], metrics: Iterable[str]) -> Names:
    """`metrics`: all that were measured; a label of anything else is not about them."""
    described: dict[str, set[tuple[str, str]]] = defaultdict(set)
    better: dict[str, set[str]] = defaultdict(set)
    limits: dict[str, set[tuple[float, float]]] = defaultdict(set)
    for run in runs:
        for name, about in _mapping(run.record.get("metrics")).items():
            words = {key: value for key, value in _mapping(about).items() if isinstance(value, str)}
            described[name].add((words.get("title", "").strip(), words.get("unit", "").strip()))
            better[name].add(words.get("direction", ""))
            limits[name].add(_limits(_mapping(about).get("bounds")))
    if described:
        described.setdefault("loss", {("loss", "")})
        better.setdefault("loss", {"min"})
    agreed = {name: next(iter(found)) for name, found in described.items() if len(found) == 1}
    directions = {name: next(iter(found)) for name, found in better.items() if len(found) == 1}
    known = _metric_names(metrics)
    of_metrics = {quantity_of(name): label for name, label in labels.items() if name in known}
    titles = {name: label.title for name, label in of_metrics.items() if label.title}
    units = {name: label.unit or "%" for name, label in of_metrics.items() if label.unit or label.percent}
    return Names(
        titles={name: title for name, (title, _) in agreed.items() if title} | titles,
        units={name: unit for name, (title, unit) in agreed.items() if title and unit} | units,
        directions={name: direction for name, direction in directions.items() if direction in BETTER},
        factors={name: 100.0 for name, label in of_metrics.items() if label.percent},
        limits={name: next(iter(found)) for name, found in limits.items() if len(found) == 1},
        disputed={name for name, found in described.items() if len(found) > 1},
        classes={kind: _class_names(runs, f"{kind}_names") for kind in ("class", "label")},
    )


def read_labels(written: dict[str, Any]) -> dict[str, Label]:
    """`labels:` of config/report.yaml. ValueError in a sentence for what is no label."""
    labels = {}
    known = [field.name for field in fields(Label)]
    for name, about in written.items():
        content: Any = {"title": about} if isinstance(about, str) else about
        if not isinstance(content, dict):
            raise ValueError(f"labels: {name}: must be a name, or a map of title, unit and percent, not {about!r}")
        for key, value in content.items():
            if key not in known:
                raise ValueError(f"labels: {name}: {alternatives(key, known)}, and no {key!r}")
            if type(value) is not (bool if key == "percent" else str):
                expected = "true or false" if key == "percent" else "a text"
                raise ValueError(f"labels: {name}: {key}: must be {expected}, not {value!r}")
        labels[name] = Label(**content)
    first: dict[str, str] = {}
    for name, label in labels.items():
        if label.title and first.setdefault(label.title, name) != name:
            raise ValueError(
                f"labels: {first[label.title]} and {name} are both called {label.title!r}; give them different names, "
                "and a metric one for all splits"
            )
    return labels


def unknown_labels(labels: dict[str, Label], metrics: Iterable[str], settings: set[str]) -> dict[str, str]:
    """By label what is wrong with it: a sentence for each that is the name of nothing here, such as a misspelt one.

    `settings`: names and values of settings, as text.
    """
    measured = _metric_names(metrics)
    found = {}
    for name, label in labels.items():
        if name not in measured | settings:
            near = nearest(name, measured | settings)
            found[name] = f"labels: nothing is called {name!r}: no metric, no setting and no value of one{near}"
        elif name not in measured and (label.unit or label.percent):
            found[name] = f"labels: {name} is no metric, so its unit and percent say nothing; leave them out"
    return found


def words_for(labels: dict[str, Label], texts: Iterable[str]) -> dict[str, str]:
    """What people read in the place of the names and values of settings, where it is not the same."""
    words = {name: label.title for name, label in labels.items() if label.title}
    for text in texts:
        if len(text) > MOST_LETTERS and text not in words:
            short = shortened(text, MOST_LETTERS)
            alike = sum(other.startswith(short) for other in words.values())
            words[text] = f"{short} ({alike + 1})" if alike else short
    return words


def _metric_names(metrics: Iterable[str]) -> set[str]:
    """All names by which a label may call them: validation/iou_class_3, iou_class_3, iou_class, iou."""
    names: set[str] = set()
    for metric in metrics:
        base, kind, _ = Names.parts(quantity_of(metric))
        names |= {metric, quantity_of(metric), base, *([f"{base}_{kind}"] if kind else [])}
    return names


def _limits(bounds: Any) -> tuple[float, float]:
    low, high = bounds if isinstance(bounds, list) and len(bounds) == 2 else (None, None)
    return (low if is_number(low) else -math.inf, high if is_number(high) else math.inf)


def _class_names(runs: list[Run], fact: str) -> dict[str, str]:
    """Each different from all others; none unless every run has the same."""
    lists = [_mapping(run.record["data"].get("facts")).get(fact) for run in runs]
    names = lists[0] if lists else None
    if not isinstance(names, list) or any(other != names for other in lists):
        return {}
    names = [name if isinstance(name, str) else "" for name in names]
    counts = Counter(names)
    clear = {name for name in names if name.strip() and counts[name] == 1}
    numbered = enumerate(names)
    return {str(number): name if name in clear else f"{name} ({number})".strip() for number, name in numbered}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
