"""What a run says while it trains: lines in train.log and on the terminal, and a live bar where there is a terminal."""

import contextlib
import logging
import sys
import time
from pathlib import Path
from typing import Any

from labkit.runs.files import naming
from labkit.secrets import redact
from labkit.text import duration


def open_log(path: Path, *, quiet: bool) -> logging.Logger:
    """A logger into the file, made with its first line, and onto the terminal unless `quiet` (a member of a sweep that
    has several workers)."""
    log = logging.getLogger("run")
    close_log(log)
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(_File(path))
    if not quiet:
        log.addHandler(_Terminal())
    return log


def close_log(log: logging.Logger) -> None:
    for handler in list(log.handlers):
        log.removeHandler(handler)
        with contextlib.suppress(OSError):  # a full disk was reported when the line was written
            handler.close()


class Progress:
    """Counts steps and the seconds they take, fetching data against updating the model, since the last report."""

    def __init__(self, log: logging.Logger, total_steps: int, examples_per_step: int) -> None:
        self.log = log
        self.total_steps = total_steps
        self.examples_per_step = examples_per_step
        self.started = time.monotonic()
        self._reported_s, self._reported_steps = 0.0, 0  # of this launch
        self._bar = live_bar("training", total_steps) if _on_terminal(log) else None
        self._reset()

    @property
    def training_s(self) -> float:
        """Seconds of fetching and updating, of this launch."""
        return self._reported_s + self._fetch_s + self._update_s

    @property
    def examples(self) -> int:
        """Trained on, in this launch."""
        return (self._reported_steps + self._steps) * self.examples_per_step

    def count(self, fetch_s: float, update_s: float) -> None:
        self._steps += 1
        self._fetch_s += fetch_s
        self._update_s += update_s

    def report(self, step: int, epoch: float, loss: float) -> dict[str, Any]:
        """Says where the run is and returns the same for state.json. Call it when the device has been waited for."""
        steps, seconds = max(self._steps, 1), self._fetch_s + self._update_s
        self._reported_steps += self._steps
        self._reported_s += seconds
        elapsed = time.monotonic() - self.started
        left = elapsed / max(self._reported_steps, 1) * (self.total_steps - step)
        rate = steps * self.examples_per_step / max(seconds, 1e-9)
        self.log.info(
            f"step {step}/{self.total_steps} | epoch {epoch:.2f} | loss {loss:.4f} | {rate:.0f} examples/s | "
            f"elapsed {duration(elapsed)} | left {duration(left)} | "
            f"fetch {1000 * self._fetch_s / steps:.2f} ms, update {1000 * self._update_s / steps:.2f} ms"
        )
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=step, note=f"loss {loss:.4f}")
        self._reset()
        return {"step": step, "epoch": epoch, "loss": loss, "examples_per_s": rate, "seconds_left": left}

    def close(self) -> None:
        if self._bar:
            self._bar.stop()

    def _reset(self) -> None:
        self._steps, self._fetch_s, self._update_s = 0, 0.0, 0.0


class _File(logging.FileHandler):
    """Lines with the time and without secrets. Where it cannot write, the run ends: logging would print a traceback for
    every line."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self._path = path
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s"))

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:
        with naming(self._path):
            raise


class _Terminal(logging.Handler):
    """Prints through rich where there is a terminal, so that lines stand above the live bar."""

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stdout.isatty():
            from rich import get_console

            get_console().print(record.getMessage(), markup=False, highlight=False)
        else:
            print(record.getMessage(), flush=True)


def _on_terminal(log: logging.Logger) -> bool:
    return sys.stdout.isatty() and any(isinstance(handler, _Terminal) for handler in log.handlers)


def live_bar(title: str, total: int) -> Any:
    """A started bar of rich; `bar.update(bar.task_ids[0], completed=..., note=...)` moves it."""
    from rich import get_console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    bar = Progress(*columns, TimeRemainingColumn(), console=get_console(), transient=True)
    bar.add_task(title, total=total, note="")
    bar.start()
    return bar
