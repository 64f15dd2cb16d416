"""A member of a sweep: what it runs, and how it ended; or why it cannot run."""

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from labkit.config import RunConfig
from labkit.launching.command import task_overrides
from labkit.launching.entry_point import CheckedTask
from labkit.runs.folder import RunFolder
from labkit.runs.identity import run_path


@dataclass(eq=False)
class Member:
    """One run of a sweep, and what has become of it so far."""

    name: str  # the overrides that tell it from the other members
    overrides: list[str]
    config: DictConfig  # as Hydra composed it, Hydra's own node included
    settings: RunConfig  # the same without that node, checked
    folder: RunFolder
    finished_with: str | None = None  # the code_id of a run that had finished before
    job: str | None = None  # of Slurm, as "12_3"
    status: str = "waiting"  # then submitted, finished, pruned, refused, failed, diverged, killed or interrupted
    reason: str | None = None  # a sentence

    @property
    def device(self) -> str:
        return self.settings.system.device

    def is_finished(self) -> bool:
        return bool(self.folder.read_result())


@dataclass(frozen=True)
class Refused:
    """A member that cannot run because of a mistake in its overrides."""

    name: str
    overrides: list[str]
    reason: str
    folder = None
    job = None
    status = "refused"


def checked_member(name: str, config: DictConfig, task: CheckedTask[Any]) -> Member:
    """ValueError in a sentence: see labkit/config.py."""
    settings = task.checked(config, config.hydra)
    return Member(name, task_overrides(config.hydra), config, settings, RunFolder(run_path(settings)))
