"""Studies as they are in practice: what is claimed from them is what they show, in word and number."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labkit.reporting.analysis.answer import NOT_SUPPORTED, SHOWN, SUPPORTED, Answer
from labkit.reporting.analysis.comparisons import PAIRED, WELCH
from labkit.reporting.analysis.evaluation_set import evaluation_error
from labkit.reporting.analysis.findings import BEST, TIED, Findings, find
from labkit.reporting.analysis.power import equivalence_power, needed_with_range, paired_t_power, seeds_needed
from labkit.reporting.pages.numbers_tex import to_macros
from labkit.reporting.tables import make_tables
from labkit.reporting.tables.comparisons import comparison_rows
from labkit.runs.study import read_study
from report_studies import A, B, add_seeds, found, labels, pairs, said
from run_folders import add_run, add_test, change_record, launch, plan, write_json
from scipy import stats

NET2 = [0.90, 0.91, 0.92, 0.91, 0.90, 0.92]
NET5 = [0.96, 0.96, 0.98, 0.98, 0.95, 0.98]
SEEDS = list(range(6))


def answer_of(findings: Findings) -> Answer:
    assert findings.answer
    return findings.answer


def why(findings: Findings) -> str:
    return " | ".join(verdict.why for verdict in answer_of(findings).verdicts)


def macro_names(findings: Findings) -> set[str]:
    lines = to_macros(findings.results.study, findings).splitlines()
    return {line.split("{")[1].strip("\\}") for line in lines if line.startswith("\\newcommand")}


# ---- power


@pytest.mark.parametrize(
    ("sd", "difference", "alpha", "seeds"),
    [(0.1, 0.2206, 0.01, 6), (0.00106, 0.005, 0.05, 5), (1.0, 0.7, 0.001, 41), (1.0, 1.0, 0.05, 10)],
)
def test_seeds_needed_are_right_where_the_tail_of_the_noncentral_t_is_none(
    sd: float, difference: float, alpha: float, seeds: int
) -> None:
    assert seeds_needed(sd, difference, alpha) == seeds


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01, 0.001, 1e-4])
def test_power_equals_an_independent_quadrature(alpha: float) -> None:
    """The mean difference is normal, given the ratio of the study's SD to the true one; integrated over the ratio."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    for n in (5, 6, 7, 10, 20, 41, 92, 300, 1000):
        low, high = np.sqrt(stats.chi2.ppf([1e-16, 1 - 1e-15], n - 1) / (n - 1))
        ratio = low + (high - low) * (nodes + 1) / 2
        density = stats.chi2.pdf((n - 1) * ratio**2, n - 1) * 2 * (n - 1) * ratio * weights * (high - low) / 2
        limit = stats.t.ppf(1 - alpha / 2, n - 1) * ratio
        for effect in (0.01, 0.1, 0.3, 0.7, 1.0, 1.5, 2.2, 3.0, 8.0):
            shift = effect * np.sqrt(n)
            expected = (density * (stats.norm.sf(limit - shift) + stats.norm.cdf(-limit - shift))).sum()
            assert paired_t_power(effect, n, alpha) == pytest.approx(expected, abs=1e-9)


def test_power_of_equivalence_equals_a_simulation() -> None:
    differences = np.random.default_rng(0).normal(size=(100_000, 10))
    error = differences.std(1, ddof=1) / np.sqrt(10) * stats.t.ppf(0.95, 9)
    inside = np.abs(differences.mean(1)) + error < 1.0
    assert equivalence_power(1.0, 10, 0.05) == pytest.approx(inside.mean(), abs=0.005)


def test_seeds_needed_have_a_range_because_the_sd_of_few_is_uncertain() -> None:
    low, high = 0.01 * np.sqrt(4 / stats.chi2.ppf([0.975, 0.025], 4))
    assert needed_with_range(0.01, 5, 0.005, 0.05) == (
        seeds_needed(0.01, 0.005, 0.05),
        seeds_needed(low, 0.005, 0.05),
        seeds_needed(high, 0.005, 0.05),
    )
    assert needed_with_range(0.01, 5, 0.005, 0.05) == (34, 14, 262)


# ---- data sets


def add_on_data(study: Path, data: str, model: str, values: list[float], **changes: Any) -> None:
    for seed, value in enumerate(values):
        run = add_run(study, model, seed, value, **{"data.name": data}, **changes)
        facts = {"name": data, "fingerprint": data, "split_fingerprint": "s1"}
        change_record(run, data=facts | {"examples": {"train": 1077, "validation": 360, "test": 360}})


def two_data_sets(study: Path) -> Findings:
    add_on_data(study, "mnist", "net2", [value + 0.05 for value in NET2])
    add_on_data(study, "mnist", "net5", [value + 0.015 for value in NET5])
    add_on_data(study, "cifar10", "net2", [value - 0.3 for value in NET2])
    add_on_data(study, "cifar10", "net5", [value - 0.3 for value in NET5])
    return found(study)


def test_settings_are_ranked_and_compared_on_the_same_data_only(study: Path) -> None:
    findings = two_data_sets(study)
    assert labels(findings) == ["net2, cifar10", "net5, cifar10", "net2, mnist", "net5, mnist"]
    assert findings.marks == ["", BEST, "", BEST]
    assert pairs(findings, findings.comparisons) == {
        ("net2, cifar10", "net5, cifar10"),
        ("net2, mnist", "net5, mnist"),
    }
    assert {"DepthMnistBestSettingValidationAccuracy", "DepthCifarOneZeroBestSettingValidationAccuracy"} <= macro_names(
        findings
    )
    summary = make_tables(findings.results.study, findings)["summary"]
    assert {row for row, _ in summary.bold} == {1, 3}
    assert "Bold: the best mean on the same data." in summary.caption


def test_what_was_found_on_one_data_set_stands_alone(study: Path) -> None:
    findings = two_data_sets(study)
    (_, mnist) = findings.blocks
    within = findings.within(mnist)
    assert labels(within) == ["net2", "net5"]
    assert within.results.varying == ["model"]
    assert within.marks == ["", BEST]
    assert [(one.group, one.against) for one in within.comparisons] == [(0, 1)]
    assert len(within.results.values) == 12
    assert set(within.results.curves["run"]) == {run.name for group in within.results.groups for run in group.runs}


def test_a_fraction_of_a_data_set_is_not_ranked_against_the_whole(study: Path) -> None:
    for fraction, shift in ((0.1, -0.2), (None, 0.0)):
        for model, values in (("net2", NET2), ("net5", NET5)):
            add_seeds(study, [value + shift for value in values], model, **{"data.fraction": fraction})
    findings = found(study)
    assert [block.label for block in findings.blocks] == ["fraction=0.1", "fraction=null"]
    assert findings.marks.count(BEST) == 2
    assert "was not the same" not in said(findings)


def test_a_planned_comparison_holds_on_each_data_set(study: Path) -> None:
    two_data_sets(study)
    findings = found(study, baseline={"model": "net2"})
    assert [verdict.name for verdict in answer_of(findings).verdicts] == [
        "net5, cifar10 against net2, cifar10",
        "net5, mnist against net2, mnist",
    ]


# ---- the best epoch


def test_unequal_numbers_of_evaluations_are_named_beside_the_answer(study: Path) -> None:
    add_seeds(study, NET2)
    add_seeds(study, NET5, "net5")
    for run in study.glob("net5*"):
        rows = (run / "metrics.csv").read_text().splitlines()
        (run / "metrics.csv").write_text("\n".join([rows[0], *rows[1:] * 4]) + "\n")
        change_record(run, cost={"wall_s": 100.0})
    (verdict,) = answer_of(found(study, seeds=SEEDS)).verdicts
    assert verdict.unequal == ["20 and 5 evaluations a run", "2 min and 15 s of wall time a run"]


def test_equal_effort_is_not_mentioned(study: Path) -> None:
    add_seeds(study, NET2)
    add_seeds(study, NET5, "net5")
    (verdict,) = answer_of(found(study, seeds=SEEDS)).verdicts
    assert verdict.unequal == []


def test_steps_and_examples_that_differ_are_named(study: Path) -> None:
    add_seeds(study, NET2)
    add_seeds(study, NET5, "net5")
    for run in study.glob("net5*"):
        record = next(one.record for one in read_study(study).runs if one.name == run.name)
        change_record(run, last=record["last"] | {"step": 900, "epoch": 50})
    (verdict,) = answer_of(found(study, seeds=SEEDS)).verdicts
    assert verdict.unequal == ["900 and 90 steps a run", "5.385e+04 and 5385 training examples seen a run"]


def evaluated(study: Path, test2: list[float], test5: list[float]) -> None:
    for seed in SEEDS:
        add_run(study, "net2", seed, NET2[seed], test=test2[seed])
        add_run(study, "net5", seed, NET5[seed], test=test5[seed])


def test_the_test_split_confirms_the_answer(study: Path) -> None:
    evaluated(study, NET2, NET5)
    answer = answer_of(found(study, seeds=SEEDS))
    (verdict,) = answer.verdicts
    assert verdict.confirmed.startswith("supported: test/accuracy differs by +0.05833")
    assert answer.word == SUPPORTED
    assert not verdict.contradicted
    findings = found(study, seeds=SEEDS)
    assert "DepthNetFiveAgainstNetTwoTestAccuracyDifference" in macro_names(findings)
    rows = {row["metric"]: row for row in comparison_rows(findings)}
    assert rows["test/accuracy"]["difference"] == pytest.approx(np.mean(NET5) - np.mean(NET2))


def test_a_contradiction_of_the_test_split_is_said_first(study: Path) -> None:
    evaluated(study, NET2, [0.91, 0.90, 0.92, 0.92, 0.90, 0.91])
    answer = answer_of(found(study, seeds=SEEDS))
    assert answer.sentence.startswith("The test split contradicts this answer: net5 against net2.")
    assert answer.verdicts[0].confirmed.startswith("not supported: test/accuracy differs by +0 ")


def test_the_metric_of_a_study_may_be_one_of_the_test_split(study: Path) -> None:
    evaluated(study, NET2, NET5)
    findings = found(study, seeds=SEEDS, metric="test/accuracy")
    answer = answer_of(findings)
    assert answer.word == SUPPORTED
    assert answer.verdicts[0].confirmed == ""
    assert "test/accuracy differs by +0.05833" in why(findings)
    assert "has seen the test set" not in said(findings)


def test_a_metric_of_the_test_split_that_nobody_measured_says_how(study: Path) -> None:
    add_seeds(study, NET2)
    with pytest.raises(ValueError, match=r"'test/accuracy'; python runs/evaluate\.py measures it$"):
        found(study, seeds=SEEDS, metric="test/accuracy")


def test_the_last_evaluation_may_count_instead_of_the_best(study: Path) -> None:
    add_seeds(study, NET2)
    add_seeds(study, NET5, "net5")
    findings = found(study, seeds=SEEDS, select="last")
    assert findings.summary["validation/accuracy"][0].mean == pytest.approx(np.mean(NET2) - 0.03)
    assert (
        "Of each run, the last evaluation counts." in make_tables(findings.results.study, findings)["summary"].caption
    )
    assert findings.results.test_metric is None


def test_test_metrics_of_the_last_weights_count_with_the_last_evaluation(study: Path) -> None:
    for seed in SEEDS:
        folder = add_run(study, "net2", seed, NET2[seed], test=0.9)
        add_test(folder, 0.8, 90)
        (folder / "test.json").rename(folder / "test_last.json")
        add_test(folder, 0.9, 72)
    for select, expected in (("best", 0.9), ("last", 0.8)):
        findings = find(read_study(study), plan(select=select), None, None, ["seed"])
        assert findings.summary["test/accuracy"][0].mean == pytest.approx(expected)


# ---- what was planned stays what it is


def planned_study(study: Path) -> None:
    for seed in SEEDS:
        for model, values in (("net2", NET2), ("net5", NET5)):
            add_run(study, model, seed, values[seed])


def test_an_exploratory_pair_changes_no_planned_answer_and_no_name(study: Path) -> None:
    planned_study(study)
    before = found(study, seeds=SEEDS)
    for model in ("net2", "net5"):
        add_run(study, model, 0, 0.5, **{"optimizer.lr": 0.01})
    after = found(study, seeds=SEEDS)
    assert answer_of(before).word == answer_of(after).word == SUPPORTED
    assert [verdict.comparison and verdict.comparison.n for verdict in answer_of(after).verdicts] == [(6, 6)]
    assert macro_names(before) <= macro_names(after)
    assert "else was tried is exploratory; write fixed: {optimizer.lr: 0.001}" in said(after)


def test_what_a_later_command_tries_on_all_seeds_is_exploratory(study: Path) -> None:
    planned_study(study)
    for seed in SEEDS:
        for model in ("net2", "net5"):
            run = add_run(study, model, seed, 0.5, **{"optimizer.lr": 0.01})
            later = {"started": "2026-11-22T09:59:00+00:00", "argv": ["runs/train.py", "optimizer.lr=0.01"]}
            change_record(run, launches=[launch() | later])
    findings = found(study, seeds=SEEDS)
    assert answer_of(findings).word == SUPPORTED
    assert len(answer_of(findings).verdicts) == 1


def test_a_first_run_that_is_in_no_pair_leaves_every_pair_planned_and_says_so(study: Path) -> None:
    first = add_run(study, "net2", 0, 0.9, **{"optimizer.lr": 1.0})
    change_record(first, launches=[launch() | {"started": "2026-11-20T09:00:00+00:00", "argv": ["runs/train.py"]}])
    for rate in (0.1, 0.01):
        for seed in SEEDS:
            for model, values in (("net2", NET2), ("net5", NET5)):
                run = add_run(study, model, seed, values[seed], **{"optimizer.lr": rate})
                change_record(run, launches=[launch() | {"argv": ["runs/train.py", "--multirun"]}])
    findings = found(study, seeds=SEEDS)
    assert len(answer_of(findings).verdicts) == 2
    assert "every pair that fits counts as planned; write fixed: into studies/depth.yaml to choose" in said(findings)


def test_what_one_command_swept_is_all_planned(study: Path) -> None:
    for rate in (0.1, 0.01):
        for seed in SEEDS:
            add_run(study, "net2", seed, NET2[seed], **{"optimizer.lr": rate})
            add_run(study, "net5", seed, NET5[seed], **{"optimizer.lr": rate})
    assert len(answer_of(found(study, seeds=SEEDS)).verdicts) == 2


def test_a_study_file_can_fix_what_its_settings_do_not_name(study: Path) -> None:
    for rate, gain in ((0.1, 0.0), (0.01, 0.02)):
        for seed in SEEDS:
            add_run(study, "net2", seed, NET2[seed] + gain, **{"optimizer.lr": rate})
            add_run(study, "net5", seed, NET5[seed], **{"optimizer.lr": rate})
    findings = found(study, seeds=SEEDS, fixed={"optimizer.lr": 0.01})
    assert [verdict.name for verdict in answer_of(findings).verdicts] == ["net5, lr=0.01 against net2, lr=0.01"]


# ---- pairs


def test_a_missing_seed_discards_no_pair(study: Path) -> None:
    add_seeds(study, A)
    add_seeds(study, B[:9], "net5")
    (one,) = found(study, seeds=SEEDS).comparisons
    assert (one.method, one.n) == (PAIRED, (9, 9))
    assert one.difference.p == pytest.approx(stats.ttest_rel(B[:9], A[:9]).pvalue)
    assert one.difference.p < 0.001


def test_four_shared_seeds_are_too_few_for_pairs(study: Path) -> None:
    add_seeds(study, A[:7])
    for seed, value in enumerate(B[:7]):
        add_run(study, "net5", seed + 3, value)
    (one,) = found(study, seeds=SEEDS).comparisons
    assert (one.method, one.n) == (WELCH, (7, 7))


# ---- splits


def test_splits_are_called_splits_and_say_what_their_interval_covers(study: Path) -> None:
    for seed, (low, high) in enumerate(zip(NET2, NET5, strict=True)):
        for model, value in (("net2", low), ("net5", high)):
            run = add_run(study, model, seed, value, **{"data.split_seed": seed})
            data = {"name": "digits", "fingerprint": "d1", "split_fingerprint": f"s{seed}"}
            change_record(run, data=data | {"examples": {"train": 900, "validation": 100}})
    findings = find(read_study(study), plan(comparisons=[{"model": "net5"}]), None, None, ["seed", "data.split_seed"])
    tables = make_tables(findings.results.study, findings)
    assert "over n splits" in tables["summary"].caption
    assert "t interval of the mean (from 3 splits) over splits, corrected for the examples" in tables["summary"].caption
    assert "sign-flip p" not in tables["comparison"].header
    assert "was not the same" not in said(findings)


def test_a_caption_says_what_the_interval_does_not_cover(study: Path) -> None:
    for seed, value in enumerate([0.974, 0.975, 0.976]):
        run = add_run(study, "net2", seed, value, test=value)
        data = {"name": "digits", "fingerprint": "d1", "split_fingerprint": "s1"}
        change_record(run, data=data | {"examples": {"train": 1078, "validation": 360, "test": 359}})
    findings = found(study)
    caption = make_tables(findings.results.study, findings)["summary_test"].caption
    assert "over training seeds on one fixed split" in caption
    assert "does not cover the choice of the 359 test examples" in caption
    assert "a standard error of up to 0.0082." in caption


def test_the_error_of_the_test_set_comes_from_predictions_where_they_are_kept(study: Path) -> None:
    random = np.random.default_rng(0)
    target = random.normal(0, 2, 360)
    value = target + random.normal(0, 0.5, 360)
    runs = [add_run(study, "net2", seed, 0.9, test=0.9) for seed in range(3)]
    for run in runs:
        tested = json.loads((run / "test.json").read_bytes())
        write_json(run / "test.json", tested | {"metrics": tested["metrics"] | {"test/rmse": 0.5, "test/mae": 0.4}})
    np.savez(runs[2] / "predictions.npz", value=value, target=target, example=np.arange(360))
    results = found(study).results
    squares = (value - target) ** 2
    drawn = squares[random.integers(0, 360, (20_000, 360))].mean(1) ** 0.5
    for metric, expected in (
        ("test/mae", np.abs(value - target).std(ddof=1) / 360**0.5),
        ("test/rmse", drawn.std()),
    ):
        said = evaluation_error(results, metric, [0.5])
        assert float(said.split("up to ")[1].split()[0]) == pytest.approx(expected, rel=0.05)
        assert said.endswith("by the predictions that were kept.")
    assert evaluation_error(results, "test/macro_f1", [0.5]) == ""
    (runs[2] / "predictions.npz").write_bytes(b"PK")
    assert "predictions" not in evaluation_error(results, "test/accuracy", [0.5])


# ---- words


def test_a_mean_above_the_margin_does_not_show_that_the_margin_is_reached(study: Path) -> None:
    gains = [0.004, 0.009, 0.003, 0.008, 0.005, 0.006]  # mean 0.0058
    add_seeds(study, NET2)
    add_seeds(study, [value + gain for value, gain in zip(NET2, gains, strict=True)], "net5")
    assert answer_of(found(study, seeds=SEEDS, smallest_difference=0.005)).word == SHOWN
    assert answer_of(found(study, seeds=SEEDS, smallest_difference=0.001)).word == SUPPORTED


def test_not_supported_holds_over_all_planned_comparisons(study: Path) -> None:
    """By itself each would be ruled out at 5 %; over all of them it is not."""
    add_seeds(study, NET2)
    gains = [0.010, -0.012, 0.016, -0.006, 0.012, -0.008]
    high = stats.t.interval(0.95, 5, np.mean(gains), stats.sem(gains))[1]
    models = ["net5", "net7", "net9"]
    for model in models:
        add_seeds(study, [value + gain for value, gain in zip(NET2, gains, strict=True)], model)
    alone = found(study, seeds=SEEDS, smallest_difference=high + 0.001)
    assert answer_of(alone).word == NOT_SUPPORTED
    planned = [{"model": model} for model in models]
    together = found(study, seeds=SEEDS, smallest_difference=high + 0.001, comparisons=planned)
    assert answer_of(together).word.startswith("not decidable")


def test_equivalence_is_shown_by_two_one_sided_tests(study: Path) -> None:
    gains = [0.001, -0.001, 0.002, 0.0, -0.002, 0.001]
    add_seeds(study, NET2)
    add_seeds(study, [value + gain for value, gain in zip(NET2, gains, strict=True)], "net5")
    claim = [{"model": "net5", "claim": "equivalent"}]
    findings = found(study, seeds=SEEDS, smallest_difference=0.005, comparisons=claim)
    (one,) = findings.comparisons
    low, high = stats.t.interval(0.9, 5, np.mean(gains), stats.sem(gains))
    assert (one.difference.low, one.difference.high) == pytest.approx((low, high))
    lower: Any = stats.ttest_1samp(gains, -0.005, alternative="greater")
    upper: Any = stats.ttest_1samp(gains, 0.005, alternative="less")
    assert one.p == pytest.approx(max(lower.pvalue, upper.pvalue))
    (verdict,) = answer_of(findings).verdicts
    assert (verdict.name, verdict.word) == ("net5 equivalent to net2", SUPPORTED)
    assert "(90 % t interval, paired, n = 6)" in verdict.why


def test_a_difference_beyond_the_margin_is_not_equivalent_and_a_wide_one_decides_nothing(study: Path) -> None:
    add_seeds(study, NET2)
    add_seeds(study, NET5, "net5")
    claim = [{"model": "net5", "claim": "equivalent"}]
    assert answer_of(found(study, seeds=SEEDS, comparisons=claim)).word == NOT_SUPPORTED
    assert answer_of(found(study, seeds=SEEDS, comparisons=claim, smallest_difference=0.06)).word.startswith("not dec")


def test_the_dagger_is_corrected_for_all_pairs_because_the_best_was_chosen(study: Path) -> None:
    random = np.random.default_rng(3)
    for number in range(8):
        add_seeds(study, [round(value, 4) for value in random.normal(0.9, 0.01, 6)], f"net{number + 1}")
    findings = found(study)
    assert findings.marks.count(BEST) == 1
    assert findings.marks.count(TIED) == 7
    for one in findings.comparisons:
        assert one.p_all_pairs == min(1.0, one.difference.p * 28)
        assert np.isnan(one.p_holm)


# ---- what may be the cause


def confounded(study: Path, **change: Any) -> None:
    planned_study(study)
    for run in study.glob("net5*"):
        change_record(run, launches=[launch() | change])


@pytest.mark.parametrize(
    ("change", "what", "allowed"),
    [
        ({"code_id": "c0de00000002"}, "the version of the code differs", "code"),
        ({"cpu": "another CPU"}, "the kind of host differs", "host"),
        ({"packages": {"torch": "2.8.0"}}, "the versions of the packages differ", "packages"),
        ({"processes": 2}, "the number of processes differs", "processes"),
    ],
)
def test_a_cause_that_coincides_with_the_setting_decides_nothing_unless_it_is_allowed(
    change: dict[str, Any], what: str, allowed: str, study: Path
) -> None:
    confounded(study, **change)
    findings = found(study, seeds=SEEDS)
    answer = answer_of(findings)
    assert answer.word.startswith("not decidable")
    assert answer.sentence.startswith("Another cause coincides with the setting: net5")
    assert what.split(" differ")[0] in why(findings)
    assert f"allow: [{allowed}]" in why(findings)
    assert answer_of(found(study, seeds=SEEDS, allow=[allowed])).word == SUPPORTED


def test_another_device_or_version_of_the_data_is_a_cause(study: Path) -> None:
    planned_study(study)
    for run in study.glob("net5*"):
        record = next(one.record for one in read_study(study).runs if one.name == run.name)
        change_record(
            run,
            data=record["data"] | {"fingerprint": "d2"},
            cost=record["cost"] | {"gpu_s": 3.0},
            launches=[launch() | {"gpu": "H100"}],
        )
    findings = found(study, seeds=SEEDS)
    assert "the version of the data and the device differ between the two as well" in why(findings)
    assert answer_of(found(study, seeds=SEEDS, allow=["data", "device"])).word == SUPPORTED


def test_versions_that_are_mixed_alike_in_both_settings_are_no_cause(study: Path) -> None:
    planned_study(study)
    for run in [*study.glob("*-s1-*"), *study.glob("*-s2-*")]:
        change_record(run, launches=[launch() | {"code_id": "c0de00000002"}])
    assert answer_of(found(study, seeds=SEEDS)).word == SUPPORTED


def test_runs_on_one_and_on_two_processes_are_not_pooled(study: Path) -> None:
    add_seeds(study, NET2)
    for run in [*study.glob("*-s4-*"), *study.glob("*-s5-*")]:
        change_record(run, launches=[launch() | {"processes": 2}])
    findings = found(study)
    assert labels(findings) == ["processes=1", "processes=2"]
    assert [len(group.runs) for group in findings.results.groups] == [4, 2]
