"""The general trainer: everything about training that is written once. A task inherits and writes `step`.

A run can be killed at any moment: it continues from the last checkpoint and ends with the same weights and the same
rows, bit for bit, because everything random is a function of the position and everything else is in the checkpoint.
Several processes may share a run (torchrun): each trains on its share of every step and evaluates its share of data.
"""

import contextlib
import itertools
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from labkit.distributed import averaging_gradients, exchange, gather, largest, rank, share_buffers, world_size
from labkit.runs.interruption import Interrupted
from labkit.runs.recorder import Recorder, Workload
from labkit.runs.records import Diverged
from labkit.text import nearest
from modules.config import TrainingConfig
from modules.randomness import set_seed, step_seeds
from modules.training.metrics import Evaluation, ExampleMeans, RunningMeans
from modules.training.monitor import Monitor
from modules.training.schedule import learning_rate_scale, steps_per_epoch

Batch = dict[str, Tensor]
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Batches(Protocol):
    """A part of the data, of which each process sees its share; see modules/data/batches.py."""

    def __len__(self) -> int: ...
    def in_order(self, batch_size: int) -> Iterator[Batch]: ...
    def shuffled(self, epoch: int, batch_size: int, first: int, batches: int) -> Generator[Batch]: ...


class Stateful(Protocol):
    """Something that a checkpoint holds: a module, an optimizer, a scaler, the monitor."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class Trainer(ABC):
    """Trains `network`; a task writes `step`, and may fill `visualise`."""

    def __init__(
        self,
        *,
        network: nn.Module,
        optimizer: Optimizer,
        training: Batches,
        validation: Batches,
        config: TrainingConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        """`network` is on `device`; `optimizer` holds its parameters. ValueError: too few data, unknown monitor."""
        self.bare = network  # what is saved; never a wrapper
        self._wrapped = averaging_gradients(network, device)
        self.network: Callable[..., Any] = torch.compile(self._wrapped) if config.compile else self._wrapped
        self.training = True  # for `step` to ask: training or evaluation
        self.optimizer = optimizer
        self.data = training
        self.validation = validation
        self.config = config
        self.seed = seed
        self.device = device
        self.steps_per_epoch = steps_per_epoch(len(training), config)
        self.total_steps = config.steps or (config.epochs or 0) * self.steps_per_epoch
        self.steps = 0  # done so far
        self.monitor = Monitor(config)
        self._best_to_save: dict[str, Any] | None = None
        self._saved: int | None = None  # the step of this launch's last checkpoint
        self._means = RunningMeans()
        self._checked = 0  # the step up to which the loss is known to be a number
        self._base_rates = [group["lr"] for group in optimizer.param_groups]
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._average = None
        if config.ema_decay is not None:
            self._average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))
        precision = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(config.precision)
        self._autocast = torch.autocast(device.type, precision) if precision else contextlib.nullcontext()
        self._scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        # All that a checkpoint holds, by name. What a task registers here is saved and resumed with it.
        self.stateful: dict[str, Stateful] = {
            "network": network,
            "optimizer": optimizer,
            "scaler": self._scaler,
            "monitor": self.monitor,
        }
        if self._average is not None:
            self.stateful["average"] = self._average
        if config.batch_size == 1 and any(isinstance(m, BATCH_NORMS) for m in network.modules()):
            raise ValueError("training.batch_size: batch normalisation needs batches of at least 2")
        self._check_monitor()

    @abstractmethod
    def step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean loss over a batch, a scalar, and by name what else to average: the mean over its examples, a scalar,
        or one value for each, (batch,).

        Random draws come from torch's default generator only. In evaluation (`self.training` is False) the names may be
        others than in training."""

    def visualise(self, batch: Batch, folder: Path) -> None:  # noqa: B027 -- a task may leave it empty
        """Called in each evaluation with its first batch, without gradients: to draw into the run's `folder`."""

    @property
    def workload(self) -> Workload:
        """Of one checkpoint: the weights, AdamW's two averages of them, and best.pt."""
        weights = sum(p.numel() * p.element_size() for p in self._parameters)
        examples_per_step = self.config.batch_size * self.config.accumulation * world_size()
        return Workload(self.total_steps, examples_per_step, bytes_to_save=4 * weights)

    def train(self, recorder: Recorder) -> None:
        """Trains to the end of the budget, or goes on from where `recorder` left off."""
        try:
            if recorder.saved:
                self._load(recorder.saved)
            if self._evaluation_due:  # it was interrupted
                self._validate(recorder)
            while not self._done:
                self._train_epoch(recorder)
            if self._saved != self.steps:
                self._save(recorder)
        except Interrupted as signal:
            self._save(recorder)
            recorder.interrupted(self.steps, signal)
            raise
        except torch.OutOfMemoryError as error:
            size = self.config.batch_size
            raise ValueError(f"training.batch_size: {size} needs more memory than there is; try {size // 2}") from error

    def evaluate(self, batches: Iterable[Batch], folder: Path | None = None) -> Evaluation:
        """Metrics over all examples of `batches`, of all processes, by the averaged weights where there are any."""
        means = ExampleMeans()
        trained = self.network
        # Not the compiled network: its last batch has another size, which would compile it again.
        network = self.network = self._average.module if self._average else self.bare
        share_buffers(network)
        self.training = False
        network.eval()
        try:
            with torch.inference_mode(), self._autocast:
                for number, batch in enumerate(batches):
                    loss, more = self.step(batch)
                    means.add({"loss": loss, **more}, examples=len(next(iter(batch.values()))))
                    if folder and number == 0:
                        self.visualise(batch, folder)
        finally:
            self.network = trained
            self.training = True
            self.bare.train()
        return means.evaluation()

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Those of best.pt, which are the averaged ones where there was an average."""
        self.bare.load_state_dict(weights)
        self._average = None

    @property
    def _done(self) -> bool:
        return self.steps >= self.total_steps or self.monitor.stopped_early

    @property
    def _epoch(self) -> float:
        return self.steps / self.steps_per_epoch

    @property
    def _evaluation_due(self) -> bool:
        every = self.config.evaluate_every_steps or (self.config.evaluate_every_epochs or 0) * self.steps_per_epoch
        evaluated = self.monitor.last["step"] if self.monitor.last else 0
        return evaluated != self.steps and (self.steps % every == 0 or self.steps == self.total_steps)

    def _train_epoch(self, recorder: Recorder) -> None:
        epoch, first = divmod(self.steps, self.steps_per_epoch)
        n = self.config.accumulation
        seeds = step_seeds(self.seed, rank(), epoch, self.steps_per_epoch)
        batches = self.data.shuffled(epoch, self.config.batch_size, first * n, self.steps_per_epoch * n)
        with contextlib.closing(batches):  # ends the workers of a loader, whatever happens
            while not self._done and self.steps < (epoch + 1) * self.steps_per_epoch:
                set_seed(seeds[self.steps % self.steps_per_epoch], self.device)
                recorder.count(*self._update(batches))
                self.steps += 1
                due = recorder.due(self.steps)
                if due.report or self.steps == self.total_steps:
                    self._check_loss()
                    recorder.report(self.steps, self._epoch, self._means.latest("loss"))
                if due.signal:
                    raise Interrupted(due.signal)
                if self._evaluation_due:
                    self._validate(recorder)
                if due.save:
                    self._save(recorder)

    def _update(self, batches: Iterator[Batch]) -> tuple[float, float]:
        """One step of the optimizer; returns the seconds of fetching and of updating.

        Nothing in here waits for the device, but `skip_step`, which has to look at the gradients.
        """
        config = self.config
        fetch_s = 0.0
        started = time.perf_counter()
        scale = learning_rate_scale(config.schedule, self.steps, config.warmup_steps, self.total_steps)
        for group, rate in zip(self.optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * scale * self.monitor.rate_scale
        skipping = config.divergence == "skip_step"
        buffers = [buffer.clone() for buffer in self.bare.buffers()] if skipping else []
        found: list[dict[str, Tensor]] = []
        for left in reversed(range(config.accumulation)):
            before = time.perf_counter()
            batch = next(batches)
            fetch_s += time.perf_counter() - before
            with exchange(self._wrapped, now=left == 0):
                with self._autocast:
                    loss, means = self.step(batch)
                self._scaler.scale(loss / config.accumulation if config.accumulation > 1 else loss).backward()
            found.append({"loss": loss, **means})
        if config.clip_norm is not None or skipping:
            self._scaler.unscale_(self.optimizer)  # the norm is that of the gradients, not of the scaled ones
            found[-1]["gradient_norm"] = clip_grad_norm_(self._parameters, config.clip_norm or math.inf)
        if skipping and not _all_finite(found):
            for buffer, old in zip(self.bare.buffers(), buffers, strict=True):
                buffer.copy_(old)
            self._means.leave_out(found[-1])
            self._means.add(skipped=torch.ones(()))
        else:
            self._scaler.step(self.optimizer)
            for means in found:
                self._means.add(**means)
            if skipping:
                self._means.add(skipped=torch.zeros(()))
        self._scaler.update()
        for parameter in self._parameters:
            parameter.grad = None
        if self._average:
            self._average.update_parameters(self.bare)
        return fetch_s, time.perf_counter() - started - fetch_s

    def _check_loss(self) -> None:
        """`Diverged`, on all processes alike, unless the configuration lets it be. Waits for the device."""
        total, _ = self._means.state().get("loss", (0.0, 0))
        wrong = [value for value in gather(total) if not math.isfinite(value)]
        if wrong and self.config.divergence == "stop":
            raise Diverged(
                f"training: the loss became {wrong[0]} between steps {self._checked + 1} and {self.steps}; lower "
                "optimizer.lr, set training.clip_norm, or choose another training.divergence"
            )
        self._checked = self.steps

    def _validate(self, recorder: Recorder) -> None:
        """One row: the training means since the last one, and the validation metrics; then what follows from it."""
        self._check_loss()
        batches = recorder.until_interrupted(self.validation.in_order(self.config.evaluation_batch_size))
        evaluation = self.evaluate(batches, recorder.drawing_folder)
        row: dict[str, Any] = {"step": self.steps, "epoch": self._epoch}
        row["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        row |= {f"train/{name}": mean for name, mean in self._means.take().items()}
        row |= {f"validation/{name}": value for name, value in evaluation.metrics.items()}
        recorder.record(row)
        about = {"step": self.steps, "epoch": self._epoch, "metrics": row}
        if self.monitor.follow({**about, "confusion_matrix": evaluation.confusion_matrix}):
            # Kept in memory until the next checkpoint: to write every new best would take longer than a small network.
            network = self._average.module if self._average else self.bare
            weights = {name: tensor.to("cpu", copy=True) for name, tensor in network.state_dict().items()}
            self._best_to_save = {"step": self.steps, "network": weights}

    def _save(self, recorder: Recorder) -> None:
        self._check_loss()
        if not all(bool(p.isfinite().all()) for p in self._parameters):  # the last good checkpoint stays
            if self.config.divergence != "continue":
                raise Diverged(
                    f"training: the weights are no longer finite at step {self.steps}; lower optimizer.lr or set "
                    "training.clip_norm"
                )
            recorder.warn(f"step {self.steps} is not saved: the weights are no longer finite")
            state = None
        else:
            state = {"step": self.steps, "means": gather(self._means.state())}
            state |= {name: part.state_dict() for name, part in self.stateful.items()}
        best_step = self.monitor.best["step"] if self.monitor.best else None
        recorder.save(state, self._best_to_save, best_step)
        self._best_to_save = None
        self._saved = self.steps

    def _load(self, saved: dict[str, Any]) -> None:
        for name, part in self.stateful.items():
            try:
                part.load_state_dict(saved[name])
            except (RuntimeError, ValueError, KeyError) as error:
                raise ValueError(
                    f"checkpoints: the {name} that was saved does not fit the code that there is now; go back to that "
                    "code, or add restart=true to begin again"
                ) from error
        self.steps = self._checked = saved["step"]
        self._means = RunningMeans(saved["means"][rank()])

    def _check_monitor(self) -> None:
        first = itertools.islice(self.validation.in_order(self.config.evaluation_batch_size), 1)
        known = [f"validation/{name}" for name in self.evaluate(first).metrics]
        name = self.config.monitor
        if name not in known:
            hint = nearest(name, known)
            raise ValueError(f'training.monitor: "{name}" is not one of the metrics {", ".join(known)}{hint}')


def _all_finite(found: list[dict[str, Tensor]]) -> bool:
    """Of one step: the losses, and the gradients' norm, which holds those of all processes."""
    values = [means[name] for means in found for name in ("loss", "gradient_norm") if name in means]
    return not largest([int(not all(bool(value.isfinite().all()) for value in values))])[0]
