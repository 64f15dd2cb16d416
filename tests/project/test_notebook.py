"""The lines that sweeps and reports add to docs/lab_notebook.md, and the notes on papers."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from labkit.reporting.report import report
from labkit.runs.notebook import NOTEBOOK, came_to, note, note_runs
from labkit.runs.study import read_study
from report_studies import add_seeds, report_config
from run_folders import add_run
from small_runs import ROOT


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a project in which a sweep was started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["runs/train.py", "+experiment=depth"])
    NOTEBOOK.parent.mkdir()
    NOTEBOOK.write_text("# Lab notebook\n", encoding="utf-8")
    return tmp_path / NOTEBOOK


def lines(notebook: Path) -> list[str]:
    return notebook.read_text("utf-8").splitlines()[1:]


def test_a_line_has_the_date_the_commit_the_command_and_what_came_out(notebook: Path) -> None:
    note("depth", "python runs/train.py +experiment=depth", "2 of 2 finished")
    (line,) = lines(notebook)
    about = r"- \d{4}-\d\d-\d\d \d\d:\d\d, (no commit|commit [0-9a-f]{7}( with changes)?), "
    assert re.fullmatch(about + r"`python runs/train.py \+experiment=depth`\. depth: 2 of 2 finished", line)


def test_the_same_is_never_said_twice_and_what_changes_is_said_again(notebook: Path) -> None:
    for outcome in ("1 of 2 finished", "1 of 2 finished", "2 of 2 finished", "1 of 2 finished"):
        note("depth", "python runs/train.py", outcome)
        note("report of depth", "python runs/report.py study=depth", "supported")
    said = [line.rpartition(". ")[2] for line in lines(notebook)]
    one, two = "depth: 1 of 2 finished", "depth: 2 of 2 finished"
    assert said == [one, "report of depth: supported", two, one]


def test_a_trial_elsewhere_adds_none(notebook: Path, tmp_path: Path) -> None:
    note_runs("depth", ["model=net2", "+system.runs_dir=/tmp/x"], [("finished", None)])
    add_seeds(tmp_path / "runs" / "depth", [0.9])
    report(report_config(tmp_path / "runs" / "depth"))  # to a folder outside of the project
    assert lines(notebook) == []
    note_runs("depth", ["model=net2", "system.device=cpu"], [("finished", None)])
    assert len(lines(notebook)) == 1


def test_an_archive_stays_as_it_is(notebook: Path) -> None:
    Path("BUNDLE.md").touch()
    note("depth", "python runs/train.py", "2 of 2 finished")
    assert lines(notebook) == []


def test_a_notebook_that_cannot_be_read_is_a_warning_and_one_that_is_gone_is_not_made(
    notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.write_bytes(b"\xff")
    note("depth", "python runs/train.py", "2 of 2 finished")
    assert capsys.readouterr().err.startswith(f"warning: {NOTEBOOK}: has no line about this: ")
    assert notebook.read_bytes() == b"\xff"
    notebook.unlink()
    note("depth", "python runs/train.py", "2 of 2 finished")
    assert not notebook.exists()


def test_a_sweep_comes_to_counts_and_the_range_of_the_metric(tmp_path: Path) -> None:
    for seed in (0, 1):
        add_run(tmp_path / "depth", "net2", seed, 0.9 + seed / 20)
    runs = read_study(tmp_path / "depth").runs
    assert came_to([*((run.status, run.record) for run in runs), ("diverged", None)]) == (
        "2 of 3 finished, 1 diverged; validation/accuracy 0.9 to 0.95"
    )
    assert came_to([("failed", None)]) == "0 of 1 finished, 1 failed"


def test_a_report_says_what_came_out_good_or_bad(notebook: Path, tmp_path: Path) -> None:
    study = tmp_path / "runs" / "depth"
    add_seeds(study, [0.90, 0.91, 0.92])
    for _ in range(2):
        report(report_config(study, reports_dir="reports"))
    (line,) = lines(notebook)
    assert line.endswith(
        "`python runs/report.py study=depth`. report of depth: validation/accuracy is best for net2: 0.91 (n = 3), "
        "of 1 setting."
    )
    add_seeds(study, [0.9, 0.9, 0.9], model="net5")
    report(report_config(study, reports_dir="reports"))
    assert len(lines(notebook)) == 2


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A project of which there is no more than what makes a note."""
    for name in ("runs/note.py", "docs/paper_notes.md"):
        (tmp_path / name).parent.mkdir()
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path / "docs" / "paper_notes.md"


def add_note(notes: Path, *words: str) -> subprocess.CompletedProcess[str]:
    script = notes.parents[1] / "runs" / "note.py"
    return subprocess.run([sys.executable, script, *words], capture_output=True, encoding="utf-8", check=False)


def test_a_paper_note_comes_from_the_template_as_it_is_now(notes: Path) -> None:
    notes.write_text(notes.read_text("utf-8").replace("- **Code**", "- **Mine**: what I think.\n- **Code**"), "utf-8")
    before = notes.read_text("utf-8")
    assert add_note(notes, 'Are "deep" nets (needed)?').returncode == 0
    added = notes.read_text("utf-8").removeprefix(before)
    assert added.startswith('\n## Are "deep" nets (needed)? (authors, venue, year, link)\n\nRead: 20')
    points = re.findall(r"^- \*\*.*$", before, re.MULTILINE)
    assert re.findall(r"^- \*\*.*$", added, re.MULTILINE) == points
    assert len(points) == 8
    again = add_note(notes, 'Are "deep" nets (needed)?')
    assert (again.returncode, "has a note on" in again.stderr) == (1, True)
    assert add_note(notes, "Are").returncode == 0


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [([], 2, "error: title: is empty"), (["A"], 1, "error: docs/paper_notes.md: has no")],
)
def test_what_no_note_can_be_made_from(words: list[str], status: int, sentence: str, notes: Path) -> None:
    notes.write_text("# Paper notes\n", encoding="utf-8")
    answer = add_note(notes, *words)
    assert (answer.returncode, answer.stderr.startswith(sentence)) == (status, True)
    assert notes.read_text("utf-8") == "# Paper notes\n"
