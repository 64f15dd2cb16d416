"""The fault table, F15 and F16: a run that another process is writing, here or elsewhere, alive or dead; and reading it
meanwhile."""

import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from faults import EVERY_STEP, KILLED, SETTING, Process, Project
from outcomes import differences, resumed_at, state, the_run

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no kill -9")
pytest_plugins = ["fault_fixtures"]
HOURS = 3600
AT_STEP_20 = ("hold", [("rename", r"/last\.pt$", 20)])


WORDS = (*SETTING, EVERY_STEP)
GONE = {
    "F16a holder killed on another machine": None,
    "F16b holder gone, lock file empty": b"",
    "F16c holder gone, lock file of noise": b"\x00\xff" * 300,
}


class Taken(NamedTuple):
    """The same command again, for a run whose holder is gone."""

    process: Process
    runs_dir: Path
    started: float


@pytest.fixture(scope="module")
def taken(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Taken]]:
    """All of them begin together: each may have to wait for a lease of 30 s."""
    folders = {row: tmp_path_factory.mktemp("taken") for row in GONE}
    for row, lock in GONE.items():
        how = {"host": "elsewhere" if lock is None else None, "fault": ("kill", [("write", r"last\.pt", 20)])}
        assert project.run(*WORDS, f"system.runs_dir={folders[row]}", **how).status == KILLED
        if lock is not None:
            (the_run(folders[row]) / ".lock").write_bytes(lock)
    with ExitStack() as stack:
        yield {
            row: Taken(stack.enter_context(project.start(*WORDS, f"system.runs_dir={runs_dir}")), runs_dir, time.time())
            for row, runs_dir in folders.items()
        }


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def live(project: Project, runs_dir: Path) -> Iterator[Process]:
    """A run that is alive, and waits in the middle of it."""
    with project.start(*SETTING, EVERY_STEP, f"system.runs_dir={runs_dir}", fault=AT_STEP_20) as process:
        process.wait_held()
        yield process


# Under which name of its machine, and with a clock that is so much off, the second process starts.
SECOND = {
    "F15a second process": (None, 0),
    "F15b second process whose clock is a day ahead": (None, 24 * HOURS),
    "F15c second process on another machine": ("elsewhere", 0),
    "F15d second process on another machine, clock six hours behind": ("elsewhere", -6 * HOURS),
    "F15e second process on another machine, clock six hours ahead": ("elsewhere", 6 * HOURS),
}


@pytest.mark.usefixtures("taken")  # so that they wait meanwhile
@pytest.mark.parametrize("row", SECOND)
def test_second_process(row: str, project: Project, live: Process, runs_dir: Path) -> None:
    host, clock_off_s = SECOND[row]
    before = (the_run(runs_dir) / "train.log").read_bytes()
    refused = project.run(*SETTING, f"system.runs_dir={runs_dir}", host=host, clock_off_s=clock_off_s)
    holder = f"process {live.pid} on {socket.gethostname()}"
    assert refused.sentence == f"{the_run(runs_dir)}: {holder} is writing this run; wait for it or stop it"
    assert (the_run(runs_dir) / "train.log").read_bytes() == before
    assert state(the_run(runs_dir))["pid"] == live.pid


def test_f15f_restart_of_a_live_run(project: Project, live: Process, runs_dir: Path) -> None:
    """F15f restart=true while another process trains: refused, nothing deleted."""
    before = sorted(the_run(runs_dir).rglob("*.pt"))
    refused = project.run(*SETTING, f"system.runs_dir={runs_dir}", "restart=true")
    assert f"process {live.pid} on {socket.gethostname()} is writing this run" in refused.sentence
    assert sorted(the_run(runs_dir).rglob("*.pt")) == before


def test_f26i_status_of_a_live_run(project: Project, live: Process, runs_dir: Path) -> None:
    """F26i status.py while it trains."""
    told = project.run(f"runs_dir={runs_dir}", script="status")
    assert (told.status, told.err) == (0, "")
    assert "0 of 1 finished, 1 running" in told.out
    assert f"on {socket.gethostname()}" in told.out


def test_f26j_report_of_a_live_run(
    project: Project, live: Process, undisturbed: Callable[..., Path], runs_dir: Path, tmp_path: Path
) -> None:
    """F26j report.py while one of two runs trains: on the other one, and says so."""
    finished = undisturbed(*SETTING, "seed=1")
    shutil.copytree(finished, runs_dir / "default" / finished.name)
    told = project.run(f"runs_dir={runs_dir}", f"reports_dir={tmp_path}", script="report")
    shutil.rmtree(runs_dir / "default" / finished.name)
    assert (told.status, told.err) == (0, "")
    assert "1 finished, 1 running" in told.out


def test_f15g_the_first_process_is_unharmed(
    project: Project, live: Process, undisturbed: Callable[..., Path], runs_dir: Path
) -> None:
    """F15g after all of these, the first process ends as if it had been alone."""
    live.let_go()
    ended = live.ended()
    assert (ended.status, ended.err, ended.warnings) == (0, "", [])
    assert differences(the_run(runs_dir), undisturbed(*SETTING)) == []


@pytest.mark.parametrize("row", GONE)
def test_holder_gone(row: str, project: Project, undisturbed: Callable[..., Path], taken: dict[str, Taken]) -> None:
    """Taken over by itself: at once where nobody holds it, after a lease where nobody can tell."""
    process, runs_dir, started = taken[row]
    ended = process.ended()
    assert (ended.status, ended.err, ended.warnings) == (0, "", [])
    folder = the_run(runs_dir)
    assert resumed_at(folder) == [19]
    assert differences(folder, undisturbed(*SETTING)) == []
    (resumed,) = re.findall(r"^([-\d]+ [:\d]+),\d+ resumed at", (folder / "train.log").read_text("utf-8"), re.MULTILINE)
    waited_s = time.mktime(time.strptime(resumed, "%Y-%m-%d %H:%M:%S")) - started
    assert waited_s < 90  # one lease of 30 s; the rest is for a busy machine to start on
    if GONE[row] is None:
        assert waited_s > 25
