"""Every command in the project's README works as it is written there, one after the other; see also the second half."""

import re
import sys
from pathlib import Path

import pytest
from baking import PROJECT, TEMPLATE, succeed
from readmes import SECOND_HALF, commands, run_in_one_shell, said_in_notebook, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are for Linux and macOS")

GAN = TEMPLATE / PROJECT / "docs" / "two_optimizers.md"


def write_examples(project: Path, document: str) -> list[int]:
    """The files that it shows, as they stand there: a block of code begins with the name of its file. Their lengths."""
    text = (project / document).read_text(encoding="utf-8")
    examples = re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    for name, code in examples:
        (project / name).write_text(code, encoding="utf-8")
    return [sum(bool(line.strip()) for line in code.splitlines()) for _, code in examples]


OPTIMIZER = """
from torch.optim import SGD


class Slow(SGD):
    def __init__(self, params, *, lr: float) -> None:
        super().__init__(params, lr=lr / 10)
"""
MODEL = """
from torch import nn


class Bag(nn.Module):
    def __init__(self, *, vocabulary: int, outputs: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.head = nn.Linear(width, outputs)

    def forward(self, tokens, mask):
        return self.head((self.embedding(tokens) * mask[:, :, None]).sum(1))
"""


def write_more(project: Path) -> None:
    """Other things that a student may add: the project's own tests must take them as well."""
    (project / "modules" / "optimizers").mkdir()
    for name, content in {
        "modules/optimizers/slow.py": OPTIMIZER,
        "config/optimizer/slow.yaml": "_target_: modules.optimizers.slow.Slow\nname: slow\nlr: 0.1\n",
        "modules/models/bag.py": MODEL,
        "config/model/bag.yaml": "_target_: modules.models.bag.Bag\nname: bag\nwidth: ${data.rare}\n",
    }.items():
        (project / name).write_text(content, encoding="utf-8")


def test_commands_of_the_projects_readme(odd_place: Path) -> None:
    """Its first half; tests/test_readme_second_half.py runs the other one beside it."""
    project = odd_place
    lines = until(SECOND_HALF, project / "README.md")
    assert [lines.pop(0), lines.pop(0)] == ["make run", "make test"]
    run_in_one_shell(["make run"], project)
    assert succeed("git", "status", "--porcelain", cwd=project) == " M docs/lab_notebook.md\n"  # all else is ignored
    lengths = write_examples(project, "README.md")
    assert len(lengths) == 7
    assert max(lengths) <= 10
    rows = [f"{x / 20},{y / 10},{int(x / 20 + y / 10 > 1)}" for x in range(20) for y in range(10)]
    (project / "data" / "ratings.csv").write_text("\n".join(rows), encoding="utf-8")
    report = project / "config" / "report.yaml"
    listed = report.read_text(encoding="utf-8").replace("  - cost\n", "  - cost\n  - lowest_losses\n")
    report.write_text(listed, encoding="utf-8")
    run_in_one_shell(lines, project)
    assert (project / "data/reports/sweep_models/report.pdf").stat().st_size > 10_000
    assert (project / "data/reports/first/figures/lowest_losses.pdf").exists()
    said = said_in_notebook(project)
    assert len([line for line in said if ". sweep_models: 15 of 15 finished; validation/accuracy " in line]) == 1
    assert len({*said}) == len(said) > 3
    assert len(write_examples(project, "docs/two_optimizers.md")) == 4
    run_in_one_shell(["source .venv/bin/activate", *commands(project / "docs" / "two_optimizers.md")], project)
    (images,) = (project / "data" / "runs" / "gan").glob("*/predictions.npz")
    assert images.stat().st_size > 10_000
    write_more(project)
    run_in_one_shell(["make test"], project)


def test_every_code_block_has_a_language() -> None:
    """A block that this file would not see could hold a command that nobody runs."""
    for readme in (TEMPLATE / "README.md", TEMPLATE / "CONTRIBUTING.md", TEMPLATE / PROJECT / "README.md", GAN):
        fences = re.findall(r"^```(.*)$", readme.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert set(fences[::2]) <= {"bash", "text", "python", "yaml"}
        assert set(fences[1::2]) <= {""}


def test_the_project_opens_with_two_commands() -> None:
    assert commands(TEMPLATE / PROJECT / "README.md")[:2] == ["make run", "make test"]
