"""What a run leaves behind while it trains: rows, checkpoints, its state, its log; where and when, not what.

Where several processes share a run, each has a recorder; only that of process 0 writes.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from modules.training.checkpoint import Unusable, load_checkpoint, save_checkpoint
from modules.training.metrics_file import MetricsFile
from modules.training.progress import Progress
from modules.training.trackers import Tracker
from modules.utils.build import build
from modules.utils.config import SystemConfig
from modules.utils.distributed import first, gather, largest, rank, world_size
from modules.utils.interruption import Interrupted, Interruption
from modules.utils.run_folder import RunFolder

REPORT_S = 20.0  # a slow run speaks at least this often, whatever system.log_every_steps
SHARE = 0.01  # of the time may go into writing checkpoints, as long as system.checkpoint_minutes is kept
LEAST_S = 10.0  # between two checkpoints, unless system.checkpoint_minutes is less
BYTES_PER_S = 200e6  # written to a disk, before it was measured
AGREE_S = 1.0  # several processes ask each other what is due about this often

T = TypeVar("T")


class Due(NamedTuple):
    """What is due after a step, the same for all processes. `signal`: its number, or 0."""

    report: bool = False
    save: bool = False
    signal: int = 0


class Recorder:
    """Writes into one run folder, whose lock process 0 holds."""

    def __init__(
        self, folder: RunFolder, log: logging.Logger, run_id: str, system: SystemConfig, interruption: Interruption
    ) -> None:
        self.folder = folder
        self.log = log
        self._run_id = run_id
        self._system = system
        self._interruption = interruption
        self._earlier = {"wall_s": 0.0, "cpu_s": 0.0, "training_s": 0.0, "examples": 0}  # of earlier launches
        self._cpu_at_start = time.process_time()
        self._started = self._saved = self._reported = self._agreed = time.monotonic()
        self._agreed_step = self._agree_at = 0
        self._longest_s = 60 * system.checkpoint_minutes

    def begin(self, total_steps: int, examples_per_step: int, bytes_to_save: int) -> dict[str, Any] | None:
        """Opens the files; returns the state to go on from, or None for a new run. ValueError: see checkpoint.py.
        `bytes_to_save`, roughly, put off the first checkpoint until it costs little; later ones are timed."""
        self.folder.checkpoints.mkdir(exist_ok=True)
        found = first(self._find_checkpoint)
        saved = load_checkpoint(self.folder.checkpoints / "last.pt", self._run_id) if found else None
        if saved:
            if saved["processes"] != world_size():
                n = saved["processes"]
                raise ValueError(
                    f"{self.folder.path}: began on {n} processes and cannot go on with {world_size()}; "
                    f"use torchrun --nproc-per-node={n}, or add restart=true to begin anew"
                )
            self._earlier = saved["costs"]
            self._agreed_step = self._agree_at = saved["step"]
        self._between_saves_s = seconds_between_saves(bytes_to_save / BYTES_PER_S, self._longest_s)
        self._agreed = self._saved = time.monotonic()
        self.progress = Progress(self.log, total_steps, examples_per_step)
        self._tracker = None
        if rank() == 0:
            self._open(saved, total_steps)
        return saved

    def record(self, row: Mapping[str, float]) -> None:
        """One row of metrics.csv, also for the tracker and the log."""
        if rank() != 0:
            return
        self.folder.check_lock()
        self._metrics.append(row)
        if self._tracker:
            self._tracker.log(int(row["step"]), row)
        shown = (f"{name} {value:.4f}" for name, value in row.items() if "/" in name and "_class_" not in name)
        self.log.info(f"step {row['step']:.0f} | " + " | ".join(shown))

    def due(self, step: int) -> Due:
        """Asked after every step; several processes exchange it about once a second only."""
        every = step % self._system.log_every_steps == 0
        if step < self._agree_at:
            return Due(report=every)
        now = time.monotonic()
        report = now - self._reported > REPORT_S
        save = now - self._saved >= self._between_saves_s
        signal = self._interruption.received or 0
        if world_size() > 1:
            step_s = (now - self._agreed) / max(step - self._agreed_step, 1)
            until = step + max(1, int(min(AGREE_S, self._longest_s) / max(step_s, 1e-6)))
            mine = [int(report), int(save), until] if rank() == 0 else [0, 0, 0]
            report, save, self._agree_at, signal = largest([*mine, signal])
            self._agreed, self._agreed_step = now, step
        return Due(every or bool(report), bool(save), signal)

    def until_interrupted(self, batches: Iterable[T]) -> Iterator[T]:
        """Several processes have unequal numbers of batches here, so that they can agree on nothing before the end."""
        for batch in batches:
            if world_size() == 1:
                self._interruption.check()
            yield batch

    def report(self, step: int, epoch: float, loss: float) -> None:
        self._reported = time.monotonic()
        state = self.progress.report(step, epoch, loss)
        if rank() == 0:
            self.folder.note(**state)

    def save(self, state: Mapping[str, Any] | None, best: Mapping[str, Any] | None) -> None:
        """best.pt, if `best` is new, before the checkpoint that counts on it, if there is to be one; the rows before
        both."""
        costs, started = self.costs(), time.monotonic()
        if rank() == 0:
            self.folder.check_lock()
            known = {"run_id": self._run_id, "processes": world_size(), "costs": costs, "bits": _bits()}
            known["rows"] = self._metrics.mark()
            if best:
                save_checkpoint(self.folder.checkpoints / "best.pt", {"run_id": self._run_id, **best})
            last = self.folder.checkpoints / "last.pt"
            if state:
                save_checkpoint(last, {**known, **state}, keep_as=last.with_name("previous.pt"))
        self._saved = time.monotonic()
        self._between_saves_s = seconds_between_saves(self._saved - started, self._longest_s)

    def interrupted(self, step: int, signal: Interrupted) -> None:
        if rank() == 0:
            self.folder.note(step=step)
            self.log.info(f"interrupted by {signal} at step {step}; the same command resumes this run")

    def costs(self) -> dict[str, float]:
        """Seconds and examples of every launch up to its last checkpoint, and of this one up to now."""
        now = {
            "wall_s": time.monotonic() - self._started,
            "cpu_s": sum(gather(time.process_time() - self._cpu_at_start)),
            "training_s": self.progress.training_s,
            "examples": self.progress.examples,
        }
        return {name: self._earlier[name] + now[name] for name in now}

    def close(self) -> None:
        self.progress.close()
        if rank() == 0:
            self._metrics.close()
        if self._tracker:
            self._tracker.close()

    def _open(self, saved: Mapping[str, Any] | None, total_steps: int) -> None:
        step = saved["step"] if saved else 0
        self._metrics = MetricsFile(self.folder.path / "metrics.csv", saved["rows"]["bytes"] if saved else 0)
        if self._system.tracker:
            given = {"folder": self.folder.path, "first_step": step}
            self._tracker = build("system.tracker", self._system.tracker, Tracker, **given)
        if saved:
            _warn_of_other_bits(self.log, saved["bits"])
            self.log.info(f"resumed at step {step}/{total_steps}")
        self.folder.write_state("running", step=step, total_steps=total_steps)

    def _find_checkpoint(self) -> bool:
        """Whether there is a last.pt to go on from; the one before takes its place if it is damaged."""
        last, previous = (self.folder.checkpoints / name for name in ("last.pt", "previous.pt"))
        if not last.exists() and previous.exists():  # a kill between two renames
            os.replace(previous, last)
        while last.exists():
            try:
                self._check_files(load_checkpoint(last, self._run_id))
                return True
            except Unusable as error:
                then = "uses the one before" if previous.exists() else "starts again from step 0"
                self.log.warning(f"warning: {error}; the run {then}")
            if previous.exists():
                os.replace(previous, last)
            else:
                last.unlink()
        return False

    def _check_files(self, saved: Mapping[str, Any]) -> None:
        """`Unusable` where the rows or the best weights that a checkpoint counts on are not there as they were."""
        rows, best = self.folder.path / "metrics.csv", self.folder.checkpoints / "best.pt"
        if not MetricsFile.holds(rows, saved["rows"]):
            raise Unusable(f"{rows}: rows that the checkpoint counts on are missing or changed")
        if saved["best"] and load_checkpoint(best, self._run_id)["step"] < saved["best"]["step"]:
            raise Unusable(f"{best}: is older than the checkpoint that counts on it")


def seconds_between_saves(written_s: float, longest_s: float) -> float:
    """From one checkpoint, which took `written_s` to write, to the next: as often as costs little, but not less often
    than asked for."""
    return min(longest_s, max(LEAST_S, written_s / SHARE))


def peak_memory_mb() -> float | None:
    """The largest resident size of this process; None where the system does not tell (Windows)."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    except (OSError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def _bits() -> dict[str, Any]:
    """What the last bits of the results depend on besides the code."""
    return {
        "torch": str(torch.__version__),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_initialized() else None,
    }


def _warn_of_other_bits(log: logging.Logger, saved: Mapping[str, Any]) -> None:
    changed = [f"{name} {saved[name]} -> {value}" for name, value in _bits().items() if saved[name] != value]
    if changed:
        log.warning(f"warning: resumed with other {', '.join(changed)}: the last bits of the results may differ")
