"""Runs of a cluster, brought here by a real rclone over SFTP with the command of docs/report.md, are one study with the
runs made here: whatever is in both places counts once, and a copy taken too early is made good by the next one."""

import csv
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from baking import Bake, command, files, succeed
from rclone_remote import need_rclone, served
from run_folders import add_run, add_unfinished


@pytest.fixture(scope="module")
def baked(bake: Bake) -> Path:
    need_rclone()
    return bake()


@pytest.fixture
def project(baked: Path) -> Iterator[Path]:
    """A generated project in which net2 ran; nothing of it is left for the next test."""
    for seed in range(3):
        add_run(baked / "data/runs/depth", "net2", seed, 0.9 + seed / 100)
    yield baked
    for folder in ("runs", "reports", "from_cluster"):
        shutil.rmtree(baked / "data" / folder, ignore_errors=True)


@pytest.fixture
def cluster(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The runs of the study on "the cluster", in which net5 ran; rclone knows it by the name cluster."""
    study = tmp_path / "cluster" / "study" / "data" / "runs" / "depth"
    for seed in range(3):
        add_run(study, "net5", seed, 0.94 + seed / 50, test=0.9)
    for run in study.iterdir():
        (run / "checkpoints").mkdir()
        (run / "checkpoints" / "last.pt").write_bytes(bytes(1000))
    with served(tmp_path / "cluster", "cluster", tmp_path, monkeypatch):
        yield study


def copy(project: Path) -> None:
    """The command of docs/report.md."""
    (typed,) = re.findall(r"^rclone copy .*$", (project / "docs" / "report.md").read_text("utf-8"), re.MULTILINE)
    succeed(*shlex.split(typed), cwd=project)


def report(project: Path, *words: str) -> str:
    return succeed(sys.executable, "runs/report.py", "study=depth", *words, cwd=project)


def rows(project: Path, table: str) -> list[dict[str, str]]:
    with (project / "data" / "reports" / "depth" / table).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def means(project: Path) -> dict[str, tuple[str, str]]:
    found = [row for row in rows(project, "summary.csv") if row["metric"] == "validation/accuracy"]
    return {row["model"]: (row["n"], row["mean"]) for row in found}


def test_runs_of_two_places_are_the_study_that_they_would_be_in_one(project: Path, cluster: Path) -> None:
    shared = next((project / "data/runs/depth").glob("net2-*-s2-*"))
    shutil.copytree(shared, cluster / shared.name)
    copy(project)
    assert not list((project / "data/from_cluster").rglob("checkpoints"))
    said = report(project, "more_runs_dirs=[data/from_cluster]")
    assert said.splitlines()[0].endswith("report.pdf: 6 finished")
    apart, listed = means(project), {row["run"]: row["folder"] for row in rows(project, "runs.csv")}
    assert len(listed) == 6
    assert listed[shared.name].startswith("data/runs/")
    shutil.copytree(project / "data/from_cluster", project / "data/runs", dirs_exist_ok=True)
    report(project)
    assert means(project) == apart
    assert apart["net5"] == ("3", "0.96")


def test_one_place_named_in_several_ways_is_one_place(project: Path, cluster: Path) -> None:
    copy(project)
    copied = project / "data" / "from_cluster"
    ways = f"[data/from_cluster,./data/../data/from_cluster,'{copied}',data/runs]"
    said = report(project, f"more_runs_dirs={ways}")
    assert said.splitlines()[0].endswith("report.pdf: 6 finished")
    assert "other results" not in said


def test_same_runs_give_the_same_bytes_in_every_process_and_order(project: Path, cluster: Path, tmp_path: Path) -> None:
    copy(project)
    study = project / "data/runs/depth"
    for run in (project / "data/from_cluster/depth").iterdir():
        shutil.move(run, study / run.name)
    for number, backwards in enumerate((False, True)):
        study.rename(tmp_path / "all")
        for run in sorted((tmp_path / "all").iterdir(), reverse=backwards):
            study.mkdir(exist_ok=True)
            shutil.copytree(run, study / run.name)
        shutil.rmtree(tmp_path / "all")
        succeed(sys.executable, "runs/report.py", "study=depth", cwd=project, PYTHONHASHSEED=str(number))
        (tmp_path / "reports").mkdir(exist_ok=True)
        shutil.move(project / "data/reports", tmp_path / "reports" / str(number))
    first, second = (tmp_path / "reports" / str(number) for number in (0, 1))
    assert len(files(first)) > 30
    assert {name: (first / name).read_bytes() for name in files(first)} == {
        name: (second / name).read_bytes() for name in files(second)
    }


def test_copy_of_a_half_written_run_is_named_and_made_good_by_the_next_copy(project: Path, cluster: Path) -> None:
    late = next(cluster.glob("net5-*-s1-*"))
    whole = {name: (late / name).read_bytes() for name in ("run.json", "metrics.csv", "test.json")}
    for name, content in whole.items():
        (late / name).write_bytes(content[: len(content) // 2])
    copy(project)
    said = report(project, "more_runs_dirs=[data/from_cluster]")
    assert said.splitlines()[0].endswith("report.pdf: 5 finished, 1 unreadable")
    assert means(project)["net5"] == ("2", "0.96")
    reasons = {row["run"]: row["reason"] for row in rows(project, "runs.csv")}
    assert reasons[late.name] == "run.json is half-written or damaged"
    for name, content in whole.items():
        (late / name).write_bytes(content)
    copy(project)
    said = report(project, "more_runs_dirs=[data/from_cluster]")
    assert said.splitlines()[0].endswith("report.pdf: 6 finished")
    assert late.name not in said
    assert means(project)["net5"] == ("3", "0.96")


def test_run_that_went_on_here_after_it_was_copied_counts_as_far_as_it_came(project: Path, cluster: Path) -> None:
    """The laptop resumed what the cluster had begun: the older copy says less, and says nothing wrong."""
    add_unfinished(cluster, "interrupted", "net2", 1)
    (run,) = cluster.glob("net2-*-s1-*")
    assert (project / "data/runs/depth" / run.name).exists()
    copy(project)
    said = report(project, "more_runs_dirs=[data/from_cluster]")
    assert said.splitlines()[0].endswith("report.pdf: 6 finished")


def test_copy_that_lacks_the_folder_of_the_study_is_not_passed_over_in_silence(project: Path, cluster: Path) -> None:
    """`rclone copy cluster:study/data/runs/depth data/from_cluster` puts the runs where studies belong."""
    succeed("rclone", "copy", "cluster:study/data/runs/depth", "data/from_cluster", cwd=project)
    ended = command(sys.executable, "runs/report.py", "study=depth", "more_runs_dirs=[data/from_cluster]", cwd=project)
    assert "data/from_cluster" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
