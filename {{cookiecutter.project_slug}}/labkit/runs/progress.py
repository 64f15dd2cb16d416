"""What a run says while it trains: lines in train.log and on the terminal, and a live bar where there is a terminal."""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labkit.runs.files import naming
from labkit.secrets import redact
from labkit.text import duration


@contextlib.contextmanager
def open_log(path: Path, *, quiet: bool) -> Iterator[logging.Logger]:
    """A logger into the file, which its first line creates, and onto the terminal unless `quiet`."""
    log = logging.getLogger("run")
    log.setLevel(logging.INFO)
    log.propagate = False
    handlers = [LogFile(path)] if quiet else [LogFile(path), _Terminal()]
    for handler in handlers:
        log.addHandler(handler)
    try:
        yield log
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            with contextlib.suppress(OSError):  # a full disk was reported when the line was written
                handler.close()


class Progress:
    """Counts the steps of this launch, and the seconds that go into fetching data and into updating the model."""

    def __init__(self, log: logging.Logger, total_steps: int, examples_per_step: int) -> None:
        self.log = log
        self.total_steps = total_steps
        self.examples_per_step = examples_per_step
        self.steps = 0
        self.fetch_s = 0.0
        self.update_s = 0.0
        self._reported = (0, 0.0, 0.0)  # the same three, when they were last reported
        self._started = time.monotonic()
        on_terminal = sys.stdout.isatty() and any(isinstance(handler, _Terminal) for handler in log.handlers)
        self._bar = live_bar("training", total_steps) if on_terminal else None

    def count(self, fetch_s: float, update_s: float) -> None:
        self.steps += 1
        self.fetch_s += fetch_s
        self.update_s += update_s

    def report(self, step: int, epoch: float, loss: float) -> dict[str, Any]:
        """Says where the run is, and returns the same for state.json. Call it once the device has been waited for."""
        steps_before, fetch_before, update_before = self._reported
        self._reported = (self.steps, self.fetch_s, self.update_s)
        steps = max(self.steps - steps_before, 1)
        fetch_s = self.fetch_s - fetch_before
        update_s = self.update_s - update_before
        rate = steps * self.examples_per_step / max(fetch_s + update_s, 1e-9)
        elapsed = time.monotonic() - self._started
        left = elapsed / max(self.steps, 1) * (self.total_steps - step)
        self.log.info(
            f"step {step}/{self.total_steps} | epoch {epoch:.2f} | loss {loss:.4f} | {rate:.0f} examples/s | "
            f"elapsed {duration(elapsed)} | left {duration(left)} | "
            f"fetch {1000 * fetch_s / steps:.2f} ms, update {1000 * update_s / steps:.2f} ms"
        )
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=step, note=f"loss {loss:.4f}")
        return {"step": step, "epoch": epoch, "loss": loss, "examples_per_s": rate, "seconds_left": left}

    def close(self) -> None:
        if self._bar:
            self._bar.stop()


class LogFile(logging.FileHandler):
    """Lines with the time and without secrets. A line that cannot be written ends the run: logging would print a
    traceback for each one."""

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
    """Prints through rich on a terminal, so that lines appear above the live bar."""

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stdout.isatty():
            from rich import get_console

            get_console().print(record.getMessage(), markup=False, highlight=False)
        else:
            print(record.getMessage(), flush=True)


def live_bar(title: str, total: int) -> Any:
    """A started bar of rich; `bar.update(bar.task_ids[0], completed=..., note=...)` moves it."""
    from rich import get_console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    bar = Progress(*columns, TimeRemainingColumn(), console=get_console(), transient=True)
    bar.add_task(title, total=total, note="")
    bar.start()
    return bar
