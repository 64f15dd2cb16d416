"""A signal stops a run where nothing is lost, a loss that is no number where the last good weights are kept."""

import json
import logging
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from faults import LONGEST_S
from labkit.runs.folder import RunFolder
from labkit.runs.interruption import Interrupted, Interruption
from labkit.runs.recorder import LEAST_S, SHARE, Recorder, Workload, seconds_between_saves
from labkit.runs.records import Diverged
from labkit.runs.standing import discard
from modules.tasks.classification import Classification
from modules.training.task import Batch, Value
from small_runs import (
    EVERY_STEP,
    SMALL,
    checkpoint,
    classification,
    column,
    compose,
    config_of,
    process_of,
    rows,
    small_trainer,
    train_composed,
    train_in,
    train_small,
    with_task,
)
from test_resume import assert_same_run, log_of, read_state
from torch import Tensor

POSIX = pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no such signals")
SLOW = ("data.in_memory=false", "system.loader_workers=1", "training.epochs=5")


def stopped_by(number: int, runs_dir: Path) -> Path:
    """The folder of a run with a loader's worker that was sent a signal after its first row."""
    with process_of(runs_dir, *SLOW, held=True) as process:
        while not list(runs_dir.glob("*/*/metrics.csv")):
            assert process.is_alive()
            time.sleep(0.01)
        assert process.pid
        os.kill(process.pid, number)
        process.join(timeout=LONGEST_S)
    assert process.exitcode == -number
    (folder,) = runs_dir.glob("*/*")
    return folder


@POSIX
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2"])
def test_a_signal_lets_the_step_end_saves_and_is_passed_on(runs_dir: Path, name: str) -> None:
    folder = stopped_by(signal.Signals[name], runs_dir)
    state = read_state(folder)
    assert (state["status"], state["reason"]) == ("interrupted", name)
    assert f"interrupted by {name} at step {state['step']}; the same command resumes this run" in log_of(folder)
    assert checkpoint(folder)["step"] == state["step"]


@POSIX
def test_a_run_that_was_stopped_by_a_signal_goes_on_and_ends_with_the_same_bits(runs_dir: Path, tmp_path: Path) -> None:
    once = train_small(tmp_path / "once", "data.in_memory=false", SLOW[-1])
    step = read_state(stopped_by(signal.SIGTERM, runs_dir))["step"]
    resumed = train_small(runs_dir, "data.in_memory=false", SLOW[-1])
    assert f"resumed at step {step}/35" in log_of(resumed)
    assert_same_run(once, resumed)


@POSIX
def test_a_signal_during_an_evaluation_does_not_wait_for_it_and_costs_no_row(runs_dir: Path, tmp_path: Path) -> None:
    once, folder = tmp_path / "once", tmp_path / "run"
    for path in (once, folder):
        path.mkdir()
    evaluated = (*EVERY_STEP, "training.evaluation_batch_size=1")
    train_in(once, small_trainer(*evaluated))

    class Stopped(Classification):
        def visualise(self, batch: Batch, folder: Path) -> None:
            if self.steps == 3:
                os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        trainer = small_trainer(*evaluated)
        with pytest.raises(Interrupted, match="SIGUSR1"), Interruption() as interruption:
            train_in(folder, with_task(trainer, classification(Stopped)), interruption)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (checkpoint(folder)["step"], column(folder, "step")) == (3, [1, 2])
    train_in(folder, small_trainer(*evaluated))
    assert (once / "metrics.csv").read_bytes() == (folder / "metrics.csv").read_bytes()


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as nohup does with others
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGTERM)
        assert interruption.received is None
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_second_ctrl_c_leaves_at_once() -> None:
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("written_s", "longest_s", "between_s"),
    [(0.001, 300, LEAST_S), (1, 300, 1 / SHARE), (60, 300, 300), (60, 0, 0), (0.001, 5, 5)],
)
def test_writing_takes_a_small_share_of_the_time_but_never_more_work_is_lost_than_was_said(
    written_s: float, longest_s: float, between_s: float
) -> None:
    assert seconds_between_saves(written_s, longest_s) == between_s


def test_the_first_checkpoint_of_a_large_network_waits_until_it_costs_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = (RunFolder(tmp_path), logging.getLogger("test"), Interruption(), "an id", config_of().system)
    with Recorder(*about, Workload(10, 1, bytes_to_save=400_000_000)) as recorder:
        began = time.monotonic()
        saves = []
        for later_s in (150, 250):
            monkeypatch.setattr(time, "monotonic", lambda later_s=later_s: began + later_s)
            saves.append(recorder.due(1).save)
        monkeypatch.undo()
    assert saves == [False, True]


# ---- divergence


class Poisoned(Classification):
    """Its loss is NaN in the third step, and its batch statistics see the NaN too."""

    def step(self, batch: Batch) -> tuple[Tensor, dict[str, Value]]:
        if self.training and torch.is_grad_enabled() and self.steps == 2:
            batch = {**batch, "input": batch["input"] * torch.nan}
        return super().step(batch)


def poisoned(folder: Path, policy: str) -> None:
    folder.mkdir()
    lines = (*EVERY_STEP, "model=net_bn", f"training.divergence={policy}")
    train_in(folder, with_task(small_trainer(*lines), classification(Poisoned)))


def test_a_loss_that_is_no_number_is_found_with_its_steps_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="the loss became nan between steps 3 and 3; lower"):
        poisoned(tmp_path / "run", "stop")
    assert column(tmp_path / "run", "step") == [1, 2]
    assert not (tmp_path / "run" / "checkpoints" / "last.pt").exists()


def test_a_step_without_a_number_can_be_skipped_and_is_counted(tmp_path: Path) -> None:
    poisoned(tmp_path / "run", "skip_step")
    saved = checkpoint(tmp_path / "run")
    assert all(bool(tensor.isfinite().all()) for tensor in saved["network"].values())
    assert column(tmp_path / "run", "train/skipped") == [0, 0, 1, *[0] * 11]
    losses = column(tmp_path / "run", "train/loss")
    assert [step for step, loss in enumerate(losses, 1) if loss != loss] == [3]


def test_a_run_can_go_on_without_numbers_but_no_checkpoint_of_it_replaces_a_good_one(tmp_path: Path) -> None:
    poisoned(tmp_path / "run", "continue")
    assert len(rows(tmp_path / "run")) == 14
    assert not (tmp_path / "run" / "checkpoints" / "last.pt").exists()
    assert checkpoint(tmp_path / "run", "best")["step"] <= 2


def test_a_diverged_run_is_not_tried_again_until_that_is_asked_for(
    runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("optimizer=sgd", "optimizer.lr=1e20")
    with pytest.raises(Diverged):
        train_small(runs_dir, *words)
    (folder,) = runs_dir.glob("*/*")
    state = read_state(folder)
    assert (state["status"], state["reason"].startswith("training: the loss became")) == ("diverged", True)
    with pytest.raises(ValueError, match=r"diverged \(training: the loss .*\); change a setting, or add restart=true"):
        train_small(runs_dir, *words)
    with pytest.raises(Diverged):
        train_small(runs_dir, *words, "restart=true")
    assert f"restart: deletes {folder} (diverged at step " in capsys.readouterr().out


# ---- restart


def test_restart_says_what_it_deletes_and_trains_the_same_run_anew(
    runs_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once, folder = train_small(tmp_path / "once"), train_small(runs_dir)
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("of the old run")
    (folder / "checkpoints" / "mine.pt").write_text("of the old run")
    capsys.readouterr()
    assert train_small(runs_dir, "restart=true") == folder
    said = capsys.readouterr().out
    assert f"restart: deletes {folder} (finished at step 14, " in said
    assert "restart: keeps checkpoints/mine.pt, notes/mine.txt in it, which is not a part of the run" in said
    for name in ("checkpoints", "notes"):
        shutil.move(next((folder / name).glob("mine.*")), tmp_path)
    (folder / "notes").rmdir()
    assert_same_run(once, folder)
    launched = json.loads((folder / "provenance.json").read_bytes())
    assert len(launched) == 1
    assert "restart=" not in launched[0]["command"]
    train_small(runs_dir)
    assert "finished already" in capsys.readouterr().out


def test_restart_deletes_nothing_but_a_folder_of_this_run(runs_dir: Path) -> None:
    words = (*SMALL, f"system.runs_dir={runs_dir}")
    composed = compose(*words, "restart=true")
    folder = train_small(runs_dir)
    for content in ("", "notes: mine", "model: {name: another}", "- not a run"):
        (folder / "config.yaml").write_text(content)
        with pytest.raises(ValueError, match=r"does not hold this run|is damaged"):
            train_composed(composed)
    (folder / "config.yaml").unlink()
    with pytest.raises(ValueError, match="does not hold this run; look at it and remove it by hand"):
        discard(config_of(*words))
    assert (folder / "checkpoints" / "last.pt").exists()


def test_a_run_that_is_being_written_is_not_deleted(runs_dir: Path) -> None:
    long = "training.epochs=10000"
    with process_of(runs_dir, long) as process:
        while not list(runs_dir.glob("*/*/metrics.csv")):
            assert process.is_alive()
            time.sleep(0.01)
        with pytest.raises(ValueError, match=f"process {process.pid} on .* is writing this run"):
            train_small(runs_dir, long, "restart=true")
        assert process.is_alive()
