"""The data side alone: an epoch of images with crop and flip, and how a start depends on the number of examples.

    python benchmarks/data.py [--rounds 5]

60,000 images of 28 x 28 are cropped (from an image padded by 2) and mirrored: by the project, a batch at a time; and
by a DataLoader whose data set does the same to each example, as most code has it. A step of net2 is timed as well.
Then runs/train.py's own parts are built on memory maps of 10 thousand and of 10 million examples.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad
from torch.utils.data import DataLoader, Dataset

PROJECT = Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}"
sys.path.insert(0, str(PROJECT))

from labkit.config import typed  # noqa: E402
from modules.config import TrainConfig  # noqa: E402
from modules.data.batches import Batches  # noqa: E402
from modules.parts import make_data, make_network, make_optimizer, make_trainer  # noqa: E402

CPU = torch.device("cpu")
EXAMPLES, BATCH = 60_000, 64
SHIFT = 2


def composed(*overrides: str) -> TrainConfig:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(PROJECT / "config"), version_base="1.3"):
        return typed(TrainConfig, compose("train", overrides=list(overrides)))


class PerExample(Dataset[tuple[Tensor, int]]):
    """Crops and mirrors each image when it is asked for."""

    def __init__(self, images: Tensor, targets: Tensor) -> None:
        self.images = images
        self.targets = targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        image = pad(self.images[index], [SHIFT] * 4)
        row, column = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
        image = image[:, row : row + 28, column : column + 28]
        return (image.flip(2) if torch.rand(()) < 0.5 else image), self.targets[index]


def seconds_of(action: Callable[[], Any]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def epoch_of_images(rounds: int) -> None:
    config = composed(
        *("data=synthetic", "data.examples=100000", "data.input_shape=[1,28,28]", "model=net2"),
        *(f"data.max_shift={SHIFT}", "data.flip=true"),
    )
    data = make_data(config)
    batches = Batches(data.part("train"), seed=0, device=CPU, workers=0)
    images: Any = batches.examples
    loader = DataLoader(PerExample(images.tensors["input"], images.tensors["target"]), BATCH, shuffle=True)
    network = make_network(config, data.facts)
    optimizer: Any = make_optimizer(config, network.parameters())

    def train(steps: int = 100) -> None:
        for batch in batches.shuffled(0, BATCH, 0, steps):
            optimizer.zero_grad()
            cross_entropy(network(batch["input"]), batch["target"]).backward()
            optimizer.step()

    steps = len(batches) // BATCH
    times: dict[str, list[float]] = {"project": [], "DataLoader": [], "step": []}
    for number in range(rounds + 1):  # the first one warms up
        fetch = seconds_of(lambda: [None for _ in batches.shuffled(0, BATCH, 0, steps)]) / steps
        found = {"project": fetch, "DataLoader": seconds_of(lambda: [None for _ in loader]) / steps}
        found["step"] = seconds_of(train) / 100 - fetch
        for name, seconds in found.items() if number else ():
            times[name].append(seconds)
    project, by_loader, step = (1000 * statistics.median(values) for values in times.values())
    print(f"an epoch of {len(batches):,} images of 28 x 28, batch {BATCH}, crop and flip (1 thread, {rounds} rounds)")
    print(f"  the project      {project:.3f} ms a batch; {project / step:.1%} of a step of net2, {step:.3f} ms")
    print(f"  DataLoader       {by_loader:.3f} ms a batch; {by_loader / project:.1f}x the project's")


def start(folder: str) -> None:
    """In a process of its own: until the first batch of training is there."""
    config = composed(
        *("data=memory_map", f"data.folder={folder}", "data.class_names=[no,yes]", "model=mlp"),
        *("system.loader_workers=0", "training.epochs=1"),
    )
    started = time.perf_counter()
    data = make_data(config)
    trainer = make_trainer(config, data, CPU)
    next(trainer.data.shuffled(0, BATCH, 0, 1))
    data.split.to_bytes()
    seconds = time.perf_counter() - started
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
    # The pages of mapped files are the kernel's cache, which gives way to whoever needs memory.
    print(seconds, (kilobytes["VmHWM"] - kilobytes["RssFile"]) / 1000)


def starts(rounds: int) -> None:
    found: dict[int, list[list[float]]] = {10_000: [], 10_000_000: []}
    with tempfile.TemporaryDirectory() as folder:
        for examples in found:
            root = Path(folder) / str(examples)
            root.mkdir()
            targets = np.arange(examples) % 2
            np.save(root / "inputs-000.npy", np.random.default_rng(0).random((examples, 8), np.float32))
            np.save(root / "targets-000.npy", targets)
        for number, examples in ((n, e) for n in range(rounds + 1) for e in found):
            command = [sys.executable, __file__, "--start", str(Path(folder) / str(examples))]
            words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            if number:  # the first start reads all of it, once
                found[examples].append([float(word) for word in words])
    print(f"from a memory map to the first batch of training, peak memory without pages of files ({rounds} rounds)")
    for examples, pairs in found.items():
        seconds, megabytes = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(f"  {examples:>10,} examples  {seconds:.2f} s, {megabytes:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--start")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.start:
        start(given.start)
        return
    starts(given.rounds)  # first: what this process has in memory would count as theirs
    epoch_of_images(given.rounds)


if __name__ == "__main__":
    main()
