"""What the tests of the project share, which run on the un-baked folder where it stands.

None of them writes into its data/: runs go to a temporary folder, and so do prepared data sets.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from baking import PROJECT, TEMPLATE, files
from modules.data.prepare import PrepareConfig, prepare

# The files that take longest, first: of the others there is always one for the worker that would have to wait.
FIRST = (
    "test_kill_and_resume",
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


@pytest.fixture(scope="session", autouse=True)
def unchanged_project() -> Iterator[None]:
    """These tests leave nothing behind in the un-baked folder, where a new project would inherit it."""
    before = files(TEMPLATE / PROJECT)
    yield
    assert files(TEMPLATE / PROJECT) == before


@pytest.fixture(scope="module", autouse=True)
def in_the_project(unchanged_project: None) -> Iterator[None]:
    """Commands are typed in the project's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(TEMPLATE / PROJECT)
        yield


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
