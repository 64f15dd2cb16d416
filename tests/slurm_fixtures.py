"""What the tests of Slurm share that takes time: a cluster, a generated project on it, and runs that were made without
it. `pytest_plugins = ["slurm_fixtures"]` gives them to a test file; what it imports is in slurm_project.py."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from baking import Bake
from slurm_cluster import MISSING, Cluster
from slurm_project import SlurmProject, runs


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if MISSING:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    with Cluster(tmp_path_factory.mktemp("cluster"), max_array_size=12) as started:
        yield started


@pytest.fixture(scope="session")
def slurm_project(bake: Bake, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> SlurmProject:
    root = bake()
    prepared = SlurmProject(root, tmp_path_factory.mktemp("processes"), cluster)
    ended = prepared.run("datasets=[digits]", script="prepare")
    assert ended.status == 0, ended
    return prepared


@pytest.fixture(scope="session")
def without_slurm(
    slurm_project: SlurmProject, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., dict[str, Path]]:
    """The run folders, by name, of a sweep with these words that was made without Slurm; not to be changed."""
    done: dict[tuple[str, ...], Path] = {}

    def sweep(*words: str) -> dict[str, Path]:
        if words not in done:
            done[words] = tmp_path_factory.mktemp("undisturbed")
            ended = slurm_project.sweep(done[words], *words)
            assert (ended.status, ended.err) == (0, ""), ended
        return runs(done[words])

    return sweep
