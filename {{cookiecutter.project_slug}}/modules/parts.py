"""The parts of a run, built as its configuration says: the device, the data set, its batches, and the trainer."""

import os
from typing import Literal

import torch
from torch import nn
from torch.optim import Optimizer

from labkit.build import build
from modules.config import TrainConfig
from modules.data.batches import LoaderBatches, TensorBatches
from modules.data.sources import DataSet
from modules.randomness import key
from modules.tasks.classification import ClassificationTrainer
from modules.training.schedule import steps_per_epoch
from modules.training.trainer import Trainer


def set_up_torch(config: TrainConfig) -> torch.device:
    """Threads, determinism and the device asked for. ValueError where there is no GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
    if config.system.threads:
        torch.set_num_threads(config.system.threads)
    if config.system.device == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"system.device: no GPU visible (torch {torch.__version__}); use cpu or auto")
    device = torch.device("cuda" if torch.cuda.is_available() and config.system.device != "cpu" else "cpu")
    if device.type == "cuda":
        torch.use_deterministic_algorithms(config.training.deterministic)
        if "LOCAL_RANK" in os.environ:  # torchrun: a GPU for each process
            device = torch.device("cuda", _own_gpu(int(os.environ["LOCAL_RANK"])))
            torch.cuda.set_device(device)
    return device


def make_data(config: TrainConfig) -> DataSet:
    return build("data", config.data, DataSet, datasets_dir=config.system.datasets_dir)


def make_trainer(config: TrainConfig, data: DataSet, device: torch.device) -> Trainer:
    """Model, optimizer and batches as configured. ValueError where they do not fit together."""
    steps_per_epoch(len(data.split.train), config.training)  # before anything is built
    torch.manual_seed(key("weights", config.seed))
    network = build("model", config.model, nn.Module, input_shape=data.input_shape, classes=data.classes).to(device)
    return ClassificationTrainer(
        network=network,
        optimizer=build("optimizer", config.optimizer, Optimizer, params=network.parameters()),
        training=make_batches(config, data, "train", device),
        validation=make_batches(config, data, "validation", device),
        config=config.training,
        seed=config.seed,
        device=device,
    )


def make_batches(
    config: TrainConfig, data: DataSet, part: Literal["train", "validation", "test"], device: torch.device
) -> TensorBatches | LoaderBatches:
    """One part of the split, by the data path that the data set asks for; only training examples are augmented."""
    indices = getattr(data.split, part)
    max_shift = data.max_shift if part == "train" else 0
    if data.in_memory:
        return TensorBatches(data, indices, device, config.seed, max_shift)
    return LoaderBatches(data, indices, device, config.seed, max_shift, config.system.loader_workers)


def _own_gpu(number: int) -> int:
    there = torch.cuda.device_count()
    if number >= there:
        raise ValueError(f"torchrun --nproc-per-node: process {number + 1} finds {there} GPUs; start one for each GPU")
    return number
