"""A run is trained again as a user does it: from a commit and a diff, after the working tree has changed."""

import csv
import json
import signal
from pathlib import Path

import pytest
from baking import Bake, commit, succeed
from faults import Ended, Project
from outcomes import the_run

SETTING = (
    *("data=table", "data.file=data/mine.csv", "data.target=y", "model=mlp", "training.epochs=null"),
    *("training.steps=1000", "training.evaluate_every_epochs=null", "training.evaluate_every_steps=250"),
)


@pytest.fixture(scope="module")
def project(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """With one finished run of a commit and a diff; since then all of that was committed, and training is broken."""
    project = Project(bake(), tmp_path_factory.mktemp("processes"))
    commit(project.root, "generated")
    write_table(project.root, 2)
    with (project.root / "modules" / "models" / "mlp.py").open("a", encoding="utf-8") as file:
        file.write("\n# not committed yet\n")
    ended = project.run(*SETTING)
    assert (ended.status, ended.err) == (0, "")
    (project.root / "modules" / "parts.py").write_text("raise RuntimeError\n", encoding="utf-8")
    commit(project.root, "broken")
    return project


def write_table(root: Path, factor: int) -> None:
    rows = [["a", "b", "y"], *([x / 20, y / 10, int(factor * x / 20 > y / 10)] for x in range(20) for y in range(20))]
    with (root / "data" / "mine.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def run_of(project: Project) -> Path:
    return the_run(project.root / "data" / "runs").relative_to(project.root)


def reproduce(project: Project, *words: str) -> Ended:
    return project.run(*words, script="reproduce")


def state_of_git(root: Path) -> list[str]:
    return [succeed("git", *words, cwd=root) for words in (["status", "-z"], ["branch", "-a"], ["stash", "list"])]


def test_a_run_of_an_earlier_commit_comes_out_the_same_bit_for_bit(project: Project) -> None:
    before = state_of_git(project.root)
    ended = reproduce(project, "study=default", "members=1")
    assert (ended.status, ended.err) == (0, "")
    new = project.root / "data" / "reproduced" / "default" / run_of(project).name
    assert ended.out.endswith(f"\n{run_of(project)}: bit-identical\n  trained again in {new}\n")
    assert json.loads((new / "reproduction.json").read_bytes())["verdict"] == "bit-identical"
    assert [path.name for path in new.parent.iterdir()] == [new.name]
    assert state_of_git(project.root) == before


def test_ctrl_c_leaves_nothing_behind(project: Project) -> None:
    met = ("wait", [("said", "step 50/", 1)], r"runs/train\.py")
    words = (f"run={run_of(project)}", "reproduced_dir=data/stopped")
    with project.start(*words, script="reproduce", fault=met) as process:
        process.wait_held()
        process.send(signal.SIGINT, everywhere=True)
        ended = process.ended()
    assert (ended.status, ended.err) == (130, "")
    assert list((project.root / "data" / "stopped" / "default").iterdir()) == []


def test_what_keeps_a_run_from_coming_out_the_same_is_named(project: Project) -> None:
    """Last, because the run and its data are not the same afterwards."""
    run = project.root / run_of(project)
    record = json.loads((run / "run.json").read_bytes())
    record["launches"][-1]["packages"]["numpy"] = "1.0.0"
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(config.replace("\nseed: 0\n", "\nseed: 7\n"), encoding="utf-8")
    write_table(project.root, 3)
    ended = reproduce(project, f"run={run}", "reproduced_dir=data/other")
    assert ended.sentence == "1 of 1 run came out different"
    assert "warning: packages have changed since: numpy 1.0.0 -> " in ended.out
    name, first, *changed, _ = ended.out.partition(f"\n{run}: ")[2].splitlines()
    assert name == "different"
    assert first.startswith("  row 1 of metrics.csv is the first to differ: ")
    assert [line.split()[:2] for line in changed] == [
        ["configuration:", "seed"],
        ["data:", "fingerprint"],
        ["packages:", "numpy"],
    ]
    (project.root / "data" / "mine.csv").unlink()
    ended = reproduce(project, f"run={run}", "reproduced_dir=data/none")
    assert f"{run}: could not be trained again: " in ended.err
    assert "mine.csv" in ended.err
    assert list((project.root / "data" / "none" / "default").iterdir()) == []
    record["launches"][-1]["code_id"] = "0" * 12
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    ended = reproduce(project, f"run={run}", "reproduced_dir=data/none")
    assert ended.sentence == f"{run}: the code that ran cannot be restored: git ignores a part of it, or it has changed"
    assert list((project.root / "data" / "none" / "default").iterdir()) == []
