"""A run can be killed at any moment: the same command goes on, and ends with the same bits."""

import itertools
import json
import random
import shutil
import socket
import time
import zipfile
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from small_runs import DIGITS, SMALL, checkpoint, forking, process_of, same_bits, train_small

# Everything that a checkpoint has to carry: momentum, dropout, augmentation, batch statistics, averaged weights, a
# falling learning rate; evaluations that are no whole number of epochs.
EVERYTHING = (
    *("model=net_bn", "model.dropout=0.3", "data.max_shift=1", "training.ema_decay=0.9", "training.clip_norm=0.5"),
    *("training.schedule=plateau", "training.plateau_patience=2", "training.accumulation=2", "training.batch_size=4"),
    *("training.epochs=null", "training.steps=60", "training.warmup_steps=3"),
    *("training.evaluate_every_epochs=null", "training.evaluate_every_steps=4", "system.log_every_steps=10"),
)


@pytest.fixture(scope="module")
def often_saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; not to be changed."""
    return train_small(tmp_path_factory.mktemp("often_saved"), "system.checkpoint_minutes=0")


def uninterrupted(runs_dir: Path, *overrides: str) -> tuple[Path, float]:
    """The run's folder, and the seconds it took from the start of its process."""
    forking()
    started = time.monotonic()
    with process_of(runs_dir, *EVERYTHING, *overrides) as process:
        process.join()
    assert process.exitcode == 0
    (folder,) = runs_dir.glob("default/*")
    return folder, time.monotonic() - started


def killed_and_resumed(runs_dir: Path, chance: random.Random, longest_s: float, *overrides: str) -> tuple[Path, int]:
    """Starts the run and kills it after a random time, until it ends by itself; returns its folder and how often it
    was killed."""
    kills = 0
    while True:
        cadence = f"system.checkpoint_minutes={chance.choice((0, 0.0005, 0.002))}"
        with process_of(runs_dir, *EVERYTHING, *overrides, cadence) as process:
            process.join(timeout=chance.uniform(0, longest_s))
        if process.exitcode == 0:
            (folder,) = runs_dir.glob("default/*")
            return folder, kills
        assert process.exitcode != 1, f"{runs_dir}: failed after {kills} kills"
        kills += 1
        longest_s *= 1.1  # so that this ends on a machine that has become slow meanwhile


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, everything else in the checkpoints but the seconds spent, rows, and results."""
    for name in ("last", "best"):
        saved, again = checkpoint(one, name), checkpoint(other, name)
        assert saved.keys() == again.keys()
        assert [key for key in saved if key != "costs" and not same_bits(saved[key], again[key])] == []
    assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
    results = [json.loads((folder / "run.json").read_bytes()) for folder in (one, other)]
    for key in ("run_id", "best", "last", "confusion_matrix", "stopped_early", "data"):
        assert repr(results[0][key]) == repr(results[1][key])


def assert_kills_change_nothing(tmp_path: Path, at_least: int, *overrides: str) -> None:
    """Runs one setting again and again, killed and resumed, until it was killed often enough."""
    folder, _ = uninterrupted(tmp_path / "once", *overrides)
    same, seconds = uninterrupted(tmp_path / "twice", *overrides)
    assert_same_run(folder, same)
    chance, kills, resumed = random.Random(0), 0, 0
    for number in itertools.count():
        if kills >= at_least and resumed:
            break
        killed, more = killed_and_resumed(tmp_path / str(number), chance, seconds, *overrides)
        assert_same_run(folder, killed)
        resumed += (killed / "train.log").read_text(encoding="utf-8").count("resumed at step")
        kills += more
        seconds *= 1 if more else 0.5  # they were those of a busy moment


def test_a_run_killed_at_random_moments_equals_an_uninterrupted_run(tmp_path: Path) -> None:
    assert_kills_change_nothing(tmp_path, 3)


def test_resuming_with_other_workers_and_another_cadence_changes_no_bit(tmp_path: Path) -> None:
    from_disk = (*EVERYTHING, "data.in_memory=false", "training.steps=20")
    folder = train_small(tmp_path / "once", *from_disk)
    other = ("system.checkpoint_minutes=0", "system.loader_workers=2")
    with process_of(tmp_path / "runs", *from_disk, *other, held=True) as process:
        wait_for_checkpoint(tmp_path / "runs", process)
    resumed = train_small(tmp_path / "runs", *from_disk)
    assert "resumed at step" in (resumed / "train.log").read_text(encoding="utf-8")
    assert_same_run(folder, resumed)


def test_a_finished_run_is_left_alone(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = train_small(runs_dir)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert train_small(runs_dir) == folder
    assert {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()
    } == before
    assert capsys.readouterr().out == f"{folder}: finished already; nothing to do\n"


def test_a_result_that_was_torn_is_written_again(runs_dir: Path) -> None:
    folder = train_small(runs_dir)
    weights = (folder / "checkpoints" / "best.pt").read_bytes()
    (folder / "run.json").write_text('{"format": 1, "ru', encoding="utf-8")
    train_small(runs_dir)
    assert json.loads((folder / "run.json").read_bytes())["status"] == "finished"
    assert (folder / "checkpoints" / "best.pt").read_bytes() == weights


def test_a_run_on_other_data_is_not_passed_off_as_this_one(runs_dir: Path, tmp_path: Path, datasets: Path) -> None:
    train_small(runs_dir, f"system.datasets_dir={datasets}", base=DIGITS)
    other = tmp_path / "datasets"
    shutil.copytree(datasets, other)
    about = (other / "digits" / "dataset.json").read_text(encoding="utf-8")
    (other / "digits" / "dataset.json").write_text(about.replace('"fingerprint": "', '"fingerprint": "0'))
    with pytest.raises(ValueError, match=r"finished on other data .* add restart=true"):
        train_small(runs_dir, f"system.datasets_dir={other}", base=DIGITS)


def test_weights_that_are_not_finite_do_not_replace_a_good_checkpoint(runs_dir: Path) -> None:
    with pytest.raises(ValueError, match=r"training: the (weights|loss)"):
        train_small(runs_dir, "optimizer=sgd", "optimizer.lr=1e20", "system.checkpoint_minutes=0", base=SMALL[:-2])
    (last,) = runs_dir.glob("*/*/checkpoints/last.pt")
    saved = torch.load(last, weights_only=True)
    assert all(bool(tensor.isfinite().all()) for tensor in saved["network"].values())


def unfinished(runs_dir: Path) -> Path:
    """A run that has its last checkpoint but not its result."""
    folder = train_small(runs_dir)
    (folder / "run.json").unlink()
    return folder


def test_a_folder_that_holds_another_configuration_is_refused_naming_the_keys(runs_dir: Path) -> None:
    folder = unfinished(runs_dir)
    config = yaml.safe_load((folder / "config.yaml").read_bytes())
    config["optimizer"]["lr"] *= 2
    config["model"]["channels"] += 1
    config["system"]["log_every_steps"] += 1
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with pytest.raises(ValueError, match=r"holds a run with another model\.channels, optimizer\.lr; remove or rename"):
        train_small(runs_dir)


def test_a_row_that_was_torn_by_a_kill_is_cut_off(runs_dir: Path) -> None:
    folder = unfinished(runs_dir)
    whole = (folder / "metrics.csv").read_bytes()
    (folder / "metrics.csv").write_bytes(whole + b"21,3.0,0.0")
    train_small(runs_dir)
    assert (folder / "metrics.csv").read_bytes() == whole


def log_of(folder: Path) -> str:
    return (folder / "train.log").read_text(encoding="utf-8")


def damage(path: Path, kind: str) -> None:
    """Leaves a file as a full disk, a power cut or a bad sector would."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = archive.read(max(archive.infolist(), key=lambda part: part.file_size))
    if kind == "flipped":
        content[content.index(largest)] ^= 1
    elif kind == "zeroed":
        content = content.replace(largest, bytes(len(largest)))
    elif kind == "a tensor made a folder":
        content[content.rindex(b"PK\x01\x02", 0, content.rindex(b"PK\x01\x02")) + 38] |= 16
    path.write_bytes({"cut": content[:-100], "emptied": b"", "text": b"no checkpoint"}.get(kind, bytes(content)))


@pytest.mark.parametrize("kind", ["flipped", "zeroed", "cut", "emptied", "text", "a tensor made a folder", "foreign"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(often_saved: Path, runs_dir: Path, kind: str) -> None:
    shutil.copytree(often_saved, folder := runs_dir / "default" / often_saved.name)
    (folder / "run.json").unlink()
    last = folder / "checkpoints" / "last.pt"
    if kind == "foreign":
        torch.save(checkpoint(folder) | {"run_id": "0" * 12}, last)
    else:
        damage(last, kind)
    assert train_small(runs_dir) == folder
    assert_same_run(often_saved, folder)
    assert f"warning: {last}: " in log_of(folder)
    assert "the run uses the one before" in log_of(folder)
    assert "resumed at step 13/14" in log_of(folder)


@pytest.mark.parametrize("lost", ["checkpoints", "best", "rows"])
def test_where_no_checkpoint_can_be_used_the_run_begins_again_and_says_so(
    often_saved: Path, runs_dir: Path, lost: str
) -> None:
    folder = unfinished(runs_dir)
    for name in {"checkpoints": ["last", "best"], "best": ["best"]}.get(lost, []):
        damage(folder / "checkpoints" / f"{name}.pt", "flipped")
    if lost == "rows":
        (folder / "metrics.csv").write_bytes((folder / "metrics.csv").read_bytes()[:-1])
    train_small(runs_dir)
    assert "the run starts again from step 0" in log_of(folder)
    assert_same_run(often_saved, folder)


def test_a_checkpoint_of_another_version_is_refused(runs_dir: Path) -> None:
    folder = unfinished(runs_dir)
    torch.save(checkpoint(folder) | {"format": 0}, folder / "checkpoints" / "last.pt")
    with pytest.raises(ValueError, match=r"last\.pt: not a checkpoint of this version"):
        train_small(runs_dir)


def test_a_second_process_on_a_live_run_is_refused_and_a_dead_one_is_taken_over(runs_dir: Path) -> None:
    slow = ("data.in_memory=false", "training.epochs=10000", "system.checkpoint_minutes=0")
    with process_of(runs_dir, *slow) as process:
        folder = wait_for_checkpoint(runs_dir, process)
        holder = f"process {process.pid} on {socket.gethostname()}"
        with pytest.raises(ValueError, match=f"{holder} is writing this run; wait for it or stop it"):
            train_small(runs_dir, *slow)
        assert process.is_alive()
        assert read_state(folder)["pid"] == process.pid
    assert read_state(folder)["status"] == "running"  # killed: it could not say so
    with process_of(runs_dir, *slow) as other:
        while read_state(folder)["pid"] != other.pid:
            assert other.is_alive()
            time.sleep(0.01)


def wait_for_checkpoint(runs_dir: Path, process: BaseProcess) -> Path:
    """The folder of the run, once there is something to go on from."""
    while not (checkpoints := list(runs_dir.glob("default/*/checkpoints/last.pt"))):
        assert process.is_alive()
        time.sleep(0.001)
    return checkpoints[0].parents[1]


def read_state(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "state.json").read_bytes())
