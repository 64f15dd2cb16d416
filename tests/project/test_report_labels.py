"""`labels:` of config/report.yaml: people read names, units and percent; programs read what the runs wrote."""

import json
import re
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from labkit.reporting.analysis.findings import find
from labkit.reporting.analysis.names import MOST_LETTERS, read_labels
from labkit.reporting.figures import find_function
from labkit.reporting.figures.style import STYLE
from labkit.reporting.report import report
from labkit.reporting.tables import make_tables
from labkit.reporting.tables.metrics import summary_table
from labkit.runs.study import read_study
from report_studies import ACCURACY, A, B, add_seeds, found, read_csv, report_config, write_plan, written
from run_folders import add_run, change_record

LABELS: dict[str, Any] = {
    ACCURACY: {"title": "hits", "unit": "%", "percent": True},
    "model": "network",
    "optimizer.lr": "learning rate",
    "net2": "two hidden layers",
}


def shares(values: list[float]) -> list[float]:
    return [round(value / 100, 6) for value in values]


def add_shares(study: Path) -> None:
    add_seeds(study, shares(A), "net2", **{"optimizer.lr": 0.1})
    add_seeds(study, shares(B), "net5", **{"optimizer.lr": 0.01})


def tables_of(study: Path, labels: dict[str, Any]) -> dict[str, Any]:
    findings = find(read_study(study), None, None, None, ["seed"], read_labels(labels))
    return make_tables(findings.results.study, findings)


def test_percent_and_names_stand_where_people_read(study: Path) -> None:
    add_shares(study)
    planned = [{"model": "net5", "optimizer.lr": 0.01, "against": {"model": "net2", "optimizer.lr": 0.1}}]
    write_plan(study, comparisons=planned, smallest_difference=0.005)
    folder = written(study, labels=LABELS)
    summary = read_csv(folder / "tables" / "summary.csv")
    assert summary[0] == {
        **{"network": "two hidden layers", "learning rate": "0.1", "n": "10", "mean": "91.08", "SD": "0.44"},
        "95 % interval": "90.76 to 91.40",
    }
    (row,) = read_csv(folder / "tables" / "comparison.csv")
    assert (row["network"], row["difference"], row["95 % interval"]) == ("net5", "+0.59", "0.39 to 0.79")
    page = (folder / "report.html").read_text("utf-8")
    assert "About <b>validation hits (%)</b>" in page
    assert "net5, learning rate=0.01 against two hidden layers, learning rate=0.1" in page
    assert "differs by +0.59 [0.395, 0.785]" in page
    assert "0.5 percentage points is the smallest difference that matters" in page
    assert "validation hits (%)" in read_csv(folder / "tables" / "runs.csv")[0]


def test_files_for_programs_keep_the_plain_names_and_values(study: Path) -> None:
    add_shares(study)
    write_plan(study, comparisons=[{"model": "net5", "optimizer.lr": 0.01, "against": {"model": "net2"}}])
    plain = written(study, labels={})
    names = re.findall(r"newcommand\{(.*?)\}", (plain / "numbers.tex").read_text("utf-8"))
    rows = {name: read_csv(plain / f"{name}.csv") for name in ("runs", "summary", "comparisons")}
    labelled = written(study, labels=LABELS)
    for name, before in rows.items():
        for old, new in zip(before, read_csv(labelled / f"{name}.csv"), strict=True):
            assert old.keys() == new.keys()
            for key, value in old.items():
                assert new[key] == value or float(new[key]) == pytest.approx(float(value), rel=1e-12), key
    macros = (labelled / "numbers.tex").read_text("utf-8")
    assert re.findall(r"newcommand\{(.*?)\}", macros) == names
    line = next(line for line in macros.splitlines() if r"{\DepthNetTwoLrZeroPointOneValidationAccuracyMean}" in line)
    assert "{91.08}% 91.08" in line
    assert line.endswith(f"mean over seeds, {ACCURACY} in percent, model=net2, optimizer.lr=0.1")


def test_figures_have_names_and_percent_on_their_axes(study: Path) -> None:
    for lr in (0.1, 0.01):
        for width in (8, 16):
            setting: dict[str, Any] = {"optimizer.lr": lr, "model.channels": width}
            add_seeds(study, [0.91, 0.92], **setting)
    labels = {ACCURACY: {"percent": True}, "optimizer.lr": "learning rate", "0.01": "small"}
    findings = find(read_study(study), None, None, None, ["seed"], read_labels(labels))
    drawn = {}
    with matplotlib.rc_context(STYLE):
        for name in ("comparison", "swept_keys", "learning_curves"):
            made = find_function(name, "modules.figures")(findings, 14.0)
            assert not isinstance(made, str)
            drawn |= {file: (figure.axes, caption) for file, figure, caption in made}
    assert drawn["comparison"][0][0].get_xlabel() == f"{ACCURACY} (%)"
    low, high = drawn["comparison"][0][0].get_xlim()
    assert 89 < low < high < 94
    axes, caption = drawn["swept_optimizer_lr"]
    assert (axes[0].get_xlabel(), axes[0].get_ylabel()) == ("learning rate", f"{ACCURACY} (%)")
    assert [tick.get_text() for tick in axes[0].get_xticklabels()] == ["small", "0.1"]
    assert caption.startswith(f"Effect of learning rate on {ACCURACY} (%).")
    numbers = {text.get_text() for text in drawn["swept_map"][0][0].texts}
    assert all(float(number) > 90 for number in numbers)
    assert drawn["learning_curves"][0][1].get_ylabel().split() == [ACCURACY, "(%)"]
    assert drawn["learning_curves"][0][1].get_ylim()[1] > 80


def test_a_label_of_a_metric_holds_for_all_splits_and_classes(study: Path) -> None:
    add_run(study, test=0.9)
    results = find(read_study(study), None, None, None, ["seed"], read_labels({"accuracy": LABELS[ACCURACY]})).results
    assert results.names.label("test/accuracy") == "test hits (%)"
    assert results.names.label("validation/accuracy_class_0") == "validation hits of class 0 (%)"
    assert results.names.factor("validation/loss") == 1
    assert results.measured(results.groups[0], "test/accuracy") == {(0,): 90.0}
    assert tables_of(study, LABELS)["per_class"].rows == [["0", "90.0000"]]


def test_a_misspelt_label_is_said_once_with_the_nearest_name(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(study)
    other = study.parent / "width"
    add_run(other, "net9")
    labels = {"optimiser.lr": "learning rate", "net2": "two", "net9": "nine", "model": {"percent": True}}
    report(report_config(study, study=None, figures=[], labels=labels))
    said = [line for line in capsys.readouterr().out.splitlines() if "labels:" in line]
    nothing = "nothing is called 'optimiser.lr': no metric, no setting and no value of one"
    assert said == [
        f'warning: labels: {nothing}; did you mean "optimizer.lr"?',
        "warning: labels: model is no metric, so its unit and percent say nothing; leave them out",
    ]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"accuracy": 7}, "labels: accuracy: must be a name, or a map of title, unit and percent, not 7"),
        ({"accuracy": {"titel": "a"}}, r'labels: accuracy: there are: title, unit, percent; did you mean "title"\?'),
        ({"accuracy": {"percent": "yes"}}, "labels: accuracy: percent: must be true or false, not 'yes'"),
        ({"accuracy": {"unit": 1}}, "labels: accuracy: unit: must be a text, not 1"),
        ({"net2": "net", "net5": "net"}, "labels: net2 and net5 are both called 'net'; give them different names"),
    ],
)
def test_what_is_no_label_is_one_sentence(labels: dict[str, Any], sentence: str, study: Path) -> None:
    add_run(study)
    with pytest.raises(ValueError, match=sentence):
        written(study, labels=labels)


def test_a_long_setting_is_cut_in_the_middle_where_people_read_it_and_stays_whole_in_files(study: Path) -> None:
    long = [f"{'a' * 700}{number}{'z' * 700}" for number in (1, 2)]
    for value in long:
        add_run(study, "net2", 0, 0.9, **{"optimizer.name": value, "optimizer.lr": 0.1})
    first, second = found(study).results.groups
    assert first.label == f"{'a' * (MOST_LETTERS - 26)}…{'z' * 25}"
    assert second.label == f"{first.label} (2)"
    folder = written(study)
    assert {row["optimizer"] for row in read_csv(folder / "runs.csv")} == set(long)
    assert {row["optimizer"] for row in read_csv(folder / "summary.csv")} == set(long)
    assert {row["optimizer"] for row in read_csv(folder / "tables" / "summary.csv")} == {first.label, second.label}


def with_bounds(study: Path, values: list[float], bounds: Any, model: str = "net2") -> None:
    for seed, value in enumerate(values):
        about = {"direction": "max", "title": "accuracy", "unit": "", "bounds": bounds}
        change_record(add_run(study, model, seed, value), metrics={"accuracy": about})


def test_the_interval_of_a_bounded_metric_stays_within_its_bounds_and_its_difference_may_leave_them(
    study: Path,
) -> None:
    with_bounds(study, [0.99, 0.999, 1.0], [0, 1])
    with_bounds(study, [0.0, 0.001, 0.02], [0, 1], "net5")
    estimates = found(study).summary[ACCURACY]
    assert [estimates[0].high, estimates[1].low] == [1.0, 0.0]
    assert estimates[0].low == pytest.approx(0.98265, abs=1e-4)
    percent = find(read_study(study), None, None, None, ["seed"], read_labels({"accuracy": {"percent": True}}))
    assert [percent.summary[ACCURACY][0].high, percent.summary[ACCURACY][1].low] == [100.0, 0.0]
    (comparison,) = percent.comparisons
    assert comparison.difference.low < -100 < comparison.difference.mean
    table = summary_table(found(study), ACCURACY)
    assert "0.9827 to 1.0000" in table.rows[0]
    assert "Intervals end at 0 and 1, which the metric cannot pass." in table.caption


@pytest.mark.parametrize("bounds", [None, [None, None], [0], "x", {}, [0, [1]], [2, 3]])
def test_bounds_that_are_none_or_wrong_cut_no_mean(bounds: Any, study: Path) -> None:
    with_bounds(study, [0.9, 1.0, 0.95], bounds)
    (estimate,) = found(study).summary[ACCURACY]
    assert estimate.low <= estimate.mean <= estimate.high
    if bounds != [2, 3]:
        assert estimate.high > 1
    for name in ("comparison", "learning_curves"):
        with matplotlib.rc_context(STYLE):
            assert not isinstance(find_function(name, "modules.figures")(found(study), 14.0), str)


def test_runs_that_disagree_on_bounds_have_none(study: Path) -> None:
    with_bounds(study, [0.9, 1.0], [0, 1])
    with_bounds(study, [0.9, 1.0, 0.8], [0, 2], "net5")
    assert found(study).results.names.bounds(ACCURACY) == (float("-inf"), float("inf"))


def test_shares_that_tasks_measure_are_bounded() -> None:
    from modules.tasks.classification import Classification
    from modules.tasks.regression import Regression

    metrics = Classification(label_smoothing=0, class_names=["a", "b"]).metrics
    assert {name: metric.bounds for name, metric in metrics.items()} == {
        **{"loss": (0, None), "accuracy": (0, 1), "macro_f1": (0, 1), "auc": (0, 1)}
    }
    errors = Regression(unit="", target_mean=0, target_scale=1).metrics
    assert json.loads(json.dumps([errors["rmse"].bounds, errors["r2"].bounds])) == [[0, None], [None, 1]]
