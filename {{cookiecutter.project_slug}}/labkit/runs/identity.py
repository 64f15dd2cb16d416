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

NO_PART_OF_IT = ("study", "ablation", "system", "restart")  # they do not change the result


def run_id(config: RunConfig) -> str:
    """12 hex digits: sha256 of the canonical form of what determines the result."""
    text = json.dumps(identity(asdict(config)), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def run_name(config: RunConfig) -> str:
    """The name of the run's folder: <model>-<data>-s<seed>-<run_id>. No clock in it."""
    return f"{config.model['name']}-{config.data['name']}-s{config.seed}-{run_id(config)}"


def run_path(config: RunConfig) -> Path:
    """The run's folder, the same whatever launches it."""
    return Path(config.system.runs_dir) / config.study / run_name(config)


def data_version(config: RunConfig) -> str | None:
    """The fingerprint of a prepared data set, without reading the data; None where there is nothing prepared."""
    about = read_json(Path(config.system.datasets_dir) / str(config.data.get("folder")) / "dataset.json")
    return about["fingerprint"] if about else None


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that determines the result, in canonical form."""
    return {key: canonical(value) for key, value in config.items() if key not in NO_PART_OF_IT}


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same by dotted keys: the report groups runs by what tells their ids apart."""
    kept = {key: value for key, value in config.items() if key not in NO_PART_OF_IT}
    return {key: canonical(value) for key, value in flatten(kept).items()}


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The dotted keys in which two configurations differ, of those that determine the result."""
    a = settings(one)
    b = settings(other)
    return sorted(key for key in a.keys() | b.keys() if a.get(key, "absent") != b.get(key, "absent"))
