"""Differences between settings equal what statistics libraries agree on, and too few seeds give no p."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labkit.reporting.analysis.comparisons import CORRECTED, PAIRED, WELCH, Comparison
from labkit.reporting.analysis.findings import BEST, TIED, Findings, find
from labkit.reporting.analysis.power import seeds_needed
from labkit.reporting.analysis.statistics import (
    holm,
    paired_difference,
    probability_of_improvement,
    sign_flip_p,
    unpaired_difference,
)
from labkit.reporting.tables.comparisons import comparison_table
from labkit.runs.study import read_study
from report_studies import A, B, C
from run_folders import add_run, change_record, plan
from scipy import stats

MODELS = ("net2", "net5", "net7")


def add_all(study: Path, *settings: list[float], **changes: Any) -> None:
    """One model for each list, one seed for each value."""
    for model, values in zip(MODELS, settings, strict=False):
        for seed, value in enumerate(values):
            add_run(study, model, seed, value, **changes)


def found(study: Path, **entries: Any) -> Findings:
    """As a study file with these entries would have it; without any: no file."""
    file = plan(**entries) if entries else None
    return find(read_study(study), file, None, None, ["seed"])


def the_comparison(findings: Findings) -> Comparison:
    (comparison,) = findings.comparisons
    return comparison


def test_the_paired_difference_equals_the_reference_values() -> None:
    one = paired_difference(np.array(B), np.array(A), 0.95)
    assert one.mean == pytest.approx(0.59, abs=1e-12)
    assert (one.low, one.high) == (pytest.approx(0.3949640912, abs=1e-8), pytest.approx(0.7850359088, abs=1e-8))
    assert one.p == pytest.approx(7.530431785e-05, abs=1e-13)
    assert sign_flip_p(np.array(B), np.array(A)) == 0.001953125
    assert probability_of_improvement(np.array(B), np.array(A), "max") == 0.835
    assert probability_of_improvement(np.array(A), np.array(B), "min") == 0.835
    none = paired_difference(np.array(C), np.array(A), 0.95)
    assert none.p == pytest.approx(0.8759659088, abs=1e-8)
    assert sign_flip_p(np.array(C), np.array(A)) == 1.0


@pytest.mark.parametrize("n", [6, 9, 13])
def test_the_sign_flip_equals_the_one_of_scipy(n: int) -> None:
    random = np.random.default_rng(n)
    for _ in range(5):
        b, a = random.normal(0.5, 1, n), random.normal(0, 1, n)
        one = stats.permutation_test((b - a,), np.mean, permutation_type="samples", n_resamples=2**n)
        assert sign_flip_p(b, a) == pytest.approx(one.pvalue, abs=1e-12)


def test_the_sign_flip_of_many_seeds_is_drawn_and_always_the_same() -> None:
    random = np.random.default_rng(0)
    b, a = random.normal(0.5, 1, 20), random.normal(0, 1, 20)
    t_test = paired_difference(b, a, 0.95).p
    assert sign_flip_p(b, a) == sign_flip_p(b, a) == pytest.approx(t_test, rel=0.2)


def test_the_corrected_and_the_unpaired_difference_equal_the_reference_values() -> None:
    corrected = paired_difference(np.array(B), np.array(A), 0.95, 1 / 9)
    assert corrected.p == pytest.approx(0.0011047864, abs=5.1e-11)
    unpaired = unpaired_difference(np.array(B), np.array(A), 0.95)
    assert unpaired.p == pytest.approx(0.0083928878, abs=5.1e-11)
    assert unpaired.mean == pytest.approx(0.59, abs=1e-12)


def test_five_seeds_equal_the_reference_values_and_fewer_give_no_p() -> None:
    five = paired_difference(np.array(B[:5]), np.array(A[:5]), 0.95)
    assert five.p == pytest.approx(0.0055717508, abs=5.1e-11)
    assert (five.low, five.high) == (pytest.approx(0.2835567835, abs=1e-8), pytest.approx(0.8764432165, abs=1e-8))
    assert math.isnan(sign_flip_p(np.array(B[:5]), np.array(A[:5])))
    four, two = (paired_difference(np.array(B[:n]), np.array(A[:n]), 0.95) for n in (4, 2))
    assert math.isfinite(four.low)
    assert math.isnan(four.p)
    assert math.isnan(two.low)


def test_holm_equals_the_reference_values_and_counts_no_test_that_was_not_made() -> None:
    p = [7.530431785e-05, 0.8759659088, 4.909395e-04]
    assert holm(p) == pytest.approx([0.000225913, 0.875965909, 0.000981879], abs=1e-9)
    assert holm([0.03, math.nan, 0.02])[::2] == [0.04, 0.04]
    assert holm([]) == []


def test_planned_comparisons_from_run_folders_equal_the_reference_values(study: Path) -> None:
    add_all(study, A, B, C)
    planned = [{"model": "net5"}, {"model": "net7"}, {"model": "net5", "against": {"model": "net7"}}]
    ba, ca, bc = found(study, baseline={"model": "net2"}, comparisons=planned).comparisons
    assert [one.p_holm for one in (ba, ca, bc)] == pytest.approx([0.000225913, 0.875965909, 0.000981879], abs=1e-9)
    assert [one.p_sign_flip_holm for one in (ba, ca, bc)] == [0.005859375, 1, 0.005859375]
    assert (ba.wins, ba.ties, ba.losses) == (10, 0, 0)
    assert (ca.wins, ca.ties, ca.losses) == (6, 0, 4)
    assert ca.better == 0.525
    assert {one.method for one in (ba, ca, bc)} == {PAIRED}


def test_what_was_not_planned_is_exploratory_and_has_a_correction_of_its_own(study: Path) -> None:
    add_all(study, A, B, C)
    planned, other = found(study, baseline={"model": "net2"}, comparisons=[{"model": "net5"}]).comparisons
    assert (planned.planned, other.planned) == (True, False)
    assert planned.p_holm == planned.difference.p
    assert other.p_holm == other.difference.p


def test_without_a_study_file_all_are_compared_with_the_best(study: Path) -> None:
    add_all(study, A, B, C)
    findings = found(study)
    assert findings.marks == ["", BEST, ""]
    assert [(one.group, one.against, one.planned) for one in findings.comparisons] == [(0, 1, False), (2, 1, False)]
    assert findings.answer is None


def test_what_cannot_be_told_from_the_best_is_marked(study: Path) -> None:
    add_all(study, C, A)
    assert found(study).marks == [BEST, TIED]


def test_a_loss_is_better_when_it_is_lower(study: Path) -> None:
    add_all(study, A, B)
    file = plan(metric="validation/loss", direction="min", baseline={"model": "net2"})
    findings = find(read_study(study), file, None, None, ["seed"])
    assert findings.results.direction == "min"
    assert the_comparison(findings).better == 0.5


def test_a_missing_seed_leaves_the_pairs_that_are_shared_and_is_named(study: Path) -> None:
    add_all(study, A, B[:9])
    findings = found(study, baseline={"model": "net2"})
    one = the_comparison(findings)
    assert (one.method, one.n, one.alone) == (PAIRED, (9, 9), [(9,)])
    assert one.difference.p == pytest.approx(stats.ttest_rel(B[:9], A[:9]).pvalue, rel=1e-9)
    table = comparison_table(findings)
    assert table
    assert "Pairs leave out the seeds that only one of the two has: net5 (lacks 9)." in table.caption


def test_with_fewer_than_five_shared_seeds_all_are_compared_by_welch(study: Path) -> None:
    add_all(study, A[:5])
    for seed, value in enumerate(B[:6]):
        add_run(study, "net5", seed + 1, value)
    one = the_comparison(found(study, baseline={"model": "net2"}))
    assert (one.method, one.n) == (WELCH, (6, 5))
    assert (one.wins, one.ties, one.losses) == (None, None, None)
    welch: Any = stats.ttest_ind(B[:6], A[:5], equal_var=False)
    assert one.difference.p == pytest.approx(welch.pvalue, rel=1e-9)


def test_a_seed_without_a_number_takes_its_partner_with_it(study: Path) -> None:
    add_all(study, A[:6], [math.nan, *B[1:6]])
    one = the_comparison(found(study, baseline={"model": "net2"}))
    assert (one.method, one.n) == (PAIRED, (5, 5))
    assert one.difference.mean == pytest.approx(np.mean(np.array(B[1:6]) - np.array(A[1:6])))


def test_seeds_with_splits_of_their_own_get_the_corrected_test(study: Path) -> None:
    for model, values in zip(MODELS, (A, B), strict=False):
        for seed, value in enumerate(values):
            folder = add_run(study, model, seed, value, **{"data.split_seed": seed})
            data = {"name": "digits", "fingerprint": "d1", "split_fingerprint": f"s{seed}"}
            change_record(folder, data={**data, "examples": {"train": 900, "validation": 100, "test": 100}})
    file = plan(baseline={"model": "net2"})
    findings = find(read_study(study), file, None, None, ["seed", "data.split_seed"])
    one = the_comparison(findings)
    assert (one.method, one.n) == (CORRECTED, (10, 10))
    assert one.difference.p == pytest.approx(0.0011047864, abs=5.1e-11)


def test_equal_differences_have_no_p_and_equal_values_no_difference(study: Path) -> None:
    add_all(study, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.2, 0.3, 0.4, 0.5, 0.6, 0.7], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    shifted, same = found(study, baseline={"model": "net2"}).comparisons
    assert shifted.difference.mean == pytest.approx(0.1)
    assert math.isnan(shifted.difference.p)
    assert (same.difference.mean, same.difference.low, same.difference.high) == (0, 0, 0)
    assert (same.wins, same.ties, same.losses) == (0, 6, 0)


def test_each_setting_is_compared_with_the_baseline_that_agrees_in_the_rest(study: Path) -> None:
    for model in ("net2", "net5"):
        for lr in (0.1, 0.01):
            add_run(study, model, 0, **{"optimizer.lr": lr})
    findings = found(study, baseline={"model": "net2"})
    labels = [group.label for group in findings.results.groups]
    pairs = {(labels[one.group], labels[one.against]) for one in findings.comparisons}
    assert pairs == {("net5, lr=0.1", "net2, lr=0.1"), ("net5, lr=0.01", "net2, lr=0.01")}


def test_ablations_are_compared_with_the_whole(study: Path) -> None:
    for seed in range(3):
        for name, layers in (("none", 2), ("one_layer", 1), (None, 2)):
            if name or seed == 0:  # one of the whole was started by a plain command
                add_run(study, "net2", seed + (name is None) * 3, ablation=name, **{"model.hidden_layers": layers})
    findings = found(study)
    assert [group.settings for group in findings.results.groups] == [{"ablation": "none"}, {"ablation": "one_layer"}]
    assert [len(group.runs) for group in findings.results.groups] == [4, 3]
    assert [(one.group, one.against) for one in findings.ablations] == [(1, 0)]


def test_the_number_of_seeds_is_the_one_that_gives_the_power() -> None:
    assert seeds_needed(1.0, 1.0, 0.05) == 10  # the table of any textbook: a difference of one SD, power 80 %
    assert seeds_needed(1.0, 0.5, 0.05) == 34
    assert seeds_needed(1.0, 10.0, 0.05) == 5  # fewer are too few for a test
    assert seeds_needed(1.0, 0.001, 0.05) is None
    assert seeds_needed(0.0, 1.0, 0.05) is None
