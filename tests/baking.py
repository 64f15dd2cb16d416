"""How the tests run commands as a user does, and generate projects by the real cookiecutter."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).resolve().parents[1]
PROJECT = "{{cookiecutter.project_slug}}"
MAKERS = str(TEMPLATE / "tests" / "project")  # on PYTHONPATH: run_folders.py, which makes runs without training
Bake = Callable[..., Path]


def command(*words: str | Path, cwd: Path, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as a user would who has activated this environment; leaves no bytecode behind."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=env,
        input=typed,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def succeed(*words: str | Path, cwd: Path, **environment: str) -> str:
    """The output of a command that must end with status 0."""
    result = command(*words, cwd=cwd, **environment)
    assert result.returncode == 0, f"{words} ended with {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def cookiecutter(
    template: Path, output: Path, answers: dict[str, str], typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """`cookiecutter` with these answers and the template's own for the others, or with all of them typed."""
    home = output / ".home"
    home.mkdir(parents=True)
    words = [f"{key}={answer}" for key, answer in answers.items()]
    result = command(
        *(sys.executable, "-m", "cookiecutter", template, "--default-config", "--output-dir", output),
        *(["--no-input"] if typed is None else []),
        *words,
        cwd=template,
        typed=typed or "",
        HOME=str(home),
        USERPROFILE=str(home),
    )
    shutil.rmtree(home)
    return result


def files(folder: Path) -> set[str]:
    """Every file below a folder, as relative paths with forward slashes, but for git's own."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def read_toml(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def share_environment(project: Path) -> None:
    """Gives the project a `.venv` that sees this environment's packages: installing finds all of them there."""
    succeed(sys.executable, "-m", "venv", "--without-pip", ".venv", cwd=project)
    (own,) = (project / ".venv").glob("[Ll]ib/**/site-packages")
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (own / "shared.pth").write_text("\n".join(shared), encoding="utf-8")


def commit(folder: Path, message: str) -> None:
    """Commits everything, making the folder a repository if it is none."""
    author = {f"GIT_{who}_{what}": f"{who}@test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    succeed("git", "init", "--quiet", cwd=folder)
    succeed("git", "add", "--all", cwd=folder)
    succeed("git", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", message, cwd=folder, **author)
