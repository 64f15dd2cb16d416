"""What a run leaves behind while it trains: rows, checkpoints, its state, its log.

Where several processes share a run, each has a recorder, and only that of process 0 writes.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import torch

from labkit.build import checked, located
from labkit.config import SystemConfig
from labkit.distributed import first, gather, largest, rank, world_size
from labkit.runs.checkpoint import BEST, Unusable, load_checkpoint, save_checkpoint
from labkit.runs.folder import RunFolder
from labkit.runs.interruption import Interrupted, Interruption
from labkit.runs.metrics_file import MetricsFile
from labkit.runs.progress import Progress
from labkit.runs.pruning import Pruned, Pruning
from labkit.runs.trackers import PATIENCE_S, Aside, Tracker

REPORT_S = 20.0  # a slow run reports at least this often, whatever system.log_every_steps says
SHARE = 0.01  # of the time may go into writing checkpoints, unless system.checkpoint_minutes asks for more
LEAST_S = 10.0  # between two checkpoints, unless system.checkpoint_minutes asks for less
BYTES_PER_S = 200e6  # a guess at the speed of the disk, for the first checkpoint
PARTS = ("step", "processes", "costs", "bits", "rows", "best_step")  # of a last.pt, besides what the trainer adds
STOPPED_S = 5.0  # may a tracker take of a run that was stopped: soon it may be killed
AGREE_S = 1.0  # about how often several processes ask each other what is due

T = TypeVar("T")


class Due(NamedTuple):
    """What is due after a step, the same on all processes. `signal`: its number, or 0."""

    report: bool = False
    save: bool = False
    signal: int = 0


class Workload(NamedTuple):
    """How large a run is."""

    total_steps: int
    examples_per_step: int  # of all processes
    bytes_to_save: int  # roughly; the first checkpoint waits until it costs little, and later ones are timed


class Recorder:
    """Writes into one run folder, whose lock process 0 holds: `with Recorder(...) as recorder`.

    `saved` is the checkpoint from which the run goes on, or None for a new run.
    """

    def __init__(
        self,
        folder: RunFolder,
        log: logging.Logger,
        interruption: Interruption,
        run_id: str,
        system: SystemConfig,
        workload: Workload,
    ) -> None:
        """Opens the run's files. ValueError: see checkpoint.py, or the run began on another number of processes."""
        self._folder = folder
        self._log = log
        self._interruption = interruption
        self._run_id = run_id
        self._system = system
        folder.checkpoints.mkdir(exist_ok=True)
        self.saved = load_checkpoint(folder.last, run_id, PARTS) if first(self._find_checkpoint) else None
        step = self.saved["step"] if self.saved else 0
        self._earlier = {"wall_s": 0.0, "cpu_s": 0.0, "training_s": 0.0, "examples": 0}  # of earlier launches
        if self.saved:
            self._check_processes(self.saved["processes"])
            self._earlier = self.saved["costs"]
        self._agreed_step = step
        self._agree_at = step
        self._cpu_at_start = time.process_time()
        self._started = self._saved_at = self._reported = self._agreed = time.monotonic()
        self._longest_s = 60 * system.checkpoint_minutes
        self._between_saves_s = seconds_between_saves(workload.bytes_to_save / BYTES_PER_S, self._longest_s)
        self._metrics = None
        self._tracker = None
        if rank() == 0:
            self._metrics = MetricsFile(folder.metrics, self.saved["rows"]["bytes"] if self.saved else 0)
            if make := check_tracker(system):
                self._tracker = Aside(partial(make, folder=folder.path, first_step=step), log)
            if self.saved:
                self._warn_of_other_bits(self.saved["bits"])
                log.info(f"resumed at step {step}/{workload.total_steps}")
            folder.write_state("running", step=step, total_steps=workload.total_steps)
        self._pruning = Pruning(folder.path)
        self._progress = Progress(log, workload.total_steps, workload.examples_per_step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._progress.close()
        if self._tracker:
            self._tracker.close(PATIENCE_S if kind is None else STOPPED_S)

    @property
    def drawing_folder(self) -> Path | None:
        """Where a task may draw during an evaluation; None on all processes but the first."""
        return self._folder.path if rank() == 0 else None

    def count(self, fetch_s: float, update_s: float) -> None:
        """One more step, and the seconds that its two halves took."""
        self._progress.count(fetch_s, update_s)

    def record(self, row: Mapping[str, float]) -> None:
        """One row of metrics.csv, which also goes to the tracker and the log. `Pruned`: see pruning.py."""
        self._write(row)
        if self._pruning.is_trial and (reason := first(lambda: self._pruning.reason(int(row["step"])))):
            raise Pruned(reason)

    def _write(self, row: Mapping[str, float]) -> None:
        if self._metrics is None:
            return
        self._folder.check_lock()
        self._metrics.append(row)
        if self._tracker:
            self._tracker.log(int(row["step"]), row)
        shown = (f"{name} {value:.4f}" for name, value in row.items() if "/" in name and "_class_" not in name)
        self._log.info(f"step {row['step']:.0f} | " + " | ".join(shown))

    def due(self, step: int) -> Due:
        """Ask this after every step. Several processes exchange their answers only about once a second."""
        every = step % self._system.log_every_steps == 0
        if step < self._agree_at:
            return Due(report=every)
        now = time.monotonic()
        report = now - self._reported > REPORT_S
        save = now - self._saved_at >= self._between_saves_s
        signal = self._interruption.received or 0
        if world_size() > 1:
            step_s = (now - self._agreed) / max(step - self._agreed_step, 1)
            until = step + max(1, int(min(AGREE_S, self._longest_s) / max(step_s, 1e-6)))
            mine = [int(report), int(save), until] if rank() == 0 else [0, 0, 0]
            report, save, self._agree_at, signal = largest([*mine, signal])
            self._agreed = now
            self._agreed_step = step
        return Due(every or bool(report), bool(save), signal)

    def until_interrupted(self, batches: Iterable[T]) -> Iterator[T]:
        """Several processes have different numbers of batches here, so they can only agree at the end."""
        for batch in batches:
            if world_size() == 1:
                self._interruption.check()
            yield batch

    def report(self, step: int, epoch: float, loss: float) -> None:
        self._reported = time.monotonic()
        state = self._progress.report(step, epoch, loss)
        if rank() == 0:
            self._folder.note(**state)

    def warn(self, text: str) -> None:
        self._log.warning(f"warning: {text}")

    def save(self, state: Mapping[str, Any] | None, best: Mapping[str, Any] | None, best_step: int | None) -> None:
        """Writes the checkpoint `state`, if there is one, after what it counts on: the rows, and a new `best`.

        `best_step`: that of the best weights so far.
        """
        costs = self.costs()
        started = time.monotonic()
        if self._metrics:
            self._folder.check_lock()
            known = {"run_id": self._run_id, "processes": world_size(), "costs": costs, "bits": _bits()}
            known |= {"rows": self._metrics.mark(), "best_step": best_step}
            if best:
                save_checkpoint(self._folder.best, {"run_id": self._run_id, **best})
            if state:
                save_checkpoint(self._folder.last, {**known, **state}, keep_as=self._folder.previous)
        self._saved_at = time.monotonic()
        self._between_saves_s = seconds_between_saves(self._saved_at - started, self._longest_s)

    def interrupted(self, step: int, signal: Interrupted) -> None:
        if rank() == 0:
            self._folder.note(step=step)
            self._log.info(f"interrupted by {signal} at step {step}; the same command resumes this run")

    def costs(self) -> dict[str, float]:
        """Seconds and examples of this launch so far, and of every earlier one up to its last checkpoint."""
        now = {
            "wall_s": time.monotonic() - self._started,
            "cpu_s": sum(gather(time.process_time() - self._cpu_at_start)),
            "training_s": self._progress.fetch_s + self._progress.update_s,
            "examples": self._progress.steps * self._progress.examples_per_step,
        }
        return {name: self._earlier[name] + now[name] for name in now}

    def _check_processes(self, began_on: int) -> None:
        if began_on != world_size():
            raise ValueError(
                f"{self._folder.path}: began on {began_on} processes and cannot go on with {world_size()}; "
                f"use torchrun --nproc-per-node={began_on}, or add restart=true to start over"
            )

    def _find_checkpoint(self) -> bool:
        """Whether there is a last.pt to go on from. If it is damaged, the one before takes its place."""
        last = self._folder.last
        previous = self._folder.previous
        if not last.exists() and previous.exists():  # killed between two renames
            os.replace(previous, last)
        while last.exists():
            try:
                self._check_files(load_checkpoint(last, self._run_id, PARTS))
                return True
            except Unusable as error:
                then = "uses the one before" if previous.exists() else "starts again from step 0"
                self.warn(f"{error}; the run {then}")
            if previous.exists():
                os.replace(previous, last)
            else:
                last.unlink()
        return False

    def _check_files(self, saved: Mapping[str, Any]) -> None:
        """`Unusable` if the rows or the best weights that a checkpoint counts on are not there as they were."""
        folder = self._folder
        if not MetricsFile.holds(folder.metrics, saved["rows"]):
            raise Unusable(f"{folder.metrics}: rows that the checkpoint counts on are missing or changed")
        best_step = saved["best_step"]
        if best_step is not None and load_checkpoint(folder.best, self._run_id, BEST)["step"] < best_step:
            raise Unusable(f"{folder.best}: is older than the checkpoint that counts on it")

    def _warn_of_other_bits(self, saved: Mapping[str, Any]) -> None:
        changed = [f"{name} {saved[name]} -> {value}" for name, value in _bits().items() if saved[name] != value]
        if changed:
            self.warn(f"resumed with {', '.join(changed)}: the last bits of the results may differ")


def seconds_between_saves(written_s: float, longest_s: float) -> float:
    """From one checkpoint, which took `written_s` to write, to the next: as often as is cheap, and as was asked for."""
    return min(longest_s, max(LEAST_S, written_s / SHARE))


def check_tracker(system: SystemConfig) -> Callable[..., Tracker] | None:
    """What makes the tracker, if there is to be one. ValueError if `system.tracker` does not fit its class, or one of
    its packages is missing; nothing has been written yet."""
    if not system.tracker:
        return None
    make = checked("system.tracker", system.tracker, Tracker, given=("folder", "first_step"))
    located("system.tracker", system.tracker["_target_"], Tracker).check_packages()
    return make


def _bits() -> dict[str, Any]:
    """What the last bits of the results depend on, besides the code."""
    return {
        "torch": str(torch.__version__),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_initialized() else None,
    }
