"""Status says what every member of a study is doing, and says it at once."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from modules.reporting.status import StatusConfig, status
from tests.run_folders import add_plan, add_run, add_unfinished

ROOT = Path(__file__).parents[1]


def show(study: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    status(StatusConfig(study.name, str(study.parent)))
    return capsys.readouterr().out.splitlines()


def test_every_member_has_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "depth"
    add_run(study, "net2", 0, 0.9512)
    running = add_unfinished(study, "running", "net5", 0, host="node7", job="4711")
    add_unfinished(study, "running", "net5", 1, heartbeat=0, host="node7")
    add_unfinished(study, "failed", "net5", 2, reason="ValueError: loss is nan")
    add_unfinished(study, "interrupted", "net5", 3)
    add_plan(
        study, {"name": running.name}, {"name": "net7-digits-s0-0123456789ab"}, {"name": "bad", "error": "no net9"}
    )
    lines = [" ".join(line.split()) for line in show(study, capsys)]
    assert lines[0] == "depth: 1 of 7 finished, 1 dead, 1 failed, 1 interrupted, 1 missing, 1 refused, 1 running"
    assert [line.split(" ", 2)[1:] for line in lines[1:4]] == [
        ["finished", "validation/accuracy 0.9512 at epoch 4, took 12 s"],
        ["missing"],
        ["running", "on node7 (job 4711), step 36 of 90, loss 0.4321, 2 min left"],
    ]
    assert lines[4].endswith("interrupted step 36 of 90")
    assert " dead step 36 of 90: no sign of life on node7 for " in lines[5]
    assert lines[6].endswith("failed step 36 of 90: ValueError: loss is nan")
    assert lines[7] == "bad refused no net9"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot ask for a process without harming it")
def test_run_whose_process_is_gone_is_dead_before_its_heartbeat_is_old(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    add_unfinished(tmp_path / "depth", "running", pid=gone.pid)
    assert f"its process {gone.pid} is gone" in show(tmp_path / "depth", capsys)[1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot ask for a process without harming it")
def test_run_whose_process_lives_is_running_however_long_it_is_silent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_unfinished(tmp_path / "depth", "running", heartbeat=time.time() - 600)
    assert "running  on " in show(tmp_path / "depth", capsys)[1]


def test_member_refused_once_and_planned_again_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_plan(tmp_path / "depth", {"name": "a", "error": "batch too large"})
    add_plan(tmp_path / "depth", {"name": "a"})
    assert show(tmp_path / "depth", capsys) == ["depth: 0 of 1 finished, 1 missing", "  a  missing"]


def test_run_that_was_killed_at_its_very_end_is_no_finished_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_unfinished(tmp_path / "depth", "finished")
    assert "interrupted  step 36 of 90: ended, but run.json is missing" in show(tmp_path / "depth", capsys)[1]


def test_run_without_state_has_not_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (add_unfinished(tmp_path / "depth", "running") / "state.json").unlink()
    assert show(tmp_path / "depth", capsys)[1].endswith("interrupted  stopped before its first step")


def test_unknown_study_is_answered_with_the_nearest(tmp_path: Path) -> None:
    add_run(tmp_path / "depth")
    with pytest.raises(ValueError, match=r"no study 'dept' in .*; did you mean 'depth'\? there are: depth"):
        status(StatusConfig("dept", str(tmp_path)))


def test_status_imports_nothing_slow() -> None:
    code = "import sys, modules.reporting.status; print({'torch', 'pandas', 'numpy', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
