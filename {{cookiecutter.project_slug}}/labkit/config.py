"""The contract of a configuration: what every key must hold, checked in one place before anything is written.

The contracts are dataclasses without defaults: values live in YAML only. A dataclass checks its own values in
`__post_init__`, with the helpers below.
"""

import json
import math
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Protocol, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException, ValidationError

from labkit.secrets import refuse_secrets
from labkit.text import nearest
from labkit.values import flatten

T = TypeVar("T")
DEBUG = ("overfit", "nans", "gradients", "shapes", "profile", "fast", "pdb")  # config/debug/


@dataclass
class SystemConfig:
    """What does not change the result of a run, and so is not part of its identity."""

    device: str
    threads: int | None
    loader_workers: int
    log_every_steps: int
    checkpoint_minutes: float
    datasets_dir: str
    runs_dir: str
    tracker: dict[str, Any] | None
    debug: str | None

    def __post_init__(self) -> None:
        check_choice("system.device", self.device, ("auto", "cpu", "cuda"))
        check_choice("system.debug", self.debug or DEBUG[0], DEBUG)
        check_least("system.threads", self.threads, 1)
        check_least("system.loader_workers", self.loader_workers, 0)
        check_least("system.log_every_steps", self.log_every_steps, 1)
        check_least("system.checkpoint_minutes", self.checkpoint_minutes, 0)
        cores = os.cpu_count() or 1
        if self.loader_workers > 16 * cores:
            raise ValueError(f"system.loader_workers: must be at most {16 * cores}, 16 for each core here")
        if self.loader_workers:
            check_temporary_folder()
        if self.threads is not None and self.threads > cores:
            raise ValueError(f"system.threads: must be at most {cores}, the number of cores here")


class RunConfig(Protocol):
    """The part of a run's configuration that this package reads; modules/config.py has all of it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    NEUTRAL: ClassVar[dict[str, Any]]  # see labkit/runs/identity.py
    study: str
    ablation: str | None  # the name of the file in config/ablation/
    seed: int
    restart: bool
    model: dict[str, Any]
    data: dict[str, Any]
    system: SystemConfig


def typed(schema: type[T], values: DictConfig | Mapping[str, Any], words: Collection[str] = ()) -> T:
    """`values` as a `schema` dataclass, with interpolations resolved; `words`: overrides as they were typed.

    ValueError in one sentence: an unknown key, a wrong type, a missing value, a value out of range, a secret.
    """
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), values)
        plain = flatten(OmegaConf.to_container(merged, resolve=True))
        refuse_secrets(plain)
        _check_finite(plain)
        _check_places(plain)
        for key, given in flatten(_unresolved(values)).items():
            if key in plain and f"{key}={given}" not in words:  # study=2 on the command line is what it says
                check_text(key, given, plain[key])
        return cast(T, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise ValueError(_sentence(error, schema)) from error


def check_text(key: str, given: Any, text: Any) -> None:
    """ValueError where YAML has made something else of what is meant as `text`: `no` is False, and 12:30 is 750."""
    if isinstance(text, list) and isinstance(given, list):
        for one, other in zip(given, text, strict=True):
            check_text(key, one, other)
    elif isinstance(text, str) and not isinstance(given, str):
        raise ValueError(f"{key}: is meant as text, and YAML reads {json.dumps(given, default=str)}; put it in quotes")


def check_choice(key: str, value: str, choices: Iterable[str]) -> None:
    """ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f'{key}: "{value}" is not one of {", ".join(choices)}{nearest(value, choices)}')


def check_least(key: str, value: float | None, least: float) -> None:
    """ValueError if the value is too small; None means "not set"."""
    if value is not None and value < least:
        raise ValueError(f"{key}: must be at least {least}, not {value}")


def check_temporary_folder() -> None:
    """ValueError where the names of sockets, through which processes talk, do not fit into it: the system allows 108
    letters, macOS 104."""
    folder = tempfile.gettempdir()
    if os.name == "posix" and len(os.fsencode(folder)) > 70:  # Python adds /pymp-abcdefgh/listener-abcdefgh
        raise ValueError(f"TMPDIR: {folder} is too long for the sockets that processes need; set a shorter one")


def check_fraction(key: str, value: float | None) -> None:
    """ValueError unless 0 < value < 1; None means "not set"."""
    if value is not None and not 0 < value < 1:
        raise ValueError(f"{key}: must be above 0 and below 1, not {value}")


def check_folder_name(key: str, name: str) -> None:
    """ValueError for a name that no folder can have, on Windows or elsewhere."""
    reserved = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name, flags=re.IGNORECASE)
    strange = not name or name[0] == "." or name[-1] in ". " or set(name) & set('/\\:*?"<>|\n\r\t\0')
    if reserved or strange or len(name) > 100:
        raise ValueError(f'{key}: "{name}" cannot name a folder; use letters, digits, "-", "_" and "."')


def _check_places(values: Mapping[str, Any]) -> None:
    """The names that commands look for and write to, whichever command it is."""
    for key, value in values.items():
        if key == "study" and value is not None:
            check_folder_name(key, value)
        if key.endswith(("_dir", "_dirs")) and "" in (value, *(value if isinstance(value, list) else ())):
            raise ValueError(f"{key}: is empty; name a folder, or leave it out")


def _unresolved(values: DictConfig | Mapping[str, Any]) -> Any:
    if OmegaConf.is_config(values):  # a list as well
        return OmegaConf.to_container(values)
    return {key: _unresolved(value) if OmegaConf.is_config(value) else value for key, value in values.items()}


def _check_finite(values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key}: {value} is not a finite number; correct the value")


def _sentence(error: OmegaConfBaseException, schema: type) -> str:
    key = error.full_key or ""
    reason = str(error).splitlines()[0]
    if isinstance(error, ConfigKeyError):
        return f"{key}: nothing reads this key{nearest(key, _keys(schema)) or '; remove it'}"
    if isinstance(error, MissingMandatoryValue):
        return f"{key}: has no value; set it on the command line or in a file of config/"
    if isinstance(error, ValidationError):
        return f"{key}: {reason.rstrip('.')}; correct the value"
    return f"{key}: {reason}"


def _keys(schema: type, prefix: str = "") -> Iterator[str]:
    for field in fields(schema):
        if isinstance(field.type, type) and is_dataclass(field.type):
            yield from _keys(field.type, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name
