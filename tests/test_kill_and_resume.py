"""A run of the generated project that is killed 50 times, at any moment, ends with the bits of one that never was."""

import random
import sys
from pathlib import Path

import pytest
from conftest import PROJECT, TEMPLATE

KILLS = 50


@pytest.mark.parametrize("data_path", ["data.in_memory=true", "data.in_memory=false"])
def test_a_run_killed_many_times_equals_an_uninterrupted_run(
    data_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = TEMPLATE / PROJECT
    monkeypatch.syspath_prepend(project / "tests")
    monkeypatch.syspath_prepend(project)
    from test_resume import assert_same_run, killed_and_resumed, uninterrupted

    uninterrupted(tmp_path / "imports")
