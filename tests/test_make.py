"""What make says before it does anything."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from baking import PROJECT, TEMPLATE, command, succeed
from faults import LONGEST_S

BOTH = [TEMPLATE, TEMPLATE / PROJECT]
OTHER = """#!/bin/sh
exec python3 -c 'import runpy, sys
sys.version_info, sys.prefix, sys.argv = (VERSION, 1), ".venv", sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")' "$@"
"""
INSTALL = f"{PROJECT}/env_setup/install.py"


@pytest.fixture(params=BOTH, ids=["template", "project"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What make reads, and nothing else."""
    shutil.copyfile(request.param / "Makefile", tmp_path / "Makefile")
    install = tmp_path / ("env_setup/install.py" if request.param.name == PROJECT else INSTALL)
    install.parent.mkdir(parents=True)
    shutil.copyfile(TEMPLATE / INSTALL, install)
    return tmp_path


def needed(folder: Path) -> None:
    """The files of requirements that the Makefile names."""
    for name in succeed("make", "--print-data-base", "--dry-run", "help", cwd=folder).split():
        if re.fullmatch(r"[^:=]*requirements[\w-]*\.txt", name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()


def test_make_alone_lists_what_it_can_do(folder: Path) -> None:
    listed = succeed("make", cwd=folder)
    targets = re.findall(r"^\.PHONY: (.*)$", (folder / "Makefile").read_text("utf-8"), re.MULTILINE)[0].split()
    assert sorted(re.findall(r"^make ([a-z-]+): \S", listed, re.MULTILINE)) == sorted(targets)


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.14"])
def test_a_python_that_cannot_run_this_is_refused_before_a_venv_is_made(
    version: str, folder: Path, tmp_path: Path
) -> None:
    needed(folder)
    python = tmp_path / "python-of-another-version"
    python.write_text(OTHER.replace("VERSION", version.replace(".", ", ")), encoding="utf-8")
    python.chmod(0o755)
    answer = command("make", "install", f"PYTHON={python}", cwd=folder)
    assert answer.returncode == 2
    sentence, *rest = answer.stderr.splitlines()
    assert re.match(
        rf"error: \S+ is Python {version}, and this needs 3.11 to 3.13; try make PYTHON=python3.12", sentence
    )
    assert len(rest) == 1
    assert not (folder / ".venv").exists()
    (folder / ".venv" / "bin").mkdir(parents=True)
    python.rename(folder / ".venv" / "bin" / "python")
    assert command("make", "install", cwd=folder).stderr.splitlines()[0] == sentence


def test_a_torch_that_there_is_not_is_refused(folder: Path) -> None:
    needed(folder)
    sentence, *rest = command("make", "install", "TORCH=gpu", cwd=folder).stderr.splitlines()
    assert sentence == "error: TORCH=gpu: write cpu, cuda or auto"
    assert len(rest) == 1
    assert not (folder / ".venv").exists()


def test_a_torch_that_is_named_is_seen_to_although_all_is_installed(folder: Path) -> None:
    needed(folder)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "installed").touch()
    assert command("make", "install", cwd=folder).returncode == 0
    for other in ("gpu", ""):
        assert command("make", "install", f"TORCH={other}", cwd=folder).returncode == 2
    if (folder / INSTALL).exists():
        assert "about a minute" in succeed("make", "--dry-run", "demo", cwd=folder).splitlines()[0]


STEP = """import signal, sys, time
from pathlib import Path
name = Path(__file__).stem
def saved(*_):
    Path("saved").touch()
    sys.exit(130)
signal.signal(signal.SIGINT, saved)
with Path("began").open("a") as file:
    file.write(name + "\\n")
ENDS
"""
ALL = ["prepare", "train", "evaluate", "report"]
ENDS = {
    "all is well": ("train", "", 0, ALL),
    "members failed": ("train", "sys.exit(1)", 1, ALL),
    "nothing to train on": ("prepare", "sys.exit(1)", 1, ALL[:1]),
    "no report": ("report", "sys.exit(2)", 2, ALL),
    "a signal that is remembered": ("train", "sys.exit(130)", 130, ALL[:2]),
    "a signal that is not": ("train", "signal.raise_signal(signal.SIGTERM)", 143, ALL[:2]),
}


def steps(folder: Path, name: str = "", ends: str = "") -> None:
    """make.py, and what it starts: steps that note that they began, one of which ends otherwise."""
    for file in ("make.py", "run_all_tasks.sh"):
        shutil.copy(TEMPLATE / PROJECT / file, folder)
    (folder / "runs").mkdir()
    for step in ALL:
        (folder / "runs" / f"{step}.py").write_text(STEP.replace("ENDS", ends * (step == name)), encoding="utf-8")


@pytest.mark.parametrize(("name", "ends", "status", "begun"), ENDS.values(), ids=ENDS)
def test_the_whole_study_ends_as_its_steps_do(
    name: str, ends: str, status: int, begun: list[str], tmp_path: Path
) -> None:
    steps(tmp_path, name, ends)
    for words in ((sys.executable, "make.py", "run"), ("./run_all_tasks.sh",)):
        (tmp_path / "began").unlink(missing_ok=True)
        ended = command(*words, cwd=tmp_path)
        assert ended.returncode == status
        assert "about a minute" in ended.stdout.splitlines()[0]
        assert (tmp_path / "began").read_text().split() == begun


def test_ctrl_c_waits_until_the_step_has_saved(tmp_path: Path) -> None:
    steps(tmp_path, "train", "print('here', flush=True)\ntime.sleep(600)")
    words = [sys.executable, "make.py", "run"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, start_new_session=True) as started:
        assert started.stdout
        assert b"here\n" in iter(started.stdout.readline, b"")
        os.killpg(started.pid, signal.SIGINT)  # as a terminal does
        assert started.wait(LONGEST_S) == 130
    assert (tmp_path / "saved").exists()
    assert (tmp_path / "began").read_text().split() == ALL[:2]


def test_a_command_that_there_is_not(tmp_path: Path) -> None:
    steps(tmp_path)
    for words in ([], ["tests"], ["run", "test"]):
        answer = command(sys.executable, "make.py", *words, cwd=tmp_path)
        assert (answer.returncode, answer.stderr) == (
            1,
            "error: say what to do: python make.py run|test|test-fast|lint\n",
        )
