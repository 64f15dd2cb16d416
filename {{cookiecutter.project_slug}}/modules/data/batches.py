"""The two data paths: tensors on the device, batched by indexing, and a DataLoader for what does not fit in memory.

Both serve the same examples in the same order, which is a function of (seed, epoch).
"""

import ctypes
import os
import signal
import sys
from collections.abc import Generator, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from labkit.distributed import rank, world_size
from labkit.runs.interruption import SIGNALS
from modules.data.augmentation import random_shift
from modules.data.sources import DataSet
from modules.randomness import epoch_order, generator

Batch = dict[str, Tensor]  # "input" (batch, *input_shape) float32, "target" (batch,) int64


class TensorBatches:
    """Examples held as tensors on the device: faster than any loader for what fits."""

    def __init__(self, data: DataSet, indices: np.ndarray, device: torch.device, seed: int, max_shift: int) -> None:
        self.inputs = torch.from_numpy(data.inputs[indices]).to(device)
        self.targets = torch.from_numpy(data.targets[indices]).to(device)
        self.seed = seed
        self.max_shift = max_shift

    def __len__(self) -> int:
        return len(self.targets)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Every example once, in the data set's own order; the last batch may be smaller."""
        batches = list(zip(self.inputs.split(batch_size), self.targets.split(batch_size), strict=True))
        for inputs, targets in batches[rank() :: world_size()]:
            yield {"input": inputs, "target": targets}

    def shuffled(self, epoch: int, batch_size: int, first: int, batches: int) -> Generator[Batch]:
        """Batches `first` to `batches` - 1 of this process, in the epoch's order, augmented by (seed, epoch, number of
        the batch)."""
        chunks = epoch_order(self.seed, epoch, len(self)).to(self.targets.device).split(batch_size)
        for number in _share(first, batches):
            chosen = chunks[number]
            inputs = self.inputs[chosen]
            if self.max_shift:
                inputs = random_shift(inputs, self.max_shift, generator("augmentation", self.seed, epoch, number))
            yield {"input": inputs, "target": self.targets[chosen]}


class LoaderBatches:
    """Examples fetched one by one in worker processes, augmented by (seed, epoch, index).

    The number of workers changes nothing about what is served.
    """

    def __init__(
        self, data: DataSet, indices: np.ndarray, device: torch.device, seed: int, max_shift: int, workers: int
    ) -> None:
        self.examples = _Examples(data, indices, seed, max_shift)
        self.device = device
        self.workers = workers

    def __len__(self) -> int:
        return len(self.examples)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        chunks = torch.arange(len(self)).split(batch_size)[rank() :: world_size()]
        return self._load([[(None, i) for i in chosen] for chosen in chunks])

    def shuffled(self, epoch: int, batch_size: int, first: int, batches: int) -> Generator[Batch]:
        chunks = epoch_order(self.examples.seed, epoch, len(self)).split(batch_size)
        return self._load([[(epoch, i) for i in chunks[number]] for number in _share(first, batches)])

    def _load(self, keys: list[list[tuple[int | None, Tensor]]]) -> Generator[Batch]:
        pinned = self.device.type == "cuda"
        plain = [[(epoch, int(i)) for epoch, i in batch] for batch in keys]
        # A generator of its own: a DataLoader otherwise draws from torch's, and so changes what a step draws.
        loader = DataLoader(
            self.examples,
            batch_sampler=plain,  # pyright: ignore[reportArgumentType]  # any iterable of batches of keys
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


def _begin_worker(_: int) -> None:
    """A signal that goes to all processes of a run is for the one that trains, which then ends its workers. Where that
    one is killed, they end at once and in silence; torch's own watch would take five seconds."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.excepthook = lambda *_: None  # torch sends what the data set raises to the process that trains
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, see prctl(2)


def _share(first: int, batches: int) -> range:
    """The places of this process's batches `first` to `batches` - 1 in the epoch's order: the processes take turns."""
    return range(first * world_size() + rank(), batches * world_size(), world_size())


class _Examples(Dataset[Batch]):
    """Map-style data set whose keys are (epoch, index); epoch None means: not augmented."""

    def __init__(self, data: DataSet, indices: np.ndarray, seed: int, max_shift: int) -> None:
        self.data = data
        self.indices = indices
        self.seed = seed
        self.max_shift = max_shift

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: tuple[int | None, int]) -> Batch:
        epoch, index = key
        at = self.indices[index]
        image = torch.from_numpy(np.array(self.data.inputs[at]))
        if epoch is not None and self.max_shift:
            draw = generator("augmentation", self.seed, epoch, index)
            image = random_shift(image[None], self.max_shift, draw)[0]
        return {"input": image, "target": torch.tensor(int(self.data.targets[at]))}
