"""What reviewers ask is ticked only with evidence, and git proves that the plan came first."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from labkit.reporting.analysis.findings import find
from labkit.reporting.analysis.study_file import read_study_file
from labkit.reporting.checklist import ACM, NEURIPS, Item, make_checklist, to_latex, to_markdown
from labkit.runs.provenance import digest, proof_of_study_file
from labkit.runs.study import read_study
from report_studies import add_seeds, found, write_plan, written
from run_folders import add_run, change_record, launch

VALUES = [0.90, 0.91, 0.92]


def items(study: Path, name: str = NEURIPS, **entries: Any) -> dict[str, Item]:
    checklist = make_checklist(found(study, **entries), study.parents[1] / "study")
    return {item.title: item for item in checklist[name]}


def test_what_the_runs_know_is_ticked_with_the_evidence(study: Path) -> None:
    add_seeds(study, VALUES)
    add_seeds(study, VALUES[::-1], "net5")
    known = items(study)
    assert known["4. Experimental result reproducibility"].ticked
    assert "every run names its commit: " + "0123abcd" * 5 in known["4. Experimental result reproducibility"].yes
    assert "n = 3" in " ".join(known["7. Experiment statistical significance"].yes)
    assert "CPU: some CPU" in known["8. Experiments compute resources"].yes
    assert len(known) == 16


def test_what_only_the_author_knows_stays_to_do(study: Path) -> None:
    add_seeds(study, VALUES)
    for title, item in items(study).items():
        if title.split(".")[0] in ("2", "3", "9", "10", "11", "12", "14", "15", "16"):
            assert item.todo
            assert not item.ticked
    assert not items(study, ACM)["Artifacts available"].ticked


@pytest.mark.parametrize(
    ("change", "title", "missing"),
    [
        ({"code_id": "c0de00000002"}, "4.", "the runs used 2 versions of the code"),
        ({"git": {"commit": None, "dirty": None, "missing": "no git"}}, "4.", "some runs name no commit"),
        ({"packages": {"torch": "1.0"}}, "4.", "the runs used 2 sets of packages"),
    ],
)
def test_what_is_missing_is_said(change: dict[str, Any], title: str, missing: str, study: Path) -> None:
    add_seeds(study, VALUES)
    change_record(add_run(study, "net2", 9), launches=[launch() | change])
    (item,) = (item for name, item in items(study).items() if name.startswith(title))
    assert any(missing in text for text in item.todo)
    assert not item.ticked


def test_one_seed_gives_no_error_bars(study: Path) -> None:
    add_run(study)
    item = items(study)["7. Experiment statistical significance"]
    assert item.todo == ["some settings have fewer than 3 seeds, hence no interval: run more"]


def test_both_files_are_written_and_safe_for_any_name(study: Path) -> None:
    optimizers: dict[str, dict[str, Any]] = {"net_2": {"optimizer.name": "a&b_%$"}, "net_5": {"optimizer.name": "x"}}
    for seed in range(3):
        for model, changes in optimizers.items():
            add_run(study, model, seed, **changes)
    folder = written(study)
    markdown, latex = ((folder / f"checklist.{suffix}").read_text("utf-8") for suffix in ("md", "tex"))
    assert "- [x] **4. Experimental result reproducibility**" in markdown
    assert r"\item[7. Experiment statistical significance] \textbf{[Yes]} error bars" in latex
    assert latex.count(r"\begin{description}") == latex.count(r"\end{description}") == 2
    checklist = make_checklist(found(study), study.parents[1] / "study")
    assert (to_markdown(checklist), to_latex(checklist)) == (markdown, latex)


# ---- the plan came first


def git(folder: Path, *words: str) -> str:
    own = ["-c", "user.name=x", "-c", "user.email=x@y.z", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def committed(study: Path) -> tuple[Path, str]:
    """The study's file in a git repository of its own, and the commit that holds it."""
    write_plan(study, comparisons=[{"model": "net5"}], seeds=[0, 1, 2])
    folder = study.parents[1] / "study"
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "the plan")
    return folder / "depth.yaml", git(folder, "rev-parse", "HEAD")


def records(path: Path, *commits: str) -> list[dict[str, Any]]:
    noted = {"study_file": digest(path.read_bytes())}
    return [{"launches": [launch() | noted | {"git": launch()["git"] | {"commit": commit}}]} for commit in commits]


def test_git_proves_that_the_plan_is_older_than_the_runs(committed: tuple[Path, str]) -> None:
    path, commit = committed
    git(path.parent, "commit", "-qm", "something else", "--allow-empty")
    later = git(path.parent, "rev-parse", "HEAD")
    proof, missing = proof_of_study_file(path, records(path, commit, later))
    assert proof.startswith("depth.yaml stands unchanged in every commit from which a run was started")
    assert commit in proof
    assert later in proof
    assert missing == ""


def test_a_plan_that_was_changed_or_committed_later_is_no_proof(committed: tuple[Path, str]) -> None:
    path, commit = committed
    before = records(path, commit)
    path.write_text(path.read_text("utf-8") + "# more\n")
    assert proof_of_study_file(path, before) == ("", "depth.yaml was written or changed after 1 of 1 runs had begun")
    # A run that noted the changed file, from a commit that does not hold the change.
    assert proof_of_study_file(path, records(path, commit))[1] == (
        f"depth.yaml is not what commit {commit[:12]} holds, from which runs were started"
    )
    missing = proof_of_study_file(path, records(path, "f" * 40))[1]
    assert missing == "commit depth.yaml before the first run: commit ffffffffffff does not hold it, or is not here"


def test_the_proof_is_in_the_checklist(study: Path, committed: tuple[Path, str]) -> None:
    path, commit = committed
    add_seeds(study, VALUES)
    add_seeds(study, VALUES, "net5")
    for run in study.glob("net*"):
        change_record(run, launches=records(path, commit)[0]["launches"])
    file = read_study_file(path.parent, "depth")
    findings = find(read_study(study), file, None, None, ["seed"])
    (item, *_) = make_checklist(findings, path.parent)[NEURIPS]
    assert "stands unchanged in every commit" in item.yes[0]
