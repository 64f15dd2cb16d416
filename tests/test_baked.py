"""A generated project lints, and goes from data to report without git; tests/test_readme_commands.py has one in git."""

import csv
import sys
from pathlib import Path

import pytest
from baking import Bake, command, share_environment, succeed
from pypdf import PdfReader


@pytest.fixture(scope="module")
def project(bake: Bake) -> Path:
    folder = bake(project_name="Digits study")
    share_environment(folder)
    return folder


def test_style_and_types(project: Path) -> None:
    """What `make lint` does. `make test` is run by tests/test_readme_commands.py."""
    generated = project / "data" / "reports" / "some" / "analysis.py"
    generated.parent.mkdir(parents=True)
    generated.write_text("x = ('what git would ignore')\n", encoding="utf-8")
    for words in (["ruff", "check"], ["ruff", "format", "--check"], ["pyright", "--pythonpath", sys.executable]):
        succeed(sys.executable, "-m", *words, cwd=project)


@pytest.mark.skipif(sys.platform == "win32", reason="run_all_tasks.sh is for Linux and macOS")
def test_all_tasks_end_in_a_report(project: Path) -> None:
    succeed("./run_all_tasks.sh", cwd=project)
    with (project / "data/reports/sweep_models/runs.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 15
    text = "".join(page.extract_text() for page in PdfReader(project / "data/reports/sweep_models/report.pdf").pages)
    for level in ("linear", "net2", "net5"):
        assert level in text
    assert "supported" in text  # on this data two hidden layers help by far more than what matters
    assert "not supported" not in text
    assert "Do hidden layers help on the digits?" in text
    said = succeed(sys.executable, "analysis.py", cwd=project / "data/reports/sweep_models", MPLBACKEND="agg")
    assert "Linear(" in said  # the model of the first run in runs.csv, with its weights
    assert "359 validation examples" in said


SMALL_SWEEP = """# @package _global_
study: sweep_models
training: {epochs: 1}
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      model: linear
      training.batch_size: 64,1000000
"""


@pytest.mark.skipif(sys.platform == "win32", reason="run_all_tasks.sh is for Linux and macOS")
def test_failed_members_do_not_stop_the_report_of_the_others(bake: Bake) -> None:
    project = bake()
    (project / "config/experiment/sweep_models.yaml").write_text(SMALL_SWEEP, encoding="utf-8")
    result = command("./run_all_tasks.sh", cwd=project)
    assert result.returncode == 1
    assert "training.batch_size" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert (project / "data/reports/sweep_models/report.pdf").exists()
    assert len(list(project.glob("data/runs/sweep_models/*/test.json"))) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="run_all_tasks.sh is for Linux and macOS")
def test_all_tasks_stop_at_the_first_failure(bake: Bake) -> None:
    project = bake()
    config = project / "config/prepare.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("[digits]", "[nothing]"), encoding="utf-8")
    result = command("./run_all_tasks.sh", cwd=project)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert not (project / "data/runs").exists()
