"""What the tests share. None of them writes into data/: runs go to a temporary folder, and so do prepared data sets."""

import signal
from pathlib import Path

import pytest

from modules.data.prepare import PrepareConfig, prepare

# Started in the background of a shell, this process ignores Ctrl-C, and all that it starts would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
