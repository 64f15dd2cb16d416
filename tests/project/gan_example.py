"""A task with two optimizers: a tiny generative adversarial network (Goodfellow et al. 2014) on images."""

from collections.abc import Iterable
from typing import ClassVar

import torch
from modules.training.task import Batch, Metric, Task, Value
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

NOISE = 8  # numbers that an image is made from


class GAN(nn.Module):
    """Makes images of a size, and says whether an image is real."""

    def __init__(self, *, input_shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        pixels = torch.Size(input_shape).numel()
        self.generator = nn.Sequential(
            nn.Linear(NOISE, width), nn.ReLU(), nn.Linear(width, pixels), nn.Sigmoid(), nn.Unflatten(1, input_shape)
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, width), nn.LeakyReLU(0.2), nn.Dropout(0.1), nn.Linear(width, 1)
        )

    def forward(self, part: str, inputs: Tensor) -> Tensor:
        """generator: noise (batch, NOISE) -> images; discriminator: images -> logits (batch, 1), above 0 if real"""
        return self.get_submodule(part)(inputs)


class Adversarial(Task):
    """In each step the discriminator takes its turn, and then the generator; each has an optimizer of its own."""

    turns = ("discriminator", "generator")
    metrics: ClassVar = {"fooled": Metric("max", "images taken for real")}

    def step(self, batch: Batch) -> tuple[Tensor, dict[str, Value]]:
        made = self.network("generator", self.noise(len(batch["input"])))
        if not self.training:
            taken = self.network("discriminator", made)[:, 0] > 0
            return self.loss(made, real=True), {"fooled": taken}
        if self.turn == "generator":
            return self.loss(made, real=True), {}
        return self.loss(batch["input"], real=True) + self.loss(made.detach(), real=False), {}

    def loss(self, images: Tensor, *, real: bool) -> Tensor:
        logits = self.network("discriminator", images)
        return binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))

    def noise(self, images: int) -> Tensor:
        """Another one in each step, but the same one in each evaluation."""
        return torch.randn(images, NOISE, generator=None if self.training else torch.Generator().manual_seed(0))

    def parameters(self, network: nn.Module, turn: str) -> Iterable[nn.Parameter]:
        return network.get_submodule(turn).parameters()
