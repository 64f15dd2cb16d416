"""A picture of a batch as the network gets it: a wrong label, a turned image or an empty text is seen at once."""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from labkit.reporting.figures.style import COLOURS, STYLE, drawable
from modules.data.base import Batch

MOST = 32  # examples
COLUMNS = 8  # of images
LETTERS = 18  # of a label above an image
TEXT_LETTERS = 110  # of a line of text


def draw(batch: Batch, facts: Mapping[str, Any]) -> Figure:
    """The first examples, each with its label: images with their masks, texts, or rows of numbers."""
    arrays = {name: tensor[:MOST].numpy() for name, tensor in batch.items()}
    inputs = np.nan_to_num(arrays.get("input", next(iter(arrays.values()))))
    targets = arrays.get("target", np.empty((len(inputs), 0)))
    labels = [drawable(label_of(target, facts)) for target in targets]
    with matplotlib.rc_context(STYLE):
        if inputs.ndim == 4:
            return _images(inputs, labels, targets if targets.ndim == 3 else None, facts)
        if "tokens" in facts:
            return _texts(inputs, labels, facts["tokens"])
        return _rows(inputs.reshape(len(inputs), -1), labels)


def label_of(target: np.ndarray, facts: Mapping[str, Any]) -> str:
    """In words; "" for what has none, such as a mask."""
    if target.ndim == 1 and "label_names" in facts:
        there = [name for name, value in zip(facts["label_names"], target, strict=True) if value]
        return ", ".join(there) or "none"
    if target.ndim:
        return ""
    names = facts.get("class_names", ())
    if target.dtype.kind in "iu" and 0 <= target < len(names):
        return str(names[int(target)])
    return f"{float(target) * facts.get('target_scale', 1.0) + facts.get('target_mean', 0.0):.4g}"


def _images(inputs: np.ndarray, labels: list[str], masks: np.ndarray | None, facts: Mapping[str, Any]) -> Figure:
    low = float(inputs.min())
    high = float(inputs.max())
    shown = (inputs - low) / max(high - low, 1e-9)
    rows = -(-len(inputs) // COLUMNS)
    figure = Figure((1.1 * COLUMNS, 1.25 * rows + 0.6), layout="constrained")
    figure.suptitle(f"Training images: black is {low:.3g}, white is {high:.3g}")
    names = list(facts.get("class_names", ())) if masks is not None else []
    colours = [COLOURS[k % len(COLOURS)] for k in range(len(names))]
    for number, axes in enumerate(figure.subplots(rows, COLUMNS, squeeze=False).flat):
        axes.set_axis_off()
        if number >= len(inputs):
            continue
        pixels = shown[number, :3].transpose(1, 2, 0) if len(shown[number]) >= 3 else shown[number, 0]
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1)
        axes.set_title(labels[number][:LETTERS], fontsize=7, pad=2)
        if names and masks is not None:
            known = np.ma.masked_outside(masks[number], 0, len(names) - 1)
            axes.imshow(known, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(names) - 0.5, alpha=0.35)
    if names:
        handles = [Patch(color=colour, label=drawable(name)) for colour, name in zip(colours, names, strict=True)]
        figure.legend(handles=handles[:20], loc="outside lower center", ncols=COLUMNS)
    return figure


def _texts(inputs: np.ndarray, labels: list[str], tokens: list[str]) -> Figure:
    figure = Figure((9, 0.2 * len(inputs) + 0.6), layout="constrained")
    figure.suptitle("Training texts, as their tokens")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_ylim(len(inputs), 0)
    for row, (numbers, label) in enumerate(zip(inputs, labels, strict=True)):
        text = drawable(" ".join(tokens[number] for number in numbers).strip())
        axes.text(0, row + 0.5, label[:LETTERS], weight="bold", va="center")
        axes.text(0.18, row + 0.5, text[:TEXT_LETTERS], va="center")
    return figure


def _rows(inputs: np.ndarray, labels: list[str]) -> Figure:
    figure = Figure((9, 0.2 * len(inputs) + 1), layout="constrained")
    figure.suptitle("Training examples: a label and a row of inputs each")
    axes = figure.subplots()
    limit = float(np.percentile(np.abs(inputs.astype(float)), 99)) or 1.0
    image = axes.imshow(inputs, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set_yticks(range(len(labels)), [label[:LETTERS] for label in labels])
    axes.set_xlabel("number of the input")
    figure.colorbar(image, ax=axes, extend="both")
    return figure
