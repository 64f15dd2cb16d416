"""The folder of the template runs and passes its own tests where it stands, braces in its name and all."""

import shutil
import sys
from pathlib import Path

import pytest
from baking import PROJECT, files, succeed


@pytest.fixture(scope="module")
def unbaked(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(template / PROJECT, tmp_path_factory.mktemp("unbaked") / PROJECT)


def test_its_own_tests_pass_and_leave_nothing_behind(unbaked: Path) -> None:
    before = files(unbaked)
    succeed(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", cwd=unbaked)
    assert files(unbaked) - before == set()


def test_it_trains(unbaked: Path) -> None:
    succeed(sys.executable, "runs/prepare.py", cwd=unbaked)
    succeed(sys.executable, "runs/train.py", "training.epochs=1", cwd=unbaked)
    assert len(list(unbaked.glob("data/runs/default/*/run.json"))) == 1
