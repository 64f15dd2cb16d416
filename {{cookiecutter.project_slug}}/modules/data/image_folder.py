"""A folder of images with a folder for each class; the folder's name is the name of the class."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from labkit.runs.data_files import content_hash
from modules.data.base import ArrayData, Batch, Loaded
from modules.data.splits import PARTS

try:
    # Twice as fast as PIL for JPEGs, with the same pixels.
    from simplejpeg import decode_jpeg  # pyright: ignore[reportMissingImports]
except ImportError:
    decode_jpeg = None

ENDINGS = (".png", ".jpg", ".jpeg")
COLOURS = {"grey": ("L", 1), "rgb": ("RGB", 3)}  # what PIL calls it; channels
SAME = {"L": "GRAY", "RGB": "RGB"}  # what simplejpeg calls it; of other files its pixels would differ from PIL's


def from_bytes(batch: Batch) -> Batch:
    """Pixels of 0 to 255 as numbers from 0 to 1, a batch at a time: as bytes they take a quarter of the memory."""
    return {**batch, "input": batch["input"].float() / 255}


@dataclass(kw_only=True)
class ImageFolder(ArrayData):
    """<folder>/<class>/<image>, or <folder>/<part>/<class>/<image> for split_kind given. `in_memory`: decoded once at
    the start, a byte for each pixel and colour; otherwise batch by batch by the workers."""

    folder: str
    size: int
    colour: str

    change = staticmethod(from_bytes)

    def load(self) -> Loaded:
        if self.colour not in COLOURS or self.size < 1:
            raise ValueError(f"data: colour must be one of {', '.join(COLOURS)}, and size at least 1 pixel")
        root = Path(self.folder)
        pattern = "*/*/*" if self.split_kind == "given" else "*/*"
        paths = sorted(path for path in root.glob(pattern) if path.suffix.lower() in ENDINGS)
        if not paths:
            raise ValueError(
                f"data.folder: there are no images {pattern} in {root.resolve()}; it needs a folder for each class, "
                f"with files that end in {', '.join(ENDINGS)}"
            )
        names = sorted({path.parent.name for path in paths})
        target = np.array([names.index(path.parent.name) for path in paths], np.int64)
        images: Any = Images(paths, self.size, self.colour)
        return Loaded(
            arrays={"input": images[np.arange(len(paths))] if self.in_memory else images, "target": target},
            facts={"input_shape": images.shape[1:], "class_names": names},
            fingerprint=content_hash(root),
            files=[root],  # in whichever folder it lies
            column=[_part(path) for path in paths] if self.split_kind == "given" else None,
        )


class Images:
    """Files that are decoded when they are asked for, as an array (n, channels, height, width) of bytes."""

    dtype = np.dtype(np.uint8)

    def __init__(self, paths: Sequence[Path], size: int, colour: str) -> None:
        self.paths = paths
        self.size = size
        self.colour = colour
        self.shape = (len(paths), COLOURS[colour][1], size, size)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        with ThreadPoolExecutor() as threads:
            return np.stack(list(threads.map(self.decoded, (self.paths[row] for row in rows))))

    def decoded(self, path: Path) -> np.ndarray:
        """(channels, size, size). ValueError, naming the file, where it cannot be read."""
        mode, channels = COLOURS[self.colour]
        try:
            content = path.read_bytes()
            image = Image.open(io.BytesIO(content))
            if decode_jpeg and image.format == "JPEG" and image.mode in SAME:
                image = Image.fromarray(decode_jpeg(content, SAME[image.mode]).squeeze())
            image = image.convert(mode).resize((self.size, self.size), Image.Resampling.BILINEAR)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"data: {path} cannot be read as an image ({error}); remove or replace it") from error
        return np.asarray(image).reshape(self.size, self.size, channels).transpose(2, 0, 1)


def _part(path: Path) -> Any:
    name = path.parent.parent.name
    if name not in PARTS:
        raise ValueError(f"data.folder: {path} is in none of the folders {', '.join(PARTS)}; move it")
    return name
