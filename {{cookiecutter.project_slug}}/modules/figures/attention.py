"""What a transformer attends to: the best run on a few examples, over the patches of images or beside the tokens."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.statistics import Array
from labkit.reporting.figures import style

MODEL = "modules.models.transformer.Transformer"
MOST_EXAMPLES = 4
LOOKED_AT = 200  # examples among which different classes are looked for
MOST_TOKENS = 24
MOST_LETTERS = 14


@dataclass
class _Example:
    title: str  # its class, and the predicted one
    weights: Array  # (rows, columns) of patches, or (tokens,): shares of the attention, together 1
    image: Array | None  # (height, width) or (height, width, 3), between 0 and 1
    words: list[str]  # of a text


def attention(findings: Findings, width_cm: float) -> list[style.Drawing] | str:
    """The last layer of the best transformer. Only where there is one is torch imported, and a checkpoint read."""
    results = findings.results
    ranked = (results.groups[i] for i in findings.ranking)
    group = next((group for group in ranked if group.config.get("model._target_") == MODEL), None)
    if not group or not (measured := results.measured(group, results.metric)):
        return "no run with results is a transformer."
    run = group.repeats[max(measured, key=lambda repeat: results.sign * measured[repeat])]
    try:
        examples, which = _look(run.path)
    except (ValueError, OSError, RuntimeError, ImportError) as error:  # such as runs copied without their checkpoints
        return f"{str(error).splitlines()[0]}."
    images = examples[0].image is not None
    draw = _draw_images if images else _draw_texts
    caption = (
        f"Attention of {group.label} on the first {which}: the share that each {'patch' if images else 'token'} gets "
        f"in the last layer, averaged over the heads and over all that attend. The model has the weights of the best "
        f"evaluation of {run.name}, the run with the best {results.title}. Attention tells what a model combines, not "
        "why it decides."
    )
    return [("attention", draw(examples, width_cm * style.CM), caption)]


def _look(folder: Path) -> tuple[list[_Example], str]:
    """The examples, and which ones they are. ValueError where the run cannot be loaded."""
    import torch

    from modules.loading import load_run
    from modules.models.transformer import PADDING, Transformer

    run = load_run(folder, device="cpu")
    assert isinstance(run.model, Transformer)
    facts = run.data.facts
    part = "test" if len(run.data.split.test) else "validation"
    data = run.data.part(part)
    targets = data.fetch(torch.arange(min(LOOKED_AT, len(data))), None)["target"].numpy()
    classes = facts.get("class_names")
    first = np.unique(targets, return_index=True)[1] if classes else np.arange(len(targets))
    inputs = data.fetch(torch.from_numpy(first[:MOST_EXAMPLES]), None)["input"]
    run.model.keep_attention()
    predicted = run.predict(inputs)
    examples = []
    for number, (example, heads) in enumerate(zip(inputs, run.model.attention[-1], strict=True)):
        title = f"example {number + 1}"
        if classes:
            said = {"true": targets[first[number]], "predicted": predicted["class"][number]}
            title = "\n".join(style.wrap(f"{key}: {classes[value]}", 20) for key, value in said.items())
        weights = heads.mean(0).double()  # (tokens, tokens)
        if example.ndim == 1:
            counts = example != PADDING
            tokens = facts.get("tokens") or range(int(example.max()) + 1)
            words = [str(tokens[token]) for token in example[counts].tolist()]
            examples.append(_Example(title, weights[counts][:, counts].mean(0).numpy(), None, words))
        else:
            image = example.permute(1, 2, 0).double().numpy()
            image = (image - image.min()) / (np.ptp(image) or 1)
            received = weights.mean(0).view(len(image) // run.config.model["patch"], -1).numpy()
            examples.append(_Example(title, received, image if image.shape[2] == 3 else image.mean(2), []))
    return examples, f"{part} example of each of {len(examples)} classes" if classes else f"{part} examples"


def _draw_images(examples: list[_Example], inches: float) -> Figure:
    """The images above, and below them the shares of their patches."""
    figure = Figure(figsize=(inches, 2 * inches / MOST_EXAMPLES + 0.3), layout="constrained")
    grid = figure.subplots(2, len(examples), squeeze=False)
    colours = Normalize(0, max(float(example.weights.max()) for example in examples))
    for (above, below), example in zip(grid.T, examples, strict=True):
        above.imshow(example.image, cmap="gray")
        above.set_title(example.title)
        below.imshow(example.weights, cmap="Blues", norm=colours)
        above.set_axis_off()
        below.set_axis_off()
    figure.colorbar(ScalarMappable(colours, "Blues"), ax=grid[1], aspect=12, label="share of attention")
    return figure


def _draw_texts(examples: list[_Example], inches: float) -> Figure:
    """The tokens from top to bottom, as they are read."""
    longest = min(max(len(example.words) for example in examples), MOST_TOKENS)
    figure = Figure(figsize=(inches, 0.16 * longest + 0.9), layout="constrained")
    panels = figure.subplots(1, len(examples), sharex=True, squeeze=False)[0]
    for axes, example in zip(panels, examples, strict=True):
        words = [style.drawable(word)[:MOST_LETTERS] for word in example.words[:MOST_TOKENS]]
        axes.barh(range(len(words)), example.weights[: len(words)], color=style.COLOURS[0])
        style.set_ticks(axes.yaxis, range(len(words)), words)
        axes.set_ylim(longest - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_title(example.title)
        style.limit_ticks(axes.xaxis, inches / len(examples) - 0.8)
    figure.supxlabel("share of attention", fontsize=8)
    return figure
