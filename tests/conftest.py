"""What the tests share: a clean copy of the template, and projects generated from it by the real command."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE, Bake, cookiecutter, succeed

# Neither these tests nor what they start leave bytecode in the template: it would be copied into a generated project.
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

# Started in the background of a shell, this process ignores Ctrl-C, and all that it starts would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# The files that take minutes begin: nobody waits for one of them in the end.
LONG = ("readme_commands", "unbaked", "baked", "sweep_faults", "faults_distributed", "chaos")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = [f"test_{name}" for name in LONG]
    items.sort(key=lambda item: names.index(item.path.stem) if item.path.stem in names else len(names))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that are or may be committed: what a user's clone holds, without what runs left here."""
    copy = tmp_path_factory.mktemp("clone") / "template"
    listing = succeed("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=TEMPLATE)
    for name in filter(None, listing.split("\0")):
        if (TEMPLATE / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TEMPLATE / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def bake(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Generates a project from these answers and returns its folder."""

    def generate(**answers: str) -> Path:
        output = tmp_path_factory.mktemp("baked")
        result = cookiecutter(template, output, answers)
        assert result.returncode == 0, result.stdout + result.stderr
        (project,) = output.iterdir()
        return project

    return generate
