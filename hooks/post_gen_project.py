"""Removes the files that the answers did not choose, and says what comes next."""

import json
import os
import shlex
from pathlib import Path
from tempfile import gettempdir

ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip

UNCHOSEN = {
    "LICENSE": ANSWERS["license"] == "none",
    ".devcontainer/devcontainer.json": not ANSWERS["use_containers"],
    "env_setup/.dockerignore": not ANSWERS["use_containers"],
    "env_setup/Dockerfile": not ANSWERS["use_containers"],
    "env_setup/apptainer.def": not ANSWERS["use_containers"],
    ".github/workflows/tests.yml": not ANSWERS["github_workflow"],
    ".github/dependabot.yml": not ANSWERS["github_workflow"],
    ".gitlab-ci.yml": not ANSWERS["gitlab_ci"],
}


def remove(file: Path) -> None:
    """Removes a file and the folders which that leaves empty."""
    file.unlink()
    for folder in file.parents:
        if folder == Path() or any(folder.iterdir()):
            break
        folder.rmdir()


if __name__ == "__main__":
    for name, unchosen in UNCHOSEN.items():
        if unchosen:
            remove(Path(name))
    here = Path.cwd()
    if "_output_dir" in ANSWERS or Path(gettempdir()).resolve() not in here.parents:  # where `cruft update` compares
        run = "python make.py run" if os.name == "nt" else "make run"
        print(f"The project is in {here}.\nNext:\n\n    cd {shlex.quote(str(here))}\n    {run}\n")
