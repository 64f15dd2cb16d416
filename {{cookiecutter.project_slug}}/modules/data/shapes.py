"""Synthetic images of shapes, with the class of each pixel and the shapes that are there: nothing to fetch."""

from dataclasses import dataclass

import numpy as np

from modules.data.base import ArrayData, Loaded
from modules.data.checks import check_memory
from modules.data.splits import stable_random

SHAPES = ("circle", "square")


@dataclass(kw_only=True)
class Shapes(ArrayData):
    """Grey images with up to one circle and one square, in noise: for segmentation, or with `labels` for several labels
    of each image."""

    examples: int
    size: int
    noise: float
    labels: bool
    generation_seed: int

    def load(self) -> Loaded:
        if self.examples < 1 or self.size < 8 or self.noise < 0:
            raise ValueError("data: needs examples >= 1, size >= 8 and noise >= 0")
        check_memory("data", 8 * self.examples * self.size**2)
        random = stable_random("generation_seed", self.generation_seed)
        there = random.random_sample((self.examples, len(SHAPES))) < 0.6
        radius = random.uniform(0.12, 0.25, there.shape) * self.size
        centre = random.uniform(0.2, 0.8, (2, *there.shape)) * self.size
        masks = np.zeros((self.examples, self.size, self.size), np.int64)  # 0 is the background
        down, right = np.mgrid[: self.size, : self.size]
        for k, shape in enumerate(SHAPES):
            dy = np.abs(down - centre[0, :, k, None, None])
            dx = np.abs(right - centre[1, :, k, None, None])
            distance = np.hypot(dy, dx) if shape == "circle" else np.maximum(dy, dx)
            inside = (distance < radius[:, k, None, None]) & there[:, k, None, None]
            masks[inside] = k + 1
        images = (masks > 0) + self.noise * random.standard_normal(masks.shape)
        arrays = {"input": images[:, None].astype(np.float32)}
        facts: dict[str, object] = {"input_shape": (1, self.size, self.size)}
        if self.labels:
            present = np.stack([(masks == k + 1).any((1, 2)) for k in range(len(SHAPES))], 1)
            return Loaded(
                arrays | {"target": present.astype(np.float32)},
                facts | {"label_names": list(SHAPES), "outputs": len(SHAPES)},
            )
        return Loaded(arrays | {"target": masks}, facts | {"class_names": ["background", *SHAPES]})
