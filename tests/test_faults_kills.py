"""The fault table, F1 to F4: a run that is killed loses no more than the interval between checkpoints, and ends with
the bits of one that was left alone."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import EVERY_STEP, FETCHED, KILLED, SETTING, TORN, Project, assert_gone
from outcomes import differences, resumed_at, the_run

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no kill -9")
pytest_plugins = ["fault_fixtures"]

# The file events of a process that lead to its kill; see at_event/sitecustomize.py.
AT_EVENT = {
    "F2a kill -9 inside the write of a checkpoint": (
        "tear",
        [("rename", r"/last\.pt$", 20), ("write", r"last\.pt", 1)],
    ),
    "F2b kill -9 before a checkpoint is renamed": ("kill", [("rename", r"/last\.pt$", 20)]),
    "F2c kill -9 after a checkpoint was renamed": ("kill", [("rename", r"/last\.pt$", 20), ("any", "", 1)]),
    "F2d kill -9 while the checkpoint before is put aside": ("kill", [("any", r"/previous\.pt$", 20)]),
    "F2e kill -9 before the first checkpoint is whole": ("tear", [("write", r"last\.pt", 1)]),
    "F3b kill -9 before best.pt is renamed": ("kill", [("rename", r"/best\.pt$", 2)]),
    "F3c kill -9 between best.pt and the checkpoint": ("kill", [("rename", r"/best\.pt$", 3), ("any", r"last\.pt", 1)]),
    "F3d kill -9 between the last checkpoint and run.json": ("kill", [("rename", r"/run\.json$", 1)]),
}


@pytest.mark.parametrize("row", AT_EVENT)
def test_killed_at_an_event(row: str, project: Project, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    runs = f"system.runs_dir={tmp_path}"
    killed = project.run(*SETTING, EVERY_STEP, runs, fault=AT_EVENT[row])
    assert killed.status in (KILLED, TORN)
    begun = any((the_run(tmp_path) / "checkpoints" / name).exists() for name in ("last.pt", "previous.pt"))
    ended = project.run(*SETTING, EVERY_STEP, runs)
    assert (ended.status, ended.err, ended.warnings) == (0, "", [])
    assert differences(the_run(tmp_path), undisturbed(*SETTING)) == []
    assert len(resumed_at(the_run(tmp_path))) == begun
    assert [path.name for path in the_run(tmp_path).rglob("*") if re.search(r"\.part|\.\d+$", path.name)] == []


LONG_VALIDATION = (
    *(word for word in SETTING if not word.startswith("data.examples=")),
    *("data.examples=5000", "data.validation_fraction=0.9", "data.test_fraction=0.08", "data.in_memory=false"),
)
IN_THE_MIDDLE = {
    "F1a kill -9 before the first step": (SETTING, " an epoch, on cpu"),
    "F1b kill -9 after ten steps": (SETTING, "step 10/60"),
    "F1c kill -9 while loader workers fetch": (FETCHED, "step 20/60"),
    "F3a kill -9 during a validation": (LONG_VALIDATION, "step 20/60"),  # a report comes before the validation
}


@pytest.mark.parametrize("row", IN_THE_MIDDLE)
def test_killed_in_the_middle(row: str, project: Project, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    setting, line = IN_THE_MIDDLE[row]
    runs = f"system.runs_dir={tmp_path}"
    there = ("wait", [("said", line, 1)]) if setting != LONG_VALIDATION else None  # that one is to be on its way again
    with project.start(*setting, EVERY_STEP, runs, fault=there) as process:
        process.wait_held() if there else process.wait_for(line)
        workers = process.children()
        process.send(signal.SIGKILL)
        killed = process.ended()
    assert killed.status == KILLED
    assert_gone(workers)
    ended = project.run(*setting, EVERY_STEP, runs)
    assert (ended.status, ended.err, ended.warnings) == (0, "", [])
    assert differences(the_run(tmp_path), undisturbed(*setting)) == []
    done = [int(step) for step in re.findall(r"^step (\d+)/", killed.out, re.MULTILINE)]
    for step in resumed_at(the_run(tmp_path)):  # a step was saved before the next one was reported
        assert step >= done[-1] - 1


def test_f1d_killed_again_and_again(project: Project, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    """F1d kill -9 three times in a row, twice when the process is about to save for the first time."""
    runs = f"system.runs_dir={tmp_path}"
    for saves in (12, 1, 20):
        killed = project.run(*SETTING, EVERY_STEP, runs, fault=("kill", [("write", r"last\.pt", saves)]))
        assert killed.status == KILLED
    assert project.run(*SETTING, EVERY_STEP, runs).status == 0
    assert differences(the_run(tmp_path), undisturbed(*SETTING)) == []
    assert resumed_at(the_run(tmp_path)) == [11, 11, 30]


def test_f4_resumed_with_other_workers_and_another_cadence(
    project: Project, undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    """F4 other loader workers, other cadence of checkpoints and of log lines after the kill."""
    runs = f"system.runs_dir={tmp_path}"
    killed = project.run(*FETCHED, EVERY_STEP, runs, fault=("kill", [("rename", r"/last\.pt$", 25)]))
    assert killed.status == KILLED
    other = ("system.loader_workers=1", "system.checkpoint_minutes=0.001", "system.log_every_steps=7")
    words = [word for word in FETCHED if word.split("=")[0] not in {key.split("=")[0] for key in other}]
    assert project.run(*words, *other, runs).status == 0
    assert differences(the_run(tmp_path), undisturbed(*FETCHED)) == []
    assert resumed_at(the_run(tmp_path)) == [24]
