"""Changes to whole batches, on the device: random ones to training images and their masks, and normalisation."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

Batch = dict[str, Tensor]


def augment(batch: Batch, random: torch.Generator, *, max_shift: int, flip: bool) -> Batch:
    """The batch with its "input" (batch, channels, height, width) changed, and "target" too where it is a mask
    (batch, height, width).

    Each image is moved by up to `max_shift` pixels, down or up and to either side, where zeros come in: a random crop
    of the padded image. With `flip`, half of the images are mirrored.
    """
    images = batch["input"]
    count, _, height, width = images.shape
    device = images.device
    rows = torch.arange(height, device=device).expand(count, -1)  # which row of the padded image comes to each place
    columns = torch.arange(width, device=device).expand(count, -1)
    down, right = torch.randint(0, 2 * max_shift + 1, (2, count, 1), generator=random).to(device)
    if flip:
        mirrored = (torch.rand((count, 1), generator=random) < 0.5).to(device)
        columns = torch.where(mirrored, width - 1 - columns, columns)
    rows = (rows + down) * (width + 2 * max_shift)  # where each begins in the flattened image
    places = rows[:, :, None] + (columns + right)[:, None]  # (batch, height, width)

    def moved(part: Tensor) -> Tensor:
        index = places.flatten(1)[:, None].expand(-1, part.shape[1], -1)
        return pad(part, [max_shift] * 4).flatten(2).gather(2, index).view(part.shape)

    changed = {**batch, "input": moved(images)}
    if batch["target"].ndim == 3:
        changed["target"] = moved(batch["target"][:, None])[:, 0]
    return changed


def normaliser(inputs: Tensor) -> Callable[[Batch], Batch]:
    """Subtracts from the "input" of a batch the mean of `inputs` (n, channels or features, ...), for each channel or
    feature, and divides by the standard deviation. ValueError where `inputs` are no real numbers."""
    if not inputs.is_floating_point():
        raise ValueError(f"data.normalise: inputs hold {inputs.dtype}, which has no mean; set it to false")
    others = [dim for dim in range(inputs.ndim) if dim != 1]
    deviation, mean = torch.std_mean(inputs.double(), others, correction=0, keepdim=True)
    return partial(_normalised, mean=mean.float(), scale=torch.where(deviation > 0, deviation, 1).float())


def _normalised(batch: Batch, *, mean: Tensor, scale: Tensor) -> Batch:
    inputs = batch["input"]
    return {**batch, "input": (inputs - mean.to(inputs.device)) / scale.to(inputs.device)}
