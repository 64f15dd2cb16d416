"""A run on a machine of a cloud: what SkyPilot is told is there, and what a mounted bucket needs is kept."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from labkit.runs.metrics_file import MetricsFile, rows_of
from small_runs import compose

PAGE = Path("docs/beyond_one_machine.md")


@pytest.fixture(scope="module")
def task(in_the_project: None) -> dict[str, Any]:
    return yaml.safe_load(Path("env_setup/skypilot.yaml").read_text(encoding="utf-8"))


def test_every_command_of_the_cloud_is_one_of_this_project(task: dict[str, Any]) -> None:
    for script in (task["setup"], task["run"]):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        named = re.findall(r"(?:runs|env_setup)/\S+\.\w+", script)
        assert named
        assert [name for name in named if not Path(name).exists()] == []


def test_the_runs_of_the_cloud_go_to_its_bucket(task: dict[str, Any]) -> None:
    ((place, bucket),) = task["file_mounts"].items()
    assert bucket["mode"] == "MOUNT_CACHED"
    run = re.fullmatch(r"\S+ runs/train.py \$RUN (\S+)", task["run"].strip())
    assert run
    assert compose("model=net5", run[1]).system.runs_dir == place


def test_the_page_gives_all_that_the_cloud_is_not_told(task: dict[str, Any]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"--env (\w+)=", text)) == {name for name, value in task["envs"].items() if value is None}
    assert "env_setup/skypilot.yaml" in text


def test_nothing_holds_the_rows_of_a_run_open(tmp_path: Path) -> None:
    """A mounted bucket uploads a file once it is closed: a checkpoint would be there without the rows it counts on."""
    metrics = MetricsFile(tmp_path / "metrics.csv", 0)
    metrics.append({"step": 1, "loss": 0.5})
    shutil.copy(tmp_path / "metrics.csv", tmp_path / "copy")
    (tmp_path / "copy").replace(tmp_path / "metrics.csv")  # an open file would be the one that is gone
    metrics.append({"step": 2, "loss": 0.25})
    assert list(rows_of(tmp_path / "metrics.csv")) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]
    assert MetricsFile.holds(tmp_path / "metrics.csv", metrics.mark())
