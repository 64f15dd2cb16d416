"""Removes the files that the answers did not choose, and nothing else."""

import json
from pathlib import Path

ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip

UNCHOSEN = {
    "LICENSE": ANSWERS["license"] == "none",
    ".dockerignore": not ANSWERS["use_containers"],
    "env_setup/Dockerfile": not ANSWERS["use_containers"],
    "env_setup/apptainer.def": not ANSWERS["use_containers"],
    ".github/workflows/tests.yml": not ANSWERS["github_workflow"],
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
