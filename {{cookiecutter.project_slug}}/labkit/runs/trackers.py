"""Where metrics go besides metrics.csv: views of a run, never the truth, which can neither stop nor slow it."""

import logging
import os
import queue
import re
import shutil
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock

from labkit.runs.files import METRICS
from labkit.runs.folder import RunFolder
from labkit.runs.metrics_file import rows_of
from labkit.text import one_line, shortened
from labkit.values import flatten

PATIENCE_S = 120.0  # for what is still to do when the run has ended: a tracker may just have begun
PICTURES = (".png", ".jpg", ".jpeg")


class Tracker(ABC):
    """Built with the run's folder and the step it starts or resumes from; `config/tracker/` chooses the class."""

    packages: ClassVar[tuple[str, ...]] = ()  # what it imports, if that is not in env_setup/requirements.txt
    requirements: ClassVar[str] = ""  # ... and the file in env_setup/ that has it

    @abstractmethod
    def log(self, step: int, metrics: Mapping[str, float]) -> None: ...

    @abstractmethod
    def close(self) -> str | None:
        """When the run has ended; it is finished if it has a result. Returns what to tell the user, if anything."""

    @classmethod
    def check_packages(cls) -> None:
        """ValueError where one is missing."""
        for name in cls.packages:
            if find_spec(name) is None:
                remedy = f"pip install -r env_setup/{cls.requirements}"
                raise ValueError(f"tracker: {cls.__name__} needs the package {name}; run: {remedy}")


class Aside:
    """A tracker in a thread of its own: however slow it is, whatever it raises, its run goes on.

    After its first error it is off, and the run says so once.
    """

    def __init__(self, make: Callable[[], Tracker], log: logging.Logger) -> None:
        self._log = log
        self._rows: queue.SimpleQueue[tuple[int, Mapping[str, float]] | None] = queue.SimpleQueue()
        self._error: str | None = None
        self._said: str | None = None
        self._off = False
        self._thread = threading.Thread(target=self._work, args=(make,), daemon=True)
        self._thread.start()

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._rows.put((step, dict(metrics)))
        self._warn()

    def close(self, patience_s: float = PATIENCE_S) -> None:
        self._rows.put(None)
        self._thread.join(patience_s)
        if self._thread.is_alive():
            self._error = f"it was not ready {patience_s:g} s after the end"
        self._warn()
        if self._said and not self._off:
            self._log.info(self._said)

    def _warn(self) -> None:
        if self._error and not self._off:
            self._off = True
            self._log.warning(f"warning: the tracker is off ({self._error}); metrics.csv has every row")

    def _work(self, make: Callable[[], Tracker]) -> None:
        try:
            tracker = make()
            while (row := self._rows.get()) is not None:
                tracker.log(*row)
            self._said = tracker.close()
        except Exception as error:  # each library has its own
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            self._error = shortened(one_line(f"{kind}{error}".splitlines()[0]), 200)


class TensorBoard(Tracker):
    """Event files in <run folder>/tensorboard; `tensorboard --logdir data/runs` shows them."""

    def __init__(self, *, folder: Path, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import, and only this needs it

        # purge_step hides what an interrupted run logged after its last checkpoint.
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step or None)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class WandB(Tracker):
    """Weights & Biases: a project for each study, one folder in <study>/.wandb for each run."""

    packages = ("wandb",)
    requirements = "requirements-wandb.txt"

    def __init__(self, *, folder: Path, first_step: int, online: bool) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # to third parties
        import wandb  # pyright: ignore[reportMissingImports]

        if online and not wandb.login(prompt=False):  # it would ask on the terminal
            raise ValueError("no account is known here: run wandb login, or leave system.tracker.online false")
        self._folder = folder
        self._image = wandb.Image
        self._online = online
        self._step = 0
        run_id = folder.name.rpartition("-")[2]
        home = folder.parent / ".wandb"  # not in the run's folder, where links are refused
        home.mkdir(exist_ok=True)
        # Offline nothing can be resumed: each launch writes the whole run anew, and takes the place of the one before.
        for earlier in home.glob(f"offline-run-*-{run_id}"):
            shutil.rmtree(earlier)
        self._run = wandb.init(
            project=folder.parent.name,
            id=run_id,
            name=folder.name,
            dir=str(folder.parent),  # where it finds .wandb
            mode="online" if online else "offline",
            resume="allow",
            config=RunFolder(folder).read_config(),
            settings=wandb.Settings(silent=True, console="off", symlink=False, disable_git=True, init_timeout=15),
        )
        for row in _rows_until(folder, first_step):
            self.log(int(row["step"]), row)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._step = step
        self._run.log(dict(metrics), step=step)

    def close(self) -> str | None:
        best = _best(self._folder)
        for path in _figures(self._folder):
            self._run.log({f"figures/{path.stem}": self._image(str(path))}, step=self._step)
        self._run.summary.update(best)
        self._run.finish(exit_code=0 if best else 1)
        return None if self._online or not best else f"to send this run: wandb sync {self._run.settings.sync_dir}"


class MLflow(Tracker):
    """A database for each study, <study>/.mlflow/mlflow.db, unless a `server` is named."""

    packages = ("mlflow", "sqlalchemy", "alembic")
    requirements = "requirements-mlflow.txt"

    def __init__(self, *, folder: Path, first_step: int, server: str | None) -> None:
        for name, value in {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # it would try for minutes
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        }.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient  # pyright: ignore[reportMissingImports]
        from mlflow.entities import Metric, Param  # pyright: ignore[reportMissingImports]

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._folder = folder
        self._metric = Metric
        home = folder.parent.resolve() / ".mlflow"
        home.mkdir(exist_ok=True)
        with FileLock(home / "lock"):  # two processes that make a database at once both fail
            self._client = MlflowClient(server or f"sqlite:///{home.as_posix()}/mlflow.db?timeout=60")
            place = None if server else (home / "figures").as_uri()
            experiment = self._client.get_experiment_by_name(folder.parent.name)
            at = experiment.experiment_id if experiment else self._client.create_experiment(folder.parent.name, place)
        run_id = folder.name.rpartition("-")[2]
        found = self._client.search_runs([at], f"tags.run_id = '{run_id}'")
        for run in () if first_step else found:  # of what was done before the run started over
            self._client.delete_run(run.info.run_id)
        if first_step and found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._client.create_run(at, run_name=folder.name, tags={"run_id": run_id}).info.run_id
            settings = flatten(RunFolder(folder).read_config())
            self._client.log_batch(self._id, params=[Param(key, str(value)[:6000]) for key, value in settings.items()])
        # A row that is there would stand there twice; the resumed run repeats it bit for bit.
        self._there = {metric.step for metric in self._client.get_metric_history(self._id, "epoch")}
        for row in _rows_until(folder, first_step):
            self.log(int(row["step"]), row)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        if step not in self._there:
            now = int(1000 * time.time())
            named = {re.sub(r"[^\w\-./: ]", "_", name): value for name, value in metrics.items()}
            self._client.log_batch(self._id, [self._metric(name, value, now, step) for name, value in named.items()])

    def close(self) -> None:
        best = _best(self._folder)
        for path in _figures(self._folder):
            self._client.log_artifact(self._id, str(path))
        if best:
            self._there.clear()
            self.log(int(best["best/step"]), best)
        self._client.set_terminated(self._id, "FINISHED" if best else "KILLED")


def _rows_until(folder: Path, step: int) -> Iterator[dict[str, float]]:
    """Those of metrics.csv that a resumed run begins with; further ones are about to be logged."""
    if step:
        yield from (row for row in rows_of(folder / METRICS) if row["step"] <= step)


def _best(folder: Path) -> dict[str, Any]:
    """The result, by names of its own: the row of the best evaluation. Empty for a run that is not finished."""
    result = RunFolder(folder).read_result()
    return {f"best/{name}": value for name, value in result["best"]["metrics"].items()} if result else {}


def _figures(folder: Path) -> list[Path]:
    """What the task's `visualise` has drawn."""
    return sorted(path for path in folder.rglob("*") if path.suffix in PICTURES)
