"""What the fault table's tests share that takes time: one generated project, and runs that nothing has happened to."""

from collections.abc import Callable
from pathlib import Path

import pytest
from baking import Bake
from faults import Project
from outcomes import the_run


@pytest.fixture(scope="session")
def project(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(bake(), tmp_path_factory.mktemp("processes"))


@pytest.fixture(scope="session")
def undisturbed(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of a run with these settings that nothing has happened to; not to be changed."""
    done: dict[tuple[str, ...], Path] = {}

    def run(*words: str) -> Path:
        if words not in done:
            runs_dir = tmp_path_factory.mktemp("undisturbed")
            ended = project.run(*words, f"system.runs_dir={runs_dir}")
            assert (ended.status, ended.err) == (0, "")
            done[words] = the_run(runs_dir)
        return done[words]

    return run
