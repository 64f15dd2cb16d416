"""What Hydra calls: the task of an entry point, with its checked configuration."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from labkit.config import typed
from labkit.launching.command import chosen_ablation, task_overrides
from labkit.launching.errors import exit_with
from labkit.values import canonical, flatten

T = TypeVar("T")
VERSION_BASE = {"version_base": "1.3"} if hydra.__version__ < "1.4" else {}  # 1.5 refuses it
CONFIG = Path(__file__).resolve().parents[2] / "config"


class EntryPoint:
    """What Hydra gets for a task: imports it only when there is something to run, not for --help."""

    def __init__(self, load: Callable[[], tuple[type[Any], Callable[[Any], None]]], sweeps: bool) -> None:
        self._load = load
        self.sweeps = sweeps  # whether it takes --multirun

    def __call__(self, composed: DictConfig) -> None:
        try:
            task = self.task()
        except Exception as error:
            exit_with(error)  # out of Hydra's sight, which would print a line of its own
        task(composed)

    def task(self, context: HydraContext | None = None) -> "CheckedTask[Any]":
        return CheckedTask(*self._load(), context)


class CheckedTask(Generic[T]):
    """Checks what Hydra composed and calls the task with it. Picklable: a sweep sends it to its workers."""

    def __init__(self, schema: type[T], task: Callable[[T], None], context: HydraContext | None = None) -> None:
        self.schema = schema
        self.task = task
        self.context = context  # of a sweep, for its members

    def __call__(self, composed: DictConfig) -> None:
        try:
            _check_choices()
            self.task(self.checked(composed, HydraConfig.get()))
        except Exception as error:
            if HydraConfig.get().mode == RunMode.RUN:
                exit_with(error)  # out of Hydra's sight, which would print a line of its own
            raise

    def checked(self, composed: DictConfig, hydra: Any) -> T:
        """The composed configuration as the task's schema; `hydra`: Hydra's own node. ValueError: see labkit.config."""
        if "ablation" in composed:
            composed.ablation = chosen_ablation(hydra)
            _check_ablation(composed)
        _check_groups(composed)
        keys = [str(key) for key in composed if key != "hydra"]
        words = task_overrides(hydra)
        if "system" in self.schema.__dataclass_fields__:  # pyright: ignore[reportAttributeAccessIssue]
            return typed(self.schema, OmegaConf.masked_copy(composed, keys), words)
        # The tools read single keys of `system` by interpolation, and have no such node of their own.
        return typed(self.schema, {key: composed[key] for key in keys if key != "system"}, words)


def _check_groups(composed: DictConfig) -> None:
    for folder in CONFIG.glob("*"):  # none in a Slurm job, whose configuration was composed and checked before
        choice = composed.get(folder.name) if folder.is_dir() else None
        if isinstance(choice, str) and (folder / f"{choice}.yaml").exists() and folder.name != "ablation":
            raise ValueError(
                f'{folder.name}: is the text "{choice}", not the choice of a file; in an experiment file write '
                f'"defaults: [override /{folder.name}: {choice}]" instead'
            )


def _check_ablation(composed: DictConfig) -> None:
    """ValueError where something else changes what the ablation sets: its name would say what is not so."""
    name = composed.ablation
    path = CONFIG / "ablation" / f"{name}.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8")) if name and path.exists() else None
    for key, value in flatten({k: v for k, v in (values or {}).items() if k not in ("defaults", "hydra")}).items():
        there = OmegaConf.select(composed, key)
        there = OmegaConf.to_container(there) if OmegaConf.is_config(there) else there
        if canonical(there) != canonical(value):
            raise ValueError(
                f"ablation: {name} sets {key} to {value}, and the command or the experiment sets it to {there}; "
                "leave one of them out"
            )


def _check_choices() -> None:
    for override in task_overrides(HydraConfig.get()):
        group, _, choice = override.lstrip("+").partition("=")
        if choice.startswith("[") and group != "experiment" and (CONFIG / group).is_dir():
            sweep = f"--multirun {group}={choice.strip('[]')}"
            raise ValueError(f"{group}: takes one choice, not {choice}; to sweep over them, use {sweep}")
