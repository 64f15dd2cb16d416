"""A project from before labkit/ follows the steps of CHANGELOG.md. This file goes when that release is an old one."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from baking import PROJECT, TEMPLATE, command, commit, files, succeed

CRUFT = (sys.executable, "-m", "cruft")
TRAIN = (sys.executable, "runs/train.py")
BEFORE = "c54a63a"  # the last commit in which everything was in modules/
IN_HISTORY = command("git", "cat-file", "-e", BEFORE, cwd=TEMPLATE).returncode == 0
pytestmark = pytest.mark.skipif(
    not IN_HISTORY, reason=f"needs a full clone: git fetch --unshallow ({BEFORE} is missing)"
)

MODEL = '''\
"""Mine."""

from math import prod

from torch import Tensor, nn


class Mine(nn.Module):
    """One wide layer."""

    def __init__(self, *, input_shape: tuple[int, ...], classes: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(prod(input_shape), width), nn.ReLU(), nn.Linear(width, classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.flatten(1))
'''
FIGURE = '''\
"""Mine."""

from matplotlib.figure import Figure

from modules.reporting.figures.style import Drawing
from modules.reporting.findings import Findings


def mine(findings: Findings, width_cm: float) -> list[Drawing] | str:
    """An axis."""
    figure = Figure(figsize=(width_cm / 2.54, 3))
    figure.subplots().plot([0, 1])
    return [("mine", figure, "Mine.")]
'''


SET_ASIDE = "modules/my_step.py"


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text, f"{file}: {old}"
    file.write_text(text.replace(old, new), encoding="utf-8")


def moves() -> dict[str, str]:
    """{old name: new name} of the table in CHANGELOG.md, the longest first."""
    rows = re.findall(r"^ +\| `([\w.]+)`.* \| `([\w.]+)`.* \|$", (TEMPLATE / "CHANGELOG.md").read_text(), re.MULTILINE)
    return dict(sorted(rows, key=lambda row: -len(row[0])))


@pytest.fixture
def upstream(template: Path, tmp_path: Path) -> Path:
    """The template with its history, and on top of it the files that are here now."""
    clone = tmp_path / "template"
    succeed("git", "clone", "--quiet", TEMPLATE, clone, cwd=tmp_path)
    for name in files(clone) - files(template):
        (clone / name).unlink()
    shutil.copytree(template, clone, dirs_exist_ok=True)
    (clone / "now").touch()  # so that there is something to commit
    commit(clone, "now")
    return clone


@pytest.fixture
def project(upstream: Path, tmp_path: Path) -> Path:
    """A project of that time, with what a user adds and changes."""
    words = ("--checkout", BEFORE, "--no-input", "--default-config", "--output-dir", tmp_path)
    succeed(*CRUFT, "create", upstream, *words, "--extra-context", json.dumps({"project_slug": "study"}), cwd=tmp_path)
    made = tmp_path / "study"
    commit(made, "generated")
    (made / "modules/models/mine.py").write_text(MODEL)
    (made / "modules/reporting/figures/mine.py").write_text(FIGURE)
    (made / "config/model/mine.yaml").write_text("_target_: modules.models.mine.Mine\nname: mine\nwidth: 8\n")
    (made / "config/experiment/mine.yaml").write_text("# @package _global_\nstudy: mine\nmodel: {width: 8}\n")
    shutil.copy(made / "config/study/sweep_models.yaml", made / "config/study/mine.yaml")
    replace(made / "config/study/mine.yaml", "net2", "mine")
    replace(made / "config/study/sweep_models.yaml", "smallest_difference: 0.005", "smallest_difference: 0.01")
    replace(made / "config/report.yaml", "  - cost\n", "  - cost\n  - mine\n")
    replace(made / "modules/training/classification.py", "logits, batch", "logits * 2.0, batch")
    with (made / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("\nMy own last line.\n")
    commit(made, "my work")
    return made


def test_the_steps_of_the_changelog_move_a_project(project: Path) -> None:
    mine = (*TRAIN, "model=mine", "+experiment=mine", "data=synthetic", "training.epochs=1")
    succeed(*mine, cwd=project)
    weights = [path.read_bytes() for path in project.rglob("best.pt")]
    (set_aside,) = re.findall(rf"`(git mv \S+ {SET_ASIDE})`", (TEMPLATE / "CHANGELOG.md").read_text())
    succeed(*set_aside.split(), cwd=project)
    commit(project, "set aside")
    succeed(*CRUFT, "update", "--skip-apply-ask", cwd=project)

    conflicts = succeed("git", "diff", "--name-only", "--diff-filter=U", cwd=project).split()
    assert set(conflicts) <= {"README.md"}
    assert "My own last line." in (project / "README.md").read_text(encoding="utf-8")
    assert "logits * 2.0, batch" in (project / SET_ASIDE).read_text()
    assert not (project / "modules/training/classification.py").exists()
    assert "smallest_difference: 0.01" in (project / "studies/sweep_models.yaml").read_text()
    assert "  - mine\n" in (project / "config/report.yaml").read_text()
    assert not [name for name in files(project) if name.endswith((".rej", ".orig"))]

    succeed("git", "add", "README.md", cwd=project)
    for command_line in re.findall(r"^ +(git (?:mv|clean) .*)$", (TEMPLATE / "CHANGELOG.md").read_text(), re.MULTILINE):
        succeed("bash", "-c", command_line, cwd=project)
    for old, new in moves().items():
        for file in ("modules/figures/mine.py", "modules/models/mine.py"):
            moved = project / file
            moved.write_text(moved.read_text().replace(old, new))
    replace(project / "modules/tasks/classification.py", "self.output(batch)  #", "2.0 * self.output(batch)  #")
    (project / SET_ASIDE).unlink()
    assert not (project / "config/study").exists()
    assert not (project / "modules/reporting").exists()

    assert "finished already" in succeed(*mine, cwd=project)
    assert [path.read_bytes() for path in project.rglob("best.pt")] == weights
    succeed(*mine, "seed=1", cwd=project)
    succeed(sys.executable, "runs/report.py", "study=mine", cwd=project)
    assert (project / "data/reports/mine/figures/mine.pdf").exists()
    succeed(*CRUFT, "check", cwd=project)


def test_every_new_name_is_there() -> None:
    for new in moves().values():
        path = TEMPLATE / PROJECT / new.replace(".", "/")
        parts = (path, path.with_suffix(".py"), path.parent.with_suffix(".py"))
        assert any(part.exists() for part in parts), new
