"""A class for each pixel: down to a quarter of the height and width and up again (Ronneberger et al. 2015)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from modules.shapes import Float


class UNet(nn.Module):
    """Three levels; on the way up, each level sees its own features of the way down as well."""

    def __init__(self, *, input_shape: tuple[int, ...], outputs: int, channels: int) -> None:
        """`channels`: of the first level; each level below has twice as many."""
        super().__init__()
        if len(input_shape) != 3 or min(input_shape[1:]) < 4:
            raise ValueError(
                "model: UNet takes images (channels, height, width) of at least 4 x 4 pixels, not inputs of the shape "
                f"{tuple(input_shape)}; choose model=mlp for a table, model=transformer_text for texts"
            )
        if channels < 1:
            raise ValueError(f"model.channels: must be at least 1, not {channels}")
        c = channels
        self.down = nn.ModuleList([_convolutions(input_shape[0], c), _convolutions(c, 2 * c)])
        self.bottom = _convolutions(2 * c, 4 * c)
        self.up = nn.ModuleList([_convolutions(4 * c + 2 * c, 2 * c), _convolutions(2 * c + c, c)])
        self.classifier = nn.Conv2d(c, outputs, kernel_size=1)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch outputs height width"]:
        x = images
        passed = []
        for level in self.down:
            x = level(x)
            passed.append(x)
            x = max_pool2d(x, 2)
        x = self.bottom(x)
        for level in self.up:
            beside = passed.pop()
            x = level(torch.cat([interpolate(x, beside.shape[2:]), beside], 1))
        return self.classifier(x)


def _convolutions(entering: int, leaving: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for depth in (entering, leaving):
        layers += [nn.Conv2d(depth, leaving, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(leaving), nn.ReLU()]
    return nn.Sequential(*layers)
