"""Several data sets, several settings of a model, two swept keys: what is said over all of them."""

import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from labkit.reporting.analysis.findings import Findings
from labkit.reporting.figures import draw_figures, find_function
from labkit.reporting.figures.style import STYLE
from labkit.reporting.pages.numbers_tex import to_macros
from labkit.reporting.tables import make_tables
from report_studies import add_seeds, found, written
from run_folders import add_run, add_unfinished, change_record
from scipy import stats

ACCURACY = {"accuracy": {"direction": "max", "title": "accuracy", "unit": "", "bounds": [0, 1]}}
# Demsar 2006, table 6: the area under the curve of four ways to prune trees, on 14 data sets
# (its ranks tell the two 0.975 of the 13th apart)
TREES = {
    "c45": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.940, 0.619, 0.972, 0.957],
    "m": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978],
    "cf": [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.0, 0.965, 0.614, 0.975, 0.946],
    "m_cf": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.0, 0.962, 0.669, 0.9749, 0.970],
}


def add_on_data(study: Path, data: str, model: str, values: list[float], **changes: Any) -> None:
    for seed, value in enumerate(values):
        run = add_run(study, model, seed, value, **{"data.name": data}, **changes)
        about = {"name": data, "fingerprint": data, "split_fingerprint": data}
        about |= {"examples": {"train": 1077, "validation": 360, "test": 360}}
        change_record(run, data=about, metrics=ACCURACY)


def test_ranks_over_data_sets_equal_the_example_of_their_paper(study: Path) -> None:
    for model, values in TREES.items():
        for number, value in enumerate(values):
            add_on_data(study, f"d{number}", model, [value])
    ranks = found(study).ranks
    assert ranks
    assert ranks.data_sets == 14
    assert dict(zip(ranks.methods, ranks.mean_ranks, strict=True)) == pytest.approx(
        {"m_cf": 1.964, "m": 2.000, "cf": 2.893, "c45": 3.143}, abs=5e-4
    )
    assert ranks.p == pytest.approx(0.0116, abs=5e-5)  # 0.0197 in the paper, which does not correct for ties
    assert ranks.critical_difference == pytest.approx(1.25, abs=0.01)


def test_the_test_of_ranks_without_ties_is_the_formula_of_the_paper(study: Path) -> None:
    random = np.random.default_rng(2)
    for number in range(7):
        for model in ("net2", "net5", "net7"):
            add_on_data(study, f"d{number}", model, [round(float(random.uniform(0.5, 0.9)), 6)])
    ranks = found(study).ranks
    assert ranks
    squares = sum((rank - 2) ** 2 for rank in ranks.mean_ranks)
    friedman = 7 * squares  # 12 n / (k (k + 1)) times the squared distances from the middle rank
    assert ranks.p == pytest.approx(stats.f.sf(6 * friedman / (7 * 2 - friedman), 2, 12))


def test_fewer_data_sets_have_no_ranks_and_say_how_many_are_needed(study: Path) -> None:
    for number in range(5):
        for model, value in (("net2", 0.9), ("net5", 0.95)):
            add_on_data(study, f"d{number}", model, [value])
    findings = found(study)
    assert (findings.ranks, findings.scores) == (None, None)
    with matplotlib.rc_context(STYLE):
        said = find_function("data_sets", "modules.figures")(findings, 14.0)
    assert isinstance(said, str)
    assert "mean ranks need 6 data sets" in said


def many(study: Path) -> Findings:
    random = np.random.default_rng(0)
    for number in range(6):
        for model, gain in (("net2", 0.0), ("net5", 0.04)):
            values = [round(0.5 + 0.06 * number + gain + random.normal(0, 0.01), 4) for _ in range(4)]
            add_on_data(study, f"d{number}", model, values)
    return found(study)


def test_the_interquartile_mean_and_its_interval_come_from_all_runs(study: Path) -> None:
    findings = many(study)
    scores = findings.scores
    assert scores
    assert scores.methods == ["net2", "net5"]
    values = [
        value
        for group in findings.results.groups
        if group.settings["model"] == "net5"
        for value in findings.results.measured(group, "validation/accuracy").values()
    ]
    assert scores.mean[1] == pytest.approx(stats.trim_mean(values, 0.25))
    assert scores.interval[0, 1] < scores.mean[1] < scores.interval[1, 1]
    assert np.all(np.diff(scores.profile[1]) <= 0)
    above = np.mean(np.array(values) > scores.thresholds[50])
    assert scores.profile[1, 50] == pytest.approx(above)  # as many runs on each data set
    assert np.array_equal(found(study).scores.interval, scores.interval)  # type: ignore[union-attr]


def test_a_metric_that_is_no_share_is_not_averaged_over_data_sets(study: Path) -> None:
    many(study)
    for run in study.glob("*"):
        change_record(run, metrics={"accuracy": ACCURACY["accuracy"] | {"bounds": [0, None]}})
    findings = found(study)
    assert findings.scores is None
    assert findings.ranks


def test_figures_are_drawn_for_each_data_set_and_those_over_all_once(study: Path, tmp_path: Path) -> None:
    drawn = draw_figures(many(study), ["comparison", "data_sets"], "modules.figures", 14.0, "DejaVu Sans", tmp_path)
    assert set(drawn.captions) == {f"comparison_d{n}" for n in range(6)} | {"mean_ranks", "performance_profiles"}
    assert drawn.captions["comparison_d3"].startswith("On d3. Validation accuracy per setting.")
    assert drawn.not_drawn == []
    assert {path.stem for path in tmp_path.glob("*.pdf")} == set(drawn.captions)


def test_the_table_over_data_sets_says_what_its_numbers_are(study: Path) -> None:
    findings = many(study)
    table = make_tables(findings.results.study, findings)["data_sets"]
    assert table.header == ["method", "mean rank", "interquartile mean", "95 % interval"]
    assert [row[:2] for row in table.rows] == [["net5", "1.00"], ["net2", "2.00"]]
    assert "Wilcoxon signed-rank test: p = 0.031." in table.caption


def test_classes_of_two_data_sets_are_in_two_tables(study: Path) -> None:
    add_on_data(study, "mnist", "net2", [0.9])
    add_on_data(study, "cifar10", "net2", [0.8])
    findings = found(study)
    tables = make_tables(findings.results.study, findings)
    assert {"per_class_mnist", "per_class_cifar10"} <= set(tables)
    assert "of each class of mnist" in tables["per_class_mnist"].caption


# ---- the best setting of each model


def tuned(study: Path, **entries: Any) -> Findings:
    for model, base, rates in (("net2", 0.90, [0.1, 0.01]), ("net5", 0.93, [0.1, 0.01, 0.001])):
        for place, rate in enumerate(rates):
            for seed in range(5):
                value = round(base + 0.01 * place + 0.001 * (seed * 7 % 5), 4)
                add_run(study, model, seed, value, test=round(value - 0.02 - 0.001 * seed, 4), **{"optimizer.lr": rate})
    add_unfinished(study, "failed", "net2", 0)  # a third learning rate, 0.001
    return found(study, **entries)


def test_the_best_setting_of_each_model_is_chosen_on_validation_and_reported_on_test(study: Path) -> None:
    findings = tuned(study, baseline={"model": "net2"}, seeds=list(range(5)))
    table = make_tables(findings.results.study, findings)["best_per_model"]
    assert [row[:3] for row in table.rows] == [["net2", "lr=0.01", "3"], ["net5", "lr=0.001", "3"]]
    shown = dict(zip(table.header, table.rows[1], strict=True))
    values = [0.95 + 0.001 * (seed * 7 % 5) - 0.02 - 0.001 * seed for seed in range(5)]
    assert shown["test/accuracy"] == f"{np.mean(values):.4f}"
    assert shown["difference"] == "+0.0400"
    assert "The best of several is optimistic by chance" in table.caption
    macros = to_macros(findings.results.study, findings)
    assert rf"\newcommand{{\DepthBestNetFiveTestAccuracyMean}}{{{np.mean(values):.4f}}}" in macros


def test_unequal_numbers_of_settings_are_named_beside_the_table_and_the_answer(study: Path) -> None:
    for model, rates in (("net2", [0.1]), ("net5", [0.1, 0.01, 0.001])):
        for rate in rates:
            add_seeds(study, [0.90, 0.91, 0.92, 0.90, 0.93, 0.92], model, **{"optimizer.lr": rate})
    findings = found(study, baseline={"model": "net2"})
    table = make_tables(findings.results.study, findings)["best_per_model"]
    assert "Unequal numbers of settings were tried (1 to 3)" in table.caption
    assert "python runs/evaluate.py measures the test split" in table.caption
    assert findings.answer
    assert any("3 and 1 setting tried" in verdict.unequal for verdict in findings.answer.verdicts)


def test_models_with_one_setting_each_need_no_such_table(study: Path) -> None:
    add_seeds(study, [0.9, 0.91])
    add_seeds(study, [0.9, 0.91], "net5")
    assert found(study).tuned == []


# ---- interaction


def grid(study: Path) -> Findings:
    random = np.random.default_rng(1)
    for model, gain in (("net2", 0.0), ("net5", 0.02)):
        for rate, more in ((0.01, 0.0), (0.1, 0.01)):
            for seed in range(6):
                both = 0.015 if gain and more else 0.0
                value = round(0.9 + gain + more + both + random.normal(0, 0.003), 4)
                add_run(study, model, seed, value, **{"optimizer.lr": rate})
    return found(study)


def test_an_interaction_is_the_difference_of_differences_with_its_interval(study: Path) -> None:
    findings = grid(study)
    assert findings.interactions
    (one,) = findings.interactions.found
    values = {
        (group.settings["model"], group.settings["optimizer.lr"]): np.array(
            list(findings.results.measured(group, "validation/accuracy").values())
        )
        for group in findings.results.groups
    }
    expected = values["net5", "0.1"] - values["net2", "0.1"] - (values["net5", "0.01"] - values["net2", "0.01"])
    test: Any = stats.ttest_1samp(expected, 0)
    assert (one.n, one.difference.mean) == (6, pytest.approx(expected.mean()))
    assert (one.difference.low, one.difference.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert one.difference.p == one.p_holm == pytest.approx(test.pvalue)
    table = make_tables(findings.results.study, findings)["interaction"]
    assert table.rows[0][:3] == ["net5", "0.1", "6"]
    assert "how much more each model gains over net2 at this optimizer.lr than at 0.01" in table.caption


def test_an_interaction_is_drawn_as_the_effect_at_each_value_of_the_other_key(study: Path) -> None:
    findings = grid(study)
    with matplotlib.rc_context(STYLE):
        drawn = find_function("interaction", "modules.figures")(findings, 14.0)
    assert not isinstance(drawn, str)
    ((name, figure, caption),) = drawn
    (axes,) = figure.axes
    means = [points.get_ydata() for points, *_ in axes.containers]
    groups = findings.results.groups
    effect = [
        np.mean(list(findings.results.measured(groups[i + 2], "validation/accuracy").values()))
        - np.mean(list(findings.results.measured(groups[i], "validation/accuracy").values()))
        for i in (0, 1)
    ]
    assert name == "interaction"
    assert list(means[0]) == pytest.approx(effect)
    assert "Level lines: the effect is the same everywhere." in caption


def test_values_that_were_not_tried_everywhere_are_left_out(study: Path) -> None:
    grid(study)
    add_run(study, "net5", 0, 0.8, **{"optimizer.lr": 1.0})
    findings = found(study)
    assert findings.interactions
    assert findings.interactions.levels == (["net2", "net5"], ["0.01", "0.1"])


def test_the_effect_of_more_data_is_drawn_over_the_number_of_examples(study: Path) -> None:
    for fraction, examples, value in ((0.1, 108, 0.8), (None, 1077, 0.9)):
        for seed in range(3):
            run = add_run(study, "net2", seed, value + 0.001 * seed, **{"data.fraction": fraction})
            data = {"name": "digits", "fingerprint": "d1", "split_fingerprint": f"s{fraction}"}
            change_record(run, data=data | {"examples": {"train": examples, "validation": 360}})
    findings = found(study)
    with matplotlib.rc_context(STYLE):
        drawn = find_function("training_size", "modules.figures")(findings, 14.0)
    assert not isinstance(drawn, str)
    ((_, figure, _),) = drawn
    ((points, *_),) = figure.axes[0].containers
    assert list(points.get_xdata()) == [108, 1077]
    assert list(points.get_ydata()) == pytest.approx([0.801, 0.901])


def test_a_report_of_several_data_sets_is_written_whole(study: Path) -> None:
    many(study)
    folder = written(study)
    assert not math.isnan((folder / "report.pdf").stat().st_size)
    assert (folder / "tables" / "data_sets.tex").exists()
