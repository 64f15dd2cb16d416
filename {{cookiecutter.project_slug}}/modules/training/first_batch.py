"""One batch through the task before a run has a folder: a mistake in a model or a task is answered in a sentence."""

from __future__ import annotations

import contextlib
import itertools
import math
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from labkit.text import nearest, quantity_of
from modules.config import TrainingConfig
from modules.training.metrics import check_value
from modules.training.task import Batch, Mean

if TYPE_CHECKING:
    from modules.training.trainer import Trainer

MODULES = Path(__file__).resolve().parents[1]


def try_out(trainer: Trainer) -> None:
    """ValueError for an ordinary mistake, with its line, and for a monitor that is unknown or can be no number."""
    size = trainer.config.evaluation_batch_size
    first = list(itertools.islice(trainer.validation.in_order(size), 1))
    with mistakes_named(first):
        _try_training(trainer, first)
        metrics = trainer.evaluate(first).metrics
    known = {f"validation/{name}": value for name, value in metrics.items()}
    name = trainer.config.monitor
    if name not in known:
        hint = nearest(name, known)
        raise ValueError(f'training.monitor: "{name}" is not one of the metrics {", ".join(known)}{hint}')
    if not math.isfinite(known[name]):  # on one batch; over all of them it may be a number
        metrics = trainer.evaluate(trainer.validation.in_order(size)).metrics
        if not math.isfinite(metrics[quantity_of(name)]):
            raise ValueError(f"training.monitor: {name} is no number on the validation data; monitor another metric")


def out_of_memory(config: TrainingConfig) -> ValueError:
    size = config.batch_size
    fewer = f"try {size // 2}, or ask debug=shapes what would fit"
    return ValueError(f"training.batch_size: {size} needs more memory than there is; {fewer}")


def _try_training(trainer: Trainer, batches: list[Batch]) -> None:
    """What `step` returns in training, without a change to the network: ValueError where it cannot be trained on."""
    size = trainer.config.batch_size
    with trainer.evaluating() as task:  # also by a process that has no batch: the others wait for it here
        task.training = True
        for whole, turn in itertools.product(batches, task.turns):
            task.turn = turn
            batch = {name: part[:size] for name, part in whole.items()}
            found: Any = task.step(batch)
            if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[1], dict):
                raise ValueError("task: step must return a pair: the loss, and a dictionary of what else to report")
            for name, value in found[1].items():
                check_value(name, value, len(next(iter(batch.values()))))
            loss = found[0].total if isinstance(found[0], Mean) else found[0]
            if not isinstance(loss, Tensor) or loss.ndim:
                raise ValueError("task: the loss must be a tensor that holds one number, or a Mean; take its mean()")
            if not loss.requires_grad:
                raise ValueError("task: no weight has a part in the loss; look for detach(), no_grad() or argmax()")


@contextlib.contextmanager
def mistakes_named(batches: list[Batch]) -> Iterator[None]:
    """An ordinary mistake in a task or a model becomes a sentence with the line, and the shapes that it met there."""
    try:
        yield
    except (TypeError, AttributeError, LookupError, RuntimeError, ValueError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        sentence = isinstance(error, ValueError) and MODULES in Path(frames[-1].filename).parents
        if sentence or isinstance(error, torch.OutOfMemoryError) or "onnection" in str(error):
            raise
        own = [frame for frame in frames if {MODULES / "tasks", MODULES / "models"} & {*Path(frame.filename).parents}]
        place = f"{Path(own[-1].filename).relative_to(MODULES.parent)}:{own[-1].lineno}" if own else "the first batch"
        reason = _reason(error)
        shapes = ", ".join(
            f"{name} {tuple(part.shape)} {part.dtype}" for batch in batches for name, part in batch.items()
        )
        held = f"; the batch holds {shapes}" if shapes else ""
        raise ValueError(f"{place}: {reason} ({type(error).__name__}){held}") from error


def _reason(error: Exception) -> str:
    """Its first line. Of shapes that are not those of a signature: what jaxtyping says before it lists the call."""
    said, _, call = str(error).partition("\n-----")
    if type(error).__name__ != "TypeCheckError":
        return said.splitlines()[0] if said else type(error).__name__
    sizes = call.partition("as follows.\n")[2].split()
    return " ".join([*said.splitlines(), "Sizes: " * bool(sizes) + ", ".join(sizes)]).strip()
