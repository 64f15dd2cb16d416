"""The contract of config/train.yaml: what every key must hold, checked in one place before anything is written.

The dataclasses have no defaults: values live in YAML only. `model`, `data` and `optimizer` name a class by `_target_`,
whose signature is their contract (see build.py).
"""

import difflib
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException, ValidationError

from modules.utils.secrets import refuse_secrets

T = TypeVar("T")


@dataclass
class TrainingConfig:
    """config/training/: explained there, key by key."""

    epochs: int | None
    steps: int | None
    batch_size: int
    evaluation_batch_size: int
    accumulation: int
    precision: str
    clip_norm: float | None
    schedule: str
    warmup_steps: int
    plateau_factor: float
    plateau_patience: int
    evaluate_every_epochs: int | None
    evaluate_every_steps: int | None
    monitor: str
    direction: str
    early_stopping: int | None
    ema_decay: float | None
    divergence: str
    compile: bool
    deterministic: bool


@dataclass
class SystemConfig:
    """What does not change the result of a run, and is no part of its identity."""

    device: str
    threads: int | None
    loader_workers: int
    log_every_steps: int
    checkpoint_minutes: float
    datasets_dir: str
    runs_dir: str
    tracker: dict[str, Any] | None


@dataclass
class TrainConfig:
    """One run. The three `dict`s are `_target_` nodes."""

    study: str
    ablation: str | None  # the name of the file in config/ablation/: what it changes is in the settings
    seed: int
    restart: bool
    model: dict[str, Any]
    data: dict[str, Any]
    optimizer: dict[str, Any]
    training: TrainingConfig
    system: SystemConfig


def typed(schema: type[T], values: DictConfig | Mapping[str, Any]) -> T:
    """`values` as a `schema` dataclass, interpolations resolved. ValueError in a sentence: unknown key, wrong type,
    missing value, value out of range, a secret."""
    try:
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), values))
    except OmegaConfBaseException as error:
        raise ValueError(_sentence(error, schema)) from error
    refuse_secrets(flatten(asdict(cast(Any, config))))
    if isinstance(config, TrainConfig):
        _check_values(config)
    return cast(T, config)


def nearest(name: str, known: Iterable[str]) -> str:
    """' did you mean "x"?' or '' -- the end of a sentence about an unknown name."""
    close = difflib.get_close_matches(name, set(known) - {name}, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    """{"training": {"epochs": 5}} as {"training.epochs": 5}; lists are kept whole."""
    if not isinstance(node, Mapping):
        return {prefix[:-1]: node}
    return {key: leaf for name, child in node.items() for key, leaf in flatten(child, f"{prefix}{name}.").items()}


def _sentence(error: OmegaConfBaseException, schema: type) -> str:
    key = error.full_key or ""
    if isinstance(error, ConfigKeyError):
        return f"{key}: nothing reads this key{nearest(key, _keys(schema)) or '; remove it'}"
    if isinstance(error, MissingMandatoryValue):
        return f"{key}: has no value; set it on the command line or in a file of config/"
    if isinstance(error, ValidationError):
        return f"{key}: {str(error).splitlines()[0].rstrip('.')}; correct the value"
    return f"{key}: {str(error).splitlines()[0]}"


def _keys(schema: type, prefix: str = "") -> list[str]:
    nested = {
        f.name: _keys(f.type, f"{prefix}{f.name}.")
        for f in fields(schema)
        if isinstance(f.type, type) and is_dataclass(f.type)
    }
    return [key for f in fields(schema) for key in nested.get(f.name, [prefix + f.name])]


_CHOICES = {
    "training.precision": ("fp32", "bf16", "fp16"),
    "training.schedule": ("constant", "cosine", "plateau"),
    "training.direction": ("max", "min"),
    "training.divergence": ("stop", "skip_step", "continue"),
    "system.device": ("auto", "cpu", "cuda"),
}
_AT_LEAST = {
    "seed": 0,
    "training.epochs": 1,
    "training.steps": 1,
    "training.batch_size": 1,
    "training.evaluation_batch_size": 1,
    "training.accumulation": 1,
    "training.warmup_steps": 0,
    "training.plateau_patience": 1,
    "training.evaluate_every_epochs": 1,
    "training.evaluate_every_steps": 1,
    "training.early_stopping": 1,
    "system.threads": 1,
    "system.loader_workers": 0,
    "system.log_every_steps": 1,
    "system.checkpoint_minutes": 0,
}
_FRACTIONS = ("training.plateau_factor", "training.ema_decay")  # above 0, below 1
_POSITIVE = ("training.clip_norm", "optimizer.lr")
_EITHER_OR = (("epochs", "steps"), ("evaluate_every_epochs", "evaluate_every_steps"))


def _check_values(config: TrainConfig) -> None:
    values: dict[str, Any] = flatten(asdict(config))
    for key, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key}: {value} is not a finite number; correct the value")
    for key, choices in _CHOICES.items():
        if values[key] not in choices:
            raise ValueError(f'{key}: "{values[key]}" is none of {", ".join(choices)}{nearest(values[key], choices)}')
    for key, least in _AT_LEAST.items():
        if values[key] is not None and values[key] < least:
            raise ValueError(f"{key}: must be at least {least}, not {values[key]}")
    for key in _FRACTIONS:
        if values[key] is not None and not 0 < values[key] < 1:
            raise ValueError(f"{key}: must be above 0 and below 1, not {values[key]}")
    for key in _POSITIVE:
        value = values.get(key, 1.0)  # an optimizer without a learning rate is for torch to judge
        off = value is None and key == "training.clip_norm"
        if not off and not (isinstance(value, int | float) and value is not True and value > 0):
            raise ValueError(f"{key}: must be a number above 0, not {value}")
    cores = os.cpu_count() or 1
    if config.system.threads is not None and config.system.threads > cores:
        raise ValueError(f"system.threads: must be at most {cores}, the cores of this machine")
    for one, other in _EITHER_OR:
        if (values[f"training.{one}"] is None) == (values[f"training.{other}"] is None):
            raise ValueError(f"training.{one}: set either this or training.{other}, and the other one to null")
    if config.training.monitor.endswith("/loss") and config.training.direction != "min":
        raise ValueError(f"training.direction: must be min for training.monitor={config.training.monitor}")
    _check_name("study", config.study)
    for group in ("model", "data", "optimizer"):
        node = getattr(config, group)
        if not isinstance(node.get("name"), str) or not isinstance(node.get("_target_"), str):
            raise ValueError(f"{group}: needs a name and a _target_; choose one of config/{group}/")
        _check_name(f"{group}.name", node["name"])


def _check_name(key: str, name: str) -> None:
    """These names become folder names, on Windows too."""
    reserved = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name, flags=re.IGNORECASE)
    strange = not name or name[0] == "." or name[-1] in ". " or set(name) & set('/\\:*?"<>|\n\r\t\0')
    if reserved or strange or len(name) > 100:
        raise ValueError(f'{key}: "{name}" cannot name a folder; use letters, digits, "-", "_" and "."')
