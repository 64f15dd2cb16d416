"""What Hydra knows of the command that was typed, and of the one that runs a single member again."""

import shlex
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf


def rerun_command() -> str:
    """The command that runs this one member again, whatever sweep or launcher it came from."""
    config = HydraConfig.get()
    mode = ["hydra.mode=RUN"] if config.mode == RunMode.MULTIRUN else []
    return shlex.join(["python", f"runs/{config.job.name}.py", *mode, *run_overrides(config)])


def hydra_snapshot() -> dict[str, bytes]:
    """What Hydra itself would have saved in a run's folder, by file: its own configuration and the overrides."""
    config = HydraConfig.get()
    return {
        ".hydra/hydra.yaml": OmegaConf.to_yaml(OmegaConf.create({"hydra": config})).encode(),
        ".hydra/overrides.yaml": OmegaConf.to_yaml(config.overrides.task).encode(),
    }


def chosen_ablation(hydra: Any) -> str | None:
    """The name of the file in config/ablation/ that was chosen; `hydra`: Hydra's node of a configuration."""
    return hydra.runtime.choices.get("ablation")


def task_overrides(hydra: Any) -> list[str]:
    """As they were typed, interpolations and all."""
    return cast(list[str], OmegaConf.to_container(hydra.overrides.task, resolve=False))


def run_overrides(hydra: Any) -> list[str]:
    """Those that are about the run, whatever launches it."""
    return [override for override in task_overrides(hydra) if not launches_only(override)]


def launches_only(override: str) -> bool:
    """Whether it says how a run is launched, and nothing about the run."""
    return override.lstrip("+").startswith(("launcher=", "restart="))
