"""Every command in the READMEs works as it is written there, one after the other."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from baking import PROJECT, TEMPLATE, Bake, commit, share_environment, succeed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are for Linux and macOS")

NOT_RUN = {
    "make test": "would start these tests again",
    "cookiecutter path/to/cookiecutter-hydra-research": "asks its questions; tests/test_answers.py types the answers",
    "cruft create path/to/cookiecutter-hydra-research": "tests/test_cruft.py runs it on a repository of its own",
    "cruft update": "tests/test_cruft.py runs it on a repository of its own",
}
GAN = TEMPLATE / PROJECT / "docs" / "two_optimizers.md"
SWEEP = "python runs/train.py --multirun model=net2,net5 seed=0,1,2"
ON_A_CLUSTER = [f"{SWEEP} +launcher=slurm", f"{SWEEP} +launcher=slurmgpu"]  # tests/test_slurm_sweeps.py runs them


def commands(readme: Path) -> list[str]:
    """The lines of every ```bash block, without their comments."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", readme.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def run_in_one_shell(lines: list[str], folder: Path) -> None:
    """Runs them in order; what is sourced stays for those that follow."""
    sourced = ""
    for line in lines:
        if line.startswith("source "):
            sourced += f"{line}; "
        succeed("bash", "-c", sourced + line, cwd=folder)


def test_every_code_block_has_a_language() -> None:
    """A block that this file would not see could hold a command that nobody runs."""
    for readme in (TEMPLATE / "README.md", TEMPLATE / "CONTRIBUTING.md", TEMPLATE / PROJECT / "README.md", GAN):
        fences = re.findall(r"^```(.*)$", readme.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert set(fences[::2]) <= {"bash", "text", "python", "yaml"}
        assert set(fences[1::2]) <= {""}


def test_the_project_opens_with_two_commands() -> None:
    assert commands(TEMPLATE / PROJECT / "README.md")[:2] == ["make run", "make test"]


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


def test_commands_of_the_projects_readme(bake: Bake) -> None:
    project = bake()
    share_environment(project)
    commit(project, "generated")
    lengths = write_examples(project, "README.md")
    assert len(lengths) == 6
    assert max(lengths) <= 10
    rows = [f"{x / 20},{y / 10},{int(x / 20 + y / 10 > 1)}" for x in range(20) for y in range(10)]
    (project / "data" / "ratings.csv").write_text("\n".join(rows), encoding="utf-8")
    lines = commands(project / "README.md")
    run_in_one_shell([line for line in lines if line not in ON_A_CLUSTER], project)
    assert (project / "data/reports/sweep_models/report.pdf").stat().st_size > 10_000
    assert len(write_examples(project, "docs/two_optimizers.md")) == 4
    run_in_one_shell(["source .venv/bin/activate", *commands(project / "docs" / "two_optimizers.md")], project)
    (images,) = (project / "data" / "runs" / "gan").glob("*/predictions.npz")
    assert images.stat().st_size > 10_000
    write_more(project)
    succeed("bash", "-c", "source .venv/bin/activate; pytest --numprocesses 2 --dist worksteal", cwd=project)


@pytest.mark.parametrize("readme", ["README.md", "CONTRIBUTING.md"])
def test_commands_of_the_templates_readme(readme: str, template: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(template, tmp_path / "cookiecutter-hydra-research")
    share_environment(copy)
    commit(copy, "first")
    lines = commands(copy / readme)
    run_in_one_shell([line for line in lines if line not in NOT_RUN], copy)


def test_only_commands_that_stand_in_a_readme_are_excused() -> None:
    written = commands(TEMPLATE / "README.md") + commands(TEMPLATE / "CONTRIBUTING.md")
    assert set(NOT_RUN) <= set(written)
    assert set(ON_A_CLUSTER) <= set(commands(TEMPLATE / PROJECT / "README.md"))
