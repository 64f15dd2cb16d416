"""Runs that are killed again and again end with the bits of those left alone; for sweeps see test_sweep_faults.py."""

from pathlib import Path

import pytest
from test_resume import assert_kills_change_nothing

KILLS = 30  # for each of:
PATHS = {"held": (), "fetched": ("data.in_memory=false", "training.schedule=cosine")}


@pytest.mark.skipif("sys.platform == 'win32'", reason="starts 100 processes, which takes minutes without fork")
@pytest.mark.parametrize("path", PATHS)
def test_a_run_killed_many_times_equals_an_uninterrupted_run(path: str, tmp_path: Path) -> None:
    assert_kills_change_nothing(tmp_path, KILLS, *PATHS[path])
