"""studies/<name>.yaml: what was asked before the runs, and what would answer it."""

import hashlib
import re
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any

import yaml

from labkit.runs.json_shapes import is_number
from labkit.text import alternatives


@dataclass
class StudyFile:
    """The keys of the file; studies/sweep_models.yaml explains them."""

    question: str
    hypothesis: str
    formal_problem: str
    metric: str  # as metrics.csv names it: validation/accuracy
    direction: str  # "max" or "min"
    baseline: dict[str, Any]  # a setting: {"model": "net2"}
    comparisons: list[dict[str, Any]]  # settings that were planned to be compared with the baseline
    smallest_difference: float  # that would matter, in the unit of the metric
    alpha: float
    seeds: list[int]
    digest: str  # of the file, as the runs recorded it when they began

    def __post_init__(self) -> None:
        self.baseline = _shortened(self.baseline)
        self.comparisons = [_shortened(setting) for setting in self.comparisons]


def read_study_file(folder: Path, study: str) -> StudyFile | None:
    """The study's file, None if it has none. ValueError in a sentence that names the file and the key."""
    path = folder / f"{study}.yaml"
    try:
        written = path.read_bytes()
        content = yaml.load(written.decode("utf-8"), _Loader)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds no keys; begin with question: ...")
    known = [field.name for field in fields(StudyFile) if field.name != "digest"]
    for key in content:
        if key not in known:
            raise ValueError(f"{path}: nothing reads the key {key!r}; {alternatives(str(key), known)}")
    for key in known:
        if content.get(key) is None:
            raise ValueError(f"{path}: the key {key!r} has no value; studies/sweep_models.yaml explains it")
        if wrong := _wrong(key, content[key]):
            raise ValueError(f"{path}: {key}: {wrong}, not {content[key]!r}")
    file = StudyFile(**content, digest=hashlib.sha256(written).hexdigest()[:12])
    for setting in file.comparisons:
        own = {key: value for key, value in setting.items() if key != "against"}
        if own in ({}, setting.get("against", file.baseline)):
            raise ValueError(f"{path}: comparisons: {setting} is compared with itself; name another setting")
    return file


def _wrong(key: str, value: Any) -> str:
    """What the value must be, empty if it is."""
    if key in ("question", "hypothesis", "formal_problem", "metric"):
        return "" if isinstance(value, str) else "must be a text"
    if key == "direction":
        return "" if value in ("max", "min") else "must be max or min"
    if key == "baseline":
        return "" if _is_setting(value) else "must be a setting, such as {model: net2}"
    if key == "comparisons":
        settings = value if isinstance(value, list) else [None]
        against = [setting["against"] for setting in settings if isinstance(setting, dict) and "against" in setting]
        fine = all(_is_setting(one, "against") for one in settings) and all(map(_is_setting, against))
        return "" if fine else "must be a list of settings, such as [{model: net5}]"
    if key == "seeds":
        fine = isinstance(value, list) and value and all(type(seed) is int for seed in value)
        return "" if fine and len(set(value)) == len(value) else "must be a list of different seeds, such as [0, 1, 2]"
    number = is_number(value) and not isinstance(value, bool)
    if key == "alpha":
        return "" if number and 0 < value < 1 else "must be above 0 and below 1, such as 0.05"
    return "" if number and value >= 0 else "must be a number of at least 0, in the unit of the metric"


def _is_setting(value: Any, besides: str = "") -> bool:
    """Dotted keys with plain values."""
    plain = (str, int, float, bool, list, NoneType)
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(key, str) and (key == besides or isinstance(one, plain)) for key, one in value.items())
    )


def _shortened(setting: dict[str, Any]) -> dict[str, Any]:
    """model.name is called model in a report."""
    return {
        key.removesuffix(".name"): _shortened(value) if isinstance(value, dict) else value
        for key, value in setting.items()
    }


class _Loader(yaml.SafeLoader):
    """YAML as the configuration is read: 1e-1 is a number, and a key that stands twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise ValueError(f"the key {twice[0]!r} stands there twice")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
