"""What people call the metrics of a study and the classes of its data, as its runs recorded it.

A name counts only where all runs agree: two tasks may measure a "score" in different units, and class 1 of one data set
is not class 1 of another. Otherwise a metric is called as in metrics.csv, and a class by its number.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from labkit.runs.study import Run
from labkit.text import BETTER, quantity_of, split_of

OF_A_CLASS = re.compile(r"(.+)_(class|label)_(.+)", re.DOTALL)  # accuracy_class_3, f1_label_0
SPLITS = {"train": "training"}  # where a sentence says it otherwise than metrics.csv


@dataclass(frozen=True)
class Names:
    titles: dict[str, str]  # by metric without its split: {"rmse": "RMSE"}; "iou_class" is that of each iou_class_<k>
    units: dict[str, str]
    directions: dict[str, str]  # "max" or "min" is better
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
        return self._declared(self.titles, f"{name}_{kind}_0") or name

    def together(self, split: str, quantities: Iterable[str]) -> str:
        """Several quantities where a sentence begins: Validation F1 and AUC."""
        if not self.titles:
            return f"{split}/{', '.join(quantities)}"
        return f"{SPLITS.get(split, split).capitalize()} {' and '.join(quantities)}"

    def unit(self, metric: str) -> str:
        return self._declared(self.units, quantity_of(metric)) or ""

    def direction(self, metric: str) -> str | None:
        """None where no task says it, or two contradict each other."""
        return self._declared(self.directions, quantity_of(metric))

    def class_name(self, kind: str, number: str) -> str:
        return self.classes[kind].get(number, number)

    def _declared(self, values: dict[str, str], quantity: str) -> str | None:
        """What is said of the quantity itself, of that of every class, or of the same over all classes."""
        base, kind, _ = self.parts(quantity)
        return next((values[key] for key in (quantity, f"{base}_{kind}", base) if key in values), None)

    @staticmethod
    def parts(quantity: str) -> tuple[str, str, str]:
        """("iou", "class", "1") of iou_class_1; ("rmse", "", "") of rmse."""
        match = OF_A_CLASS.fullmatch(quantity)
        return (match[1], match[2], match[3]) if match else (quantity, "", "")


def read_names(runs: list[Run]) -> Names:
    described: dict[str, set[tuple[str, str]]] = defaultdict(set)
    better: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for name, about in _mapping(run.record.get("metrics")).items():
            words = {key: value for key, value in _mapping(about).items() if isinstance(value, str)}
            described[name].add((words.get("title", "").strip(), words.get("unit", "").strip()))
            better[name].add(words.get("direction", ""))
    if described:
        described.setdefault("loss", {("loss", "")})
        better.setdefault("loss", {"min"})
    agreed = {name: next(iter(found)) for name, found in described.items() if len(found) == 1}
    directions = {name: next(iter(found)) for name, found in better.items() if len(found) == 1}
    return Names(
        titles={name: title for name, (title, _) in agreed.items() if title},
        units={name: unit for name, (title, unit) in agreed.items() if title},
        directions={name: direction for name, direction in directions.items() if direction in BETTER},
        disputed={name for name, found in described.items() if len(found) > 1},
        classes={kind: _class_names(runs, f"{kind}_names") for kind in ("class", "label")},
    )


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
