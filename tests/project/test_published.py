"""What a paper reports, and whether the runs come to it."""

from pathlib import Path
from typing import Any

import pytest
from labkit.reporting.analysis.study_file import read_study_file
from report_studies import NET2, NET5, add_seeds, found
from run_folders import change_record
from small_runs import ROOT


@pytest.mark.parametrize(
    ("published", "sentence"),
    [
        ({"metric": 0.91, "tolerance": 0.02}, "validation/accuracy of net2 is 0.91, within 0.02. Reached: 0.91 [0.9"),
        ({"metric": 0.91, "tolerance": 0}, "within 0. Reached on average, but not for sure: 0.91 [0.90"),
        ({"metric": 0.915, "tolerance": 0}, "within 0. Not reached on average, but not ruled out: 0.91 [0.90"),
        ({"metric": 0.97, "tolerance": 0.01}, "within 0.01. Not reached: 0.91 [0.90"),
        ({"metric": 0.9, "tolerance": 0, "setting": {"model": "net5"}}, "of net5 is 0.9, within 0. Reached: 0.9683"),
        ({"validation/loss": 0.1, "tolerance": 0.05}, "validation loss of net2 is 0.1, within 0.05. Not reached: 0.5"),
        ({"validation/loss": 0.6, "tolerance": 0}, "validation loss of net2 is 0.6, within 0. Reached: 0.5"),
        ({"test/accuracy": 0.9, "tolerance": 0}, "test/accuracy is 0.9. No run has been evaluated yet"),
    ],
)
def test_the_mean_and_its_interval_decide(published: dict[str, Any], sentence: str, study: Path) -> None:
    add_seeds(study, NET2)
    add_seeds(study, NET5, model="net5")
    for run in study.iterdir():
        change_record(run, metrics={"accuracy": {"direction": "max"}})
    (said,) = found(study, published=published).published
    assert said.startswith("Published: ")
    assert sentence in said


def test_without_a_file_or_such_a_key_nothing_is_said(study: Path) -> None:
    add_seeds(study, NET2)
    assert found(study).published == []
    assert found(study, comparisons=[]).published == []


def test_a_metric_that_no_run_measures_is_named(study: Path) -> None:
    add_seeds(study, NET2)
    with pytest.raises(
        ValueError, match=r"studies/depth.yaml: published: no run measures validation/acuracy; there ar"
    ):
        _ = found(study, comparisons=[], published={"validation/acuracy": 0.9, "tolerance": 0}).published


@pytest.mark.parametrize("value", ["{metric: 0.93}", "{tolerance: 0.1}", "0.93", "{metric: high, tolerance: 1}", "[1]"])
def test_what_is_no_published_value_is_one_sentence(value: str, tmp_path: Path) -> None:
    text = (ROOT / "studies" / "sweep_models.yaml").read_text("utf-8")
    (tmp_path / "depth.yaml").write_text(f"{text}\npublished: {value}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"depth.yaml: published: must be values of metrics and a tolerance, such as"):
        read_study_file(tmp_path, "depth")
