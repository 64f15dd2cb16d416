"""`cruft` makes a project from this template and later brings it up to date without losing the user's work."""

import html
import json
import shutil
import sys
from pathlib import Path

import pytest
from baking import PROJECT, command, commit, files, read_toml, succeed
from markdown_it import MarkdownIt

CRUFT = (sys.executable, "-m", "cruft")
NAME = 'It\'s "a" \\ study 😀'


@pytest.fixture
def upstream(template: Path, tmp_path: Path) -> Path:
    """The template as a git repository of its own."""
    copy = shutil.copytree(template, tmp_path / "template")
    commit(copy, "first")
    return copy


@pytest.fixture
def project(upstream: Path, tmp_path: Path) -> Path:
    answers = {"project_name": NAME, "project_slug": "study", "license": "none", "use_containers": False}
    output = tmp_path / "projects"
    words = ("--no-input", "--default-config", "--output-dir", output, "--extra-context", json.dumps(answers))
    succeed(*CRUFT, "create", upstream, *words, cwd=tmp_path)
    commit(output / "study", "generated")
    return output / "study"


def append(file: Path, text: str) -> None:
    file.write_bytes(file.read_bytes() + text.encode())


def test_a_new_project_is_up_to_date(project: Path) -> None:
    succeed(*CRUFT, "check", cwd=project)
    assert not {"LICENSE", "env_setup/Dockerfile"} & files(project)


def test_update_replaces_labkit_and_leaves_modules_alone(upstream: Path, project: Path) -> None:
    edited, untouched = "modules/tasks/classification.py", "modules/models/networks.py"
    append(project / edited, "# Mine.\n")
    commit(project, "my work")
    before = {name: (project / name).read_bytes() for name in files(project) if name.startswith("modules/")}

    follow = ("labkit/text.py", "config/system/default.yaml", "run_all_tasks.sh", "make.py")
    for name in (edited, untouched, "config/model/net2.yaml", *follow):
        append(upstream / PROJECT / name, "# New in the template.\n")
    (upstream / PROJECT / "modules/models/new.py").write_text('"""New in the template."""\n')
    commit(upstream, "second")
    succeed(*CRUFT, "update", "--skip-apply-ask", cwd=project)

    assert {name: (project / name).read_bytes() for name in files(project) if name.startswith("modules/")} == before
    assert "New in" not in (project / "config/model/net2.yaml").read_text(encoding="utf-8")
    for name in follow:
        assert (project / name).read_bytes() == (upstream / PROJECT / name).read_bytes()


def test_every_path_that_an_update_skips_is_there(project: Path) -> None:
    skipped = read_toml(project / "pyproject.toml")["tool"]["cruft"]["skip"]
    assert [name for name in skipped if not (project / name).exists()] == []


def test_update_brings_the_new_and_keeps_the_users_edits(upstream: Path, project: Path) -> None:
    append(project / "docs/question.md", "\nMy own question.\n")
    readme = (project / "README.md").read_text(encoding="utf-8")
    (project / "README.md").write_text(readme + "\nMy own last line.\n", encoding="utf-8")
    (project / "modules/models/mine.py").write_text('"""Mine."""\n')
    (project / "docs/paper_notes.md").unlink()
    commit(project, "my work")

    append(upstream / PROJECT / "docs/checklist.md", "- [ ] New in the template.\n")
    append(upstream / PROJECT / "docs/paper_notes.md", "New notes.\n")
    append(upstream / PROJECT / "LICENSE", "New terms.\n")
    template_readme = upstream / PROJECT / "README.md"
    template_readme.write_text(
        template_readme.read_text(encoding="utf-8").replace("# {{", "# On {{", 1), encoding="utf-8"
    )
    (upstream / PROJECT / "docs/new.md").write_text("New file.\n")
    commit(upstream, "second")

    assert command(*CRUFT, "check", cwd=project).returncode == 1
    succeed(*CRUFT, "update", "--skip-apply-ask", cwd=project)

    assert (project / "docs/question.md").read_text(encoding="utf-8").endswith("\nMy own question.\n")
    assert (project / "modules/models/mine.py").read_text() == '"""Mine."""\n'
    assert not (project / "docs/paper_notes.md").exists()
    assert (project / "docs/checklist.md").read_text(encoding="utf-8").endswith("New in the template.\n")
    assert (project / "docs/new.md").read_text() == "New file.\n"
    assert not {"LICENSE", "env_setup/Dockerfile"} & files(project)
    merged = (project / "README.md").read_text(encoding="utf-8")
    assert merged == readme.replace("# ", "# On ", 1) + "\nMy own last line.\n"
    assert (
        MarkdownIt().render(merged).startswith(f"<h1>On {html.escape(NAME, quote=False)}</h1>".replace('"', "&quot;"))
    )
    assert not [name for name in files(project) if name.endswith((".rej", ".orig"))]
    assert "<<<<<<<" not in succeed("git", "diff", "HEAD", cwd=project)
    succeed(*CRUFT, "check", cwd=project)
