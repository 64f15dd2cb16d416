"""Cross-validation: the folds of a setting are its repetitions, and they are no independent ones."""

import json
import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from labkit.reporting.analysis.checks import find_warnings
from labkit.reporting.analysis.comparisons import CORRECTED
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.analysis.study_file import read_study_file
from labkit.reporting.figures import find_function
from labkit.reporting.figures.style import STYLE
from labkit.reporting.tables import make_tables
from report_studies import found, labels, write_plan, written
from run_folders import add_run, change_record
from scipy import stats

NET2 = [0.90, 0.91, 0.92, 0.90, 0.93]
NET5 = [0.95, 0.95, 0.98, 0.93, 0.97]
PLAN: dict[str, Any] = {"seeds": [0], "smallest_difference": 0.01}


def add_folds(study: Path, model: str, values: list[float], seed: int = 0) -> list[Path]:
    """One run for each fold, the first number for fold 0."""
    runs = []
    for fold, value in enumerate(values):
        run = add_run(study, model, seed, value, **{"data.folds": 5, "data.fold": fold})
        data = json.loads((run / "run.json").read_bytes())["data"]
        data |= {"split_kind": "fold", "split_fingerprint": f"f{fold}"}
        change_record(run, data=data | {"examples": {"train": 800, "validation": 200, "test": 100}})
        runs.append(run)
    return runs


def all_captions(findings: Findings) -> str:
    texts = [table.caption for table in make_tables(findings.results.study, findings).values()]
    for name in ("comparison", "learning_curves", "paired_seeds", "confusion_matrix", "cost", "swept_keys"):
        with matplotlib.rc_context(STYLE):
            drawn = find_function(name, "modules.figures")(findings, 14.0)
        texts += [drawn] if isinstance(drawn, str) else [caption for _, _, caption in drawn]
    return "\n".join(texts)


def test_folds_are_repetitions_and_are_called_folds(study: Path) -> None:
    add_folds(study, "net2", NET2)
    add_folds(study, "net5", NET5)
    findings = found(study, **PLAN)
    assert labels(findings) == ["net2", "net5"]
    assert findings.results.varying == ["model"]
    assert [list(group.repeats) for group in findings.results.groups] == [[(0, fold) for fold in range(5)]] * 2
    said = all_captions(findings)
    assert "per setting over n folds" in said
    assert "n = 5 folds per setting" in said
    assert "wins, ties and losses count folds" in said.lower()
    assert "seed" not in said
    assert findings.answer
    assert findings.answer.word == "supported"


def test_folds_are_paired_and_every_interval_is_corrected_for_what_they_share(study: Path) -> None:
    add_folds(study, "net2", NET2)
    add_folds(study, "net5", NET5)
    findings = found(study, **PLAN)
    (one,) = findings.comparisons
    assert (one.method, one.n, one.wins) == (CORRECTED, (5, 5), 5)
    differences = np.array(NET5) - np.array(NET2)
    error = differences.std(ddof=1) * math.sqrt(1 / 5 + 200 / 800)
    assert one.difference.p == pytest.approx(2 * stats.t.sf(differences.mean() / error, 4), rel=1e-9)
    half = stats.t.ppf(0.975, 4) * error
    assert one.difference.low == pytest.approx(differences.mean() - half, rel=1e-9)
    assert math.isnan(one.p_sign_flip)  # it would take the folds for independent
    (estimate, _) = findings.summary["validation/accuracy"]
    half = stats.t.ppf(0.975, 4) * np.std(NET2, ddof=1) * math.sqrt(1 / 5 + 200 / 800)
    assert estimate.high - estimate.mean == pytest.approx(half, rel=1e-9)


def test_the_splits_of_folds_may_differ_and_the_data_may_not(study: Path) -> None:
    add_folds(study, "net2", NET2)
    *_, last = add_folds(study, "net5", NET5)
    assert not [text for text in find_warnings(found(study, **PLAN)) if "was not the same" in text]
    data = json.loads((last / "run.json").read_bytes())["data"]
    for change in ({"fingerprint": "d2"}, {"split_fingerprint": "f0"}):
        change_record(last, data=data | change)
        assert "the data digits was not the same in all runs" in "\n".join(find_warnings(found(study, **PLAN)))


def test_several_seeds_on_each_fold_are_runs(study: Path) -> None:
    for seed in (0, 1):
        add_folds(study, "net2", NET2, seed)
        add_folds(study, "net5", NET5, seed)
    findings = found(study, **PLAN | {"seeds": [0, 1]})
    assert "n = 10 runs per setting" in all_captions(findings)
    assert findings.results.repeated_over == "the seed and the fold"
    assert findings.answer
    assert findings.answer.word == "supported"


@pytest.mark.parametrize("planned", [{}, {"folds": 5}])
def test_nothing_is_decided_while_a_planned_fold_is_to_come(planned: dict[str, int], study: Path) -> None:
    """The runs themselves say how many folds there are; the study's file may say it as well."""
    add_folds(study, "net2", NET2)
    add_folds(study, "net5", NET5[:4])
    answer = found(study, **PLAN, **planned).answer
    assert answer
    assert answer.word == "not decidable with 4 folds"
    assert "net5 lacks the planned fold 4" in answer.verdicts[0].why


def test_a_missing_pair_of_seed_and_fold_is_named(study: Path) -> None:
    for seed in (0, 1):
        add_folds(study, "net2", NET2, seed)
        add_folds(study, "net5", NET5[: 5 - 2 * seed], seed)
    answer = found(study, **PLAN | {"seeds": [0, 1]}).answer
    assert answer
    assert "net5 lacks the planned runs 1/3, 1/4 (seed/fold)" in answer.verdicts[0].why


def test_folds_that_were_planned_and_never_run_decide_nothing_and_others_are_named(study: Path) -> None:
    for seed, (low, high) in enumerate(zip(NET2, NET5, strict=True)):
        add_run(study, "net2", seed, low)
        add_run(study, "net5", seed, high)
    answer = found(study, **PLAN | {"folds": 5}).answer
    assert answer
    assert "lacks the planned folds 0, 1, 2, 3, 4" in answer.verdicts[0].why
    other = study.parent / "other"
    add_folds(other, "net2", NET2)
    add_folds(other, "net5", NET5)
    said = "\n".join(find_warnings(found(other, **PLAN | {"folds": 3})))
    assert "the means include folds that were not planned: 3, 4" in said


def test_seeds_on_one_fold_wait_for_no_other_unless_it_was_planned(study: Path) -> None:
    for seed, (low, high) in enumerate(zip(NET2, NET5, strict=True)):
        add_folds(study, "net2", [low], seed)
        add_folds(study, "net5", [high], seed)
    findings = found(study, **PLAN | {"seeds": list(range(5))})
    assert findings.results.repetition == "seed"
    assert findings.answer
    assert findings.answer.word == "supported"


def test_the_study_file_may_plan_folds(study: Path) -> None:
    for text, folds in (("", None), ("folds: 5\n", 5)):
        write_plan(study, text, folds=None)
        file = read_study_file(study.parents[1] / "study", study.name)
        assert file
        assert file.folds == folds
    write_plan(study, "folds: 1\n")
    with pytest.raises(ValueError, match="folds: must be at least 2"):
        read_study_file(study.parents[1] / "study", study.name)


def test_a_fold_without_folds_is_a_setting_like_others(study: Path) -> None:
    for fold in (0, 1):
        settings: dict[str, Any] = {"data.fold": fold}
        add_run(study, **settings)
    assert found(study).results.varying == ["data.fold"]


def test_the_list_of_runs_says_which_fold_each_is(study: Path) -> None:
    add_folds(study, "net2", NET2)
    table = make_tables(found(study).results.study, found(study))["runs"]
    column = table.header.index("data.fold")
    assert [row[column] for row in table.rows] == ["0", "1", "2", "3", "4"]
    assert '"data.fold"' in (written(study) / "report.html").read_text("utf-8")
