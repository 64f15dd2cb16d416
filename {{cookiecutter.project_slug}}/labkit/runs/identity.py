"""The identity of a run: one setting has one id, wherever and however it is launched."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labkit.config import RunConfig
from labkit.runs.files import read_json
from labkit.values import canonical, flatten

LEFT_OUT = ("study", "ablation", "system", "restart")  # they do not change the result


def run_id(config: RunConfig) -> str:
    """12 hex digits: the sha256 of what determines the result, in canonical form."""
    text = json.dumps(identity(asdict(config)), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
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


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that determines the result, in canonical form."""
    return {key: canonical(value) for key, value in config.items() if key not in LEFT_OUT}


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same by dotted keys: the report groups runs by what tells their ids apart."""
    return flatten(identity(config))


def differences(config: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The dotted keys in which two configurations differ, of those that determine the result."""
    ours = settings(config)
    theirs = settings(other)
    return sorted(key for key in ours.keys() | theirs.keys() if ours.get(key, "absent") != theirs.get(key, "absent"))
