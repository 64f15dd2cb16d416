"""make push, make pull and make sync-check, with a real rclone and a remote over SFTP."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from baking import Bake, command, files, share_environment, succeed
from rclone_remote import need_rclone, served
from run_folders import add_run, add_unfinished


@pytest.fixture(scope="module")
def baked(bake: Bake) -> Path:
    need_rclone()
    project = bake()
    share_environment(project)
    return project


@pytest.fixture
def project(baked: Path) -> Iterator[Path]:
    """A generated project with a data set, a finished run with weights, a report, and what belongs to this machine."""
    data = baked / "data"
    run = add_run(data / "runs" / "depth", "net2", 0, 0.9)
    for name in ("datasets/digits/a.npy", "reports/depth/report.pdf", "checks/picture.png"):
        (data / name).parent.mkdir(parents=True)
        (data / name).write_bytes(name.encode())
    stays = ["runs/.slurm/1_0_log.out", "runs/depth/.mlflow/mlflow.db", "reports/.report-x/report.pdf"]
    for path in [run / "checkpoints/best.pt", run / ".lock", run / ".x.part", *(data / name for name in stays)]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0" * 1000)
    yield baked
    for folder in ("runs", "reports", "datasets", "checks"):
        shutil.rmtree(data / folder, ignore_errors=True)


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that rclone knows as remote:"""
    (tmp_path / "remote").mkdir()
    with served(tmp_path / "remote", "remote", tmp_path, monkeypatch):
        yield tmp_path / "remote"


def make(project: Path, *words: str) -> str:
    return succeed("make", *words, "remote=remote:study", cwd=project)


def test_what_was_sent_can_be_brought_elsewhere_and_reported_there(project: Path, remote: Path, tmp_path: Path) -> None:
    said = command("make", "push", "remote=remote:study", cwd=project)
    assert said.returncode == 0
    assert "metrics.csv: Skipped copy as --dry-run is set" in said.stderr
    assert said.stdout.endswith("nothing was copied; copy=true copies it\n")
    assert files(remote) == set()
    assert make(project, "push", "copy=true").endswith("files the same\n")
    sent = files(remote)
    (run,) = (project / "data/runs/depth").glob("net2*")
    assert {"study/datasets/digits/a.npy", "study/reports/depth/report.pdf"} <= sent
    assert f"study/runs/depth/{run.name}/checkpoints/best.pt" in sent
    assert not [name for name in sent if name.endswith((".lock", ".part", ".out", ".db", ".png")) or "-x/" in name]
    make(project, "sync-check")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(project, elsewhere, symlinks=True, ignore=lambda folder, names: {"data"} & set(names))
    make(elsewhere, "pull", "copy=true")
    assert files(elsewhere / "data") == {name.removeprefix("study/") for name in sent}
    assert "report.pdf: 1 finished" in succeed(sys.executable, "runs/report.py", "study=depth", cwd=elsewhere)


def test_a_run_that_is_further_there_is_left_alone(project: Path, remote: Path) -> None:
    there = remote / "study" / "runs" / "depth"
    add_unfinished(project / "data/runs/depth", "interrupted", "net2", 1)
    add_unfinished(there, "interrupted", "net2", 2)
    further, behind = (
        add_run(place, "net2", seed, 0.9) for place, seed in ((there, 1), (project / "data/runs/depth", 2))
    )
    result = (further / "run.json").read_bytes()
    said = make(project, "push", "copy=true")
    assert f"left alone: depth/{further.name}, which is further at remote:study/runs" in said
    assert (further / "run.json").read_bytes() == result
    assert (there / behind.name / "run.json").exists()
    differs = command("make", "sync-check", "remote=remote:study", cwd=project)
    assert differs.returncode
    assert f"only there: runs/depth/{further.name}/run.json" in differs.stdout
    assert "error: remote:study: is not the same as here, see above" in differs.stderr


def test_a_file_that_was_killed_halfway_is_sent_again(project: Path, remote: Path) -> None:
    large = project / "data/datasets/digits/large.npy"
    large.write_bytes(os.urandom(4_000_000))
    os.utime(large, (0, 0))
    words = [sys.executable, "runs/sync.py", "direction=push", "remote=remote:study", "copy=true"]
    slow = {**os.environ, "RCLONE_BWLIMIT": "500k"}
    pushing = subprocess.Popen(words, cwd=project, env=slow, stdout=subprocess.DEVNULL, start_new_session=True)
    while not any(path.stat().st_size for path in (remote / "study/datasets").rglob("large.npy*")):
        assert pushing.poll() is None
        time.sleep(0.02)
    os.killpg(pushing.pid, signal.SIGKILL)
    pushing.wait()
    arrived = remote / "study/datasets/digits/large.npy"
    assert not arrived.exists() or arrived.stat().st_size < large.stat().st_size
    make(project, "push", "copy=true")
    assert arrived.read_bytes() == large.read_bytes()


def test_a_run_is_finished_there_only_when_all_of_it_has_arrived(project: Path, remote: Path) -> None:
    (run,) = (project / "data/runs/depth").glob("net2*")
    there = remote / "study" / "runs" / "depth" / run.name
    (there / "config.yaml").mkdir(parents=True)  # in the way of a file
    failed = command("make", "push", "copy=true", "remote=remote:study", cwd=project)
    assert failed.returncode
    assert "error: remote:study: rclone failed, see above; the same command goes on" in failed.stderr
    assert (there / "metrics.csv").exists()
    assert not (there / "run.json").exists()


def test_the_rclone_command_that_is_known_from_courses_works_as_well(project: Path, remote: Path) -> None:
    succeed(*shlex.split("rclone sync ./data/datasets remote:bucket/path -P --transfers=8"), cwd=project)
    assert files(remote) == {"bucket/path/digits/a.npy"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["direction=psuh", "remote=a:b"], 'error: direction: "psuh" is not one of push, pull, check'),
        (["direction=push"], "error: remote: must be <name>:<folder>"),
        (["remote=nowhere:study"], "error: rclone: Failed to create file system"),
        (["direction=pull", "remote=remote:study"], "error: remote:study: there is nothing to pull"),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], sentence: str, project: Path, remote: Path) -> None:
    answer = command(sys.executable, "runs/sync.py", *words, cwd=project)
    assert answer.returncode == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith(sentence)


def test_without_rclone_it_says_so(project: Path, remote: Path) -> None:
    answer = command(sys.executable, "runs/sync.py", "remote=remote:study", cwd=project, PATH="")
    assert answer.returncode == 1
    assert answer.stderr == "error: rclone: not found; install it from the packages of your system or from rclone.org\n"
