"""Small real runs, composed as runs/train.py composes them; trained in this process, or in one that can be killed."""

import csv
import functools
import io
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from faults import Process
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from labkit.config import typed
from labkit.launching.compose import Composer
from labkit.launching.entry_point import VERSION_BASE, CheckedTask
from labkit.launching.main import main
from labkit.runs.folder import RunFolder
from labkit.runs.identity import run_name
from labkit.runs.interruption import Interruption
from labkit.runs.recorder import Recorder
from modules.config import TrainConfig
from modules.parts import make_data, make_trainer
from modules.tasks.classification import Classification
from modules.train import train
from modules.training.task import Task
from modules.training.trainer import Trainer
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from warm import warm

ROOT = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}"
CPU = torch.device("cpu")
# 100 images of 4 x 4 pixels in 4 classes, of which 60 are for training: 7 steps of 8 in an epoch, and 4 left out.
SMALL = (
    *("data=synthetic", "data.examples=100", "data.classes=4", "data.input_shape=[1,4,4]"),
    *("model.channels=2", "model.hidden_width=8", "training.batch_size=8", "training.epochs=2"),
    *("system.device=cpu", "system.threads=1"),
)
SMALL_LINEAR = (*SMALL[:4], "model=linear", *SMALL[6:], "optimizer=sgd", "optimizer.momentum=0")
DIGITS = ("data=digits", *SMALL[4:])
EVERY_STEP = ("training.evaluate_every_epochs=null", "training.evaluate_every_steps=1")


def compose(*overrides: str) -> DictConfig:
    """What `python runs/train.py <overrides>` composes, Hydra's own part included: as for the member of a sweep, which
    takes a tenth of the time, and is the same (see test_sweep.py)."""
    return _composer().compose(overrides)


def hydra_compose(*overrides: str) -> DictConfig:
    """The same by Hydra itself."""
    with hydra.initialize_config_dir(str(ROOT / "config"), **VERSION_BASE):
        return hydra.compose("train", list(overrides), return_hydra_config=True)


@functools.cache
def _composer() -> Composer:
    with hydra.initialize_config_dir(str(ROOT / "config"), **VERSION_BASE):
        loader = GlobalHydra.instance().config_loader()
        return Composer(loader, hydra.compose("train", return_hydra_config=True))


def without_hydra(composed: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])


def checked(composed: DictConfig) -> TrainConfig:
    """The part of it that is about the run."""
    return typed(TrainConfig, without_hydra(composed))


def config_of(*overrides: str) -> TrainConfig:
    return checked(compose(*overrides))


def train_composed(composed: DictConfig) -> Path:
    """Trains, resumes or leaves alone, as runs/train.py would in this process; returns the run's folder."""
    HydraConfig.instance().set_config(composed)
    CheckedTask(TrainConfig, train)(without_hydra(composed))
    config = checked(composed)
    return Path(config.system.runs_dir) / config.study / run_name(config)


def train_small(runs_dir: Path, *overrides: str, base: tuple[str, ...] = SMALL) -> Path:
    return train_composed(compose(*base, f"system.runs_dir={runs_dir}", *overrides))


@functools.cache
def forking() -> Any:
    """A multiprocessing context: where that is possible, of forks of a process that has imported torch and done nothing
    else, which takes it seconds, once."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["labkit.libraries", "torch.utils.data", "small_runs"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # Python 3.11's server knows no other, and says nothing
        (first := context.Process(target=int)).start()
        first.join()  # by then the server has imported all of it, and the next process takes only its own time
    return context


@contextmanager
def process_of(
    runs_dir: Path, *overrides: str, base: tuple[str, ...] = SMALL, held: bool = False
) -> Iterator[BaseProcess]:
    """The same in a process of its own. A test may kill it; at the latest it is killed at the end. `held`: the test is
    sure to meet it, see `held_at_its_first_row`."""
    composed = compose(*base, f"system.runs_dir={runs_dir}", *overrides)
    work = (held_at_its_first_row, _train_in_process) if held else (_train_in_process,)
    process = forking().Process(target=work[0], args=(*work[1:], composed))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def small_trainer(*overrides: str, base: tuple[str, ...] = SMALL) -> Trainer:
    """What a run trains with, before its first step."""
    config = config_of(*base, *overrides)
    return make_trainer(config, make_data(config), CPU)


def parts_of(trainer: Trainer) -> dict[str, Any]:
    """What a trainer is made of, for another one."""
    parts = {"network": trainer.bare, "training": trainer.data, "seed": 0, "device": CPU}
    return parts | {name: getattr(trainer, name) for name in ("task", "optimizers", "validation", "config")}


def with_task(trainer: Trainer, task: Task) -> Trainer:
    """The same network and data with another task."""
    parts = parts_of(trainer)
    parts["task"] = task
    return Trainer(**parts)


def classification(kind: type[Classification] = Classification) -> Classification:
    """The task of the small runs, or a class that inherits from it."""
    return kind(class_names=["0", "1", "2", "3"], label_smoothing=0.0)


def train_in(folder: Path, trainer: Trainer, interruption: Interruption | None = None) -> None:
    """Trains it in a folder that is no run of the project's task."""
    system = config_of(*SMALL_LINEAR).system
    about = (RunFolder(folder), logging.getLogger("test"), interruption or Interruption(), "an id", system)
    with Recorder(*about, trainer.workload) as recorder:
        trainer.train(recorder)


def result(folder: Path) -> dict[str, Any]:
    """run.json"""
    return json.loads((folder / "run.json").read_bytes())


def rows(folder: Path) -> list[dict[str, float]]:
    """metrics.csv, an empty field as NaN."""
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [{name: float(value or "nan") for name, value in row.items()} for row in csv.DictReader(file)]


def column(folder: Path, name: str) -> list[float]:
    return [row[name] for row in rows(folder)]


def checkpoint(folder: Path, name: str = "last") -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / f"{name}.pt", weights_only=True)


def weights(folder: Path) -> dict[str, Tensor]:
    """The trained ones, of the last checkpoint."""
    return checkpoint(folder)["network"]


def same_bits(one: Any, other: Any) -> bool:
    """Whether two nested values of tensors and plain values are equal in every bit; NaN equals NaN."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(same_bits(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_bits, one, other))
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and _bytes(one) == _bytes(other)
    return repr(one) == repr(other)


def run_command(*words: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """python <words>, as a user types it in the project's folder. A script comes from a process that has imported the
    libraries, but for one that starts others."""
    server = warm() if words[0].startswith("runs/") and "--multirun" not in words else None
    if server is None:
        return subprocess.run(
            [sys.executable, *words], cwd=cwd, capture_output=True, text=True, encoding="utf-8", check=False
        )
    with tempfile.TemporaryDirectory() as folder:
        process = Process([sys.executable, *words], cwd, Path(folder), dict(os.environ), server)
        try:
            ended = process.ended()
        finally:
            process.end()
    return subprocess.CompletedProcess(words, ended.status, ended.out, ended.err)


def train_command_here(*words: str) -> "subprocess.CompletedProcess[str]":
    """python runs/train.py <words>, in this process: answers, and starts the members of a sweep, without a new process
    and its imports. What those members print is not in the answer."""
    said, complained = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(complained):
        patch.setattr(sys, "argv", ["runs/train.py", *words])
        patch.setenv("HYDRA_FULL_ERROR", "1")  # main() sets it: taken back at the end
        patch.chdir(ROOT)
        try:
            main("train", lambda: (TrainConfig, train))
            status: Any = 0
        except SystemExit as end:
            status = end.code
    return subprocess.CompletedProcess(words, status, said.getvalue(), complained.getvalue())


def held_at_its_first_row(train: Callable[..., Any], *arguments: Any) -> None:
    """`train` of a process that is to be stopped: once it has written a row it waits for a signal, or for its end."""
    record = Recorder.record

    def record_and_wait(self: Recorder, row: Mapping[str, float]) -> None:
        record(self, row)
        while not self._interruption.received:
            time.sleep(0.005)

    Recorder.record = record_and_wait
    train(*arguments)


def _train_in_process(composed: DictConfig) -> None:
    multiprocessing.set_start_method(None, force=True)  # loader workers start as they do under runs/train.py
    train_composed(composed)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()
