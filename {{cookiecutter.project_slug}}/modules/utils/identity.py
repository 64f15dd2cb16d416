"""The identity of a run: one setting has one id, wherever and however it is launched."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modules.utils.config import TrainConfig, flatten
from modules.utils.run_folder import read_json

NO_PART_OF_IT = ("study", "ablation", "system", "restart")  # they do not change the result


def run_id(config: TrainConfig) -> str:
    """12 hex digits: sha256 of the canonical form of what determines the result."""
    text = json.dumps(identity(config), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def run_name(config: TrainConfig) -> str:
    """The name of the run's folder: <model>-<data>-s<seed>-<run_id>. No clock in it."""
    return f"{config.model['name']}-{config.data['name']}-s{config.seed}-{run_id(config)}"


def run_path(config: TrainConfig) -> Path:
    """The run's folder, the same whatever launches it."""
    return Path(config.system.runs_dir) / config.study / run_name(config)


def data_version(config: TrainConfig) -> str | None:
    """The fingerprint of a prepared data set, without reading the data; None where there is nothing prepared."""
    about = read_json(Path(config.system.datasets_dir) / str(config.data.get("folder")) / "dataset.json")
    return about["fingerprint"] if about else None


def identity(config: TrainConfig) -> dict[str, Any]:
    return {key: _canonical(value) for key, value in asdict(config).items() if key not in NO_PART_OF_IT}


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The dotted keys in which two configurations differ, of those that determine the result."""
    a, b = (flatten({k: _canonical(v) for k, v in c.items() if k not in NO_PART_OF_IT}) for c in (one, other))
    return sorted(key for key in a.keys() | b.keys() if a.get(key, "absent") != b.get(key, "absent"))


def _canonical(value: Any) -> Any:
    """1 and 1.0 are one number, true is not 1, and a letter with an accent is one letter however it was typed."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(child) for child in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value
