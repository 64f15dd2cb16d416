"""The general trainer: everything about training that is written once. A task says what a step is; see task.py.

A run can be killed at any moment: it continues from the last checkpoint and ends with the same weights and the same
rows, bit for bit, because everything random is a function of the position and everything else is in the checkpoint.
Several processes may share a run (torchrun): each trains on its share of every step and evaluates its share of data.
"""

import contextlib
import math
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from labkit.distributed import averaging_gradients, exchange, gather, largest, rank, share_buffers, world_size
from labkit.runs.interruption import Interrupted
from labkit.runs.recorder import Recorder, Workload
from labkit.runs.records import Diverged
from modules.config import TrainingConfig
from modules.randomness import set_seed, step_seeds
from modules.training.first_batch import out_of_memory, try_out
from modules.training.metrics import Evaluation, RunningMeans, Tally
from modules.training.monitor import Monitor
from modules.training.schedules import learning_rate_scale
from modules.training.task import Batch, Mean, Task, Value

if TYPE_CHECKING:
    from labkit.sharding import Shares

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


class Trainer:
    """Trains `network` on a task."""

    def __init__(
        self,
        *,
        task: Task,
        network: nn.Module,
        optimizers: Sequence[Optimizer],
        training: Batches,
        validation: Batches,
        config: TrainingConfig,
        seed: int,
        device: torch.device,
        shares: "Shares | None" = None,
    ) -> None:
        """`network` is on `device`; `optimizers` hold its parameters, one for each of the task's turns; `shares`: of
        the network, where each process has one.

        ValueError: too few data, unknown monitor.
        """
        self.task = task
        self.bare = network  # what is saved; never a wrapper
        self.shares = shares
        self._wrapped = network if shares else averaging_gradients(network, device)
        task.network = torch.compile(self._wrapped) if config.compile else self._wrapped
        self.optimizers = optimizers
        self.data = training
        self.validation = validation
        self.config = config
        self.seed = seed
        self.device = device
        self.steps_per_epoch = config.steps_per_epoch(len(training), world_size())
        self.total_steps = config.steps or (config.epochs or 0) * self.steps_per_epoch
        self.steps = 0  # done so far
        self._best_to_save: dict[str, Any] | None = None
        self._fetch_s = 0.0
        self._saved: int | None = None  # the step of this launch's last checkpoint
        self._means = RunningMeans()
        self._checked = 0  # the step up to which the loss is known to be a number
        self._base_rates = [group["lr"] for group in self._groups]
        self._parameters = list({p: None for group in self._groups for p in group["params"]})
        self._average = None
        if config.ema_decay is not None:
            self._average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))
        precision = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(config.precision)
        self._autocast = torch.autocast(device.type, precision) if precision else contextlib.nullcontext()
        self._scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        if config.batch_size == 1 and any(isinstance(m, BATCH_NORMS) for m in network.modules()):
            raise ValueError("training.batch_size: batch normalisation needs batches of at least 2")
        try_out(self)
        self.monitor = Monitor(config, task.metrics)
        # All that a checkpoint holds, by name. What a task registers here is saved and resumed with it.
        self.stateful: dict[str, Stateful] = {
            "network": network,
            "scaler": self._scaler,
            "monitor": self.monitor,
        }
        for turn, optimizer in zip(task.turns, optimizers, strict=True):
            self.stateful[f"optimizer {turn}".strip()] = optimizer
        if self._average is not None:
            self.stateful["average"] = self._average

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
            raise out_of_memory(self.config) from error

    def evaluate(self, batches: Iterable[Batch], folder: Path | None = None) -> Evaluation:
        """Metrics over all examples of `batches`, of all processes, by the averaged weights where there are any."""
        tally = Tally()
        with self.evaluating() as task, torch.inference_mode():
            for number, batch in enumerate(batches):
                loss, more = task.step(batch)
                tally.add({"loss": loss, **more}, examples=len(next(iter(batch.values()))))
                if folder and number == 0:
                    task.visualise(batch, folder)
        return tally.evaluation(self.task)

    def predict(self, batches: Iterable[Batch]) -> dict[str, np.ndarray]:
        """By name, a row for each example of `batches`: its target, and what the task predicts with these weights."""
        found: dict[str, list[Tensor]] = {}
        with self.evaluating() as task, torch.inference_mode():
            for batch in batches:
                known = {"target": batch["target"]} if "target" in batch else {}
                for name, values in {**known, **task.predict(batch)}.items():
                    found.setdefault(name, []).append(values.cpu())
        rows = {name: torch.cat(values) for name, values in found.items()}
        return {name: (row.float() if row.dtype == torch.bfloat16 else row).numpy() for name, row in rows.items()}

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[Task]:
        """The task with the network as it is evaluated: averaged where there is an average, and without dropout."""
        trained = self.task.network
        # Not the compiled network: its last batch has another size, which would compile it again.
        network = self.task.network = self._average.module if self._average else self.bare
        share_buffers(network)
        self.task.training = False
        network.eval()
        try:
            with self.shares.together() if self.shares else contextlib.nullcontext(), self._autocast:
                yield self.task
        finally:
            self.task.network = trained
            self.task.training = True
            self.bare.train()

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Those of best.pt, which are the averaged ones where there was an average."""
        self.bare.load_state_dict(weights)
        self._average = None

    @property
    def _groups(self) -> list[dict[str, Any]]:
        """Asked anew each time: an optimizer that is loaded from a checkpoint has other dictionaries."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

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
                recorder.count(*self.update(batches))
                self.steps += 1
                due = recorder.due(self.steps)
                if due.report or self.steps == self.total_steps:
                    self._check_loss()
                    recorder.report(self.steps, self._epoch, self._means.latest(_loss_of(self.task.turns[0])))
                if due.signal:
                    raise Interrupted(due.signal)
                if self._evaluation_due:
                    self._validate(recorder)
                if due.save:
                    self._save(recorder)

    def update(self, batches: Iterator[Batch]) -> tuple[float, float]:
        """One step of the optimizer, which the caller counts; returns the seconds of fetching and of updating.

        Nothing in here waits for the device, but `skip_step`, which has to look at the gradients.
        """
        config = self.config
        self.task.steps = self.steps
        self._fetch_s = 0.0
        started = time.perf_counter()
        scale = learning_rate_scale(config.schedule, self.steps, config.warmup_steps, self.total_steps)
        for group, rate in zip(self._groups, self._base_rates, strict=True):
            group["lr"] = rate * scale * self.monitor.rate_scale
        fetched: Iterable[Batch] = self._fetch(batches)
        if len(self.task.turns) > 1:
            fetched = list(fetched)  # all turns see the same batches
        for turn, optimizer in zip(self.task.turns, self.optimizers, strict=True):
            self._take_turn(turn, optimizer, fetched)
        self._scaler.update()
        if self._average:
            self._average.update_parameters(self.bare)
        return self._fetch_s, time.perf_counter() - started - self._fetch_s

    def _fetch(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches of one step, one after the other, so that only one of them takes memory."""
        for _ in range(self.config.accumulation):
            before = time.perf_counter()
            batch = next(batches)
            self._fetch_s += time.perf_counter() - before
            yield batch

    def _take_turn(self, turn: str, optimizer: Optimizer, batches: Iterable[Batch]) -> None:
        """One step of one optimizer, with the gradients of all batches of the step."""
        config = self.config
        self.task.turn = turn
        skipping = config.divergence == "skip_step"
        buffers = [buffer.clone() for buffer in self.bare.buffers()] if skipping else []
        found: list[dict[str, Value]] = []
        n = config.accumulation
        for left, batch in zip(reversed(range(n)), batches, strict=True):
            with exchange(self._wrapped, now=left == 0):
                with self._autocast:
                    loss, values = self.task.step(batch)
                mean = loss.total / loss.count if isinstance(loss, Mean) else loss
                self._scaler.scale(mean / n if n > 1 else mean).backward()
            found.append({_loss_of(turn): loss, **values})
        if config.clip_norm is not None or skipping:
            self._scaler.unscale_(optimizer)  # the norm is that of the gradients, not of the scaled ones
            name = f"{turn}_gradient_norm" if turn else "gradient_norm"
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            norm = clip_grad_norm_(parameters, config.clip_norm or math.inf)
            found[-1][name] = self.shares.whole(norm) if self.shares else norm
        if skipping and not _all_finite(found):
            for buffer, old in zip(self.bare.buffers(), buffers, strict=True):
                buffer.copy_(old)
            self._means.leave_out(found[-1])
            self._means.add({"skipped": torch.ones(())})
        else:
            self._scaler.step(optimizer)
            for values in found:
                self._means.add(values)
            if skipping:
                self._means.add({"skipped": torch.zeros(())})
        for parameter in self._parameters:  # all of them: a turn also leaves gradients in what others train
            parameter.grad = None

    def _check_loss(self) -> None:
        """`Diverged`, on all processes alike, unless the configuration lets it be. Waits for the device."""
        sums = self._means.state()
        total = sum(sums[name][0] for name in map(_loss_of, self.task.turns) if name in sums)
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
        self.task.steps = self.steps
        batches = recorder.until_interrupted(self.validation.in_order(self.config.evaluation_batch_size))
        evaluation = self.evaluate(batches, recorder.drawing_folder)
        row: dict[str, Any] = {"step": self.steps, "epoch": self._epoch}
        row["learning_rate"] = self._groups[0]["lr"]
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


def _loss_of(turn: str) -> str:
    return f"{turn}_loss" if turn else "loss"


def _all_finite(found: list[dict[str, Value]]) -> bool:
    """Of one turn: the losses, and the gradients' norm, which holds those of all processes."""
    values = [value for values in found for name, value in values.items() if name.endswith(("loss", "gradient_norm"))]
    numbers = [value.total if isinstance(value, Mean) else value for value in values]
    return not largest([int(not all(isinstance(n, Tensor) and bool(n.isfinite().all()) for n in numbers))])[0]
