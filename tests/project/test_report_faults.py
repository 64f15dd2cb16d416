"""Whatever is wrong with the files: a right report or one sentence, never a wrong number."""

import copy
import itertools
import json
import math
import re
import shutil
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from labkit.reporting.analysis.checks import find_warnings
from labkit.reporting.analysis.findings import summary_rows
from labkit.reporting.report import report
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
    report_config,
    said,
    write_plan,
    written,
)
from run_folders import add_plan, add_run, add_test, add_unfinished, change_record, write_json
from small_runs import ROOT


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


ALL_FIGURES: list[str] = yaml.safe_load((ROOT / "config" / "report.yaml").read_bytes())["figures"]


def full_report(study: Path, **changes: Any) -> Path:
    """With all figures, of which none may fail."""
    report(report_config(study, **{"figures": ALL_FIGURES, **changes}))
    folder = study.parents[1] / "reports" / study.name
    assert not (folder / "report.log").exists(), (folder / "report.log").read_text("utf-8")
    return folder


def add_sized(study: Path, values: list[float]) -> None:
    """Every number of a run is as large as the value of its seed; two models, two learning rates."""
    for model, lr in itertools.product(("net2", "net5"), (0.1, 0.2)):
        for seed, value in enumerate(values):
            run = change_metrics(add_run(study, model, seed, **{"optimizer.lr": lr}), {ACCURACY: value * (1 - lr)})
            cost = json.loads((run / "run.json").read_bytes())["cost"]
            change_record(run, cost=cost | {"wall_s": abs(value), "examples_per_s": value, "parameters": abs(value)})
            rows = [f"{step},{-value},{value},{value},{-value}" for step in (1, 2, 10**17)]
            header = "step,train/loss,validation/loss,train/accuracy,validation/accuracy"
            (run / "metrics.csv").write_text("\n".join([header, *rows]) + "\n")


@pytest.mark.parametrize("percent", [False, True])
def test_very_large_numbers_have_a_whole_report_without_a_warning(percent: bool, study: Path) -> None:
    add_sized(study, [9e299, -9e299, 1e299, 1e-308, 5e298])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folder = full_report(study, labels={"accuracy": {"percent": percent}})
    assert all(len(cell) < 40 for row in read_csv(folder / "tables" / "summary.csv") for cell in row.values())
    assert all(len(cell) < 40 for row in read_csv(folder / "tables" / "runs.csv") for cell in row.values())


def test_numbers_too_large_to_compute_with_are_left_out_and_named(study: Path) -> None:
    add_sized(study, [1.7e308, -1.7e308, 1e308, 0.5, 0.6])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        full_report(study)
    findings = found(study)
    assert means(findings) == [pytest.approx(0.55 * (1 - lr)) for lr in (0.1, 0.2)] * 2
    assert f"{ACCURACY} is not a number for seed 0, 1, 2, which its mean leaves out" in said(findings)


def test_a_thousand_classes_are_a_small_report(study: Path) -> None:
    draw = np.random.default_rng(0)
    matrix = (40 * np.eye(1000, dtype=int) + (draw.random((1000, 1000)) < 0.001)).tolist()
    for model, seed in itertools.product(("net2", "net5"), (0, 1, 2)):
        classes = {f"{ACCURACY}_class_{k}": value for k, value in enumerate(draw.random(1000).round(4).tolist())}
        run = change_metrics(add_run(study, model, seed), classes)
        facts = {"class_names": [f"kind {k}" for k in range(1000)]}
        data = json.loads((run / "run.json").read_bytes())["data"] | {"facts": facts}
        change_record(run, confusion_matrix=matrix, data=data)
        columns = {"step": 1, "train/accuracy": 0.5, ACCURACY: 0.5, **classes}
        rows = [",".join(map(str, columns.values())).replace("1", str(step), 1) for step in range(1, 31)]
        (run / "metrics.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    started = time.monotonic()
    folder = full_report(study)
    assert time.monotonic() - started < 60  # it takes 8 s on a free machine, and took minutes
    assert len(read_csv(folder / "tables" / "per_class.csv")) == 1000
    macros = (folder / "numbers.tex").read_text("utf-8")
    assert "the numbers of single classes. They are in summary.csv." not in macros  # there is room for two settings
    sizes = {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert max(sizes[name] for name in sizes if name.endswith((".pdf", ".png"))) < 1_500_000, sizes


def test_macros_of_classes_are_left_out_where_tex_has_no_room_and_the_report_says_so(study: Path) -> None:
    for number in range(60):
        classes = {f"{ACCURACY}_class_{k}": 0.5 for k in range(100)}
        change_metrics(add_run(study, f"model{number}"), classes)
    macros = (written(study) / "numbers.tex").read_text("utf-8")
    assert (
        "% Left out, for TeX has no room for so many: the numbers of single classes. They are in summary.csv." in macros
    )
    assert "ClassFive" not in macros
    assert macros.count("ValidationLossMean}") == 60


def test_a_setting_of_1400_letters_is_in_every_output_and_fills_none(study: Path) -> None:
    for value in ("a" * 1400, "b" * 700 + "c" * 700, "/".join("d" * 700)):
        changes: dict[str, Any] = {"optimizer.name": value, "optimizer.lr": value}
        for seed in range(2):
            add_run(study, "net2", seed, 0.9 + seed / 100, **changes)
    add_unfinished(study, "failed", "net2", 9, reason="e-" * 7000)
    folder = full_report(study)
    names = re.findall(r"^\\newcommand\{(.*?)\}", (folder / "numbers.tex").read_text("utf-8"), re.MULTILINE)
    assert max(map(len, names)) < 400
    assert len(names) == len(set(names))
    assert {len(row["optimizer"]) for row in read_csv(folder / "summary.csv")} == {1400, 1399}


def test_20000_rows_a_run_are_a_small_document(study: Path) -> None:
    draw = np.random.default_rng(0)
    for model, seed in itertools.product(("net2", "net5"), range(3)):
        run = add_run(study, model, seed)
        noise = draw.random(20_000).round(5).tolist()
        rows = [f"{step},{value},{value},{1 - value},{1 - value}" for step, value in enumerate(noise)]
        header = "step,train/loss,validation/loss,train/accuracy,validation/accuracy"
        (run / "metrics.csv").write_text("\n".join([header, *rows]) + "\n")
    folder = full_report(study, figures=["learning_curves", "time_curves"])
    for name in ("learning_curves", "time_curves"):
        assert (folder / "figures" / f"{name}.pdf").stat().st_size < 500_000
    assert (folder / "report.pdf").stat().st_size < 700_000
