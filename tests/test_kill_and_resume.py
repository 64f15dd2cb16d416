"""Killed runs of the generated project end with the bits of those that were left alone, and killed sweeps go on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Bake, succeed

KILLS = 30  # for each of:
PATHS = {"held": (), "fetched": ("data.in_memory=false", "training.schedule=cosine")}


@pytest.mark.skipif("sys.platform == 'win32'", reason="starts 100 processes, which takes minutes without fork")
@pytest.mark.parametrize("path", PATHS)
def test_a_run_killed_many_times_equals_an_uninterrupted_run(
    path: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(project)
    monkeypatch.syspath_prepend(project / "tests")
    from test_resume import assert_kills_change_nothing  # pyright: ignore[reportMissingImports]  (the project's own)

    assert_kills_change_nothing(tmp_path, KILLS, *PATHS[path])


@pytest.fixture(scope="module")
def project(bake: Bake) -> Path:
    return bake()


@pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no kill -9")
def test_a_sweep_survives_a_worker_that_is_killed_and_says_what_other_code_has_finished(
    project: Path, tmp_path: Path
) -> None:
    words = sweep_of("data.examples=20000", "seed=0,1,1", "training.epochs=60", f"system.runs_dir={tmp_path}")
    with subprocess.Popen(words, cwd=project, stdout=subprocess.PIPE, text=True) as sweep:
        os.kill(pid_of_a_running_member(tmp_path), signal.SIGKILL)
        said, _ = sweep.communicate()
    assert sweep.returncode == 0, said
    assert said.startswith("2 members: 0 finished already, 0 refused, 2 to run\n")  # a setting given twice is one run
    assert "a worker was killed, as by a lack of memory (1 of 3 times)" in said
    one, _ = tmp_path.glob("default/*/run.json")
    result = json.loads(one.read_bytes())
    result["launches"][-1]["code_id"] = "0" * 12
    one.write_text(json.dumps(result), encoding="utf-8")
    again = succeed(*words, cwd=project)
    assert "2 members: 2 finished already, 0 refused, 0 to run" in again
    assert "warning: 1 finished with other code than there is now" in again


@pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no kill -9")
def test_the_workers_of_a_killed_sweep_do_not_go_on(project: Path, tmp_path: Path) -> None:
    words = sweep_of("data.examples=20000", "seed=0,1,2", "training.epochs=60", f"system.runs_dir={tmp_path}")
    with subprocess.Popen(words, cwd=project, stdout=subprocess.DEVNULL) as sweep:
        member = pid_of_a_running_member(tmp_path)
        sweep.kill()
    for _ in range(100):
        if not Path(f"/proc/{member}").exists() or sys.platform != "linux":
            break
        time.sleep(0.1)
    else:
        raise AssertionError(f"process {member} went on")
    assert "3 to run" in succeed(*words, cwd=project)
    assert len(list(tmp_path.glob("default/*/run.json"))) == 3


def sweep_of(*overrides: str) -> list[str]:
    fixed = ["data=synthetic", "model=linear", "+launcher=joblib", "hydra.launcher.n_jobs=2"]
    return [sys.executable, "runs/train.py", "--multirun", *fixed, *overrides]


def pid_of_a_running_member(runs_dir: Path) -> int:
    for _ in range(1200):
        for state in runs_dir.glob("*/*/state.json"):
            return int(json.loads(state.read_bytes())["pid"])
        time.sleep(0.05)
    raise AssertionError("no member has started")
