"""What a run leaves behind while it trains: rows, checkpoints, its state, its log; where and when, not what."""

import contextlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from modules.training.checkpoint import load_checkpoint, save_checkpoint
from modules.training.progress import Progress
from modules.training.trackers import Tracker
from modules.utils.build import build
from modules.utils.config import SystemConfig
from modules.utils.run_folder import MetricsFile, RunFolder

STATE_S = 5.0  # state.json is written no more often than this; status.py calls a run dead after 60 s of silence
REPORT_S = 20.0  # a slow run speaks at least this often, whatever system.log_every_steps


class Recorder:
    """Writes into one run folder, whose lock the caller holds."""

    def __init__(self, folder: RunFolder, log: logging.Logger, run_id: str, system: SystemConfig) -> None:
        self.folder = folder
        self.log = log
        self._run_id = run_id
        self._system = system
        self._earlier = {"wall_s": 0.0, "cpu_s": 0.0, "training_s": 0.0, "examples": 0}  # of earlier launches
        self._cpu_at_start = time.process_time()
        self._started = self._saved = self._reported = time.monotonic()
        self._state_written = 0.0

    def begin(self, device: torch.device, total_steps: int, examples_per_step: int) -> dict[str, Any] | None:
        """Opens the files; returns the state to go on from, or None for a new run. ValueError: see checkpoint.py."""
        path = self.folder.checkpoints / "last.pt"
        self.folder.checkpoints.mkdir(exist_ok=True)
        saved = load_checkpoint(path, device) if path.exists() else None
        if saved:
            self._earlier = saved["costs"]
            _warn_of_other_bits(self.log, saved["bits"])
        self._metrics = MetricsFile(self.folder.path / "metrics.csv", saved["history_position"] if saved else 0)
        self._tracker = None
        if self._system.tracker:
            first_step = saved["step"] if saved else 0
            given = {"folder": self.folder.path, "first_step": first_step}
            self._tracker = build("system.tracker", self._system.tracker, Tracker, **given)
        self.progress = Progress(self.log, total_steps, examples_per_step)
        if saved:
            self.log.info(f"resumed at step {saved['step']}/{total_steps}")
        self.folder.write_state("running", step=saved["step"] if saved else 0, total_steps=total_steps)
        return saved

    def record(self, row: Mapping[str, float]) -> None:
        """One row of metrics.csv, also for the tracker and the log."""
        self._metrics.append(row)
        if self._tracker:
            self._tracker.log(int(row["step"]), row)
        shown = (f"{name} {value:.4f}" for name, value in row.items() if "/" in name and "_class_" not in name)
        self.log.info(f"step {row['step']:.0f} | " + " | ".join(shown))

    def report_due(self, step: int) -> bool:
        return step % self._system.log_every_steps == 0 or time.monotonic() - self._reported > REPORT_S

    def report(self, step: int, epoch: float, loss: float) -> None:
        now = self._reported = time.monotonic()
        state = self.progress.report(step, epoch, loss)
        if now - self._state_written > STATE_S:
            self._state_written = now
            self.folder.write_state("running", **state)

    def save_due(self) -> bool:
        return time.monotonic() - self._saved >= 60 * self._system.checkpoint_minutes

    def save(self, state: Mapping[str, Any], best: Mapping[str, Any] | None) -> None:
        """best.pt, if `best` is new, before the checkpoint that counts on it; the rows before both."""
        position = self._metrics.sync()
        if best:
            save_checkpoint(self.folder.checkpoints / "best.pt", {"run_id": self._run_id, **best})
        known = {"run_id": self._run_id, "history_position": position, "costs": self.costs(), "bits": _bits()}
        save_checkpoint(self.folder.checkpoints / "last.pt", {**known, **state})
        self._saved = time.monotonic()

    def costs(self) -> dict[str, float]:
        """Seconds and examples of every launch up to its last checkpoint, and of this one up to now."""
        now = {
            "wall_s": time.monotonic() - self._started,
            "cpu_s": time.process_time() - self._cpu_at_start,
            "training_s": self.progress.training_s,
            "examples": self.progress.examples,
        }
        return {name: self._earlier[name] + now[name] for name in now}

    def close(self) -> None:
        self.progress.close()
        self._metrics.close()
        if self._tracker:
            self._tracker.close()


def reset_peak_memory(device: torch.device) -> None:
    """A worker of a sweep trains one run after the other: each one's peak is its own, where the system can forget."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # proc(5): resets VmHWM; Linux only


def peak_memory_mb() -> float | None:
    """The largest resident size of this process since then; None where the system does not tell (Windows)."""
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
