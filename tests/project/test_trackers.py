"""Trackers show what metrics.csv holds, through kills and resumes, and can neither stop nor change a run."""

import contextlib
import importlib
import json
import os
import re
import signal
import sqlite3
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from faults import LONGEST_S, wait
from labkit.runs import trackers
from labkit.runs.recorder import Recorder
from labkit.runs.trackers import Tracker, WandB
from matplotlib.figure import Figure
from omegaconf import DictConfig
from small_runs import (
    SMALL,
    checkpoint,
    compose,
    forking,
    process_of,
    rows,
    same_bits,
    train_composed,
    train_small,
)

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="processes are killed as on Linux and macOS")
WORDS = ("training.epochs=4", "training.evaluate_every_epochs=1", "system.checkpoint_minutes=0")
WARNING = re.compile(r"warning: the tracker is off \((.*)\); metrics.csv has every row")


def needs(package: str) -> pytest.MarkDecorator:
    remedy = f"pip install -r env_setup/requirements-{package}.txt"
    return pytest.mark.skipif(find_spec(package) is None, reason=remedy)


def warnings_of(folder: Path) -> list[str]:
    return [line for line in (folder / "train.log").read_text(encoding="utf-8").splitlines() if "warning: " in line]


class Faulty(Tracker):
    """Fails, or waits for ever, where it is told to."""

    where = ""
    stuck = threading.Event()

    def __init__(self, *, folder: Path, first_step: int) -> None:
        self._at("start")

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._at("log")
        if self.where == "wait":
            self.stuck.wait()

    def close(self) -> None:
        self._at("close")

    def _at(self, place: str) -> None:
        if place == self.where:
            raise OSError(28, "No space left on device\nin the second line")


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> str:
    """The override that chooses it."""
    monkeypatch.setattr(Faulty, "__module__", trackers.__name__)
    monkeypatch.setattr(trackers, "Faulty", Faulty, raising=False)
    return f"+system.tracker._target_={trackers.__name__}.Faulty"


def test_a_tracker_that_fails_or_hangs_costs_one_warning(
    faulty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train_small(tmp_path / "plain")
    for where in ("start", "log", "close", "wait"):
        monkeypatch.setattr(Faulty, "where", where)
        patience = 0.2 if where == "wait" else 60.0
        monkeypatch.setattr("labkit.runs.recorder.PATIENCE_S", patience)
        folder = train_small(tmp_path / where, faulty)
        (warning,) = warnings_of(folder)
        found = WARNING.search(warning)
        assert found
        full = "OSError: [Errno 28] No space left on device"
        assert found[1] == ("it was not ready 0.2 s after the end" if where == "wait" else full)
        assert same_bits(checkpoint(folder), checkpoint(plain) | {"costs": checkpoint(folder)["costs"]})
        assert rows(folder) == rows(plain)
    Faulty.stuck.set()


def test_tensorboard_that_cannot_write_costs_one_warning(tmp_path: Path) -> None:
    folder = train_small(tmp_path / "plain").relative_to(tmp_path / "plain")
    in_the_way = tmp_path / "runs" / folder / "tensorboard"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("mine", encoding="utf-8")
    folder = train_small(tmp_path / "runs", "tracker=tensorboard")
    (warning,) = warnings_of(folder)
    assert "FileExistsError" in warning
    assert json.loads((folder / "run.json").read_bytes())["status"] == "finished"


def test_a_missing_package_is_a_sentence_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WandB, "packages", ("no_such_package",))
    remedy = "run: pip install -r env_setup/requirements-wandb.txt"
    with pytest.raises(ValueError, match=f"^tracker: WandB needs the package no_such_package; {remedy}$"):
        train_small(tmp_path / "runs", "tracker=wandb")
    assert list(tmp_path.iterdir()) == []


def killed_and_resumed(runs_dir: Path, tracker: str) -> Path:
    """The folder of a run that has finished, was killed at its second row, and has a figure. At its start another one
    starts as well."""
    words = (*SMALL, *WORDS, f"system.runs_dir={runs_dir}", f"tracker={tracker}")
    dying = forking().Process(target=killed_at_its_second_row, args=(compose(*words), runs_dir / "default", tracker))
    with process_of(runs_dir, f"tracker={tracker}", "seed=1") as other:
        dying.start()
        for process, status in ((dying, -signal.SIGKILL), (other, 0)):
            process.join(300)
            assert process.exitcode == status
    (folder,) = (runs_dir / "default").glob("net2-*-s0-*")
    Figure(figsize=(1, 1)).savefig(folder / "digits.png")
    with process_of(runs_dir, *WORDS, f"tracker={tracker}") as process:
        process.join(300)
        assert process.exitcode == 0
    assert "resumed at step 13/28" in (folder / "train.log").read_text(encoding="utf-8")
    assert warnings_of(folder) == []
    assert len(rows(folder)) == 4
    return folder


def killed_at_its_second_row(composed: DictConfig, study: Path, tracker: str) -> None:
    """Once the tracker shows it; wandb, which writes rows late, only has begun by then."""
    record = Recorder.record

    def record_or_die(self: Recorder, row: Mapping[str, float]) -> None:
        record(self, row)
        if row["step"] == 14:
            for _ in wait(LONGEST_S):
                if list(study.glob(".wandb/*/*.wandb")) if tracker == "wandb" else len(points(study, "epoch")) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)

    Recorder.record = record_or_die
    train_composed(composed)


def wandb_records(file: Path) -> list[Any]:
    """In the format of LevelDB's log: blocks of 32 KiB, in which a record has a checksum, a length and a type."""

    Record = importlib.import_module("wandb.proto.wandb_internal_pb2").Record
    content = file.read_bytes()
    at, part, found = 7, b"", []
    while at + 7 <= len(content):
        if 2**15 - at % 2**15 < 7:  # too short for a record: filled with zeros
            at += 2**15 - at % 2**15
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        part += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(part))
            part = b""
    return found


@needs("wandb")
def test_wandb_shows_every_row_of_a_run_that_was_killed(tmp_path: Path) -> None:
    folder = killed_and_resumed(tmp_path, "wandb")
    # The folder of the launch that was killed has gone.
    (offline,) = (tmp_path / "default" / ".wandb").glob(f"offline-run-*-{folder.name[-12:]}")
    assert f"to send this run: wandb sync {offline}" in (folder / "train.log").read_text(encoding="utf-8")
    (file,) = offline.glob("*.wandb")
    records = wandb_records(file)
    logged: dict[int, dict[str, Any]] = {}
    for record in records:
        if record.WhichOneof("record_type") == "history":
            items = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
            logged.setdefault(record.history.step.num, {}).update({k: json.loads(v) for k, v in items.items()})
    for row in rows(folder):
        assert {name: logged[int(row["step"])][name] for name in row} == row
    assert len(logged) == 4
    assert list(offline.glob("files/media/images/figures/digits*.png"))
    begun = next(record.run for record in records if record.WhichOneof("record_type") == "run")
    assert (begun.project, begun.run_id, begun.display_name) == ("default", folder.name[-12:], folder.name)
    assert {item.key: item.value_json for item in begun.config.update}["seed"] == "0"
    summary = [item for record in records for item in record.summary.update]
    final = {item.key or "/".join(item.nested_key): item.value_json for item in summary}
    assert "best/validation/accuracy" in final


def points(study: Path, name: str, seed: int = 0) -> list[tuple[int, float]]:
    """(step, value) of a metric of the run that MLflow shows for a seed."""
    query = "select step, value from metrics join runs using (run_uuid) where name like ? and key = ? order by step"
    with contextlib.suppress(sqlite3.OperationalError), sqlite3.connect(study / ".mlflow" / "mlflow.db") as database:
        return database.execute(query, (f"%-s{seed}-%", name)).fetchall()
    return []  # there is no table yet


@needs("mlflow")
def test_mlflow_shows_every_row_once_and_two_runs_may_make_its_database(tmp_path: Path) -> None:
    folder = killed_and_resumed(tmp_path, "mlflow")
    study = folder.parent
    for row in ("train/loss", "validation/accuracy"):
        assert points(study, row) == [(int(r["step"]), r[row]) for r in rows(folder)]
    assert len(points(study, "epoch", seed=1)) == 2
    assert len(points(study, "best/validation/accuracy")) == 1
    with sqlite3.connect(study / ".mlflow" / "mlflow.db") as database:
        assert database.execute("select status from runs").fetchall() == [("FINISHED",), ("FINISHED",)]
        assert database.execute("select value from params where key = 'seed' order by value").fetchall() == [
            ("0",),
            ("1",),
        ]
        assert database.execute("select name from experiments where name = 'default'").fetchall()
    assert len(list((study / ".mlflow" / "figures").rglob("digits.png"))) == 1
    assert sorted(path.name for path in study.iterdir() if path.name.startswith(".")) == [".mlflow"]
    assert not Path("mlruns").exists()


@needs("mlflow")
def test_mlflow_with_a_damaged_database_or_without_its_server_costs_one_warning(tmp_path: Path) -> None:
    home = tmp_path / "default" / ".mlflow"
    home.mkdir(parents=True)
    (home / "mlflow.db").write_text("no database " * 1000, encoding="utf-8")
    nobody = ("study=other", "system.tracker.server=http://127.0.0.1:9")
    with process_of(tmp_path, "tracker=mlflow") as one, process_of(tmp_path, "tracker=mlflow", *nobody) as other:
        for process in (one, other):
            process.join(300)
            assert process.exitcode == 0
    for study, error in (("default", "DatabaseError"), ("other", "Connection refused")):
        (folder,) = (tmp_path / study).glob("net2-*")
        (warning,) = warnings_of(folder)
        assert error in warning
        assert json.loads((folder / "run.json").read_bytes())["status"] == "finished"
    assert (home / "mlflow.db").read_text(encoding="utf-8") == "no database " * 1000
