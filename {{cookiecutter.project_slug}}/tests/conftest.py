"""What the tests share. They write nothing into the project: their runs and reports go to temporary folders."""

from pathlib import Path

import pytest
import torch
import yaml
from jaxtyping import install_import_hook
from small_runs import ROOT, DataSets, data_sets_here

install_import_hook(["modules.models", "modules.tasks"], "beartype.beartype")  # checks the shapes in signatures
torch.set_num_threads(1)  # as config/system/default.yaml says: networks of this size are slower on more


@pytest.fixture(scope="session")
def datasets_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data sets of config/prepare.yaml that need no download: those in data/datasets/ if all are there, or new."""
    from modules.data.prepare import DATASETS, PrepareConfig, prepare

    listed = yaml.safe_load((ROOT / "config" / "prepare.yaml").read_text(encoding="utf-8"))["datasets"]
    names = [name for name in listed if name in DATASETS]
    own = ROOT / "data" / "datasets"
    if all((own / name / "dataset.json").exists() for name in names):
        return own
    folder = tmp_path_factory.mktemp("datasets")
    prepare(PrepareConfig(names, str(folder)))
    return folder


@pytest.fixture(scope="session")
def data_sets(datasets_dir: Path) -> DataSets:
    """Every data set of config/data/ that is on this machine."""
    return data_sets_here(datasets_dir)


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """An empty folder for the runs of one test."""
    return tmp_path / "runs"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that wait for processes begin, so that the other worker has something left to do beside them."""
    items.sort(key=lambda item: item.path.stem not in ("test_sweep_to_report", "test_training"))
