"""Two runs side by side, and the runs that cannot be trained again; tests/test_reproduce.py trains some again."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from labkit.evidence.code import restore_code
from labkit.evidence.compare import CompareConfig, changes, compare, read_recorded, verdict
from labkit.evidence.reproduce import ReproduceConfig, drawn, reproduce
from labkit.runs.code_files import copy_code, id_of
from labkit.runs.provenance import INCOMPLETE
from run_folders import add_run, add_unfinished, change_record, launch, write_json
from small_runs import ROOT, run_command, train_small

ORIGIN = {**launch(), "data_fingerprint": "d1"}


def finished(study: Path, seed: int = 0, **changed: Any) -> Path:
    folder = add_run(study, seed=seed)
    change_record(folder, launches=[{**ORIGIN, **changed}])
    return folder


def refused(reproduced_dir: Path, **given: Any) -> str:
    """What is wrong; and nothing was made."""
    settings = {"run": None, "study": None, "members": None, "seed": 0, "rounding": 1e-5, "runs_dir": "data/runs"}
    places = {"datasets_dir": "data/datasets", "reproduced_dir": str(reproduced_dir)}
    with pytest.raises(ValueError, match=r".") as error:
        reproduce(
            ReproduceConfig(**{**settings, **places, **{k: str(v) if k != "members" else v for k, v in given.items()}})
        )
    assert not list(reproduced_dir.glob("*/*"))
    return str(error.value)


CHANGES = {
    "code: version c0de00000001 (commit 0123abcd0123) -> c0de00000002 (commit 0123abcd0123, changed)": {
        "code_id": "c0de00000002",
        "diff": "code-c0de00000002.diff",
    },
    "packages: numpy absent -> 2.4.6, torch 2.9.0 -> 2.13.0": {"packages": {"torch": "2.13.0", "numpy": "2.4.6"}},
    "data: fingerprint d1 -> d2": {"data_fingerprint": "d2"},
    "machine: gpu None -> H100, threads 1 -> 4": {"gpu": "H100", "threads": 4},
}


@pytest.mark.parametrize("line", CHANGES)
def test_what_has_changed_is_named(line: str, tmp_path: Path) -> None:
    one, other = finished(tmp_path / "a"), finished(tmp_path / "b", **CHANGES[line])
    assert changes(read_recorded(one), read_recorded(other)) == [line]


def test_a_comparison_shows_settings_and_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = finished(tmp_path / "it's [a], b"), finished(tmp_path / "it's [a], b", seed=1)
    answer = run_command("runs/compare.py", str(one), str(other))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.splitlines() == [
        "configuration: seed 0 -> 1",
        "results: different; row 1 of metrics.csv is the first to differ: train/loss 1.9 -> 1.92, "
        "validation/loss 2.0 -> 2.03",
        "  last train/loss 0.38 -> 0.4",
        "  last validation/loss 0.4 -> 0.43000000000000005",
    ]
    compare(CompareConfig([str(one), str(one)], 1e-5))
    assert capsys.readouterr().out.startswith(
        "the same code, configuration, data, packages and machine\nresults: bit-id"
    )
    with pytest.raises(ValueError, match=r"^runs: takes the folders of two runs"):
        compare(CompareConfig([str(one)], 1e-5))


def test_members_are_drawn_and_the_same_ones_each_time(tmp_path: Path) -> None:
    for seed in range(8):
        finished(tmp_path / "a", seed)
    add_unfinished(tmp_path / "a", "interrupted", seed=8)
    settings = {"run": None, "study": "a", "rounding": 1e-5, "runs_dir": str(tmp_path), "datasets_dir": "d"}

    def names(members: int | None, seed: int) -> list[str]:
        config = ReproduceConfig(**settings, members=members, seed=seed, reproduced_dir="r")
        return [path.name.split("-")[2] for path in drawn(config)]

    assert names(3, seed=0) == names(3, seed=0) != names(3, seed=1)
    assert sorted(names(None, seed=0)) == [f"s{seed}" for seed in range(8)]


def test_without_git_the_code_is_that_of_the_jobs_or_what_is_here_if_it_is_the_same(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "a" / "run"
    older = tmp_path / "older"
    copy_code(ROOT, older)
    (older / "modules" / "train.py").write_text("# as it was", encoding="utf-8")
    (tmp_path / "runs" / ".code").mkdir(parents=True)
    older = older.rename(tmp_path / "runs" / ".code" / id_of(older))
    for code_id, train in ((older.name, b"# as it was"), (id_of(ROOT), (ROOT / "modules" / "train.py").read_bytes())):
        (target := tmp_path / code_id).mkdir()
        restore_code(run, {"code_id": code_id, "git": {"commit": None}, "diff": None}, target)
        assert id_of(target) == code_id
        assert (target / "modules" / "train.py").read_bytes() == train
    (older / "modules" / "train.py").write_text("# changed since", encoding="utf-8")
    (target := tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"the run names no commit, and no copy of the code is in \.code$"):
        restore_code(run, {"code_id": older.name, "git": {"commit": None}, "diff": None}, target)


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "metrics.csv"
    assert old in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_verdicts(tmp_path: Path) -> None:
    one = train_small(tmp_path / "runs")
    again = shutil.copytree(one, tmp_path / "again")

    def judged() -> tuple[str, list[str]]:
        return verdict(read_recorded(one), read_recorded(again), 1e-5)

    assert judged() == ("bit-identical", [])
    state = torch.load(again / "checkpoints" / "last.pt", weights_only=True)
    state["costs"]["wall_s"] += 1.0
    torch.save(state, again / "checkpoints" / "last.pt")
    assert judged() == ("bit-identical", [])
    next(iter(state["network"].values())).view(-1)[0] += 1e-6
    torch.save(state, again / "checkpoints" / "last.pt")
    assert judged() == ("equal within rounding", ["the weights in last.pt differ"])
    (again / "checkpoints" / "last.pt").unlink()
    assert judged() == ("bit-identical", ["last.pt is not there to be compared"])
    loss = read_recorded(again).rows[1]["train/loss"]
    edit(again, loss, str(float(loss) * (1 + 1e-7)))
    assert judged()[0] == "equal within rounding"
    assert judged()[1][0].startswith(f"row 2 of metrics.csv is the first to differ: train/loss {loss} -> ")
    edit(again, (again / "metrics.csv").read_text(encoding="utf-8").splitlines()[2], "")
    assert judged()[0] == "different"


def test_runs_that_cannot_be_trained_again(tmp_path: Path) -> None:
    to = tmp_path / "reproduced"
    run = finished(tmp_path / "a", diff="code-x.diff")
    finished(tmp_path / "c")
    several = "study: name one of a, c, or one run as in run=data/runs/<study>/<run>"
    assert refused(to, runs_dir=tmp_path) == several
    assert refused(to, run=run, study="a") == "run: is one run; leave out study and members"
    assert refused(to, run=ROOT / "docs").startswith(f"{ROOT / 'docs'}: is not a run's folder, which has config.yaml")
    assert refused(to, study="a", members=2, runs_dir=tmp_path) == "members: a has 1 finished run, but 2 must be drawn"
    unfinished = add_unfinished(tmp_path / "b", "interrupted")
    write_json(unfinished / "provenance.json", [ORIGIN])
    assert refused(to, run=unfinished) == f"{unfinished}: has not finished; finish it first: python runs/train.py"
    gone = f"{run}: the code that ran cannot be restored"
    assert refused(to, run=run) == f"{gone}: code-x.diff is missing"
    (run / "code-x.diff").write_bytes(INCOMPLETE)
    assert refused(to, run=run).startswith(f"{gone}: code-x.diff leaves out what looked like a secret")
    change_record(run, launches=[ORIGIN])
    assert refused(to, run=run).startswith(f"{gone}: git does not give back commit 0123abcd0123 (fatal: ")
    change_record(run, launches=[{**ORIGIN, "git": {"commit": None, "dirty": None, "missing": "no git"}}])
    assert refused(to, run=run) == f"{gone}: the run names no commit, and no copy of the code is in .code"
