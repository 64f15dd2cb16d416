"""What the tests of the project share, which run on the un-baked folder where it stands.

None of them writes into its data/: runs go to a temporary folder, and so do prepared data sets.
"""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}"
sys.path.insert(0, str(PROJECT))

from modules.data.prepare import PrepareConfig, prepare  # noqa: E402 -- found on the path above

# Started in the background of a shell, this process ignores Ctrl-C, and all that it starts would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# The files that take longest, first: of the others there is always one for the worker that would have to wait.
FIRST = (
    "test_sweep",
    "test_figures",
    "test_reporting",
    "test_resume",
    "test_mistakes",
    "test_provenance",
    "test_training",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))


@pytest.fixture(scope="module", autouse=True)
def _in_the_project() -> Iterator[None]:
    """Every path in config/ starts in the project's folder. Not sooner: pytest's own paths start where it was called."""
    before = Path.cwd()
    os.chdir(PROJECT)
    yield
    os.chdir(before)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Where the runs of a study are put, which is not there yet."""
    return tmp_path / "runs" / "depth"


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every data set of config/prepare.yaml's kind, prepared; not to be changed."""
    folder = tmp_path_factory.mktemp("datasets")
    prepare(PrepareConfig(datasets=["digits"], datasets_dir=str(folder)))
    return folder


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """An empty folder for the runs of one test."""
    return tmp_path / "runs"
