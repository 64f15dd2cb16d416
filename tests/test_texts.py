"""What people read names only what is there, and fits their screens."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest
from baking import PROJECT, TEMPLATE
from test_budgets import READ, lines_of

STUDY = TEMPLATE / PROJECT
FOLDERS = "runs|modules|labkit|config|studies|hydra_plugins|docs|tests|env_setup|thesis|benchmarks|hooks"
NOT_IN_GIT = {f"config/local/{name}.yaml" for name in ("default", "slurm", "slurmgpu")}
TEXTS = [
    path
    for folder in (TEMPLATE, STUDY)
    for pattern in ("*.md", "docs/*.md", "data/*.md", "labkit/*.md", "benchmarks/*.md")
    for path in sorted(folder.glob(pattern))
    if path.name != "CHANGELOG.md"  # it names what was there once
]


def table_of_names() -> dict[str, set[str]]:
    """{module of labkit: the names of it} in labkit/README.md."""
    text = (STUDY / "labkit/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(labkit\.[\w.]+)` \| (.*) \|$", text, flags=re.MULTILINE)
    return {module: set(re.findall(r"`(\w+)`", names)) for module, names in rows}


def names_in_use() -> dict[str, set[str]]:
    """{module of labkit: the names of it} that modules/ imports; what figures draw with is left out."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (STUDY / "modules").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("labkit"):
                found[node.module] |= {alias.name for alias in node.names}
    return {module: names for module, names in found.items() if not module.startswith("labkit.reporting")}


def test_labkits_readme_lists_the_names_that_modules_use() -> None:
    assert table_of_names() == names_in_use()


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.relative_to(TEMPLATE).as_posix())
def test_every_file_that_a_text_names_is_there(text: Path) -> None:
    named = set(re.findall(rf"`((?:{FOLDERS})/[\w./]*\w)`", text.read_text(encoding="utf-8"))) - NOT_IN_GIT
    homes = (STUDY,) if STUDY in text.parents else (TEMPLATE, STUDY)
    assert [name for name in sorted(named) if not any((home / name).exists() for home in homes)] == []


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.relative_to(TEMPLATE).as_posix())
def test_lines_fit_a_screen(text: Path) -> None:
    assert [line for line in text.read_text(encoding="utf-8").splitlines() if len(line) > 160] == []


@pytest.mark.parametrize("readme", [TEMPLATE / "README.md", STUDY / "README.md"], ids=["template", "project"])
def test_what_a_student_reads_is_as_long_as_the_readme_says(readme: Path) -> None:
    said = re.search(r"about ([\d,]+) lines", readme.read_text(encoding="utf-8"))
    assert said
    assert abs(int(said[1].replace(",", "")) - sum(lines_of("modules", *READ).values())) <= 100
