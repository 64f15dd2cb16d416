"""The fault table, F13 and F14: disks that are full or read-only, files in the way. One sentence, nothing that was
there is harmed, and with room made the run ends with the bits of one that was left alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import EVERY_STEP, SETTING, Disk, Project
from outcomes import differences, resumed_at, the_run

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has other limits and other file systems")
pytest_plugins = ["fault_fixtures"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path, size="1m")
    yield disk
    disk.close()


FULL = {
    "F13a disk full at a checkpoint": [("write", r"last\.pt", 20)],
    "F13b disk full at a metrics row": [("write", r"metrics\.csv$", 1), ("rename", r"/state\.json$", 1)],
    "F13c disk full at best.pt": [("write", r"best\.pt", 2)],
    "F13d disk full at the result": [("write", r"run\.json", 1)],
    "F14a disk full at the start": [("write", r"config\.yaml", 1)],
}


@pytest.mark.parametrize("row", FULL)
def test_full_disk(row: str, project: Project, undisturbed: Callable[..., Path], disk: Disk) -> None:
    words = (*SETTING, EVERY_STEP, f"system.runs_dir={disk.path}")
    with project.start(*words, fault=("hold", FULL[row])) as process:
        process.wait_held()
        before = whole_files(the_run(disk.path))
        disk.fill()
        process.let_go()
        failed = process.ended()
    assert "No space left on device" in failed.sentence
    assert str(the_run(disk.path)) in failed.sentence
    assert {name: content for name, content in whole_files(the_run(disk.path)).items() if name in before} == before
    disk.free()
    ended = project.run(*words)
    assert (ended.status, ended.err, ended.warnings) == (0, "", [])
    assert differences(the_run(disk.path), undisturbed(*SETTING)) == []


def whole_files(folder: Path) -> dict[str, bytes]:
    """What is written beside and renamed, but for the state, which changes all the time."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".pt", ".yaml", ".npz")}


def test_f13e_a_limit_of_file_sizes(project: Project, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    """F13e no file may grow beyond 16 KiB, as under `ulimit -f` or a quota."""
    words = (*SETTING, EVERY_STEP, f"system.runs_dir={tmp_path}")
    failed = project.run(*words, fault=("limit", [("write", r"last\.pt", 20)]))
    assert "File too large" in failed.sentence
    assert str(the_run(tmp_path) / "checkpoints" / "last.pt") in failed.sentence
    ended = project.run(*words)
    assert (ended.status, ended.err, ended.warnings) == (0, "", [])
    assert resumed_at(the_run(tmp_path)) == [19]
    assert differences(the_run(tmp_path), undisturbed(*SETTING)) == []


def test_f14b_a_read_only_disk(project: Project, disk: Disk) -> None:
    """F14b a file system that cannot be written."""
    disk.make_read_only()
    refused = project.run(*SETTING, f"system.runs_dir={disk.path / 'runs'}")
    assert "Read-only file system" in refused.sentence
    assert str(disk.path) in refused.sentence
    assert "train/loss" not in refused.out


IN_THE_WAY = {
    "F14c a file in the way of the run's folder": "runs/default/NAME",
    "F14d a file in the way of the study's folder": "runs/default",
    "F14e a file in the way of the runs folder": "runs",
    "F14f a file in the way of the checkpoints": "runs/default/NAME/checkpoints",
}


@pytest.mark.parametrize("row", IN_THE_WAY)
def test_in_the_way(row: str, project: Project, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    file = tmp_path / IN_THE_WAY[row].replace("NAME", undisturbed(*SETTING).name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine", encoding="utf-8")
    refused = project.run(*SETTING, f"system.runs_dir={tmp_path / 'runs'}")
    assert str(file) in refused.sentence
    assert "train/loss" not in refused.out
    assert file.read_text(encoding="utf-8") == "mine"
