"""Whatever is wrong with the files: a right report or one sentence, never a wrong number."""

import copy
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labkit.reporting.checks import find_warnings
from labkit.reporting.findings import summary_rows
from labkit.reporting.tables.comparisons import comparison_rows
from labkit.runs.places import read_places
from labkit.runs.study import Study, find_studies, read_study
from report_studies import (
    ACCURACY,
    NET2,
    NET5,
    SEEDS,
    add_seeds,
    change_metrics,
    found,
    means,
    read_csv,
    said,
    write_plan,
    written,
)
from run_folders import add_plan, add_run, add_test, add_unfinished, write_json


@pytest.mark.parametrize("name", ["run.json", "test.json", "config.yaml", "metrics.csv"])
def test_half_of_a_file_of_a_finished_run_is_said_or_does_no_harm(name: str, study: Path) -> None:
    add_seeds(study, [0.9, 0.92])
    cut = add_run(study, "net2", 2, 0.94, test=0.9)
    whole = (cut / name).read_bytes()
    line = whole.rfind(b"\n", 0, -1) + 1  # a table may lose its last line
    for size in [*range(0, len(whole) - 1, max(1, len(whole) // 40)), whole.find(b"\n") + 1]:
        (cut / name).write_bytes(whole[:size])
        findings = found(study)
        counted = len(findings.results.groups[0].runs)
        assert counted == (2 if name == "run.json" else 3), size
        assert means(findings) == [pytest.approx(0.91 if counted == 2 else 0.92)], size
        if name == "test.json" or (name == "metrics.csv" and size <= whole.find(b"\n") + 1 < line):
            assert f"{cut.name}: {name}" in said(findings), size
        if name == "metrics.csv":
            assert findings.results.curves.drop(columns="run").dtypes.map(pd_number).all(), size


def pd_number(kind: Any) -> bool:
    return np.issubdtype(kind, np.number)


@pytest.mark.parametrize(
    "body", ["x,1,1\n", "18,1\n18,1,1,1\n", '"18,1,1\n', "18,1,1\n\n\n", "\0\0\0\n", "nan,1,1\n18,1,1\n", "é,ü,\n"]
)
def test_damaged_curve_stops_no_report(body: str, study: Path) -> None:
    add_run(study, "net2", 1)
    (add_run(study) / "metrics.csv").write_text(f"step,epoch,{ACCURACY}\n{body}", encoding="utf-8")
    assert (written(study) / "report.pdf").exists()


def test_half_of_a_plan_or_of_a_state_is_said(study: Path) -> None:
    add_run(study)
    state = add_unfinished(study, "running", "net2", 1) / "state.json"
    add_plan(study, {"name": "net9-digits-s0-0123456789ab"})
    (planned,) = (study / ".sweeps").glob("*.json")
    for file in (state, planned):
        whole = file.read_bytes()
        for size in range(0, len(whole), 20):
            file.write_bytes(whole[:size])
            read = read_study(study)
            statuses = {run.name: run.status for run in read.runs}
            assert statuses[state.parent.name] == ("unreadable" if file is state else "running")
            assert any(planned.name in warning for warning in read.warnings) == (file is planned)
        file.write_bytes(whole)


def places_in(content: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in children:
        yield (*above, key)
        yield from places_in(value, (*above, key))


def changed(content: Any, place: tuple[Any, ...], *value: object) -> Any:
    """A copy in which the place is gone, or has another value."""
    content = copy.deepcopy(content)
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    if value:
        parent[place[-1]] = value[0]
    else:
        del parent[place[-1]]
    return content


def read_all(study: Path) -> None:
    """All that a report reads, without writing it."""
    findings = found(study, baseline={"model": "net2"})
    find_warnings(findings)
    comparison_rows(findings)
    summary_rows(findings.results, findings.summary)


@pytest.mark.parametrize("name", ["run.json", "test.json", "state.json", "plan"])
def test_records_of_another_version_stop_no_report(name: str, study: Path) -> None:
    add_run(study, "net2", 0)
    add_run(study, "net5", 0)
    add_plan(study, {"name": "net9-digits-s0-0123456789ab"})
    owner = add_run(study, "net2", 1, test=0.9) if name in ("run.json", "test.json") else None
    owner = owner or add_unfinished(study, "running", "net2", 1)
    file = next((study / ".sweeps").glob("*.json")) if name == "plan" else owner / name
    content = json.loads(file.read_bytes())
    content.pop("confusion_matrix", None)
    stopped = []
    for place in places_in(content):
        for value in ((), (None,), ("x",)):
            write_json(file, changed(content, place, *value))
            try:
                read_all(study)
            except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
                stopped.append(f"{place} {value}: {error!r}")
    assert not stopped, f"{len(stopped)} of them: {stopped[:5]}"


@pytest.mark.parametrize("name", ["run.json", "test.json", "state.json", "config.yaml", "metrics.csv"])
def test_folder_or_broken_link_in_the_place_of_a_file_stops_no_report(name: str, study: Path) -> None:
    add_run(study, "net2", 0)
    runs = [add_run(study, "net2", seed, test=0.9) for seed in (1, 2)]
    for run in runs:
        (run / name).unlink(missing_ok=True)
    (runs[0] / name).mkdir()
    (runs[1] / name).symlink_to("nowhere")
    (study / "run.json").mkdir()
    (study / "link").symlink_to(study, target_is_directory=True)
    (study / "broken").symlink_to("nowhere")
    read_all(study)
    (study / ".sweeps").mkdir()
    (study / ".sweeps" / "0123456789ab.json").symlink_to("nowhere")
    read_all(study)


@pytest.mark.parametrize(("name", "content"), [("run.json", "[" * 100_000), ("config.yaml", "a: &a {b: *a}")])
def test_nesting_without_end_stops_no_report(name: str, content: str, study: Path) -> None:
    add_run(study)
    run = add_unfinished(study, "failed", "net2", 1)
    (run / name).write_text(content)
    read_all(study)


def test_report_that_cannot_be_put_in_place_leaves_the_old_one_as_it_was(study: Path) -> None:
    add_run(study)
    folder = written(study)
    (folder / "report.pdf").unlink()
    (folder / "report.pdf").mkdir()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    add_run(study, "net5")
    with pytest.raises((OSError, ValueError)):
        written(study)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("width", [math.nan, math.inf, 1e6, 0.1])
def test_width_of_no_page_is_one_sentence(width: float, study: Path) -> None:
    add_run(study)
    with pytest.raises(ValueError, match=r"^figure_width_cm: "):
        written(study, figure_width_cm=width)


def test_study_in_the_middle_has_a_report_of_what_there_is(study: Path) -> None:
    add_seeds(study, NET2)
    add_seeds(study, NET5[:3], "net5")
    add_unfinished(study, "running", "net5", 3)
    add_plan(study, {"name": "net5-digits-s4-0123456789ab"}, {"overrides": ["model=net9"], "error": "no net9"})
    write_plan(study, comparisons=[{"model": "net5"}], seeds=SEEDS)
    folder = written(study)
    statuses = [row["status"] for row in read_csv(folder / "runs.csv")]
    assert {status: statuses.count(status) for status in statuses} == {
        "finished": 9,
        "running": 1,
        "missing": 1,
        "refused": 1,
    }
    assert "net5 lacks the planned seeds 3, 4, 5" in (folder / "report.html").read_text("utf-8")


def test_runs_with_other_metrics_and_epochs_are_never_mixed(study: Path) -> None:
    add_seeds(study, NET2[:3])
    add_seeds(study, NET5[:3], "net2", **{"training.epochs": 9})
    other = change_metrics(add_run(study, "net2", 3), {"validation/a_class_x": 0.5})
    findings = found(study)
    assert [len(group.runs) for group in findings.results.groups] == [4, 3]
    assert "not every run measured validation/a_class_x" in said(findings)
    assert [one.n for one in findings.summary["validation/a_class_x"]] == [1, 0]
    assert other.name in list(findings.results.values.index)


def read(*studies: Path) -> Study:
    return read_places(find_studies([str(study.parent) for study in studies], "depth")["depth"])


def test_copy_that_was_evaluated_on_the_test_set_says_more(study: Path, tmp_path: Path) -> None:
    run = add_run(study)
    there = tmp_path / "from_cluster" / "depth"
    shutil.copytree(run, there / run.name)
    add_test(there / run.name, 0.9, 72)
    for places in ((study, there), (there, study)):
        assert [run.tests["best"]["test/accuracy"] for run in read(*places).runs] == [0.9]


def test_damaged_copy_of_a_run_that_is_whole_elsewhere_is_no_warning(study: Path, tmp_path: Path) -> None:
    run = add_run(study, test=0.9)
    there = tmp_path / "from_cluster" / "depth"
    shutil.copytree(run, there / run.name)
    (there / run.name / "test.json").write_text("{")
    assert read(study, there).warnings == []


def test_same_place_named_in_several_ways_is_the_same_study(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_seeds(study, NET2[:3])
    monkeypatch.chdir(study.parents[1])
    places = find_studies([str(study.parent), "runs", "./runs/../runs"], "depth")
    together = read_places(places["depth"])
    assert (together.counts(), together.warnings) == ({"finished": 3}, [])


def test_place_without_the_study_is_said(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Copied as from_cluster/<run> instead of from_cluster/depth/<run>."""
    run = add_run(study)
    there = tmp_path / "from_cluster"
    shutil.copytree(run, there / "net2-digits-s1-0123456789ab")
    sentence = ""
    try:
        written(study, more_runs_dirs=[str(there)])
    except ValueError as error:
        sentence = str(error)
    assert str(there) in sentence + capsys.readouterr().out


def test_second_folder_of_a_run_with_other_results_is_said(study: Path) -> None:
    """A backup from before the run was made again comes first in the alphabet."""
    run = add_run(study, "net2", 0, 0.9)
    shutil.copytree(run, study / "backup")
    change_metrics(study / "backup", {ACCURACY: 0.5})
    findings = found(study)
    assert means(findings) == [0.9]
    assert "other results" in said(findings)
