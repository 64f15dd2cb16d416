"""Small real runs for the tests: composed from config/ as runs/train.py composes them, and trained in this process."""

import csv
import functools
from pathlib import Path

import hydra
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from torch import Tensor

from labkit.launching.compose import Composer
from labkit.launching.task import Task
from labkit.runs.identity import run_path
from modules.config import TrainConfig
from modules.train import train

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
# 100 images of 4 x 4 pixels in 4 classes. 60 are for training: 7 steps of 8 in an epoch, and 4 that are left out.
SMALL = (
    *("data=synthetic", "data.examples=100", "data.classes=4", "data.input_shape=[1,4,4]"),
    *("training.batch_size=8", "training.epochs=2", "system.device=cpu"),
)


def choices(group: str) -> list[str]:
    """The files of a folder of config/: a new one is tested without a new line here."""
    return sorted(path.stem for path in (ROOT / "config" / group).glob("*.yaml"))


@functools.cache
def composer() -> Composer:
    with hydra.initialize_config_dir(str(ROOT / "config"), version_base="1.3"):
        sweep = hydra.compose("train", return_hydra_config=True)
        return Composer(GlobalHydra.instance().config_loader(), sweep)


def compose(*overrides: str) -> DictConfig:
    """What `python runs/train.py <overrides>` composes, Hydra's own node included; as fast as a sweep does it."""
    return composer().compose(overrides)


def config_of(*overrides: str) -> TrainConfig:
    """The part of it that is about the run, checked. ValueError in a sentence."""
    composed = compose(*overrides)
    return Task(TrainConfig, train).checked(composed, composed.hydra)


def run(runs_dir: Path, *overrides: str) -> Path:
    """Trains, resumes or leaves alone, as runs/train.py does; returns the run's folder."""
    composed = compose(*SMALL, f"system.runs_dir={runs_dir}", *overrides)
    HydraConfig.instance().set_config(composed)
    Task(TrainConfig, train)(composed)
    return run_path(Task(TrainConfig, train).checked(composed, composed.hydra))


def rows(folder: Path) -> list[dict[str, float]]:
    """metrics.csv"""
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def weights(folder: Path, name: str = "last") -> dict[str, Tensor]:
    """The network of a checkpoint."""
    return torch.load(folder / "checkpoints" / f"{name}.pt", weights_only=True)["network"]


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def same_batches(some: list[dict[str, Tensor]], others: list[dict[str, Tensor]]) -> bool:
    return len(some) == len(others) > 0 and all(map(same_bits, some, others))
