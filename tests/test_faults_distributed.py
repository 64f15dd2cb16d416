"""The fault table on several processes (torchrun): one that dies ends all within seconds, and the same command goes on
with the bits of a run that was left alone."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals

import pytest
from faults import SETTING, Ended, Process, Project, assert_gone, met_by
from outcomes import differences, resumed_at, state, the_run

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="torchrun's gloo is tested on Linux and macOS")
pytest_plugins = ["fault_fixtures"]

BREAKS = """import os
from torch import Tensor
from modules.models.networks import Linear


class Breaks(Linear):
    calls = 0

    def forward(self, input: Tensor) -> Tensor:
        self.calls += 1
        if os.environ["RANK"] == "1" and self.calls == 20:
            raise RuntimeError("planted in process 1")
        return super().forward(input)
"""


@contextmanager
def torchrun(project: Project, folder: Path, processes: int, *words: str, met: str = "") -> Iterator[Process]:
    """`torchrun --nproc-per-node=<processes> runs/train.py <words>`, on a free port. `met`: what process 0, which alone
    writes the log, does after its 20th step."""
    folder.mkdir()
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    fault = met_by(folder, met, [("said", "step 20/60", 1)], process=r"^runs/train\.py") if met else {}
    process = Process([*run, "runs/train.py", *words], project.root, folder, os.environ | fault)
    try:
        yield process
    finally:
        process.end()


def finish(project: Project, folder: Path, processes: int, *words: str) -> Ended:
    with torchrun(project, folder, processes, *words) as process:
        return process.ended()


@pytest.fixture(scope="module")
def alone(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run on three processes that nothing has happened to."""
    folder = tmp_path_factory.mktemp("three")
    ended = finish(project, folder / "process", 3, *SETTING, f"system.runs_dir={folder / 'runs'}")
    assert ended.status == 0, ended
    return the_run(folder / "runs")


STOPPED = {
    "F1g torchrun is killed": (SIGKILL, 137),
    "F5g SIGTERM to torchrun": (SIGTERM, 1),
    "F6g Ctrl-C of torchrun": (SIGINT, 1),
}


@pytest.mark.parametrize("row", STOPPED)
def test_a_stopped_run_of_three_processes_goes_on(row: str, project: Project, alone: Path, tmp_path: Path) -> None:
    number, status = STOPPED[row]
    words = (*SETTING, f"system.runs_dir={tmp_path / 'runs'}", "system.checkpoint_minutes=0.001")
    with torchrun(project, tmp_path / "first", 3, *words, met="wait") as process:
        process.wait_held()
        children = process.children()
        process.send(Signals(number))
        stopped = process.ended()
        assert stopped.status == status, stopped
        assert_gone(children)
    folder = the_run(tmp_path / "runs")
    if number != SIGKILL:
        assert (state(folder)["status"], state(folder)["reason"]) == ("interrupted", Signals(number).name)
        assert "the same command resumes this run" in stopped.out
    again = finish(project, tmp_path / "again", 3, *words)
    assert again.status == 0, again
    assert resumed_at(folder)
    assert differences(folder, alone) == []


def test_a_process_that_is_killed_ends_all_within_seconds(project: Project, alone: Path, tmp_path: Path) -> None:
    words = (*SETTING, f"system.runs_dir={tmp_path / 'runs'}", "system.checkpoint_minutes=0")
    with torchrun(project, tmp_path / "first", 3, *words, met="hold") as process:
        process.wait_held()
        children = process.children()
        os.kill(children[2], SIGKILL)
        process.let_go()
        assert process.ended().status == 1
        assert_gone(children)
    folder = the_run(tmp_path / "runs")
    assert state(folder)["status"] == "failed"
    assert "another process of this run ended" in state(folder)["reason"]
    assert finish(project, tmp_path / "again", 3, *words).status == 0
    assert differences(folder, alone) == []


def test_the_traceback_of_a_process_that_raises_is_shown_and_kept(project: Project, tmp_path: Path) -> None:
    (project.root / "modules" / "models" / "breaks.py").write_text(BREAKS)
    model = (project.root / "config" / "model" / "linear.yaml").read_text().replace("networks.Linear", "breaks.Breaks")
    (project.root / "config" / "model" / "breaks.yaml").write_text(model)
    try:
        words = ("data=synthetic", "model=breaks", "training.epochs=50", f"system.runs_dir={tmp_path / 'runs'}")
        ended = finish(project, tmp_path / "process", 2, *words)
    finally:
        (project.root / "modules" / "models" / "breaks.py").unlink()
        (project.root / "config" / "model" / "breaks.yaml").unlink()
    assert ended.status == 1
    assert 'breaks.py", line 12, in forward' in ended.err
    assert "planted in process 1" in (the_run(tmp_path / "runs") / "train-rank1.log").read_text(encoding="utf-8")


def test_a_mistake_on_several_processes_is_told_before_anything_is_written(project: Project, tmp_path: Path) -> None:
    ended = finish(project, tmp_path / "process", 2, *SETTING, f"system.runs_dir={tmp_path / 'runs'}", "model.typo=1")
    assert ended.status == 1
    assert not (tmp_path / "runs").exists()
    told = {line.split(" model.typo")[0] for line in ended.err.splitlines() if "model.typo" in line}
    assert told
    assert told <= {"error:", "process 1: error:"}  # torchrun may end the second one before it has spoken
    sweep = finish(project, tmp_path / "sweep", 2, "--multirun", "seed=0,1", f"system.runs_dir={tmp_path / 'runs'}")
    assert "error: --multirun: torchrun starts one run on several processes" in sweep.err
