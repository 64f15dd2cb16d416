"""Any data set of images with classes of the Hugging Face Hub, by its name: fetched once by runs/prepare.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modules.data.sources import PreparedArrays


@dataclass(kw_only=True)
class Hub(PreparedArrays):
    """The arrays that `fetch` left in the folder; the hub is not asked again."""

    dataset: str
    revision: str
    input_column: str
    target_column: str

    @classmethod
    def fetch(cls, settings: Mapping[str, Any]) -> tuple[Any, Any, list[str], dict[str, int]]:
        """Images (n, channels, height, width) of bytes, class numbers (n,), names, and the size of each split in turn.

        ValueError in a sentence where the hub or its data set is not as it should be.
        """
        try:
            from datasets import load_dataset  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            remedy = "pip install -r env_setup/requirements-data.txt"
            raise ValueError(f"datasets: {settings['name']} needs the package datasets; run: {remedy}") from error
        name = settings["dataset"]
        try:
            splits: Any = load_dataset(name, revision=settings["revision"])
        except Exception as error:  # of the network, of the hub, of the file: each library has its own
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(f"datasets: {name} cannot be fetched from the hub ({reason})") from error
        first = next(iter(splits.values()))
        for key in ("input_column", "target_column"):
            if settings[key] not in first.features:
                there = ", ".join(first.features)
                raise ValueError(f'data.{key}: {name} has no column "{settings[key]}"; it has {there}')
        feature = first.features[settings["target_column"]]
        targets = [value for split in splits.values() for value in split[settings["target_column"]]]
        names = getattr(feature, "names", None)  # a ClassLabel has them
        if names is None:
            names = [str(value) for value in sorted(set(targets))]
            targets = [str(value) for value in targets]
        pictures = (image for split in splits.values() for image in split[settings["input_column"]])
        inputs = np.stack([_channels_first(np.asarray(image)) for image in pictures])
        return inputs, np.asarray(targets), list(names), {part: len(split) for part, split in splits.items()}


def _channels_first(pixels: np.ndarray) -> np.ndarray:
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
