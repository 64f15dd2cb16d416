"""What a run would meet, found in seconds, before a sweep spends hours on it. Nothing is written but a picture.

Each check is one line: its name, "ok" or "look", and what was found.
"""

import contextlib
import itertools
import math
import os
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from labkit.runs.recorder import check_tracker
from labkit.text import duration
from modules.config import TrainConfig
from modules.data.base import ArrayData, Batch, Data
from modules.data.checks import LARGEST_BYTES
from modules.data.describe import describe_batch, describe_targets
from modules.data.picture import draw
from modules.data.splits import PARTS
from modules.parts import make_batches, make_data, make_trainer, set_up_torch
from modules.randomness import epoch_order
from modules.training.first_batch import mistakes_named, out_of_memory
from modules.training.trainer import Trainer

WARM_UP_STEPS = 2  # not timed: they choose kernels and start workers
COST_STEPS = 30
COST_SECONDS = 3.0
FEW = 32  # examples to be learnt by heart
LEARNT = 0.1  # of the loss that they began with
FEW_STEPS = 1_000
FEW_SECONDS = 10.0


@dataclass(frozen=True)
class Finding:
    """The line of one check."""

    name: str
    found: str
    advice: str = ""  # where something looks wrong

    def __str__(self) -> str:
        return f"{self.name:9}  " + (f"look: {self.found}; {self.advice}" if self.advice else f"ok: {self.found}")


def check(config: TrainConfig) -> None:
    """Prints what it finds. ValueError in a sentence where a run would be refused."""
    if config.system.debug:
        raise ValueError("debug: is for runs/train.py; leave it out")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ValueError("torchrun: this command needs one process only; start it with python runs/check.py")
    device = set_up_torch(config)
    data = make_data(config)
    trainer = make_trainer(config, data, device)
    check_tracker(config.system)
    try:
        for finding in findings(config, data, trainer):
            print(finding, flush=True)
    except torch.OutOfMemoryError as error:
        raise out_of_memory(config.training) from error


def findings(config: TrainConfig, data: Data, trainer: Trainer) -> Iterator[Finding]:
    """One after the other. `trainer` is a new one; it has taken some steps afterwards."""
    yield from parts(data)
    with contextlib.closing(_endless(trainer)) as batches:
        batch = {name: tensor.cpu() for name, tensor in next(batches).items()}
    yield Finding("batch", *describe_batch(batch))
    for described in (describe_targets(data, part) for part in PARTS):
        if described:
            yield Finding("targets", *described)
    name = "-".join(node["name"] for node in (config.model, config.data, config.task))
    path = Path(config.system.runs_dir).parent / "checks" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(batch, data.facts).savefig(path, dpi=150)
    yield Finding("picture", f"open {path} to see what the network gets, and whether the labels are right")
    yield first_loss(trainer)
    yield cost(trainer, batch)
    yield one_batch(config, data, trainer.device)


def parts(data: Data) -> Iterator[Finding]:
    """How large they are, and what the checks of the data set have found, such as equal examples in two parts."""
    found = ", ".join(f"{len(data.split.part(part)):,} {part}" for part in PARTS) + " examples"
    if not data.warnings:
        searched = isinstance(data, ArrayData) and data.in_memory and data.arrays["input"].nbytes <= LARGEST_BYTES
        found += ", none of them in two parts" if searched else "; equal ones were not searched for"
    yield Finding("parts", found)
    for warning in data.warnings:
        yield Finding("data", warning.removeprefix("data: "), "correct the data, or say so beside every result")


def first_loss(trainer: Trainer) -> Finding:
    """Before training, on one batch of the validation part."""
    batches = trainer.validation.in_order(trainer.config.evaluation_batch_size)
    loss = trainer.evaluate(itertools.islice(batches, 1)).metrics["loss"]
    chance = trainer.task.chance_loss
    if chance is None:
        return Finding("loss", f"{loss:.4g} before training; the task has no chance_loss to compare it with")
    found = f"{loss:.4g} before training, where chance gives {chance:.4g}"
    if loss < chance / 2:
        return Finding("loss", found, "is the answer in the input, or is the network trained already?")
    if not loss < 2 * chance:
        return Finding("loss", found, "the network begins with large outputs: scale the inputs or its first weights")
    return Finding("loss", found)


def cost(trainer: Trainer, batch: Batch) -> Finding:
    """Of a step as configured, and of all of them. ValueError where a step fails, naming what is in the `batch`."""
    on_gpu = trainer.device.type == "cuda"
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    with contextlib.closing(_endless(trainer)) as batches:
        with mistakes_named([batch]):
            for _ in range(WARM_UP_STEPS):
                trainer.update(batches)
        wait()
        started = time.perf_counter()
        fetching = 0.0
        steps = 0
        while steps < COST_STEPS and time.perf_counter() - started < COST_SECONDS:
            fetching += trainer.update(batches)[0]
            steps += 1
        wait()
        seconds = time.perf_counter() - started
    share = fetching / seconds
    total = trainer.total_steps
    found = f"{1000 * seconds / steps:.3g} ms a step, of which {share:.0%} is fetching its examples; "
    found += f"a run of {total:,} steps takes {duration(seconds / steps * total)} without its evaluations"
    if on_gpu:
        found += f", and {torch.cuda.max_memory_allocated(trainer.device) / 2**30:.2f} GiB of the GPU"
    slow = share > 0.5
    return Finding("cost", found, "set data.in_memory=true, or raise system.loader_workers" if slow else "")


def one_batch(config: TrainConfig, data: Data, device: torch.device) -> Finding:
    """Whether a new network learns a few examples by heart; one that cannot will learn nothing else."""
    few = min(FEW, config.training.batch_size)
    easy = replace(config.training, batch_size=few, accumulation=1, epochs=None, steps=FEW_STEPS)
    easy = replace(easy, schedule="constant", warmup_steps=0, ema_decay=None, compile=False)
    trainer = make_trainer(replace(config, training=easy), data, device)
    if len(trainer.task.turns) > 1:
        return Finding("one batch", "not tried: where several turns work against each other, no loss has to fall")
    examples = make_batches(config, data, "train", device).examples
    chosen = epoch_order(config.seed, 0, len(examples))[:few]  # not the first ones: they may be sorted by class
    fetched = examples.fetch(chosen.to(device) if examples.in_memory else chosen, None)
    batch = {name: tensor.to(device) for name, tensor in fetched.items()}
    first = loss = trainer.evaluate([batch]).metrics["loss"]
    end = time.perf_counter() + FEW_SECONDS
    step = 0
    while step < FEW_STEPS and time.perf_counter() < end and math.isfinite(loss) and loss > LEARNT * first:
        trainer.update(itertools.repeat(batch))
        step += 1
        if step % 20 == 0:
            loss = trainer.evaluate([batch]).metrics["loss"]
    loss = trainer.evaluate([batch]).metrics["loss"]
    found = f"the loss of {few} training examples goes from {first:.3g} to {loss:.3g} in {step} steps"
    if loss <= LEARNT * first:
        return Finding("one batch", f"{found}: they are learnt by heart")
    if step < FEW_STEPS and loss < first / 2:
        return Finding("one batch", f"{found}, all that {FEW_SECONDS:g} s allow: it is on its way")
    if frozen := sum(p.numel() for p in trainer.bare.parameters() if not p.requires_grad):
        return Finding("one batch", found, f"{frozen:,} weights are frozen (requires_grad is False)")
    return Finding("one batch", found, "look at optimizer.lr, the labels in the picture, and the size of the model")


def _endless(trainer: Trainer) -> Generator[Batch]:
    """Batches of training, one epoch after the other."""
    per_epoch = trainer.steps_per_epoch * trainer.config.accumulation
    for epoch in itertools.count():
        yield from trainer.data.shuffled(epoch, trainer.config.batch_size, 0, per_epoch)
