"""Time per step of the generated project's Trainer against hand-written loops, in one process, on one thread.

    python benchmarks/trainer_overhead.py [--rounds 7]

Each loop trains the same network on the same data for the same number of steps, and computes validation loss and
accuracy once an epoch; the Trainer also does everything else that is on by default (metrics, rows, log, state, best
weights, checkpoints). "as written" loops use torch.optim.AdamW as everybody writes it; "fused" ones use the setting of
config/optimizer/adamw.yaml, which the Trainer uses too. Rounds alternate between the loops; ratios are of the medians.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

PROJECT = Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}"
sys.path.insert(0, str(PROJECT))

from labkit.config import typed  # noqa: E402
from labkit.runs.folder import RunFolder  # noqa: E402
from labkit.runs.interruption import Interruption  # noqa: E402
from labkit.runs.progress import open_log  # noqa: E402
from labkit.runs.recorder import Recorder  # noqa: E402
from modules.config import TrainConfig  # noqa: E402
from modules.data.base import ArrayData  # noqa: E402
from modules.data.batches import Batches  # noqa: E402
from modules.data.prepare import PrepareConfig, prepare  # noqa: E402
from modules.data.sources import PreparedArrays, Synthetic  # noqa: E402
from modules.tasks.classification import Classification  # noqa: E402
from modules.training.trainer import Trainer  # noqa: E402

CPU = torch.device("cpu")


SHARED: dict[str, Any] = {"in_memory": True, "max_shift": 0, "flip": False, "normalise": False}
SHARED |= {"split_kind": "stratified", "split_seed": 0}
SHARED |= {"fraction": 1.0, "folds": None, "fold": 0}


def digits_data() -> ArrayData:
    with tempfile.TemporaryDirectory() as folder:
        prepare(PrepareConfig(["digits"], folder))
        fractions = {"validation_fraction": 0.2, "test_fraction": 0.2}
        return PreparedArrays(datasets_dir=folder, folder="digits", **SHARED, **fractions)


def image_data() -> ArrayData:
    size = {"examples": 1600, "input_shape": [3, 32, 32], "classes": 10}
    about = {"noise": 1.0, "generation_seed": 0, "validation_fraction": 0.1, "test_fraction": 0.1}
    return Synthetic(**size, **about, **SHARED)


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def cnn() -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for entering, leaving in ((3, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(entering, leaving, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def optimizer_of(network: nn.Module, *, fused: bool | None) -> torch.optim.Optimizer:
    return torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2, fused=fused)


def settings(epochs: int) -> TrainConfig:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(PROJECT / "config"), version_base="1.3"):
        return typed(TrainConfig, compose("train", overrides=[f"training.epochs={epochs}"]))


def trainer_of(kind: type[Trainer], data: ArrayData, network: nn.Module, config: TrainConfig) -> Trainer:
    return kind(
        task=Classification(class_names=data.facts["class_names"], label_smoothing=0.0),
        network=network,
        optimizers=[optimizer_of(network, fused=True)],
        training=Batches(data.part("train"), seed=0, device=CPU, workers=0),
        validation=Batches(data.part("validation"), seed=0, device=CPU, workers=0),
        config=config.training,
        seed=0,
        device=CPU,
    )


def with_trainer(data: ArrayData, network: nn.Module, config: TrainConfig) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        trainer = trainer_of(Trainer, data, network, config)
        about = (Interruption(), "benchmark", config.system, trainer.workload)
        with open_log(run.log, quiet=True) as log, Recorder(run, log, *about) as recorder:
            started = time.perf_counter()
            trainer.train(recorder)
            seconds = time.perf_counter() - started
    return seconds / trainer.total_steps


def by_hand(data: ArrayData, network: nn.Module, config: TrainConfig, *, loader: bool, fused: bool | None) -> float:
    """What a student writes, without the parts that make it trustworthy."""
    arrays = (data.arrays["input"], data.arrays["target"])
    x, y = (torch.from_numpy(a[data.split.train]) for a in arrays)
    vx, vy = (torch.from_numpy(a[data.split.validation]) for a in arrays)
    size, optimizer = config.training.batch_size, optimizer_of(network, fused=fused)
    batches = DataLoader(TensorDataset(x, y), size, shuffle=True, drop_last=True)
    steps = 0
    started = time.perf_counter()
    for _ in range(config.training.epochs or 0):
        network.train()
        if loader:
            for inputs, targets in batches:
                train_step(network, optimizer, inputs, targets)
                steps += 1
        else:
            order = torch.randperm(len(y))
            for chosen in order[: len(y) // size * size].split(size):
                train_step(network, optimizer, x[chosen], y[chosen])
                steps += 1
        network.eval()
        with torch.no_grad():
            logits = network(vx)
            cross_entropy(logits, vy).item()
            (logits.argmax(1) == vy).float().mean().item()
    return (time.perf_counter() - started) / steps


def train_step(network: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, targets: Tensor) -> None:
    optimizer.zero_grad()
    cross_entropy(network(inputs), targets).backward()
    optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    for title, data, make, epochs in (
        ("digits, MLP 64-64-10, batch 64", digits_data(), mlp, 300),
        ("synthetic 3x32x32, CNN, batch 64", image_data(), cnn, 3),
    ):
        config = settings(epochs)
        hand: dict[str, dict[str, bool | None]] = {
            "DataLoader loop, as written": {"loader": True, "fused": None},
            "DataLoader loop, fused": {"loader": True, "fused": True},
            "indexing loop, as written": {"loader": False, "fused": None},
            "indexing loop, fused": {"loader": False, "fused": True},
        }
        times: dict[str, list[float]] = {name: [] for name in (*hand, "Trainer")}
        for number in range(rounds + 1):  # the first one warms up
            measured = {name: by_hand(data, make(), config, **options) for name, options in hand.items()}  # type: ignore
            measured["Trainer"] = with_trainer(data, make(), config)
            for name, seconds in measured.items() if number else ():
                times[name].append(seconds)
        medians = {name: statistics.median(values) for name, values in times.items()}
        print(f"{title} (torch {torch.__version__}, 1 thread, {rounds} rounds)")
        for name, value in medians.items():
            print(
                f"  {name:28} {1000 * value:8.3f} ms a step ({1000 * min(times[name]):.3f} to "
                f"{1000 * max(times[name]):.3f})   Trainer / this: {medians['Trainer'] / value:.2f}"
            )


if __name__ == "__main__":
    main()
