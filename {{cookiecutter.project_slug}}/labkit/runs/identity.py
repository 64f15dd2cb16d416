"""The identity of a run: one setting has one id, wherever and however it is launched."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from labkit.build import takes
from labkit.config import RunConfig
from labkit.runs.files import read_json
from labkit.values import canonical, flatten

LEFT_OUT = ("study", "ablation", "system", "restart")  # they do not change the result
ABSENT = object()


class Neutral(NamedTuple):
    """Of a key that came later than the first runs: the value at which a run is what it was before the key was there.

    At this value the key is left out of the identity, or stands there as `before`, so that earlier runs keep their ids.
    """

    value: Any
    before: Any = ABSENT


def run_id(config: RunConfig) -> str:
    """12 hex digits: the sha256 of what determines the result, in canonical form."""
    own = identity(asdict(config), config.NEUTRAL)
    text = json.dumps(own, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def run_name(config: RunConfig) -> str:
    """The name of the run's folder, <model>-<data>-s<seed>-<run_id>: the same tomorrow as today."""
    return f"{config.model['name']}-{config.data['name']}-s{config.seed}-{run_id(config)}"


def run_path(config: RunConfig) -> Path:
    """The run's folder, whatever launches it."""
    return Path(config.system.runs_dir) / config.study / run_name(config)


def data_version(config: RunConfig) -> str | None:
    """The fingerprint of a prepared data set, found without reading the data; None if nothing is prepared."""
    about = read_json(Path(config.system.datasets_dir) / str(config.data.get("folder")) / "dataset.json")
    return about["fingerprint"] if about else None


def identity(config: Mapping[str, Any], neutral: Mapping[str, Neutral]) -> dict[str, Any]:
    """The part of a configuration that determines the result, in canonical form."""
    own = {key: canonical(value) for key, value in config.items() if key not in LEFT_OUT}
    for key, (value, before) in neutral.items():
        *groups, name = key.split(".")
        node = own
        for group in groups:
            node = node.get(group) or {}
        if node.get(name, value) == value:
            node.pop(name, None)
            if before is not ABSENT:
                node[name] = before
    return {key: value for key, value in own.items() if value != {}}


def settings(config: Mapping[str, Any], neutral: Mapping[str, Neutral]) -> dict[str, Any]:
    """The same by dotted keys: the report groups runs by what tells their ids apart."""
    return flatten(identity(config, neutral))


def differences(config: Mapping[str, Any], other: Mapping[str, Any], neutral: Mapping[str, Neutral]) -> list[str]:
    """The dotted keys in which two configurations differ, of those that determine the result."""
    ours = settings(config, neutral)
    theirs = settings(other, neutral)
    return sorted(key for key in ours.keys() | theirs.keys() if ours.get(key, "absent") != theirs.get(key, "absent"))


def filled(config: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A saved configuration with the keys that came later: each at its neutral value, by its dotted key.

    A class that takes other settings, such as another task, is not given them.
    """
    whole = copy.deepcopy(dict(config))
    for key, value in values.items():
        *groups, name = key.split(".")
        node = whole
        for group in groups:
            node = node.setdefault(group, {})
        if name in ("_target_", "name") or "_target_" not in node or takes(node["_target_"], name):
            node.setdefault(name, value)
    return whole
