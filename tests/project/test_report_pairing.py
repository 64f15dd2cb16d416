"""Settings are compared, and runs pooled, only where nothing but what was named or the seed differs."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from labkit.reporting.analysis.answer import NOT_SUPPORTED, SUPPORTED
from labkit.reporting.analysis.collect import runs_rows
from labkit.reporting.analysis.comparisons import CORRECTED
from labkit.reporting.analysis.findings import find, summary_rows
from labkit.reporting.analysis.power import seeds_needed
from labkit.reporting.analysis.study_file import read_study_file
from labkit.reporting.tables.comparisons import ablation_table, comparison_rows
from labkit.runs.identity import identity
from labkit.runs.study import read_study
from report_studies import ACCURACY, NET2, NET5, add_seeds, found, labels, pairs, said, write_plan, written
from run_folders import add_run, add_unfinished, change_record, config_of, plan


def test_settings_that_differ_in_more_than_was_named_decide_nothing(study: Path) -> None:
    """The learning rate may be the cause as well as the model."""
    add_seeds(study, NET2, "net2", **{"optimizer.lr": 0.01})
    add_seeds(study, NET5, "net5", **{"optimizer.lr": 0.1})
    findings = found(study, baseline={"model": "net2"})
    assert findings.answer
    assert findings.answer.word not in (SUPPORTED, NOT_SUPPORTED)


def test_model_and_model_name_are_the_same_setting(study: Path) -> None:
    for model, values in (("net2", NET2), ("net5", NET5)):
        for lr in (0.1, 0.01):
            add_seeds(study, values, model, **{"optimizer.lr": lr})
    short = found(study, baseline={"model": "net2"})
    full = found(study, baseline={"model.name": "net2"}, comparisons=[{"model.name": "net5"}])
    assert pairs(short, short.comparisons) == pairs(full, full.comparisons)


def test_ablation_that_changes_nothing_leaves_the_whole_what_it_is(study: Path) -> None:
    add_seeds(study, NET2[:3], "net2", ablation="none")
    add_run(study, "net2", 3, ablation="no_op")  # the same settings, started under this name
    add_seeds(study, NET5[:3], "net2", ablation="wide", **{"model.channels": 32})
    findings = found(study, baseline={"ablation": "none"}, comparisons=[{"ablation": "wide"}])
    assert len(findings.comparisons) == len(findings.ablations) == 1
    assert findings.comparisons[0].planned


def test_ablation_that_has_no_whole_to_compare_with_is_named(study: Path) -> None:
    """The learning rate is swept as well: whether 0.05 or 0.001 is the whole, nothing says."""
    add_seeds(study, NET2, "net2", ablation="none")
    add_seeds(study, NET2, "net2", **{"optimizer.lr": 0.05})
    add_seeds(study, NET5, "net2", ablation="fast", **{"optimizer.lr": 0.1})
    findings = found(study)
    assert findings.ablations or "fast" in said(findings)


def test_setting_that_has_no_baseline_to_compare_with_is_named(study: Path) -> None:
    for lr in (0.1, 0.01):
        add_seeds(study, NET2, "net2", **{"optimizer.lr": lr})
    add_seeds(study, NET5, "net5", **{"optimizer.lr": 0.05})
    findings = found(study, baseline={"model": "net2"}, comparisons=[])
    assert findings.comparisons or "net5" in said(findings)


def test_baseline_that_no_run_has_is_said(study: Path) -> None:
    add_seeds(study, NET2)
    add_seeds(study, NET5, "net5")
    assert re.search("baseline.*nte2", said(found(study, baseline={"model": "nte2"})))


@pytest.mark.parametrize("number", ["1e-1", "+1E-1", "0.1"])
def test_number_in_a_study_file_is_a_number_however_it_is_typed(number: str, study: Path) -> None:
    """YAML takes 1e-1 for a text; Hydra, and whoever wrote it, for a number."""
    add_seeds(study, NET2, "net2", **{"optimizer.lr": 0.1})
    add_seeds(study, NET5, "net5", **{"optimizer.lr": 0.1})
    add_seeds(study, NET5, "net5", **{"optimizer.lr": 0.2})
    write_plan(study, f"baseline: {{model: net2, optimizer.lr: {number}}}\n", comparisons=[{"model": "net5"}])
    findings = find(read_study(study), read_study_file(study.parents[1] / "study", "depth"), None, None, ["seed"])
    assert [row["optimizer.lr"] for row in comparison_rows(findings)] == ["0.1", "0.2"]


@pytest.mark.parametrize(
    "entry",
    [
        "comparisons: [{against: {model: net5}}]",
        "comparisons: [{model: net2}]",
        "comparisons: [{model: net5, against: {model: net5}}]",
        "baseline: {optimizer: {lr: 0.1}}",
        "baseline: {optimizer.lr: 2020-01-01}",
        "baseline: {modle: net2}",
        "baseline: {model: net2}\nbaseline: {model: net5}",
        "seeds: [0, 0, 1]",
    ],
)
def test_plan_that_cannot_be_meant_is_one_sentence(entry: str, study: Path) -> None:
    add_seeds(study, NET2)
    add_seeds(study, NET5, "net5")
    write_plan(study, entry)
    with pytest.raises(ValueError, match=r"depth\.yaml: .*(baseline|comparisons|seeds)") as refused:
        written(study)
    assert "\n" not in str(refused.value)


def test_caption_of_ablations_says_how_many_tests_the_correction_counts(study: Path) -> None:
    add_seeds(study, NET2, "net2", ablation="none")
    add_seeds(study, NET5, "net2", ablation="wide", **{"model.channels": 32})
    add_seeds(study, NET5[::-1], "net5")
    planned = [{"ablation": "wide"}, {"model": "net5", "ablation": "none"}]
    findings = found(study, baseline={"ablation": "none", "model": "net2"}, comparisons=planned)
    (one,) = findings.ablations
    assert one.p_holm == 2 * one.difference.p  # of two planned comparisons one is an ablation
    table = ablation_table(findings)
    assert table
    assert "adjusted over 2" in table.caption


def test_splits_of_one_data_set_get_no_uncorrected_test_because_a_seed_is_missing(study: Path) -> None:
    for model, values in (("net2", NET2), ("net5", NET5[:5])):
        for seed, value in enumerate(values):
            run = add_run(study, model, seed, value, **{"data.split_seed": seed})
            data = {"name": "digits", "fingerprint": "d1", "split_fingerprint": f"s{seed}"}
            change_record(run, data=data | {"examples": {"train": 900, "validation": 100}})
    findings = find(read_study(study), plan(), None, None, ["seed", "data.split_seed"])
    (one,) = findings.comparisons
    assert one.method == CORRECTED or math.isnan(one.difference.p)


def test_seeds_needed_count_every_planned_test(study: Path) -> None:
    for lr in (0.1, 0.01, 0.001):
        add_seeds(study, NET2, "net2", **{"optimizer.lr": lr})
        add_seeds(study, NET5[::-1], "net5", **{"optimizer.lr": lr})
    answer = found(study, baseline={"model": "net2"}).answer
    assert answer
    for verdict in answer.verdicts:
        assert verdict.comparison
        assert verdict.needed.seeds == seeds_needed(verdict.comparison.difference.sd, 0.02, 0.05 / 3)


@pytest.mark.parametrize(("sd", "difference"), [(1e-5, 0.1), (1e-4, 1.0), (1e-9, 1.0), (1e-3, 10.0)])
def test_seeds_needed_for_a_difference_that_nobody_can_miss_are_the_fewest(sd: float, difference: float) -> None:
    assert seeds_needed(sd, difference, 0.05) == 5


def test_settings_that_are_not_the_same_never_look_the_same(study: Path) -> None:
    values: list[Any] = [0.1, "0.1", None, "null", "", True, "true"]
    for value in values:
        add_run(study, "net2", 0, **{"optimizer.lr": value})
    for key in ("training.lr", "model.lr"):
        add_run(study, "net2", 0, **{key: 0.1})
    names = labels(found(study))
    assert len(names) == len(set(names)) == 9


@pytest.mark.parametrize(
    ("layers", "the_same"), [([1, 2], [1.0, 2]), ([{"width": 64}], [{"width": 64.0}]), ({0: 1.0}, {"0": 1})]
)
def test_settings_of_one_run_id_are_one_group_however_they_are_typed(layers: Any, the_same: Any, study: Path) -> None:
    configs = [config_of(**{"model.layers": value}) for value in (layers, the_same)]
    assert identity(configs[0], {}) == identity(configs[1], {})
    add_run(study, "net2", 0, **{"model.layers": layers})
    add_run(study, "net2", 1, **{"model.layers": the_same})
    assert [len(group.runs) for group in found(study).results.groups] == [2]


@pytest.mark.parametrize("repeats", [["seed", "data.splt_seed"], ["seed", "model"], ["seed", "seed"]])
def test_repeats_that_no_run_has_are_one_sentence(repeats: list[str], study: Path) -> None:
    add_run(study)
    with pytest.raises(ValueError, match=r"repeats: ") as refused:
        written(study, repeats=repeats)
    assert "\n" not in str(refused.value)


def test_setting_by_class_number_is_read_in_an_unfinished_run(study: Path) -> None:
    """YAML has numbers for keys, JSON has none."""
    weights: dict[str, Any] = {"data.class_weights": {"0": 1.0, "1": 5.0}}
    add_run(study, "net2", 0, **weights)
    run = add_unfinished(study, "failed", "net2", 1)
    config = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    config["data"]["class_weights"] = {0: 1.0, 1: 5.0}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert [len(group.unfinished) for group in found(study).results.groups] == [1]


@pytest.mark.parametrize("section", ["method", "metric", "n", "mean", "status", "reason", "host"])
def test_setting_that_is_called_like_a_column_of_the_report_is_not_lost(section: str, study: Path) -> None:
    add_seeds(study, NET2[:3], "net2", **{section: {"name": "simclr"}})
    add_seeds(study, NET5[:3], "net2", **{section: {"name": "byol"}})
    findings = found(study)
    results = findings.results
    summary, listed = summary_rows(results, findings.summary), runs_rows(results, results.study)
    for rows in (summary, comparison_rows(findings), listed):
        assert {"simclr", "byol"} <= {str(cell) for row in rows for cell in row.values()}
    assert {row["metric"] for row in summary if "metric" in row} > {ACCURACY}
