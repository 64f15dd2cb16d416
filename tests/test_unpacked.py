"""A blind bundle is unpacked in an empty folder, by somebody with an empty home: its report and its runs again."""

import hashlib
import socket
import zipfile
from pathlib import Path

import pytest
from baking import Bake, commit, share_environment, succeed
from faults import Project

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="the commands are for Linux and macOS")

AUTHOR, LOGIN = "Jane Q. Smith", "jqsmith"
TOKEN = f"ghp_{'a1B2' * 9}"


@pytest.fixture(scope="module")
def project(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """With a study of two runs, each of its own code, in a folder that names its owner."""
    project = Project(bake(author=AUTHOR), tmp_path_factory.mktemp("processes"))
    commit(project.root, "generated")
    succeed("git", "remote", "add", "origin", f"git@git.example:{LOGIN}/blind-study.git", cwd=project.root)
    local = f"# @package _global_\nsystem: {{runs_dir: {project.root.parent / LOGIN / 'runs'}}}\n"
    (project.root / "config" / "local").mkdir()
    (project.root / "config" / "local" / "default.yaml").write_text(local, encoding="utf-8")
    assert project.run(script="prepare").status == 0
    for seed in (0, 1):
        with (project.root / "modules" / "parts.py").open("a", encoding="utf-8") as file:
            file.write(f"# changed for seed {seed} by {AUTHOR}\n")
        ended = project.run("study=blind", "model=linear", "training.epochs=2", f"seed={seed}")
        assert (ended.status, ended.err) == (0, "")
    return project


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_blind_bundle_makes_its_report_and_its_runs_again_elsewhere(project: Project, tmp_path: Path) -> None:
    bundled = project.root / "data" / "bundles" / "blind-anonymous.zip"
    made = []
    for _ in range(2):
        ended = project.run("anonymous=true", script="bundle")
        assert (ended.status, ended.err) == (0, "")
        made.append(hashlib.sha256(bundled.read_bytes()).hexdigest())
    assert made[0] == made[1]

    (project.root / "docs" / "more.md").write_text(f"use {TOKEN}\n", encoding="utf-8")
    ended = project.run("anonymous=true", script="bundle")
    assert ended.sentence.startswith("docs/more.md, line 1: looks like a secret, which a copy of the code would hold; ")
    assert [path.name for path in bundled.parent.iterdir()] == [bundled.name]
    assert hashlib.sha256(bundled.read_bytes()).hexdigest() == made[0]

    with zipfile.ZipFile(bundled) as archive:
        archive.extractall(tmp_path)
    root = tmp_path / "blind"
    before = contents(root)
    names = [AUTHOR, LOGIN, "git.example", str(project.root.parent), f'"{socket.gethostname()}"', "AUTHOR@test"]
    assert [(name, file) for file, text in before.items() for name in names if name.encode() in text] == []
    assert "Anonymous" in before["LICENSE"].decode()

    share_environment(root)
    (home := tmp_path / "home").mkdir()
    succeed("make", "report", cwd=root, HOME=str(home))
    after = contents(root)
    assert {name: after[name] for name in before} == before
    answer = succeed("make", "reproduce", "members=2", cwd=root, HOME=str(home))
    runs = sorted(path.name for path in (root / "data" / "runs" / "blind").glob("linear-*"))
    assert len(runs) == 2
    for run in runs:
        assert f"data/runs/blind/{run}: bit-identical\n" in answer
