"""Random changes to training images, on whole batches: the same functions serve both data paths."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def random_shift(images: Tensor, max_shift: int, generator: torch.Generator) -> Tensor:
    """Moves each image (batch, channels, height, width) by -max_shift..max_shift pixels both ways; zeros come in."""
    if max_shift == 0:
        return images
    batch, _, height, width = images.shape
    offsets = torch.randint(0, 2 * max_shift + 1, (2, batch), generator=generator).to(images.device)
    rows = offsets[0, :, None] + torch.arange(height, device=images.device)  # (batch, height)
    columns = offsets[1, :, None] + torch.arange(width, device=images.device)  # (batch, width)
    padded = pad(images, [max_shift] * 4).permute(0, 2, 3, 1)  # (batch, height, width, channels)
    each = torch.arange(batch, device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
