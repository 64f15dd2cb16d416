"""A generated project lints, and its tasks go as far as they can; tests/test_readme_commands.py runs all of them."""

import sys

import pytest
from baking import Bake, command, succeed


def test_style_and_types(bake: Bake) -> None:
    """What `make lint` does. `make test` is run by tests/test_readme_commands.py."""
    project = bake(project_name="Digits study")
    generated = project / "data" / "reports" / "some" / "analysis.py"
    generated.parent.mkdir(parents=True)
    generated.write_text("x = ('what git would ignore')\n", encoding="utf-8")
    for words in (["ruff", "check"], ["ruff", "format", "--check"], ["pyright", "--pythonpath", sys.executable]):
        succeed(sys.executable, "-m", *words, cwd=project)


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
