"""studies/<name>.yaml: what was asked before the runs, and what would answer it."""

import hashlib
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from labkit.config import check_choice, check_fraction, check_least, typed
from labkit.runs.json_shapes import is_number
from labkit.text import nearest

Setting = dict[str, Any]  # dotted keys as on the command line: {"model": "net2", "optimizer.lr": 0.1}
BETTER, EQUIVALENT = "better", "equivalent"  # what a planned comparison claims of its setting
BEST, LAST = "best", "last"  # which evaluation of a run counts
# What may coincide with a setting and be the true cause of its difference, by the word that allows it.
CONFOUNDERS = {
    "code": "the version of the code",
    "data": "the version of the data",
    "packages": "the versions of the packages",
    "host": "the kind of host",
    "device": "the device",
    "processes": "the number of processes",
}
OPTIONAL = ("folds", "fixed", "select", "allow", "target", "published")


class Planned(NamedTuple):
    """One planned comparison."""

    own: Setting
    against: Setting
    claim: str  # BETTER or EQUIVALENT


@dataclass
class StudyFile:
    """The keys of the file; studies/sweep_models.yaml explains them."""

    question: str
    hypothesis: str
    formal_problem: str
    metric: str  # as metrics.csv names it: validation/accuracy
    direction: str  # "max" or "min"
    baseline: Setting
    comparisons: list[Setting]  # planned ones; "against" holds the opponent where it is not the baseline, "claim" what
    # is claimed where it is not BETTER
    smallest_difference: float  # that would matter, in the unit of the metric
    alpha: float
    seeds: list[int]
    digest: str  # of the file, as the runs recorded it when they began
    folds: int | None = None  # of each seed, where the study sweeps data.fold
    fixed: Setting = field(default_factory=dict)  # what holds for every planned setting that does not say otherwise
    select: str = BEST  # the evaluation of a run that counts
    allow: list[str] = field(default_factory=list)  # of CONFOUNDERS: what may coincide with a compared setting
    target: float | None = None  # of the metric: how long did it take to get there?
    published: dict[str, Any] = field(default_factory=dict)  # what a paper reports, by metric; "metric" is the one that
    # decides; with the tolerance, and the setting where it is not the baseline

    def __post_init__(self) -> None:
        check_choice("direction", self.direction, ("max", "min"))
        check_least("smallest_difference", self.smallest_difference, 0)
        check_fraction("alpha", self.alpha)
        check_least("folds", self.folds, 2)
        check_choice("select", self.select, (BEST, LAST))
        for name in self.allow:
            check_choice("allow", name, CONFOUNDERS)
        if "setting" in self.published:
            self.published["setting"] = _shortened(self.published["setting"])
        self.baseline = _shortened(self.baseline)
        self.fixed = _shortened(self.fixed)
        self.comparisons = [_shortened(setting) for setting in self.comparisons]
        for own, opponent, claim in self.planned:
            if own in ({}, opponent):
                raise ValueError(f"comparisons: {own} is compared with itself; name another setting")
            check_choice("claim", claim, (BETTER, EQUIVALENT))
            if claim == EQUIVALENT and not self.smallest_difference:
                raise ValueError("smallest_difference: must be above 0 to call two settings equivalent within it")

    @property
    def planned(self) -> list[Planned]:
        """The planned comparisons, in their order."""
        return [
            Planned(
                {key: value for key, value in setting.items() if key not in ("against", "claim")},
                setting.get("against", self.baseline),
                setting.get("claim", BETTER),
            )
            for setting in self.comparisons
        ]


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
    try:
        _check_shapes(content)
        values = {key: _literally(value) for key, value in content.items() if value is not None}
        return typed(StudyFile, values | {"digest": hashlib.sha256(written).hexdigest()[:12]})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _check_shapes(content: dict[Any, Any]) -> None:
    """What `typed` would refuse as well, in words that say what is right."""
    known = [field.name for field in fields(StudyFile) if field.name != "digest"]
    for key in content:
        if key not in known:
            raise ValueError(f"{key}: nothing reads this key{nearest(str(key), known) or '; remove it'}")
    for key in known:
        if content.get(key) is None and key not in OPTIONAL:
            raise ValueError(f"{key}: has no value; studies/sweep_models.yaml explains it")
    comparisons = content["comparisons"]
    seeds = content["seeds"]
    are_seeds = isinstance(seeds, list) and all(type(seed) is int for seed in seeds)
    shapes = {
        "baseline": (_is_setting(content["baseline"]), "a setting, such as {model: net2}"),
        "fixed": (not content.get("fixed") or _is_setting(content["fixed"]), "a setting, such as {optimizer.lr: 0.1}"),
        "comparisons": (
            isinstance(comparisons, list) and all(map(_is_setting, comparisons)),
            "a list of settings, such as [{model: net5}]",
        ),
        "published": (
            not content.get("published") or _is_published(content["published"]),
            "values of metrics and a tolerance, such as {metric: 0.93, tolerance: 0.005}",
        ),
        "seeds": (are_seeds and 0 < len(set(seeds)) == len(seeds), "a list of different seeds, such as [0, 1, 2]"),
    }
    for key, (fits, expected) in shapes.items():
        if not fits:
            raise ValueError(f"{key}: must be {expected}, not {content.get(key)!r}")


def _is_setting(value: Any) -> bool:
    """Dotted keys with plain values; only the opponent in a comparison is a setting itself."""
    if not isinstance(value, dict) or not value:
        return False
    return all(_is_setting(child) if key == "against" else not isinstance(child, dict) for key, child in value.items())


def _is_published(value: Any) -> bool:
    """Numbers of metrics, a tolerance, and perhaps a setting."""
    if not isinstance(value, dict) or not _is_setting(value.get("setting", {"model": "any"})):
        return False
    numbers = {key: number for key, number in value.items() if key != "setting"}
    return all(map(is_number, numbers.values())) and len(numbers) > 1 and numbers.get("tolerance", -1) >= 0


def _shortened(setting: Setting) -> Setting:
    """model.name is called model in a report."""
    return {
        key.removesuffix(".name"): _shortened(value) if isinstance(value, dict) else value
        for key, value in setting.items()
    }


def _literally(value: Any) -> Any:
    r"""Escaped for OmegaConf: the ${\bf x}$ of a formula refers to no key."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


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
