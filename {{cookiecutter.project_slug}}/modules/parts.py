"""The parts of a run, built as its configuration says: the device, the data set, its batches, and the trainer."""

import os
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from labkit.build import build
from labkit.distributed import world_size
from modules.config import TrainConfig
from modules.data.base import Data
from modules.data.batches import Batches
from modules.randomness import key
from modules.training.first_batch import mistakes_named
from modules.training.task import Task
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


def make_data(config: TrainConfig) -> Data:
    return build("data", config.data, Data, offered={"datasets_dir": config.system.datasets_dir})


def make_trainer(config: TrainConfig, data: Data, device: torch.device) -> Trainer:
    """Task, model, optimizer and batches as configured. ValueError where they do not fit together."""
    config.training.steps_per_epoch(len(data.split.train), world_size())  # before anything is built
    task = build("task", config.task, Task, offered=data.facts)
    network = make_network(config, data.facts).to(device)
    shares = None
    if config.training.sharding == "full" and world_size() > 1:
        from labkit.sharding import Shares

        shares = Shares(network, device)
    check_optimizer(config)
    with mistakes_named([]):  # such as a task for networks of another kind
        of_turns = [task.parameters(network, turn) for turn in task.turns]
    optimizers = [make_optimizer(config, parameters) for parameters in of_turns]
    if shares:
        for optimizer in optimizers:
            shares.follow(optimizer)
    return Trainer(
        task=task,
        network=network,
        optimizers=optimizers,
        training=make_batches(config, data, "train", device),
        validation=make_batches(config, data, "validation", device),
        config=config.training,
        seed=config.seed,
        device=device,
        shares=shares,
    )


def make_network(config: TrainConfig, facts: dict[str, Any]) -> nn.Module:
    """With the first weights of this seed."""
    torch.manual_seed(key("weights", config.seed))
    return build("model", config.model, nn.Module, offered=facts)


def make_optimizer(config: TrainConfig, parameters: Any) -> Optimizer:
    return build("optimizer", config.optimizer, Optimizer, params=parameters)


def make_batches(config: TrainConfig, data: Data, part: str, device: torch.device) -> Batches:
    """One part of the split; ValueError where the data set has no such part."""
    if not len(data.split.part(part)):
        raise ValueError(f"data: the {part} part is empty; set data.{part}_fraction")
    return Batches(data.part(part), seed=config.seed, device=device, workers=config.system.loader_workers)


def check_optimizer(config: TrainConfig) -> None:
    """ValueError where the optimizer cannot take an ordinary step: found on one number, before anything is written."""
    weight = nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    optimizer = make_optimizer(config, [weight])
    try:
        optimizer.step()  # pyright: ignore[reportCallIssue]  # LBFGS needs a closure, and is refused for it
    except Exception as error:  # each optimizer fails in its own way
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"optimizer: {config.optimizer['name']} cannot take a step ({reason}); choose another"
        ) from error


def _own_gpu(number: int) -> int:
    there = torch.cuda.device_count()
    if number >= there:
        raise ValueError(f"torchrun --nproc-per-node: process {number + 1} finds {there} GPUs; start one for each GPU")
    return number
