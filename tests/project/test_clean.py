"""What Slurm jobs leave behind is removed when nothing needs it, and not before."""

import os
import sys
import time
from pathlib import Path

import pytest
from labkit.runs.clean import CleanConfig, clean
from run_folders import add_plan, add_run, add_unfinished

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pretends squeue by a shell script")
OLD = time.time() - 2 * 3600


@pytest.fixture
def runs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a finished run (job 11), a failed one (12) and a queued one (13) were submitted, each with a copy of its
    own; and a command that is just submitting."""
    runs = tmp_path / "runs"
    finished, failed = add_run(runs / "depth"), add_unfinished(runs / "depth", "failed", "net5", job="12")
    add_plan(runs / "depth", {"name": finished.name, "job": "11"}, {"name": failed.name, "job": "12"})
    add_plan(runs / "depth", {"name": "net7-digits-s0-0123456789ab", "job": "13"})
    for job in ("11", "12", "13", "new"):
        submission, code = runs / ".slurm" / f"s{job}", runs / ".code" / f"c{job}"
        submission.mkdir(parents=True)
        code.mkdir(parents=True)
        (code / "train.py").write_text("code")
        (submission / "job.sh").write_text(f"cd {code}/\n")
        if job != "new":
            (submission / "job.txt").write_text(job)
            (runs / ".slurm" / f"{job}_0_log.out").write_text("begun on n1\n")
            os.utime(submission, (OLD, OLD))
            os.utime(code, (OLD, OLD))
    (runs / ".code" / "link").symlink_to(runs / "depth")
    say(tmp_path, monkeypatch, "echo '13|PENDING|Priority'")
    return runs


def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """What squeue answers."""
    (tmp_path / "squeue").write_text(f"#!/bin/sh\n{answer}\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def paths(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_only_what_nothing_needs_is_listed_and_removed(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = paths(runs_dir)
    clean(CleanConfig(delete=False, runs_dir=str(runs_dir)))
    *listed, total = capsys.readouterr().out.splitlines()
    names = [line.split("  ")[0] for line in listed]
    left_over = [".code/c11", ".code/c12", ".slurm/s11", ".slurm/s12", ".slurm/11_0_log.out"]  # the log of 12 says why
    assert names == [str(runs_dir / name) for name in left_over]
    assert total == "left over: 5 paths, 0.0 MB; delete=true removes them"
    assert paths(runs_dir) == before
    clean(CleanConfig(delete=True, runs_dir=str(runs_dir)))
    assert capsys.readouterr().out.splitlines()[-1].startswith("removed: 5 paths, ")
    assert paths(runs_dir) == {path for path in before if not path.startswith(tuple(left_over))}
    clean(CleanConfig(delete=True, runs_dir=str(runs_dir)))
    assert capsys.readouterr().out == "nothing is left over\n"


def test_without_an_answer_of_slurm_nothing_is_removed(
    runs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(tmp_path, monkeypatch, "exit 1")
    before = paths(runs_dir)
    with pytest.raises(ValueError, match=r": squeue does not say which jobs still need it; try again later$"):
        clean(CleanConfig(delete=True, runs_dir=str(runs_dir)))
    assert paths(runs_dir) == before


def test_where_nothing_was_submitted_nothing_is_left_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean(CleanConfig(delete=True, runs_dir=str(tmp_path / "none")))
    assert capsys.readouterr().out == "nothing is left over\n"
