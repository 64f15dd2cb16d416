"""Batches of one part of the data: their order and everything random in them is a function of (seed, epoch, batch).

What is held in memory is indexed on the device. All else is fetched by the workers of a DataLoader, a whole batch at a
time; the number of workers changes nothing about what is served.
"""

import os
import signal
from collections.abc import Generator, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from labkit.distributed import rank, world_size
from labkit.workers import begin_worker, next_of
from modules.data.base import Batch, Examples
from modules.randomness import epoch_order, generator

Position = tuple[int, int, int] | None  # (seed, epoch, batch) of a batch in training
# Which examples, and where. What goes to a worker is no tensor: torch would send it through a socket and shared memory.
Key = tuple[np.ndarray, Position]


class Batches:
    """A part of the data, of which each process sees its share: the processes take turns."""

    def __init__(self, examples: Examples, *, seed: int, device: torch.device, workers: int) -> None:
        self.examples = examples.to(device)
        self.seed = seed
        self.device = device
        self.workers = workers

    def __len__(self) -> int:
        return len(self.examples)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Every example once, in the data set's own order; the last batch may be smaller."""
        order = self._placed(torch.arange(len(self)))
        starts = range(rank() * batch_size, len(self), world_size() * batch_size)
        return self._serve((order[start : start + batch_size], None) for start in starts)

    def shuffled(self, epoch: int, batch_size: int, first: int, batches: int) -> Generator[Batch]:
        """Batches `first` to `batches` - 1 of this process, in the epoch's order, augmented."""
        order = self._placed(epoch_order(self.seed, epoch, len(self)))
        numbers = range(first * world_size() + rank(), batches * world_size(), world_size())
        chosen = ((n, order[n * batch_size : (n + 1) * batch_size]) for n in numbers)
        return self._serve((indices, (self.seed, epoch, n)) for n, indices in chosen)

    def _serve(self, keys: Iterator[tuple[Tensor, Position]]) -> Generator[Batch]:
        if not self.examples.in_memory:
            yield from self._load((indices.numpy(), position) for indices, position in keys)
            return
        for indices, position in keys:
            yield _fetched(self.examples, indices, position)

    def _placed(self, order: Tensor) -> Tensor:
        """Once an epoch to the device, where the examples are, instead of batch by batch."""
        return order.to(self.device) if self.examples.in_memory else order

    def _load(self, keys: Iterator[Key]) -> Generator[Batch]:
        pinned = self.device.type == "cuda"
        # A generator of its own: a DataLoader otherwise draws from torch's, and so changes what a step draws.
        loader = DataLoader(
            _Fetcher(self.examples),
            sampler=_Keys(keys),
            batch_size=None,  # a key is a whole batch
            num_workers=self.workers,
            pin_memory=pinned,
            generator=generator("loader"),
            worker_init_fn=begin_worker,
        )
        batches = iter(loader)
        if self.workers and os.name == "posix":
            # torch's handler raises wherever this process happens to be; `next` finds a dead worker as well.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        while (batch := next_of(batches, self.workers)) is not None:
            yield {name: tensor.to(self.device, non_blocking=pinned) for name, tensor in batch.items()}


def _fetched(examples: Examples, indices: Tensor, position: Position) -> Batch:
    random = generator("augmentation", *position) if position and examples.draws else None
    return examples.fetch(indices, random)


class _Keys(Sampler[Key]):
    """Drawn one by one while batches are fetched: an epoch of many examples costs no list of them."""

    def __init__(self, keys: Iterator[Key]) -> None:
        self._keys = keys

    def __iter__(self) -> Iterator[Key]:
        return self._keys


class _Fetcher(Dataset[Batch]):
    def __init__(self, examples: Examples) -> None:
        self._examples = examples

    def __getitem__(self, key: Key) -> Batch:
        indices, position = key
        batch = _fetched(self._examples, torch.from_numpy(indices), position)
        if get_worker_info():  # here, where what fails is told to the process that trains; torch does it out of sight
            batch = {name: tensor.share_memory_() for name, tensor in batch.items()}
        return batch
