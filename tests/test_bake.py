"""Every combination of answers gives exactly the files it should, and each of them is sound."""

import fnmatch
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from baking import PROJECT, TEMPLATE, Bake, cookiecutter, files, read_toml, succeed

LICENSES = {"MIT": "MIT License", "BSD-3-Clause": "BSD 3-Clause License", "Apache-2.0": "Apache License", "none": None}
APACHE = "3b83ef96387f14655fc854ddc3c6bd57"  # of https://www.apache.org/licenses/LICENSE-2.0.txt
CONTAINER_FILES = {f"env_setup/{name}" for name in (".dockerignore", "Dockerfile", "apptainer.def")}
CONTAINER_FILES |= {".devcontainer/devcontainer.json"}
WORKFLOW_FILES = {".github/workflows/tests.yml", ".github/dependabot.yml"}
KEYS: tuple[str, ...] = ("license", "use_containers", "github_workflow", "gitlab_ci")
COMBINATIONS = [  # every two answers meet
    ("MIT", "true", "true", "false"),
    ("MIT", "false", "false", "true"),
    ("BSD-3-Clause", "true", "false", "false"),
    ("BSD-3-Clause", "false", "true", "true"),
    ("Apache-2.0", "true", "false", "true"),
    ("Apache-2.0", "false", "true", "false"),
    ("none", "true", "true", "true"),
    ("none", "false", "false", "false"),
]


@pytest.fixture(scope="module", params=COMBINATIONS, ids="-".join)
def baked(request: pytest.FixtureRequest, bake: Bake) -> tuple[dict[str, str], Path]:
    answers = dict(zip(KEYS, request.param, strict=True))
    return answers, bake(**answers)


def test_the_files_are_exactly_those_that_were_chosen(baked: tuple[dict[str, str], Path], template: Path) -> None:
    answers, project = baked
    expected = files(template / PROJECT)
    if answers["license"] == "none":
        expected -= {"LICENSE"}
    if answers["use_containers"] == "false":
        expected -= CONTAINER_FILES
    if answers["github_workflow"] == "false":
        expected -= WORKFLOW_FILES
    if answers["gitlab_ci"] == "false":
        expected -= {".gitlab-ci.yml"}
    assert files(project) == expected
    assert not [folder for folder in project.rglob("*") if folder.is_dir() and not any(folder.iterdir())]


def test_the_license_is_the_chosen_one(baked: tuple[dict[str, str], Path]) -> None:
    answers, project = baked
    title = LICENSES[answers["license"]]
    if title:
        text = (project / "LICENSE").read_text()
        assert text.lstrip().startswith(f"{title}\n")
        assert text.count("Copyright (c) Your Name\n") == 1
        assert text.endswith((".\n", "limitations under the License.\n"))
        if title == "Apache License":
            plain = text.replace("Copyright (c) Your Name", "Copyright [yyyy] [name of copyright owner]")
            assert hashlib.md5(b"\n" + plain.encode()).hexdigest() == APACHE
    cited = yaml.safe_load((project / "CITATION.cff").read_text())
    assert cited.pop("license", "none") == answers["license"]
    assert cited == {
        "cff-version": "1.2.0",
        "message": "Please cite this study if you use it.",
        "title": "My Study",
        "abstract": "What this study asks, in one sentence.",
        "authors": [{"name": "Your Name"}],
    }


def test_no_braces_are_left_but_those_of_the_reports_own_templates(
    baked: tuple[dict[str, str], Path], template: Path
) -> None:
    _, project = baked
    for name in files(project):
        text = (project / name).read_text(encoding="utf-8")
        if name.endswith(".jinja"):
            assert text == (template / PROJECT / name).read_text(encoding="utf-8")
            continue
        left = re.search(r"(?<!\$)\{\{ *[a-z_]+\.|\{%|cookiecutter", text)  # `${{ x }}` is GitHub's
        assert left is None, f"{name}: {text[left.start() : left.start() + 60]!r}"


def test_every_file_can_be_read_by_what_reads_it(baked: tuple[dict[str, str], Path]) -> None:
    _, project = baked
    for name in files(project):
        text = (project / name).read_text(encoding="utf-8")
        if name.endswith((".yaml", ".yml")):
            yaml.safe_load(text)
        elif name.endswith(".toml"):
            read_toml(project / name)
        elif name.endswith(".py"):
            compile(text, name, "exec")


def test_style_is_clean(baked: tuple[dict[str, str], Path]) -> None:
    _, project = baked
    succeed(sys.executable, "-m", "ruff", "check", "--no-cache", cwd=project)
    succeed(sys.executable, "-m", "ruff", "format", "--check", "--no-cache", cwd=project)


def test_the_readme_names_only_what_is_there(baked: tuple[dict[str, str], Path]) -> None:
    answers, project = baked
    readme = (project / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:runs|modules|config|docs|tests|env_setup)/[\w./]*\w)`", readme)
    assert len(named) >= 5
    assert [name for name in named if not (project / name).exists()] == []
    assert ("Dockerfile" in readme) == (answers["use_containers"] == "true")


def test_scripts_stay_executable(bake: Bake) -> None:
    project = bake()
    assert sys.platform == "win32" or (project / "run_all_tasks.sh").stat().st_mode & 0o111
    assert b"\r" not in (project / "run_all_tasks.sh").read_bytes()


def test_two_generations_are_byte_identical(bake: Bake, template: Path, tmp_path: Path) -> None:
    one, two = bake(), tmp_path / "my-study"
    assert cookiecutter(template, tmp_path, {}).returncode == 0
    assert {name: (one / name).read_bytes() for name in files(one)} == {
        name: (two / name).read_bytes() for name in files(two)
    }


def _context() -> dict[str, Any]:
    return json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))


def test_no_folder_is_copied_whole(template: Path) -> None:
    """A folder that matches `_copy_without_render` would be removed, with a user's files in it, on regeneration."""
    folders = [path.relative_to(template / PROJECT) for path in (template / PROJECT).rglob("*") if path.is_dir()]
    patterns = _context()["_copy_without_render"]
    assert [(f, p) for f in folders for p in patterns if fnmatch.fnmatch(str(f), p)] == []


def test_every_pattern_is_needed_and_only_four_files_hold_answers(template: Path) -> None:
    project = template / PROJECT
    patterns = _context()["_copy_without_render"]
    for pattern in patterns:
        assert fnmatch.filter(files(project), pattern), pattern
    rendered = {name for name in files(project) if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)}
    assert rendered == {"README.md", "LICENSE", "CITATION.cff", "pyproject.toml"}


def test_generating_again_keeps_the_users_own_files(bake: Bake, template: Path) -> None:
    project = bake(github_workflow="false")
    own = [project / "data/runs/study/run/run.json", project / "modules/models/mine.py", project / ".github/mine.yml"]
    for file in own:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    words = ("--no-input", "--default-config", "--overwrite-if-exists", "--output-dir", project.parent)
    home = str(project.parent)
    succeed(
        sys.executable, "-m", "cookiecutter", template, *words, "github_workflow=false", cwd=project.parent, HOME=home
    )
    assert [file.read_text() for file in own] == ["mine"] * 3
