"""run.json says which code ran, on what, and how to run it again; and it holds no secret."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from small_runs import ROOT, SMALL, run_command

CODE = ("runs", "modules", "labkit", "hydra_plugins", "config")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_of_the_project(tmp_path)


@pytest.fixture
def repository(project: Path) -> Path:
    return committed(project)


def copy_of_the_project(folder: Path) -> Path:
    """Of its code, in no git repository."""
    for name in CODE:
        shutil.copytree(ROOT / name, folder / "project" / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "project"


def committed(project: Path) -> Path:
    """The same, in a repository."""
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    author = ("-c", "user.name=test", "-c", "user.email=test@test", "-c", "commit.gpgsign=false")
    git(project, *author, "commit", "--quiet", "--message", "everything")
    return project


def git(folder: Path, *words: str) -> str:
    result = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def provenance(project: Path) -> ModuleType:
    """labkit/runs/provenance.py of this project as a new process has it: nothing has been captured yet."""
    spec = spec_from_file_location("provenance_of_copy", project / "labkit" / "runs" / "provenance.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def launch(project: Path) -> dict[str, Any]:
    return provenance(project).launch_record("python runs/train.py", "now")


def test_a_project_without_git_says_what_is_missing(project: Path) -> None:
    record = launch(project)
    assert record["git"]["commit"] is None
    assert record["git"]["missing"] == "no git repository with a commit: run git init and commit"
    assert re.fullmatch("[0-9a-f]{12}", record["code_id"])
    assert provenance(project).code_diff() is None


def test_a_project_that_a_repository_around_it_ignores_is_not_taken_for_committed(project: Path) -> None:
    (project.parent / ".gitignore").write_text("project/\n")
    (project.parent / "other.txt").write_text("other")
    git(project.parent, "init", "--quiet")
    git(project.parent, "add", "--all")
    git(project.parent, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "other")
    assert launch(project)["git"]["missing"] == "a git repository around this project ignores it: run git init here"


def test_a_commit_is_recorded_and_whether_the_code_is_that_of_the_commit(repository: Path) -> None:
    record = launch(repository)["git"]
    assert record == {"commit": git(repository, "rev-parse", "HEAD"), "dirty": False, "remote": None, "missing": None}
    assert provenance(repository).code_diff() is None
    (repository / "data").mkdir()
    (repository / "data" / "big.bin").write_bytes(b"0")
    (repository / "notes.txt").write_text("no code")
    assert launch(repository)["git"]["dirty"] is False
    (repository / "modules" / "new.py").write_text("")
    assert launch(repository)["git"]["dirty"] is True


def test_the_code_id_is_that_of_the_code_committed_or_not(repository: Path) -> None:
    ids = [provenance(repository).code_id()]
    for name, content in (("models/networks.py", "# edited"), ("new.py", ""), ("new.py", "x = 1"), ("näme.py", "")):
        file = repository / "modules" / name
        file.write_text(content, encoding="utf-8")
        ids.append(provenance(repository).code_id())
    assert len(set(ids)) == 5
    git(repository, "add", "--all")
    (repository / "README.md").write_text("no code")
    assert provenance(repository).code_id() == ids[-1]


def test_the_diff_on_the_commit_gives_the_code_back(repository: Path, tmp_path: Path) -> None:
    (repository / "modules" / "models" / "networks.py").write_text("edited = 'ä'\n", encoding="utf-8")
    (repository / "modules" / "new name.py").write_bytes(b"windows = 1\r\nno_newline = 2")
    (repository / "config" / "model" / "mine.yaml").write_text("name: mine\n")
    (repository / "modules" / "data" / "splits.py").unlink()
    (repository / "config" / "model" / "net7.yaml").rename(repository / "config" / "model" / "net9.yaml")
    (repository / "runs" / "picture.png").write_bytes(bytes(range(256)))
    git(repository, "add", "runs/picture.png")
    status = git(repository, "status", "--porcelain")
    diff = provenance(repository).code_diff()
    assert git(repository, "status", "--porcelain") == status  # looking changed nothing, the index included
    git(tmp_path, "clone", "--quiet", "--config", "core.autocrlf=false", str(repository), "clone")
    (tmp_path / "code.diff").write_bytes(diff)
    git(tmp_path / "clone", "apply", "--whitespace=nowarn", str(tmp_path / "code.diff"))
    for folder in CODE:
        assert contents(tmp_path / "clone" / folder) == contents(repository / folder)
    assert provenance(tmp_path / "clone").code_id() == provenance(repository).code_id()


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    "setting",
    [("color.ui", "always"), ("diff.noprefix", "true"), ("diff.external", "true"), ("diff.mnemonicPrefix", "1")],
)
def test_a_diff_can_be_applied_whatever_the_settings_of_git(repository: Path, setting: tuple[str, str]) -> None:
    git(repository, "config", *setting)
    (repository / "modules" / "parts.py").write_text("changed = True\n")
    diff = provenance(repository).code_diff()
    assert diff is not None
    git(repository, "stash")
    subprocess.run(["git", "apply"], cwd=repository, input=diff, check=True)
    assert (repository / "modules" / "parts.py").read_text() == "changed = True\n"


@pytest.mark.parametrize(
    ("remote", "recorded"),
    [
        ("https://user:s3cret@example.org/group/study.git", "https://example.org/group/study.git"),
        ("https://user:s3@cret@example.org/study.git", "https://example.org/study.git"),
        ("https://s3cret@example.org/study.git", "https://example.org/study.git"),
        ("https://example.org/study.git?token=s3cret", "https://example.org/study.git"),
        ("git@example.org:group/study.git", "git@example.org:group/study.git"),
    ],
)
def test_the_address_of_the_repository_is_recorded_without_its_secrets(
    repository: Path, remote: str, recorded: str
) -> None:
    git(repository, "remote", "add", "origin", remote)
    assert launch(repository)["git"]["remote"] == recorded


def test_the_environment_is_not_recorded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    record = launch(project)
    assert "s3cret" not in json.dumps(record)
    assert record["variables"]["SLURM_JOB_ID"] == "17"


def test_what_ran_is_recorded(project: Path) -> None:
    record = launch(project)
    for package in ("torch", "numpy", "hydra-core"):
        assert re.match(r"\d+\.", record["packages"][package])
    assert record["argv"] == sys.argv
    assert record["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert all(record[key] for key in ("platform", "host", "cpu", "started", "command"))


def test_capturing_takes_a_moment(repository: Path) -> None:
    started = time.perf_counter()
    module = provenance(repository)
    module.launch_record("", "")
    module.code_diff()
    print(f"captured in {time.perf_counter() - started:.3f} s")  # to read with `pytest -s`; a clock decides no test


def test_a_finished_run_says_how_to_run_it_again_and_that_command_finds_it(repository: Path) -> None:
    (repository / "modules" / "models" / "new.py").write_text("uncommitted = True\n")
    words = [*SMALL, "study='a study (1)'", "data.name='my data'", "training.epochs=1"]
    first = run_command("runs/train.py", *words, cwd=repository)
    assert first.returncode == 0, first.stderr
    (folder,) = (repository / "data" / "runs" / "a study (1)").iterdir()
    assert folder.name.startswith("net2-my data-s0-")
    run = json.loads((folder / "run.json").read_bytes())
    (only,) = run["launches"]
    assert only["code_id"] == provenance(repository).code_id()
    assert (folder / only["diff"]).read_bytes() == provenance(repository).code_diff()
    assert only["threads"] == 1
    assert run["cost"]["wall_s"] > 0
    assert run["cost"]["cpu_s"] > 0
    assert run["cost"]["parameters"] == 244
    assert run["seeds"] == {"training": 0, "split": 0}
    assert run["data"]["examples"] == {"train": 60, "validation": 20, "test": 20}
    python, *again = shlex.split(only["command"])
    assert python == "python"
    second = run_command(*again, cwd=repository)
    assert (second.returncode, second.stderr) == (0, "")
    assert "finished already; nothing to do" in second.stdout
    assert len(list(folder.parent.iterdir())) == 1
    (repository / "modules" / "models" / "new.py").unlink()
    third = run_command(*again, cwd=repository)
    assert "warning: " in third.stdout
    assert "finished with code that has changed since" in third.stdout


def test_a_folder_of_another_owner_gives_its_commit_and_what_git_says(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container with a mounted folder, which git then refuses."""
    (repository / "modules" / "train.py").write_text("changed = True\n")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for its tests
    copy = provenance(repository)
    state = copy.git_state()
    branch = (repository / ".git" / "HEAD").read_text().split()[1]
    assert state["commit"] == (repository / ".git" / branch).read_text().strip()
    assert state["dirty"] is None
    assert state["missing"].endswith(f"git config --global --add safe.directory {repository}")
    assert copy.code_diff() is None
