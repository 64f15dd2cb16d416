"""The second half of the commands of the project's README, which needs the first run only: beside the other half."""

import sys
from pathlib import Path

import pytest
from baking import PROJECT, TEMPLATE
from rclone_remote import need_rclone
from readmes import SECOND_HALF, beginning_at, commands, run_in_one_shell, said_in_notebook, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are for Linux and macOS")

# tests/test_slurm_sweeps.py runs it.
SWEEP = "python runs/train.py --multirun model=net2,net5 seed=0,1,2 +launcher=slurm"
FIRST_RUN = ["source .venv/bin/activate", "python runs/prepare.py", "python runs/train.py"]


def test_commands_of_the_second_half(odd_place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_rclone()
    (tmp_path / "rclone.conf").write_text(f"[lab]\ntype = alias\nremote = {tmp_path / 'lab'}\n", encoding="utf-8")
    monkeypatch.setenv("RCLONE_CONFIG", str(tmp_path / "rclone.conf"))
    lines = beginning_at(SECOND_HALF, odd_place / "README.md")
    assert lines[0] == SWEEP
    run_in_one_shell([*FIRST_RUN, *lines[1:]], odd_place)
    said = said_in_notebook(odd_place)
    assert len({*said}) == len(said) > 5
    assert (odd_place / "data/bundles/default.zip").exists()
    assert (tmp_path / "lab/study/reports/sweep_models/report.pdf").exists()


def test_the_first_half_holds_the_first_run() -> None:
    readme = TEMPLATE / PROJECT / "README.md"
    assert set(FIRST_RUN) <= set(until(SECOND_HALF, readme))
    assert until(SECOND_HALF, readme) + beginning_at(SECOND_HALF, readme) == commands(readme)
