"""The commands of a README, as they are typed one after the other."""

import re
from pathlib import Path

from baking import succeed

SECOND_HALF = "## 8. A first sweep on Slurm"  # of the project's README: what follows needs the first run only


def commands(readme: Path) -> list[str]:
    """The lines of every ```bash block, without their comments."""
    return _lines(readme.read_text(encoding="utf-8"))


def until(heading: str, readme: Path) -> list[str]:
    """Those before this heading."""
    return _lines(_parts(heading, readme)[0])


def beginning_at(heading: str, readme: Path) -> list[str]:
    """All others."""
    return _lines(_parts(heading, readme)[1])


def _parts(heading: str, readme: Path) -> tuple[str, str]:
    before, found, after = readme.read_text(encoding="utf-8").partition(f"\n{heading}\n")
    assert found, heading
    return before, after


def _lines(text: str) -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def run_in_one_shell(lines: list[str], folder: Path) -> None:
    """Runs them in order; what is sourced stays for those that follow."""
    sourced = ""
    for line in lines:
        if line.startswith("source "):
            sourced += f"{line}; "
        succeed("bash", "-c", sourced + line, cwd=folder)


def said_in_notebook(project: Path) -> list[str]:
    """Of each line that a sweep or a report has added: what came out, without the time and the commit."""
    ran = (project / "docs" / "lab_notebook.md").read_text(encoding="utf-8").partition("## What ran")[2]
    return [line.split(", ", 2)[2] for line in ran.splitlines() if line.startswith("- ")]
