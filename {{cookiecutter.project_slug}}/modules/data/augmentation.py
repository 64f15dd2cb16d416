"""Random changes to training images, on whole batches and on the device; a mask moves with its image."""

import torch
from torch import Tensor
from torch.nn.functional import pad

Batch = dict[str, Tensor]


def augment(batch: Batch, random: torch.Generator, *, max_shift: int, flip: bool) -> Batch:
    """The batch with its "input" (batch, channels, height, width) changed, and "target" too where it is a mask
    (batch, height, width)."""
    images = batch["input"]
    changed = {"input": images}
    if batch["target"].ndim == 3:
        changed["target"] = batch["target"][:, None]
    if max_shift:
        offsets = torch.randint(0, 2 * max_shift + 1, (2, len(images)), generator=random).to(images.device)
        changed = {name: shifted(part, offsets, max_shift) for name, part in changed.items()}
    if flip:
        chosen = (torch.rand(len(images), generator=random) < 0.5).to(images.device)[:, None, None, None]
        changed = {name: torch.where(chosen, part.flip(3), part) for name, part in changed.items()}
    if "target" in changed:
        changed["target"] = changed["target"][:, 0]
    return {**batch, **changed}


def shifted(images: Tensor, offsets: Tensor, max_shift: int) -> Tensor:
    """Moves each image (batch, channels, height, width) by its offsets (2, batch), 0 to 2 x max_shift, less max_shift
    pixels down and to the right; zeros come in. A random crop of the padded image is the same."""
    batch, _, height, width = images.shape
    rows = offsets[0, :, None] + torch.arange(height, device=images.device)  # (batch, height)
    columns = offsets[1, :, None] + torch.arange(width, device=images.device)  # (batch, width)
    padded = pad(images, [max_shift] * 4).permute(0, 2, 3, 1)  # (batch, height, width, channels)
    each = torch.arange(batch, device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
