"""Time per step of the generated project's Trainer beside Lightning, Fabric and Accelerate, in one process.

    pip install lightning==2.6.6 accelerate==1.15.0
    python benchmarks/other_trainers.py [--rounds 5]

Each trains the same network on the digits for the same number of steps with the same fused optimizer, and computes
validation loss and accuracy once an epoch. Lightning also writes a CSV log and keeps the best checkpoint; the loops
around Fabric and Accelerate keep nothing. The Trainer does everything that is on by default.
"""

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import accelerate
import lightning
import torch
from lightning.fabric import Fabric
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from trainer_overhead import ArrayData, TrainConfig, digits_data, mlp, optimizer_of, settings, with_trainer

Batch = tuple[Tensor, Tensor]


def loaders(data: ArrayData, size: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    arrays = (data.arrays["input"], data.arrays["target"])
    train, validation = (
        TensorDataset(*(torch.from_numpy(array[data.split.part(part)]) for array in arrays))
        for part in ("train", "validation")
    )
    return DataLoader(train, size, shuffle=True, drop_last=True), DataLoader(validation, 512)


def measures(network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    logits = network(batch[0])
    return cross_entropy(logits, batch[1]), (logits.argmax(1) == batch[1]).float().mean()


class Classifier(lightning.LightningModule):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def training_step(self, batch: Batch, number: int) -> Tensor:
        loss, accuracy = measures(self.network, batch)
        self.log_dict({"train/loss": loss, "train/accuracy": accuracy}, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, number: int) -> None:
        loss, accuracy = measures(self.network, batch)
        self.log_dict({"validation/loss": loss, "validation/accuracy": accuracy})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return optimizer_of(self.network, fused=True)


def with_lightning(data: ArrayData, network: nn.Module, config: TrainConfig) -> float:
    train, validation = loaders(data, config.training.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=config.training.epochs,
            logger=CSVLogger(folder),
            callbacks=[ModelCheckpoint(monitor="validation/accuracy", mode="max")],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=16,
        )
        started = time.perf_counter()
        trainer.fit(Classifier(network), train, validation)
        return (time.perf_counter() - started) / trainer.global_step


def by_loop(wrapped: Any, backward: Callable[[Tensor], None], epochs: int) -> float:
    network, optimizer, train, validation = wrapped
    steps = 0
    started = time.perf_counter()
    for _ in range(epochs):
        network.train()
        for batch in train:
            optimizer.zero_grad()
            backward(measures(network, batch)[0])
            optimizer.step()
            steps += 1
        network.eval()
        with torch.no_grad():
            [[value.item() for value in measures(network, batch)] for batch in validation]
    return (time.perf_counter() - started) / steps


def with_fabric(data: ArrayData, network: nn.Module, config: TrainConfig) -> float:
    fabric = Fabric(accelerator="cpu", devices=1)
    wrapped = fabric.setup(network, optimizer_of(network, fused=True))
    served = fabric.setup_dataloaders(*loaders(data, config.training.batch_size))
    return by_loop((*wrapped, *served), fabric.backward, config.training.epochs or 0)


def with_accelerate(data: ArrayData, network: nn.Module, config: TrainConfig) -> float:
    accelerator = accelerate.Accelerator(cpu=True)
    parts = (network, optimizer_of(network, fused=True), *loaders(data, config.training.batch_size))
    return by_loop(accelerator.prepare(*parts), accelerator.backward, config.training.epochs or 0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    data = digits_data()
    config = settings(epochs=50)
    ways = {
        "Lightning, CSV log, best weights": with_lightning,
        "Fabric": with_fabric,
        "Accelerate": with_accelerate,
        "Trainer": with_trainer,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):  # the first one warms up
        for name, train in ways.items():
            seconds = train(data, mlp(), config)
            if number:
                times[name].append(seconds)
    versions = f"lightning {lightning.__version__}, accelerate {accelerate.__version__}, torch {torch.__version__}"
    print(f"digits, MLP 64-64-10, batch 64 ({versions}, 1 thread, {rounds} rounds)")
    for name, values in times.items():
        median = statistics.median(values)
        share = statistics.median(times["Trainer"]) / median
        print(
            f"  {name:33} {1000 * median:7.3f} ms a step ({1000 * min(values):.3f} to {1000 * max(values):.3f})"
            f"   Trainer / this: {share:.2f}"
        )


if __name__ == "__main__":
    main()
