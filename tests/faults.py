"""What the fault table's tests and chaos.py share: processes of a generated project that are met by a real fault at an
exact moment, small disks, and the comparison with a run that was left alone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from warm import Warm, warm

# Everything that a checkpoint has to carry (momentum, dropout, augmentation, batch statistics, averaged weights, a
# falling learning rate), evaluations that are no whole number of epochs, and a row that is longer than the others.
SETTING = (
    *("data=synthetic", "data.examples=100", "data.classes=4", "data.input_shape=[1,4,4]", "data.max_shift=1"),
    *("model=net_bn", "model.channels=2", "model.hidden_width=8", "model.dropout=0.3", "training.batch_size=4"),
    *("training.accumulation=2", "training.epochs=null", "training.steps=60", "training.warmup_steps=3"),
    *("training.ema_decay=0.9", "training.clip_norm=0.5", "training.schedule=plateau", "training.plateau_patience=2"),
    *("training.evaluate_every_epochs=null", "training.evaluate_every_steps=4", "system.log_every_steps=10"),
    *("system.device=cpu", "system.threads=1"),
)
FETCHED = (*SETTING, "data.in_memory=false", "system.loader_workers=2")
EVERY_STEP = "system.checkpoint_minutes=0"
LONGEST_S = 900.0  # that anything in these tests may take, on a machine with ten others: only what hangs takes longer
KILLED, TORN = 128 + signal.SIGKILL, 128 + signal.SIGXFSZ


@dataclass
class Ended:
    """How a process ended: its exit status, as a shell tells it (128 + number of the signal), and what it printed."""

    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line on stderr of a command that was refused or has failed."""
        assert self.status == 1, self
        (line,) = self.err.splitlines()
        assert line.startswith("error: "), self
        return line.removeprefix("error: ")

    @property
    def warnings(self) -> list[str]:
        assert "Traceback" not in self.err, self.err
        return [line for line in (self.out + self.err).splitlines() if line.startswith("warning: ")]


class Process:
    """A command of the project that runs, in a session of its own, with its output in files."""

    def __init__(
        self, words: list[str], cwd: Path, folder: Path, environment: dict[str, str], warm: Warm | None = None
    ) -> None:
        """`warm`: what forks the process, if it is not to be started from nothing."""
        self._folder = folder
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err, open(os.devnull, "rb") as nothing:
            if warm:
                files = [nothing.fileno(), out.fileno(), err.fileno()]
                self._process = warm.start(words[1:], cwd, files, environment)
                self.pid = self._process.pid
                return
            self._process = subprocess.Popen(
                words,
                cwd=cwd,
                env=environment,
                stdin=nothing,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def wait_until(self, true: Callable[[], Any]) -> None:
        """AssertionError where the process ends before."""
        for _ in wait(LONGEST_S):
            alive = self._process.poll() is None
            if true():
                return
            assert alive, f"ended before: {self.ended()}"

    def wait_for(self, line: str) -> None:
        """Until it has printed this."""
        self.wait_until(lambda: line.encode() in (self._folder / "out").read_bytes())

    def wait_held(self) -> None:
        """Until it has met the fault that holds it."""
        self.wait_until((self._folder / "held").exists)

    def let_go(self) -> None:
        (self._folder / "go").touch()

    def send(self, number: signal.Signals, everywhere: bool = False) -> None:
        """To the process, or to all of its session, as a terminal and some schedulers do."""
        (os.killpg if everywhere else os.kill)(self.pid, number)

    def children(self) -> list[int]:
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in text.split()]

    def ended(self) -> Ended:
        status = self._process.wait(LONGEST_S)
        said = [(self._folder / name).read_text(encoding="utf-8") for name in ("out", "err")]
        return Ended(128 - status if status < 0 else status, *said)

    def end(self) -> None:
        """Of its session nothing stays behind, whatever the test has come to."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class Project:
    """A generated project, whose commands can be met by a fault."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self.root = root
        self._scratch = scratch
        self._started = 0

    @contextmanager
    def start(
        self,
        *words: str | Path,
        script: str = "train",
        fault: tuple[Any, ...] | None = None,
        host: str | None = None,
        clock_off_s: int = 0,
        fresh: bool = False,
        **environment: str,
    ) -> Iterator[Process]:
        """`python runs/<script>.py <words>`, killed at the latest at the end. `fault`: see `met_by`;
        `host`: the name that the process believes its machine to have; `fresh`: it imports the libraries itself."""
        self._started += 1
        folder = self._scratch / str(self._started)
        folder.mkdir()
        command = [sys.executable, f"runs/{script}.py", *map(str, words)]
        if host:
            command = [*unshared("-u"), sys.executable, "-S", "-c", _RENAMED, host, *command]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment}  # the next process starts sooner
        if fault:
            environment |= met_by(folder, *fault)
        if clock_off_s:
            environment |= AT_EVENT | {"CLOCK_OFF_S": str(clock_off_s)}
        single = script in ("train", "evaluate") and "--multirun" not in words and not (host or fresh)
        process = Process(command, self.root, folder, environment, warm() if single else None)
        try:
            yield process
        finally:
            process.end()

    def run(self, *words: str | Path, **how: Any) -> Ended:
        with self.start(*words, **how) as process:
            return process.ended()


AT_EVENT = {"PYTHONPATH": str(Path(__file__).parent / "at_event")}


def met_by(folder: Path, action: str, events: list[tuple[str, str, int]], process: str = "") -> dict[str, str]:
    """The environment of what meets its fault at an exact moment: an action, and the events that lead to it. `process`:
    a pattern of its command, where another one starts it. See at_event/sitecustomize.py."""
    fault = {"action": action, "events": events, "folder": str(folder), "process": process}
    return AT_EVENT | {"FAULT": json.dumps(fault)}


_RENAMED = "import os, socket, sys; socket.sethostname(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"


def unshared(kind: str) -> list[str]:
    """The command before one that gets its own host name (-u) or mounts (-m): root may do so, others in a user
    namespace of theirs where the system lets them."""
    command = ["unshare", kind] if os.geteuid() == 0 else ["unshare", "-r", kind]
    possible = sys.platform == "linux" and subprocess.run([*command, "true"], capture_output=True).returncode == 0
    if not possible:
        pytest.skip(f"{' '.join(command)} is not allowed here; run as root on Linux")
    return command


class Disk:
    """A file system of its own that lies in memory: it can be filled, freed, made read-only, and is gone at the end."""

    def __init__(self, at: Path, size: str) -> None:
        self._shell = subprocess.Popen(
            [*unshared("-m"), "sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._at = at
        self._do(f"mount -t tmpfs -o size={size} none '{at}'")
        self.path = Path(f"/proc/{self._shell.pid}/root{at}")  # only that shell sees the mount; this leads there

    def fill(self) -> None:
        """To the last byte."""
        with (self.path / "ballast").open("ab", buffering=0) as file:
            for size in (2**16, 2**12, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def free(self) -> None:
        (self.path / "ballast").unlink()

    def make_read_only(self) -> None:
        self._do(f"mount -o remount,bind,ro '{self._at}'")

    def close(self) -> None:
        self._shell.communicate()

    def _do(self, command: str) -> None:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{command} && echo done || echo failed\n")
        self._shell.stdin.flush()
        assert self._shell.stdout.readline() == "done\n"


def wait(timeout_s: float) -> Iterator[None]:
    """Every few milliseconds; AssertionError at the end."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        yield
        time.sleep(0.003)
    raise AssertionError(f"waited in vain for {timeout_s} s")


def assert_gone(processes: list[int]) -> None:
    """Soon; a zombie is gone."""
    for _ in wait(LONGEST_S):
        if not any(map(lives, processes)):
            return


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


FAULTY = """
import ctypes
import os
import signal
import time
import torch
from modules.models.networks import Linear

class Faulty(Linear):
    def __init__(self, *, input_shape: tuple[int, ...], classes: int, how: str) -> None:
        super().__init__(input_shape=input_shape, outputs=classes)
        self.how = how
        self.batches = 0

    def forward(self, images):
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(images)  # also the look at the shape of its answer, before training
        if self.how == "raises":
            raise RuntimeError("MESSAGE")
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "segfaults":
            ctypes.string_at(0)
        if self.how.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, self.how))
        if self.how == "hungry":
            self.taken = b"x" * 2**31
            time.sleep(60)
        if self.how == "exits":
            os._exit(3)
        self.batches += 1
        while self.how == "waits" and self.batches > 3 and os.path.exists(os.environ.get("BRAKE", "")):
            time.sleep(0.01)
        return super().forward(images) * (float("nan") if self.how == "diverges" else 1)
"""


def plant_faulty_model(root: Path, message: str) -> None:
    """`model=faulty model.how=...` in the project at `root`; `message`: what it raises, as it stands in Python."""
    (root / "modules" / "models" / "faulty.py").write_text(FAULTY.replace("MESSAGE", message))
    (root / "config" / "model" / "faulty.yaml").write_text(
        "name: faulty\n_target_: modules.models.faulty.Faulty\nhow: works\n"
    )
