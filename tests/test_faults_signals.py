"""The fault table, F5, F6, F8, F17: a run that is asked to stop saves, says so and leaves with the signal's status;
the same command goes on, and ends with the bits of a run that was left alone."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SIGUSR2

import pytest
from faults import EVERY_STEP, FETCHED, SETTING, Ended, Project, assert_gone
from outcomes import differences, resumed_at, state, the_run

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no such signals")
pytest_plugins = ["fault_fixtures"]


# Who gets which signal; only the process that was started, or everyone in its session as from a terminal.
ASKED_TO_STOP = {
    "F5a SIGTERM": (SETTING, SIGTERM, False, 143),
    "F5b SIGTERM to the loader workers too": (FETCHED, SIGTERM, True, 143),
    "F5f SIGHUP, as when an ssh session ends": (SETTING, SIGHUP, False, 129),
    "F5g SIGHUP to the loader workers too": (FETCHED, SIGHUP, True, 129),
    "F6a Ctrl-C": (SETTING, SIGINT, False, 130),
    "F6b Ctrl-C in a terminal, loader workers too": (FETCHED, SIGINT, True, 130),
    "F8a SIGUSR1": (SETTING, SIGUSR1, False, 138),
    "F8b SIGUSR2 to the loader workers too": (FETCHED, SIGUSR2, True, 140),
}


@pytest.mark.parametrize("row", ASKED_TO_STOP)
def test_asked_to_stop(row: str, project: Project, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    setting, number, everywhere, status = ASKED_TO_STOP[row]
    words = (*setting, f"system.runs_dir={tmp_path}")
    with project.start(*words, fault=("wait", [("said", "step 20/", 1)])) as process:
        process.wait_held()
        children = process.children()
        process.send(number, everywhere)
        stopped = process.ended()
    assert stopped.status == status
    assert_says_how_to_go_on(stopped, number, the_run(tmp_path))
    assert_gone(children)
    step = state(the_run(tmp_path))["step"]
    assert 20 <= step < 60
    ended = project.run(*words)
    assert (ended.status, ended.err, ended.warnings) == (0, "", [])
    assert resumed_at(the_run(tmp_path)) == [step]
    assert differences(the_run(tmp_path), undisturbed(*setting)) == []


AT_A_BAD_MOMENT = {
    "F5c SIGTERM before training begins": (SIGTERM, ("rename", r"/config\.yaml$", 1), 143),
    "F5d SIGTERM inside the write of a checkpoint": (SIGTERM, ("rename", r"/last\.pt$", 20), 143),
    "F5e SIGTERM while the result is written": (SIGTERM, ("rename", r"/run\.json$", 1), 143),
    "F6c Ctrl-C inside the write of a checkpoint": (SIGINT, ("rename", r"/last\.pt$", 20), 130),
}


@pytest.mark.parametrize("row", AT_A_BAD_MOMENT)
def test_asked_to_stop_at_a_bad_moment(
    row: str, project: Project, undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    number, event, status = AT_A_BAD_MOMENT[row]
    words = (*SETTING, EVERY_STEP, f"system.runs_dir={tmp_path}")
    with project.start(*words, fault=("hold", [event])) as process:
        process.wait_held()
        process.send(number)
        process.let_go()
        stopped = process.ended()
    finished = (the_run(tmp_path) / "run.json").exists()
    assert stopped.status == status or (finished and stopped.status == 0)
    assert stopped.err == ""
    ended = project.run(*words)
    assert (ended.status, ended.err, ended.warnings) == (0, "", [])
    assert differences(the_run(tmp_path), undisturbed(*SETTING)) == []


# By the file that it is reading then.
STARTING = {
    "F6e Ctrl-C while libraries are imported": r"omegaconf/.*dictconfig\.",
    "F6f Ctrl-C while its own modules are imported": r"labkit/runs/.*identity\.",
    "F6g Ctrl-C while the configuration is composed": r"config/model/net_bn\.yaml$",
    "F6h Ctrl-C while torch is imported": r"torch/optim/.*adamw\.",
}


@pytest.mark.parametrize("row", STARTING)
def test_ctrl_c_while_it_starts(row: str, project: Project, tmp_path: Path) -> None:
    words = (*SETTING, f"system.runs_dir={tmp_path}")
    with project.start(*words, fault=("hold", [("read", STARTING[row], 1)]), fresh=True) as process:
        process.wait_held()
        process.send(SIGINT)
        stopped = process.ended()
    assert stopped.status == 130
    assert "Traceback" not in stopped.err, stopped.err
    assert list(tmp_path.iterdir()) == []


def test_f6d_a_second_ctrl_c_leaves_at_once(project: Project, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    """F6d the second Ctrl-C comes while the first one waits for a disk that does not answer."""
    words = (*SETTING, EVERY_STEP, f"system.runs_dir={tmp_path}")
    with project.start(*words, fault=("hold", [("rename", r"/last\.pt$", 20)])) as process:
        process.wait_held()
        process.send(SIGINT)
        time.sleep(0.2)
        process.send(SIGINT)
        stopped = process.ended()
    assert (stopped.status, stopped.err) == (130, "")
    assert state(the_run(tmp_path))["status"] == "interrupted"
    ended = project.run(*words)
    assert (ended.status, ended.err, ended.warnings) == (0, "", [])
    assert resumed_at(the_run(tmp_path)) == [19]
    assert differences(the_run(tmp_path), undisturbed(*SETTING)) == []


def test_f17_a_loader_worker_is_killed(project: Project, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    """F17 a loader worker killed, as by a lack of memory: failed with the reason."""
    words = (*FETCHED, EVERY_STEP, f"system.runs_dir={tmp_path}")
    with project.start(*words, fault=("hold", [("rename", r"/last\.pt$", 20)])) as process:
        process.wait_held()
        workers = process.children()
        os.kill(workers[0], SIGKILL)
        process.let_go()
        failed = process.ended()
    assert "worker" in failed.sentence
    assert state(the_run(tmp_path))["status"] == "failed"
    assert "worker" in state(the_run(tmp_path))["reason"]
    assert_gone(workers)
    ended = project.run(*words)
    assert (ended.status, ended.err, ended.warnings) == (0, "", [])
    assert differences(the_run(tmp_path), undisturbed(*FETCHED)) == []


def assert_says_how_to_go_on(stopped: Ended, number: signal.Signals, folder: Path) -> None:
    assert stopped.err == ""
    step = state(folder)["step"]
    assert f"interrupted by {number.name} at step {step}; the same command resumes this run\n" in stopped.out
    assert state(folder)["status"] == "interrupted"
    assert number.name in state(folder)["reason"]
    assert not (folder / "run.json").exists()
