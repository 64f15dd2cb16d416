"""What `debug=` does in the place of a run: it prints what it finds and a verdict, and keeps nothing."""

import contextlib
import copy
import itertools
import os
import pdb
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from labkit.debugging.finite import NotFinite, finite_only
from labkit.debugging.modules import gradients, shapes
from labkit.debugging.timing import profile
from modules.check import one_batch
from modules.config import EvaluateConfig, TrainConfig
from modules.data.base import ArrayData, Batch, Data
from modules.data.batches import Batches
from modules.data.describe import describe_batch
from modules.parts import make_data, make_trainer, set_up_torch
from modules.randomness import set_seed, step_seeds
from modules.training.first_batch import MODULES, out_of_memory
from modules.training.trainer import Trainer

FACTOR = 100  # by which a learning rate is tried that is smaller, or larger
ALIKE = 1_000  # examples among which labels are compared
STEPS = 5  # whose gradients are looked at


def debug(config: TrainConfig, train: Callable[[TrainConfig], None]) -> None:
    """`train`: what runs/train.py does without `debug=`. ValueError as in training."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ValueError("debug: takes one process; start it without torchrun")
    kind = config.system.debug
    try:
        if kind in WHOLE:
            with tempfile.TemporaryDirectory() as runs_dir:
                system = replace(config.system, debug=None, runs_dir=runs_dir, loader_workers=0)
                verdict = WHOLE[kind](replace(config, system=system), train)
        else:
            around: Any = {
                "nans": finite_only(backward=config.training.precision != "fp16"),  # whose scale is found by overflows
                "shapes": _signatures_checked(),
            }
            device = set_up_torch(config)
            data = make_data(config)
            with around.get(kind, contextlib.nullcontext()):
                changed = replace(config.training, compile=False, **CHANGED.get(kind, {}))  # hooks see what Python runs
                trainer = make_trainer(replace(config, training=changed), data, device)
                lines, verdict = PARTS[kind](config, data, trainer)
            for line in lines:
                print(line)
    except NotFinite as error:
        verdict = str(error)
    except torch.OutOfMemoryError as error:
        raise out_of_memory(config.training) from error
    print(f"{kind}: {verdict}", flush=True)


def _overfit(config: TrainConfig, data: Data, trainer: Trainer) -> tuple[list[str], str]:
    found, scale = describe_batch({name: part.cpu() for name, part in _batch(trainer).items()})
    lines = [f"the batch: {found}"]
    finding = one_batch(config, data, trainer.device)
    advice = [text for text in (scale, _shifted(data)) if text]
    rate = config.optimizer.get("lr")
    if finding.advice and rate and not advice:
        for other in (rate / FACTOR, rate * FACTOR):
            again = one_batch(replace(config, optimizer={**config.optimizer, "lr": other}), data, trainer.device)
            lines.append(f"optimizer.lr={other:g}: {again.found}")
            if not again.advice:
                advice.append(f"optimizer.lr is too {'large' if other < rate else 'small'}: {other:g} learns the batch")
                break
    return lines, "; ".join([finding.found, *(advice or [finding.advice])]).removesuffix("; ")


def _shifted(data: Data) -> str:
    """Whether examples that are alike would have the same label if it were that of the row before or after."""
    if not isinstance(data, ArrayData) or "class_names" not in data.facts or data.arrays["target"].ndim > 1:
        return ""
    inputs, labels = (torch.as_tensor(data.arrays[name][:ALIKE].copy()) for name in ("input", "target"))
    inputs = inputs.float().flatten(1)
    nearest = torch.cdist(inputs, inputs).fill_diagonal_(torch.inf).argmin(1)
    agree = {k: float((labels.roll(k) == labels.roll(k)[nearest]).double().mean()) for k in (0, 1, -1)}
    best = max(agree, key=lambda k: agree[k])
    if agree[best] < agree[0] + 0.2:
        return ""
    return (
        f"the labels are shifted by one row: of the examples that are most alike {agree[0]:.0%} have the same label, "
        f"and {agree[best]:.0%} where each has that of the row {'before' if best > 0 else 'after'}"
    )


def _gradients(config: TrainConfig, data: Data, trainer: Trainer) -> tuple[list[str], str]:
    return gradients(trainer.bare, lambda: list(itertools.islice(_steps(trainer), STEPS)))


def _nans(config: TrainConfig, data: Data, trainer: Trainer) -> tuple[list[str], str]:
    try:
        for _ in itertools.islice(_steps(trainer), trainer.total_steps):
            pass
    except NotFinite as error:
        raise NotFinite(f"in step {trainer.steps + 1}, {error}") from None
    return [], f"no NaN and no Inf in {trainer.total_steps} steps, forward or backward"


@contextlib.contextmanager
def _signatures_checked() -> Iterator[None]:
    """Of the models and tasks that are imported meanwhile: no tensor of another shape or type, in and out."""
    try:
        import beartype  # noqa: F401
        from jaxtyping import install_import_hook
    except ImportError:
        print("the shapes in signatures are not checked; run: pip install -r env_setup/requirements-dev.txt")
        yield
        return
    with install_import_hook(["modules.models", "modules.tasks"], "beartype.beartype"):
        yield


def _shapes(config: TrainConfig, data: Data, trainer: Trainer) -> tuple[list[str], str]:
    batch = _batch(trainer)  # of two examples: more of them may not fit
    size = counted = config.training.batch_size
    network = copy.deepcopy(trainer.bare).to("meta")
    empty = {name: torch.empty(size, *part.shape[1:], dtype=part.dtype, device="meta") for name, part in batch.items()}
    with trainer.evaluating() as task:  # which draws no random numbers
        task.training = True  # the metrics of training only: others may look at values
        try:
            task.network = network
            lines, cost = shapes(network, lambda: task.step(empty))
        except (RuntimeError, NotImplementedError):  # the step looks at values, and there are none
            task.network = trainer.bare
            counted = trainer.config.batch_size
            lines, cost = shapes(trainer.bare, lambda: task.step(batch))
    state = trainer.workload.bytes_to_save
    each = 2 * cost / counted  # with the gradients of the outputs
    said = f"a step needs about {(state + each * size) / 2**20:,.1f} MiB for {size} examples"
    if room := _room(trainer.device):
        fit = max(0, int((room - state) / max(1, each)))
        said += f", and {room / 2**30:.1f} GiB have room for training.batch_size={fit}"
    return [f"with {counted} examples:", *lines], said


def _profile(config: TrainConfig, data: Data, trainer: Trainer) -> tuple[list[str], str]:
    trace = Path(config.system.runs_dir).parent / "checks" / f"{config.model['name']}-{config.data['name']}-trace.json"
    steps = _steps(trainer)
    return profile(trainer.task, list(trainer.optimizers), lambda: next(steps), trainer.device, trace)


def _fast(config: TrainConfig, train: Callable[[TrainConfig], None]) -> str:
    from modules.evaluate import evaluate

    few = {"epochs": None, "steps": 2, "warmup_steps": 0, "evaluate_every_epochs": None, "evaluate_every_steps": 1}
    whole = Batches.in_order
    Batches.in_order = lambda self, batch_size: itertools.islice(whole(self, batch_size), 2)
    try:
        train(replace(config, training=replace(config.training, **few)))
        places = {"runs_dir": config.system.runs_dir, "datasets_dir": config.system.datasets_dir}
        evaluate(
            EvaluateConfig(
                study=None, runs=None, weights="best", predictions=True, device=config.system.device, **places
            )
        )
    finally:
        Batches.in_order = whole
    return "two batches went through training, validation, checkpoint, loading and test"


def _pdb(config: TrainConfig, train: Callable[[TrainConfig], None]) -> str:
    try:
        train(config)
    except Exception as error:
        while error.__cause__:
            error = error.__cause__  # of a sentence
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        frame = last = error.__traceback__
        while frame:  # the innermost line of the project; what is below it is torch's
            last = frame if MODULES in Path(frame.tb_frame.f_code.co_filename).parents else last
            frame = frame.tb_next
        assert last
        last.tb_next = None
        pdb.post_mortem(error.__traceback__)
        return "it failed, and nothing was kept"
    return "nothing failed, and nothing was kept"


def _batch(trainer: Trainer) -> Batch:
    with contextlib.closing(trainer.data.shuffled(0, trainer.config.batch_size, 0, 1)) as batches:
        return next(batches)


def _steps(trainer: Trainer) -> Iterator[tuple[float, float]]:
    """Those of a run, with its seeds; each gives the seconds of fetching and of updating."""
    for epoch in itertools.count():
        per_epoch = trainer.steps_per_epoch
        batches = trainer.data.shuffled(epoch, trainer.config.batch_size, 0, per_epoch * trainer.config.accumulation)
        for seed in step_seeds(trainer.seed, 0, epoch, per_epoch):
            set_seed(seed, trainer.device)
            yield trainer.update(batches)
            trainer.steps += 1


def _room(device: torch.device) -> int | None:
    """Bytes of memory."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None


CHANGED: Any = {"shapes": {"batch_size": 2, "evaluation_batch_size": 2}, "gradients": {"precision": "fp32"}}
WHOLE = {"fast": _fast, "pdb": _pdb}
PARTS: Any = {"overfit": _overfit, "nans": _nans, "gradients": _gradients, "shapes": _shapes, "profile": _profile}
