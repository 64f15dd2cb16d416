"""Which settings vary in a study, and which of its runs differ in nothing but what repeats them: the seed.

Nothing here knows the name of a setting: all are found in the files.
"""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml

from labkit.runs.json_shapes import is_number
from labkit.runs.study import Run, Study
from labkit.text import alternatives, one_line

# What never changes the result; the name of an ablation says the same as the settings that it changes.
NOT_A_SETTING = ("study", "system", "restart", "ablation")
ABLATION = "ablation"  # shown like a setting where a study has ablations
NO_ABLATION = "none"
OTHER_THAN_TEXT = re.compile(r"|~|null|true|false|[-+]?[\d.][\d._]*(e[-+]?\d+)?", re.IGNORECASE)
Settings = dict[str, Any]  # dotted keys: {"model.name": "net2"}
Repeat = tuple[Any, ...]  # what tells a run from the others of its group: (seed,), or (seed, split_seed)


@dataclass
class Group:
    """The runs that differ in nothing but what repeats them."""

    settings: dict[str, str]  # what varies in this study, as text: {"model": "net2", "training.epochs": "5"}
    config: Settings = field(default_factory=dict)  # all of it, dotted; also "model" for "model.name"
    runs: list[Run] = field(default_factory=list)  # with results, by seed
    unfinished: list[Run] = field(default_factory=list)  # same settings, no result
    repeats: dict[Repeat, Run] = field(default_factory=dict)  # the runs with results by their seed
    diverged: list[Repeat] = field(default_factory=list)  # what repeats those without a result that diverged

    @property
    def label(self) -> str:
        """net5, lr=0.001: names speak for themselves, other values need the end of their key."""
        shown = {key: value for key, value in self.settings.items() if value}  # a model may lack a setting of another
        ends = [key.split(".")[-1] for key in self.settings]
        short = {key: end if ends.count(end) == 1 else key for key, end in zip(self.settings, ends, strict=True)}
        return ", ".join(f"{short[key]}={value}" if "." in key else value for key, value in shown.items())

    def has(self, setting: dict[str, Any]) -> bool:
        """Whether this is a group of {"model": "net2"}, or of whatever keys and values are given."""
        return all(
            key in self.config and as_text(self.config[key]) == as_text(_canonical(value))
            for key, value in setting.items()
        )


@dataclass
class Grouping:
    """The runs of a study, by their settings."""

    groups: list[Group]  # in natural order
    varying: list[str]  # names of the settings that vary, beside what repeats a run
    constant: dict[str, str]  # settings that are the same in every run with results
    about: dict[str, dict[str, Any]]  # of each run, also one without results: {"model": "net2", "seed": 3}


def group_runs(study: Study, repeats: list[str]) -> Grouping:
    """A second run of the same settings and seed becomes a duplicate."""
    _check_repeats(study, repeats)
    found: dict[str, list[tuple[Repeat, Run]]] = defaultdict(list)
    settings: dict[str, Settings] = {}
    names: dict[str, set[str]] = defaultdict(set)
    for run in study.ended:
        own, repeat = split(run.record["config"], repeats)
        signature = _signature(own)
        settings[signature] = own
        found[signature].append((repeat, run))
        names[signature] |= {run.record["config"].get(ABLATION)} - {None}
    shown = _with_ablations(settings, names)
    varying = _find_varying(list(shown.values()))
    keys = varying or ["model.name"]  # where nothing varies, the one row still needs a name
    groups: dict[str, Group] = {}
    about: dict[str, dict[str, Any]] = {}
    for signature in sorted(shown, key=lambda signature: _order(shown[signature], keys)):
        own = shown[signature]
        groups[signature] = Group(
            _cells(own, keys), {ABLATION: NO_ABLATION} | own | {shorten(key): own[key] for key in own}
        )
        _fill(groups[signature], found[signature])
        cells = groups[signature].settings
        about |= {run.name: cells | dict(zip(repeats, repeat, strict=True)) for repeat, run in found[signature]}
    for run, own, repeat in _unfinished(study, repeats):
        about[run.name] = _cells(own, keys) | dict(zip(repeats, repeat, strict=True))
        if group := groups.get(_signature(own)):
            group.unfinished.append(run)
            group.diverged += [repeat] if run.status == "diverged" else []
            about[run.name] |= group.settings
    constant = _find_constant(list(settings.values()), keys)
    return Grouping(list(groups.values()), [shorten(key) for key in varying], constant, about)


def split(config: dict[str, Any], repeats: list[str]) -> tuple[Settings, Repeat]:
    """The settings, and what tells the run from others of the same settings."""
    own = flatten({key: value for key, value in config.items() if key not in NOT_A_SETTING})
    return own, tuple(own.pop(key, None) for key in repeats)


def flatten(config: dict[str, Any], prefix: str = "") -> Settings:
    """{"model": {"name": "net2"}} -> {"model.name": "net2"}, values in the form in which they are compared."""
    flat: Settings = {}
    for key, value in config.items():
        if type(value) is dict:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = _canonical(value)
    return flat


def as_text(value: object) -> str:
    """A setting as YAML writes it, never rounded; a text that YAML would take for something else is in quotes."""
    if not isinstance(value, str):
        return json.dumps(value, default=str)
    return json.dumps(value) if OTHER_THAN_TEXT.fullmatch(value) else one_line(value)


def shorten(key: str) -> str:
    """model.name is shown as model."""
    return key.removesuffix(".name")


def seed_text(repeat: Repeat) -> str:
    """3, or 3/0 where a run is told apart by more than its seed."""
    return "/".join(map(as_text, repeat))


def _canonical(value: Any) -> Any:
    """As in a run's identity, 1 and 1.0 are one number and a letter with an accent is one letter however typed."""
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is list:
        return [_canonical(one) for one in value]
    return unicodedata.normalize("NFC", value) if type(value) is str and not value.isascii() else value


def _signature(settings: Settings) -> str:
    """Two runs are repetitions of each other only if these are equal."""
    return repr(sorted(settings.items()))


def _with_ablations(settings: dict[str, Settings], names: dict[str, set[str]]) -> dict[str, Settings]:
    """The settings with the names of the ablations as one more, if there are any: equal settings have one name."""
    if not set().union(*names.values()) - {NO_ABLATION}:
        return settings
    return {signature: {ABLATION: _ablation(names[signature]), **own} for signature, own in settings.items()}


def _ablation(names: set[str]) -> str:
    """One that changes nothing is the whole, whatever its name."""
    return NO_ABLATION if NO_ABLATION in names or not names else " = ".join(sorted(names))


def _check_repeats(study: Study, repeats: list[str]) -> None:
    known = sorted({key for run in study.ended[:1] for key in flatten(run.record["config"])})
    for key in repeats:
        if repeats.count(key) > 1:
            raise ValueError(f"repeats: names {key} twice; name it once")
        if key not in known:
            raise ValueError(f"repeats: no run has a setting {key!r}; {alternatives(key, known)}")


def _find_varying(configs: list[Settings]) -> list[str]:
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


def _find_constant(configs: list[Settings], shown: list[str]) -> dict[str, str]:
    return {
        key: as_text(value)
        for key, value in configs[0].items()
        if key not in shown and all(config.get(key, ...) == value for config in configs)
    }


def _fill(group: Group, runs: list[tuple[Repeat, Run]]) -> None:
    for repeat, run in sorted(runs, key=lambda one: ([_natural(key) for key in one[0]], one[1].name)):
        first = group.repeats.setdefault(repeat, run)
        if first is run:
            group.runs.append(run)
        else:
            run.status, run.reason = "duplicate", f"has the settings and the seed of {one_line(first.name)}"


def _unfinished(study: Study, repeats: list[str]) -> Iterator[tuple[Run, Settings, Repeat]]:
    """The runs without results whose configuration can be read."""
    for run in study.runs:
        if not run.ended and run.status != "duplicate" and (config := _read_config(run)):
            with suppress(RecursionError):  # YAML can refer to itself
                yield run, *split(config, repeats)


def _cells(own: Settings, keys: list[str]) -> dict[str, str]:
    return {shorten(key): as_text(own[key]) if key in own else "" for key in keys}


def _order(own: Settings, keys: list[str]) -> list[tuple[bool, float, str]]:
    """The whole comes before its ablations."""
    return [_natural(own.get(key, "") if (key, own.get(key)) != (ABLATION, NO_ABLATION) else "") for key in keys]


def _natural(value: object) -> tuple[bool, float, str]:
    """Numbers by size, before text; net2 before net10."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and is_number(value):
        return False, float(value), ""
    return True, 0.0, re.sub(r"\d+", lambda digits: digits[0].zfill(12), as_text(value))


def _read_config(run: Run) -> dict[str, Any] | None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        config = yaml.load((run.path / "config.yaml").read_bytes(), loader)
    except (OSError, yaml.YAMLError):
        return None
    return config if isinstance(config, dict) else None


def beside(settings: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
    """The settings and the columns of a row; a setting that is called like a column is prefixed."""
    return {f"setting.{key}" if key in columns else key: value for key, value in settings.items()} | columns
