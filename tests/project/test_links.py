"""Links and names: nothing outside a study's own folder is written or deleted, whatever leads there."""

import os
import runpy
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path

import pytest
from baking import files
from labkit.runs.files import private_folder
from labkit.runs.folder import RunFolder
from labkit.runs.standing import discard
from labkit.runs.study import read_study
from small_runs import ROOT, SMALL, config_of, run_command, train_command_here, train_small

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links are rare on Windows")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that is not of this project, with the names that a run has."""
    folder = tmp_path / "elsewhere"
    for name in ("run.json", "metrics.csv", "train.log", "config.yaml", "checkpoints/last.pt", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    return folder


def untouched(folder: Path) -> bool:
    return all((folder / name).read_text() == "mine" for name in files(folder)) and len(files(folder)) == 6


def main_here(script: str, *words: str) -> str:
    """What `python runs/<script>.py <words>` says on stderr, in this process."""
    complained = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(complained):
        patch.setattr(sys, "argv", [f"runs/{script}.py", *words])
        patch.setenv("HYDRA_FULL_ERROR", "1")  # main() sets it: taken back at the end
        with suppress(SystemExit):
            runpy.run_path(str(ROOT / "runs" / f"{script}.py"), run_name="__main__")
    return complained.getvalue()


LINKED = ("", "run.json", "metrics.csv", "train.log", "config.yaml", "checkpoints", "checkpoints/last.pt", "plots")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run, not to be changed."""
    return train_small(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def run(trained: Path, runs_dir: Path) -> Path:
    """The same run, interrupted before run.json was there."""
    folder = runs_dir / "default" / trained.name
    shutil.copytree(trained, folder)
    (folder / "run.json").unlink()
    return folder


def put_link(link: Path, target: Path) -> None:
    shutil.rmtree(link) if link.is_dir() else link.unlink(missing_ok=True)
    link.symlink_to(target)


def assert_refused(link: Path, answer: "subprocess.CompletedProcess[str]") -> None:
    assert answer.returncode == 1
    said = f"{link}: is a link, through which nothing is written or deleted; replace it by what it leads to"
    assert said in answer.stderr
    assert link.is_symlink()


@pytest.mark.parametrize("words", [(), ("restart=true",)], ids=["", "restart"])
@pytest.mark.parametrize("name", LINKED)
def test_a_run_folder_or_a_file_in_it_that_is_a_link_is_refused(
    name: str, words: tuple[str, ...], run: Path, runs_dir: Path, elsewhere: Path
) -> None:
    put_link(run / name, elsewhere / name)
    before = {path: path.lstat().st_mtime_ns for path in runs_dir.rglob("*")}
    assert_refused(run / name, train_command_here(*words, *SMALL, f"system.runs_dir={runs_dir}"))
    assert {path: path.lstat().st_mtime_ns for path in runs_dir.rglob("*")} == before
    assert untouched(elsewhere)


@pytest.mark.parametrize("name", ["", "checkpoints"])
def test_a_sweep_refuses_it_as_well(name: str, run: Path, runs_dir: Path, elsewhere: Path) -> None:
    put_link(run / name, elsewhere / name)
    for words in ([], ["restart=true"]):
        words = ["--multirun", "seed=0", *words, *SMALL, f"system.runs_dir={runs_dir}"]
        assert_refused(run / name, run_command("runs/train.py", *words))
    assert untouched(elsewhere)


def test_an_evaluation_refuses_it_and_evaluates_the_others(
    trained: Path, run: Path, runs_dir: Path, tmp_path: Path
) -> None:
    put_link(run, trained)
    shutil.copytree(trained, runs_dir / "other" / trained.name)
    before = files(trained)
    answer = run_command("runs/evaluate.py", f"runs_dir={runs_dir}", "device=cpu")
    assert answer.returncode == 1
    assert f"{run}: is a link, through which nothing is written or deleted" in answer.stderr
    assert files(trained) == before
    assert (runs_dir / "other" / trained.name / "test.json").exists()


def test_a_restart_deletes_what_the_project_wrote_and_nothing_else(trained: Path, run: Path, runs_dir: Path) -> None:
    mine = {"notes.md", "run.json.bak", "plots/1.png", "checkpoints/mine.pt", "metrics.xlsx", ".hydra/mine"}
    for name in mine:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("mine")
    folder = RunFolder(run)
    assert {path.relative_to(run).as_posix() for path in folder.written()} == files(run) - mine
    discard(config_of(*SMALL, f"system.runs_dir={runs_dir}"))
    assert files(run) == mine


def test_all_that_a_run_writes_is_deleted_by_a_restart(tmp_path: Path) -> None:
    run = train_small(tmp_path, "tracker=tensorboard")
    assert run_command("runs/evaluate.py", f"runs_dir={tmp_path}", "predictions=true").returncode == 0
    RunFolder(run).clear()
    assert list(run.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", ".", "..", "", ".hidden", "C:x", "con"])
def test_a_study_of_a_strange_name_is_refused_by_every_command(name: str) -> None:
    for script in ("train", "check", "evaluate", "report", "status"):
        answer = main_here(script, f"study='{name}'")
        assert answer == f'error: study: "{name}" cannot name a folder; use letters, digits, "-", "_" and "."\n'


@pytest.mark.parametrize("key", ["runs_dir", "datasets_dir", "reports_dir", "more_runs_dirs", "study_files_dir"])
def test_an_empty_place_is_refused_by_every_command(key: str) -> None:
    of = {
        "runs_dir": ("evaluate", "report", "status"),
        "datasets_dir": ("evaluate", "prepare"),
        **dict.fromkeys(("reports_dir", "more_runs_dirs", "study_files_dir"), ("report",)),
    }
    value = "['']" if key.endswith("dirs") else "''"
    for script in of[key]:
        assert main_here(script, f"{key}={value}") == f"error: {key}: is empty; name a folder, or leave it out\n"
    if key in ("runs_dir", "datasets_dir"):
        for script in ("train", "check"):
            said = f"error: system.{key}: is empty; name a folder, or leave it out\n"
            assert main_here(script, f"system.{key}=''") == said


def test_links_that_lead_to_themselves_are_damaged_runs_and_the_others_are_read(
    trained: Path, runs_dir: Path, tmp_path: Path
) -> None:
    study = runs_dir / "default"
    for name in ("good", "damaged"):
        shutil.copytree(trained, study / name)
    (study / "itself").symlink_to("itself")
    (runs_dir / "study").symlink_to("study")
    for name in ("config.yaml", "run.json", "state.json"):
        put_link(study / "damaged" / name, Path(name))
    runs = {run.name: run for run in read_study(study).runs}
    assert {name: run.status for name, run in runs.items()} == {
        "good": "finished",
        "itself": "unreadable",
        "damaged": "unreadable",
    }
    assert runs["itself"].reason == "the folder cannot be opened: Too many levels of symbolic links"
    for script, words in {"status": (), "report": (f"reports_dir={tmp_path / 'reports'}",)}.items():
        answer = run_command(f"runs/{script}.py", f"runs_dir={runs_dir}", *words)
        assert (answer.returncode, answer.stderr) == (0, ""), answer
    answer = run_command("runs/evaluate.py", f"runs_dir={runs_dir}")
    damaged = f"{study / 'damaged' / 'run.json'}: is damaged; the run's command writes it again"
    assert (answer.returncode, answer.stderr) == (1, f"error: 1 of 2 runs were not evaluated:\n{damaged}\n")
    assert (study / "good" / "test.json").exists()


def test_a_report_deletes_no_file_outside_its_folder(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    written = tmp_path / "reports" / "default" / ".written"
    written.parent.mkdir(parents=True)
    written.write_text(f"../../mine.txt\n{tmp_path / 'mine.txt'}")
    answer = main_here("report", f"runs_dir={trained.parents[1]}", f"reports_dir={tmp_path / 'reports'}")
    assert answer == ""
    assert (tmp_path / "mine.txt").exists()


def test_a_folder_for_this_user_alone_is_no_link_and_not_another_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wide").mkdir(mode=0o777)
    assert private_folder(tmp_path / "wide").stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "wide")
    with pytest.raises(ValueError, match="link: is a link, through which nothing is written"):
        private_folder(tmp_path / "link")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert private_folder(tmp_path / "wide") == tmp_path / "wide-12345"
