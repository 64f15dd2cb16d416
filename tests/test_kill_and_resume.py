"""Killed runs of the generated project end with the bits of those left alone; for sweeps see test_sweep_faults.py."""

from pathlib import Path

import pytest
from baking import Bake

KILLS = 30  # for each of:
PATHS = {"held": (), "fetched": ("data.in_memory=false", "training.schedule=cosine")}


@pytest.mark.skipif("sys.platform == 'win32'", reason="starts 100 processes, which takes minutes without fork")
@pytest.mark.parametrize("path", PATHS)
def test_a_run_killed_many_times_equals_an_uninterrupted_run(
    path: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(project)
    monkeypatch.syspath_prepend(project / "tests")
    from test_resume import assert_kills_change_nothing  # pyright: ignore[reportMissingImports]  (the project's own)

    assert_kills_change_nothing(tmp_path, KILLS, *PATHS[path])


@pytest.fixture(scope="module")
def project(bake: Bake) -> Path:
    return bake()
