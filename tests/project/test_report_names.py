"""Metrics and classes have the names, units and directions that the runs recorded, wherever people read them."""

import json
import re
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from labkit.reporting.analysis.answer import SUPPORTED
from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.findings import Findings, find
from labkit.reporting.analysis.names import read_names
from labkit.reporting.figures import find_function
from labkit.reporting.figures.style import STYLE
from labkit.reporting.report import report
from labkit.reporting.tables import make_tables
from labkit.reporting.tables.comparisons import comparison_rows
from labkit.runs.study import read_study
from report_studies import A, B, found, read_csv, report_config, said, write_plan, written
from run_folders import add_run, add_test, change_record

RMSE = {"direction": "min", "title": "RMSE", "unit": "mmol/L"}
ACCURACY = {"direction": "max", "title": "accuracy", "unit": ""}
PLAN: dict[str, Any] = {"metric": "validation/rmse", "direction": "min", "seeds": list(range(10))}
HOSTILE = "_a&b%c#d$e~f^g\\h{i}<j>\"k'l|m\nn é 中 --*[x] `o` 🙂"


def record_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_bytes())


def describe(run: Path, metrics: dict[str, Any] | None = None, **facts: Any) -> Path:
    """Lets the run know what its metrics are called, and facts of its data."""
    change_record(run, metrics=metrics or {"accuracy": ACCURACY}, data=record_of(run)["data"] | {"facts": facts})
    return run


def add_regression(study: Path, model: str, values: list[float], **about: str) -> None:
    """Runs that monitored their RMSE."""
    for seed, value in enumerate(values):
        run = add_run(study, model, seed, value, test=value + 1)
        for name in ("run.json", "test.json", "metrics.csv"):
            (run / name).write_text((run / name).read_text().replace("/accuracy", "/rmse"))
        describe(run, {"rmse": RMSE | about, "r2": {"direction": "max", "title": "R²", "unit": ""}})
        change_record(run, monitor={"metric": "validation/rmse", "direction": "min"})


def with_classes(run: Path, values: dict[str, float], **facts: Any) -> Path:
    """`values`: of the best evaluation, such as {"iou_class_0": 0.5}."""
    best = record_of(run)["best"]
    metrics = {name: value for name, value in best["metrics"].items() if "_class_" not in name}
    metrics |= {f"validation/{name}": value for name, value in values.items()}
    change_record(run, best=best | {"metrics": metrics})
    return describe(run, {"accuracy": ACCURACY, "iou_class": {"direction": "max", "title": "IoU"}}, **facts)


def per_class(study: Path) -> list[tuple[str, ...]]:
    """The header and the texts of the rows."""
    findings = found(study)
    table = make_tables(findings.results.study, findings)["per_class"]
    return [tuple(row[: table.text_columns]) for row in (table.header, *table.rows)]


def captions(findings: Findings) -> dict[str, str]:
    return {name: table.caption for name, table in make_tables(findings.results.study, findings).items()}


def ticks(study: Path) -> list[str]:
    """The names beside the confusion matrix."""
    with matplotlib.rc_context(STYLE):
        drawn = find_function("confusion_matrix", "modules.figures")(found(study), 14.0)
    assert not isinstance(drawn, str)
    return [label.get_text() for label in drawn[0][1].axes[0].get_yticklabels()]


def results_of(study: Path, metric: str | None = None, direction: str | None = None) -> Results:
    return find(read_study(study), None, metric, direction, ["seed"]).results


def test_a_study_of_errors_is_answered_with_the_reference_values(study: Path) -> None:
    add_regression(study, "net2", B)
    add_regression(study, "net5", A)
    findings = found(study, **PLAN, smallest_difference=0.3)
    assert findings.answer
    (verdict,) = findings.answer.verdicts
    assert verdict.word == SUPPORTED
    assert verdict.why.startswith("Validation RMSE (mmol/L) differs by -0.59 [-0.785, -0.395] (95 % t interval, paired")
    assert "0.3 mmol/L is the smallest difference that matters" in verdict.why
    (row, _) = comparison_rows(findings)  # the second is that of the test split
    assert row["difference"] == pytest.approx(-0.59, abs=1e-8)
    assert (row["low"], row["high"]) == (pytest.approx(-0.7850359088, abs=1e-8), pytest.approx(-0.3949640912, abs=1e-8))
    assert row["p"] == pytest.approx(7.530431785e-05, abs=1e-12)
    assert (row["improvement_probability"], row["wins"], row["losses"]) == (0.835, 10, 0)
    table = make_tables(findings.results.study, findings)["summary"]
    assert table.bold == {(1, table.header.index("mean"))}
    assert table.daggers == set()
    assert found(study, **PLAN, smallest_difference=0.9).answer.word == "not supported"  # type: ignore[union-attr]


def test_an_error_that_cannot_be_told_from_the_lowest_has_the_dagger(study: Path) -> None:
    add_regression(study, "net2", A)
    add_regression(study, "net5", [value + 0.01 for value in reversed(A)])
    findings = found(study)
    table = make_tables(findings.results.study, findings)["summary"]
    mean = table.header.index("mean")
    assert (table.bold, table.daggers) == ({(0, mean)}, {(1, mean)})


def test_title_and_unit_stand_wherever_a_person_reads_and_keys_where_a_program_does(study: Path) -> None:
    add_regression(study, "net2", B)
    add_regression(study, "net5", A)
    write_plan(study, **PLAN, comparisons=[{"model": "net5"}], baseline={"model": "net2"})
    folder = written(study)
    said = captions(found(study, **PLAN))
    assert said["summary"].startswith("Validation RMSE (mmol/L) per setting over n seeds: mean")
    assert "lower is better. Of each run, the evaluation with the lowest validation RMSE counts." in said["summary"]
    assert said["summary_test"].startswith("Test RMSE (mmol/L) per setting")
    assert "chosen by validation RMSE, not here" in said["summary_test"]
    assert said["comparison"].startswith("Difference in validation RMSE (mmol/L), setting minus net2, the baseline")
    page = (folder / "report.html").read_text("utf-8")
    assert "About <b>validation RMSE (mmol/L)</b>, lower is better." in page
    assert '"name":"validation/rmse","title":"validation RMSE (mmol/L)"' in page
    header = (folder / "tables" / "runs.csv").read_text("utf-8").split("\n", 1)[0]
    assert header.endswith("validation RMSE (mmol/L),test RMSE (mmol/L),time")
    assert "validation/rmse" in read_csv(folder / "runs.csv")[0]
    assert "validation/rmse" in {row["metric"] for row in read_csv(folder / "summary.csv")}
    assert "NetFiveValidationRmseMean}" in (folder / "numbers.tex").read_text("utf-8")


def test_axes_of_every_figure_say_title_and_unit(study: Path) -> None:
    add_regression(study, "net2", B)
    add_regression(study, "net5", A)
    findings = found(study)
    for name in ("comparison", "learning_curves", "paired_seeds", "cost"):
        with matplotlib.rc_context(STYLE):
            drawn = find_function(name, "modules.figures")(findings, 14.0)
        assert not isinstance(drawn, str)
        for _, figure, caption in drawn:
            labels = " ".join(text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()))
            assert re.search(r"(validation|test) RMSE\s\(mmol/L\)", labels), (name, labels)
            assert "rmse" not in labels + caption


def test_each_metric_has_its_own_direction_and_another_one_is_refused(study: Path) -> None:
    add_regression(study, "net2", B[:3])
    for run in study.glob("net*"):
        best = record_of(run)["best"]
        change_record(run, best=best | {"metrics": best["metrics"] | {"validation/r2": 0.5}})
    assert results_of(study, "validation/r2").direction == "max"
    assert results_of(study, "test/rmse").direction == "min"
    assert results_of(study, "validation/loss").direction == "min"
    with pytest.raises(ValueError, match=r"direction: validation R² is better when it is higher; leave direction out"):
        results_of(study, "validation/r2", "min")
    with pytest.raises(ValueError, match=r"RMSE is better when it is lower; .* write min in studies/depth\.yaml"):
        found(study, metric="validation/rmse", direction="max")


def test_classes_have_their_names_in_tables_and_figures(study: Path) -> None:
    for seed in (0, 1):
        with_classes(add_run(study, "net2", seed), {"iou_class_0": 0.5, "iou_class_1": 0.9}, class_names=["cat", "dog"])
        with_classes(add_run(study, "net5", seed), {"iou_class_0": 0.7, "iou_class_1": 0.8}, class_names=["cat", "dog"])
    assert per_class(study) == [("class",), ("cat",), ("dog",)]
    assert ticks(study) == ["cat", "dog"]
    findings = found(study)
    table = make_tables(findings.results.study, findings)["per_class"]
    assert table.caption.startswith("Validation IoU of each class: mean over seeds")
    assert table.bold == {(0, 2), (1, 1)}  # the task says that more is better
    assert results_of(study, "validation/iou_class_1").label == "validation IoU of class dog"
    assert "validation/iou_class_1" in findings.summary


def test_labels_have_their_names(study: Path) -> None:
    values = {"f1_label_0": 0.5, "f1_label_1": 0.7, "auc_label_0": 0.8, "auc_label_1": 0.9}
    run = with_classes(add_run(study), values, label_names=["red", "round"])
    change_record(run, metrics={"auc": ACCURACY | {"title": "mean AUC"}, "auc_label": ACCURACY | {"title": "AUC"}})
    assert per_class(study) == [
        *(("metric", "label"), ("f1", "red"), ("f1", "round"), ("AUC", "red"), ("AUC", "round"))
    ]


def test_what_runs_do_not_agree_on_has_its_plain_name(study: Path) -> None:
    add_regression(study, "net2", B[:3])
    add_regression(study, "net5", A[:3], unit="mg/dL")
    results = results_of(study)
    assert (results.label, results.direction) == ("validation/rmse", "min")
    assert "the runs give validation/rmse different names or units" in said(found(study))
    other = study.parent / "classes"
    for model, names in {"net2": ["cat", "dog"], "net5": ["cat", "cow"]}.items():
        with_classes(add_run(other, model), {"iou_class_0": 0.5, "iou_class_1": 0.9}, class_names=names)
    assert per_class(other) == [("class",), ("0",), ("1",)]
    assert ticks(other) == ["0", "1"]


def test_names_that_only_some_runs_know_are_not_used_for_the_classes_of_all(study: Path) -> None:
    with_classes(add_run(study), {"iou_class_0": 0.5}, class_names=["cat"])
    add_run(study, "net5")
    assert read_names(read_study(study).ended, {}, []).classes == {"class": {}, "label": {}}


def test_runs_of_an_older_version_are_worded_as_before(study: Path) -> None:
    add_run(study)
    findings = found(study)
    assert captions(findings)["summary"].startswith("validation/accuracy per setting")
    assert "the highest validation/accuracy counts" in captions(findings)["summary"]
    assert captions(findings)["per_class"].startswith("validation/accuracy of each class: mean over seeds")
    assert (per_class(study), ticks(study)) == ([("class",), ("0",)], ["0", "1"])


def test_a_matrix_of_other_classes_has_numbers(study: Path) -> None:
    with_classes(add_run(study), {}, class_names=["cat", "dog", "cow"])
    assert ticks(study) == ["0", "1"]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["a", "a"], ["a (0)", "a (1)"]),
        (["", " "], ["(0)", "(1)"]),
        ([None, 7], ["(0)", "(1)"]),
        ("ab", []),
        ({"0": "a"}, []),
        ([], []),
    ],
)
def test_every_class_can_be_told_from_the_others(names: Any, shown: list[str], study: Path) -> None:
    describe(add_run(study), class_names=names)
    assert list(read_names(read_study(study).ended, {}, []).classes["class"].values()) == shown


def test_long_names_that_are_cut_beside_the_matrix_keep_their_number(study: Path) -> None:
    describe(add_run(study), class_names=["x" * 300 + "1", "x" * 300 + "2"])
    assert ticks(study) == ["xxxxxxxxxxx… (0)", "xxxxxxxxxxx… (1)"]


@pytest.mark.parametrize("metrics", [7, [], {"accuracy": 7}, {"accuracy": {"title": 7, "unit": [], "direction": {}}}])
def test_metrics_that_are_none_stop_no_report(metrics: Any, study: Path) -> None:
    run = add_run(study)
    change_record(run, metrics=metrics, data=record_of(run)["data"] | {"facts": metrics})
    results = results_of(study)
    assert (results.label, results.direction) == ("validation/accuracy", "max")


def test_hostile_names_are_cleaned_in_every_output(study: Path) -> None:
    values = {"accuracy_class_0": 0.5, "accuracy_class_1": 0.7}
    for seed in range(2):
        run = with_classes(add_run(study, seed=seed), values, class_names=[HOSTILE, "=1+1"])
        change_record(run, metrics={"accuracy": {"direction": "max", "title": HOSTILE, "unit": "<b>"}})
        add_test(run, 0.9, record_of(run)["best"]["step"])
    report(report_config(study, figures=["comparison", "confusion_matrix", "learning_curves", "cost"]))
    folder = study.parents[1] / "reports" / study.name
    page = (folder / "report.html").read_text("utf-8")
    assert "<j>" not in page
    assert "(<b>)" not in page
    tex = (folder / "tables" / "per_class.tex").read_text("utf-8")
    assert r"\_a\&b\%c\#d\$e\textasciitilde{}f" in tex
    assert all(line.startswith("% ") for line in tex.splitlines()[:2])
    assert "'=1+1" in {row["class"] for row in read_csv(folder / "tables" / "per_class.csv")}
    for table in (folder / "tables").glob("*.md"):
        lines = table.read_text("utf-8").splitlines()
        assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
