"""The two data paths: tensors on the device, batched by indexing, and a DataLoader for what does not fit in memory.

Both serve the same examples in the same order, which is a function of (seed, epoch).
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from modules.data.augmentation import random_shift
from modules.data.sources import DataSet
from modules.utils.randomness import epoch_order, generator

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
        for inputs, targets in zip(self.inputs.split(batch_size), self.targets.split(batch_size), strict=True):
            yield {"input": inputs, "target": targets}

    def shuffled(self, epoch: int, batch_size: int, first: int, batches: int) -> Iterator[Batch]:
        """Batches `first` to `batches` - 1 of the epoch's order, augmented by (seed, epoch, number of the batch)."""
        order = epoch_order(self.seed, epoch, len(self)).to(self.targets.device)
        for number, chosen in enumerate(order.split(batch_size)[first:batches], first):
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
        everything = torch.arange(len(self))
        return self._load([[(None, i) for i in chosen] for chosen in everything.split(batch_size)])

    def shuffled(self, epoch: int, batch_size: int, first: int, batches: int) -> Iterator[Batch]:
        order = epoch_order(self.examples.seed, epoch, len(self))
        return self._load([[(epoch, i) for i in chosen] for chosen in order.split(batch_size)[first:batches]])

    def _load(self, keys: list[list[tuple[int | None, Tensor]]]) -> Iterator[Batch]:
        pinned = self.device.type == "cuda"
        plain = [[(epoch, int(i)) for epoch, i in batch] for batch in keys]
        # A generator of its own: a DataLoader otherwise draws from torch's, and so changes what a step draws.
        loader = DataLoader(
            self.examples,
            batch_sampler=plain,  # pyright: ignore[reportArgumentType]  # any iterable of batches of keys
            num_workers=self.workers,
            pin_memory=pinned,
            generator=generator("loader"),
        )
        for batch in loader:
            yield {name: tensor.to(self.device, non_blocking=pinned) for name, tensor in batch.items()}


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
