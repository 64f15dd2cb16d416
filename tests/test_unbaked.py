"""The folder of the template runs and passes its own tests where it stands, braces in its name and all."""

import re
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


def test_those_that_take_seconds_look_at_every_file_of_the_configuration(unbaked: Path) -> None:
    said = succeed(sys.executable, "make.py", "test-fast", cwd=unbaked)
    assert int(re.findall(r" (\d+) passed", said)[0]) > 50
    assert "skipped" not in said


def test_it_trains(unbaked: Path) -> None:
    succeed(sys.executable, "runs/prepare.py", cwd=unbaked)
    succeed(sys.executable, "runs/train.py", "training.epochs=1", cwd=unbaked)
    assert len(list(unbaked.glob("data/runs/default/*/run.json"))) == 1
