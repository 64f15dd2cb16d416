"""What the tests share: a clean copy of the template, and projects generated from it by the real command."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE, Bake, commit, cookiecutter, share_environment, succeed

# Neither these tests nor what they start leave bytecode in the template: it would be copied into a generated project.
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

# `make test` starts these tests, and the make that they start as a user is not part of it.
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(name, None)

# Started in the background of a shell, this process ignores Ctrl-C, and all that it starts would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


# The files that take minutes begin: nobody waits for one of them in the end. Those of Slurm wait most of their time.
# What stands behind the second half of the README waits for all of it: xdist gives a worker its next file when two
# tests are left. So the tests that take long stand first in their files.
LONG = ("readme_commands", "sweep_faults", "slurm_sweeps", "slurm_requeue", "readme_second_half", "texts")
LONG += ("readme_template", "slurm_answers", "faults_distributed", "baked", "unbaked", "chaos")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """More than there are cores: much of this is waiting, but for what tests/project computes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1 if config.args == ["tests/project"] else 2 * cores + 1


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
    """Generates a project from these answers and returns its folder; the same answers once only, and copies then."""
    made: dict[frozenset[tuple[str, str]], Path] = {}

    def generate(**answers: str) -> Path:
        key = frozenset(answers.items())
        if key not in made:
            output = tmp_path_factory.mktemp("made")
            result = cookiecutter(template, output, answers)
            assert result.returncode == 0, result.stdout + result.stderr
            (made[key],) = output.iterdir()
        return shutil.copytree(made[key], tmp_path_factory.mktemp("baked") / made[key].name)

    return generate


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a new machine: no cache and no settings."""
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()


@pytest.fixture
def odd_place(bake: Bake, tmp_path: Path, empty_home: None) -> Path:
    """A new project, committed, with an environment, below a folder with a space and an umlaut in its name."""
    project = tmp_path / "Übung 1" / "study"
    shutil.copytree(bake(), project)
    share_environment(project)
    commit(project, "generated")
    return project
