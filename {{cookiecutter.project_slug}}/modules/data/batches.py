"""Batches of one part of the data: their order and everything random in them is a function of (seed, epoch, batch).

What is held in memory is indexed on the device. All else is fetched by the workers of a DataLoader, a whole batch at a
time; the number of workers changes nothing about what is served.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Generator, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from labkit.distributed import rank, world_size
from labkit.runs.interruption import SIGNALS
from modules.data.base import Batch, Examples
from modules.randomness import epoch_order, generator

Key = tuple[Tensor, tuple[int, int, int] | None]  # which examples, and (seed, epoch, batch) of a batch in training


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

    def _serve(self, keys: Iterator[Key]) -> Generator[Batch]:
        if not self.examples.in_memory:
            yield from self._load(keys)
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
            worker_init_fn=_begin_worker,
        )
        batches = iter(loader)
        if self.workers and os.name == "posix":
            # torch's handler raises wherever this process happens to be; `next` finds a dead worker as well.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        while (batch := self._next(batches)) is not None:
            yield {name: tensor.to(self.device, non_blocking=pinned) for name, tensor in batch.items()}

    def _next(self, batches: Iterator[Batch]) -> Batch | None:
        try:
            return next(batches, None)
        except (RuntimeError, OSError, EOFError) as error:
            if not self.workers or str(error).startswith("Caught "):  # raised by the data set
                raise
            lost = "a process that fetches batches was killed, as by a lack of memory; the same command resumes the run"
            raise ValueError(f"system.loader_workers: {lost}") from error


def _fetched(examples: Examples, indices: Tensor, position: tuple[int, int, int] | None) -> Batch:
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
        return _fetched(self._examples, indices, position)


def _begin_worker(_: int) -> None:
    """A signal that goes to all processes of a run is for the one that trains, which then ends its workers. Where that
    one is killed, they end at once and in silence; torch's own watch would take five seconds."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.excepthook = lambda *_: None  # torch sends what the data set raises to the process that trains
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, see prctl(2)
