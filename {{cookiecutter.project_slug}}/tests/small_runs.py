"""Small real runs for the tests: composed from config/ as runs/train.py composes them, and trained in this process."""

import csv
import functools
import re
from pathlib import Path

import hydra
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from labkit.launching.compose import Composer
from labkit.launching.entry_point import VERSION_BASE, CheckedTask
from labkit.runs.identity import run_path
from modules.config import TrainConfig
from modules.data.base import Data
from modules.parts import make_data
from modules.train import train

DataSets = dict[str, tuple[TrainConfig, Data]]

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
SHORT = ("training.batch_size=8", "training.epochs=2", "system.device=cpu")
# 100 images of 4 x 4 pixels in 4 classes. 60 are for training: 7 steps of 8 in an epoch, and 4 that are left out.
SMALL = ("data=synthetic", "data.examples=100", "data.classes=4", "data.input_shape=[1,4,4]", *SHORT)
OF_A_SWEEP = ("+experiment", "+launcher", "+sweeper")  # what members cannot change
NOT_HERE = re.compile(r"data set is missing|there (is|are) no (file|images|\S+\.npy)")  # what a data set answers


def choices(group: str) -> list[str]:
    """The files of a folder of config/: a new one is tested without a new line here. `_shared` is no choice."""
    return sorted(path.stem for path in (ROOT / "config" / group).glob("[!_]*.yaml"))


@functools.cache
def composer() -> Composer:
    with hydra.initialize_config_dir(str(ROOT / "config"), **VERSION_BASE):
        sweep = hydra.compose("train", return_hydra_config=True)
        return Composer(GlobalHydra.instance().config_loader(), sweep)


@functools.cache
def compose(*overrides: str) -> DictConfig:
    """What `python runs/train.py <overrides>` composes, Hydra's own node included; as fast as a sweep does it."""
    if not any(word.startswith(OF_A_SWEEP) for word in overrides):
        return composer().compose(overrides)
    with hydra.initialize_config_dir(str(ROOT / "config"), **VERSION_BASE):
        return hydra.compose("train", [*overrides], return_hydra_config=True)


def left_to_the_user(*overrides: str) -> list[str]:
    """The keys that a file leaves open with `???`."""
    return sorted(key for key in OmegaConf.missing_keys(compose(*overrides)) if not key.startswith("hydra."))


def at(key: str, path: Path | str) -> str:
    """`key=path`, in quotes: the path may have spaces and any letters."""
    return f"{key}='" + str(path).replace("'", "\\'") + "'"


def words_for(data: str, datasets_dir: Path | str) -> tuple[str, ...]:
    """A data set in fewer and smaller images, where it is made on the spot: the tests are fast."""
    smaller = ("data.examples=100", "data.size=16") if data in ("shapes", "shapes_labels") else ()
    return (f"data={data}", *smaller, at("system.datasets_dir", datasets_dir), "system.device=cpu")


def data_sets_here(datasets_dir: Path) -> DataSets:
    """Every data set of config/data/ with its configuration, digits first; one whose files are not here is left out."""
    found = {}
    for name in sorted(choices("data"), key=lambda name: name not in ("digits", "synthetic")):
        words = words_for(name, datasets_dir)
        if left_to_the_user(*words):
            continue
        config = config_of(*words)
        try:
            found[name] = (config, make_data(config))
        except (ValueError, FileNotFoundError) as refusal:
            if isinstance(refusal, ValueError) and not NOT_HERE.search(str(refusal)):
                raise
    return found


def config_of(*overrides: str) -> TrainConfig:
    """The part of it that is about the run, checked. ValueError in a sentence."""
    composed = compose(*overrides)
    return CheckedTask(TrainConfig, train).checked(composed, composed.hydra)


def run(runs_dir: Path, *overrides: str, base: tuple[str, ...] = SMALL) -> Path:
    """Trains, resumes or leaves alone, as runs/train.py does; returns the run's folder."""
    composed = compose(*base, at("system.runs_dir", runs_dir), *overrides)
    HydraConfig.instance().set_config(composed)
    CheckedTask(TrainConfig, train)(composed)
    return run_path(CheckedTask(TrainConfig, train).checked(composed, composed.hydra))


def rows(folder: Path) -> list[dict[str, float]]:
    """metrics.csv, an empty field as NaN."""
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [{name: float(value or "nan") for name, value in row.items()} for row in csv.DictReader(file)]


def weights(folder: Path, name: str = "last") -> dict[str, Tensor]:
    """The network of a checkpoint."""
    return torch.load(folder / "checkpoints" / f"{name}.pt", weights_only=True)["network"]


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def same_batches(some: list[dict[str, Tensor]], others: list[dict[str, Tensor]]) -> bool:
    return len(some) == len(others) > 0 and all(map(same_bits, some, others))
