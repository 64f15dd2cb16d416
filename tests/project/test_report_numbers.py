"""The numbers of a report are those of scipy, and the same in every output."""

import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from labkit.reporting.analysis.answer import NOT_SUPPORTED, SHOWN, SUPPORTED
from labkit.reporting.analysis.comparisons import PAIRED, WELCH, Comparison
from labkit.reporting.analysis.findings import find
from labkit.runs.study import read_study
from report_studies import (
    ACCURACY,
    NET2,
    NET5,
    SEEDS,
    add_seeds,
    change_metrics,
    found,
    labels,
    means,
    read_csv,
    said,
    write_plan,
    written,
)
from run_folders import add_run, plan, write_json
from scipy import stats


@pytest.mark.parametrize("value", ["0.3", None, [0.3], {}, "x", 10**400], ids=lambda value: repr(value)[:9])
def test_metric_that_is_no_number_is_left_out_and_named(value: object, study: Path) -> None:
    add_seeds(study, NET2[:2])
    change_metrics(add_run(study, "net2", 2), {ACCURACY: value})
    findings = found(study)
    assert means(findings) == [pytest.approx(0.905)]
    assert f"{ACCURACY} is not a number for seed 2, which its mean leaves out" in said(findings)


@pytest.mark.parametrize("scale", [1e300, -1e300, 1e-300, 1e154, -1.0, 0.0])
def test_numbers_of_any_size_have_a_report(scale: float, study: Path) -> None:
    for model, values in (("net2", NET2), ("net5", NET5)):
        for seed, value in enumerate(values):
            change_metrics(add_run(study, model, seed), {ACCURACY: scale * value})
    findings = found(study)
    assert means(findings) == [pytest.approx(scale * np.mean(values), rel=1e-9, abs=0) for values in (NET2, NET5)]
    sd = [one.sd for one in findings.summary[ACCURACY]]
    assert sd == pytest.approx([abs(scale) * np.std(values, ddof=1) for values in (NET2, NET5)], rel=1e-9, abs=0)


def test_test_results_of_another_run_are_left_blank_and_named(study: Path) -> None:
    run = add_run(study, test=0.9)
    write_json(run / "test.json", json.loads((run / "test.json").read_bytes()) | {"run_id": "0123456789ab"})
    findings = found(study)
    assert "test/accuracy" not in findings.summary
    assert f"{run.name}: test.json" in said(findings)


def test_test_results_never_replace_those_of_validation(study: Path) -> None:
    run = add_run(study, accuracy=0.9, test=0.8)
    content = json.loads((run / "test.json").read_bytes())
    write_json(run / "test.json", content | {"metrics": {ACCURACY: 0.1, "test/accuracy": 0.8}})
    assert means(found(study)) == [0.9]


def test_direction_against_the_file_or_the_runs_is_not_silent(study: Path) -> None:
    add_seeds(study, NET2)
    add_seeds(study, NET5, "net5")
    with pytest.raises(ValueError, match="direction: "):
        find(read_study(study), plan(), None, "min", ["seed"])
    assert re.search("direction|lower is better", said(found(study, baseline={"model": "net2"}, direction="min")))


def test_numbers_of_random_studies_are_those_of_scipy(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    for trial in range(8):
        study = tmp_path / str(trial) / "depth"
        data = dict(_random_values(draw, 10.0 ** draw.integers(-4, 5)))
        for model, values in data.items():
            for seed, value in values.items():
                add_run(study, model, seed, value)
        findings = found(study, baseline={"model": "net2"}, alpha=0.1)
        names = labels(findings)
        for model, one in zip(names, findings.summary[ACCURACY], strict=True):
            x = np.array([value for value in data[model].values() if value is not None])
            low, high = stats.t.interval(0.95, len(x) - 1, x.mean(), stats.sem(x))
            assert (one.n, one.mean) == (len(x), pytest.approx(x.mean(), rel=1e-8))
            assert (one.sd, one.low, one.high) == pytest.approx((x.std(ddof=1), low, high), rel=1e-8)
        for one in findings.comparisons:
            _assert_as_scipy(one, data[names[one.group]], data[names[one.against]])
        for family in ([one for one in findings.comparisons if one.planned == kind] for kind in (True, False)):
            adjusted = stats_holm([one.difference.p for one in family])
            assert [one.p_holm for one in family] == pytest.approx(adjusted, rel=1e-8, nan_ok=True)


def _random_values(draw: np.random.Generator, scale: float) -> Iterator[tuple[str, dict[int, float | None]]]:
    seeds, unequal = range(draw.integers(5, 12)), draw.random() < 0.4
    for model in ("net2", "net5", "net7", "net9"):
        chosen = [seed for seed in seeds if not unequal or seed < 4 or draw.random() < 0.7]
        values: dict[int, float | None] = {seed: scale * round(draw.normal(0.9, 0.05), 4) for seed in chosen}
        if draw.random() < 0.3:
            values[chosen[0]] = None
        yield model, values


def _assert_as_scipy(one: Comparison, b: dict[int, float | None], a: dict[int, float | None]) -> None:
    both = [seed for seed in b if b[seed] is not None and a.get(seed) is not None]
    if b.keys() == a.keys() or len(both) >= 5:
        x, y = (np.array([values[seed] for seed in both], float) for values in (b, a))
        expected = stats.ttest_rel(x, y)
        assert one.method == PAIRED
        assert (one.wins, one.ties, one.losses) == tuple(int(n.sum()) for n in (x > y, x == y, x < y))
        assert math.isnan(one.p_sign_flip) if len(x) < 6 else one.p_sign_flip == _all_signs(x - y)
    else:
        x, y = (np.array([value for value in values.values() if value is not None], float) for values in (b, a))
        expected = stats.ttest_ind(x, y, equal_var=False)
        assert one.method == WELCH
    interval = expected.confidence_interval(0.9)
    assert one.n == (len(x), len(y))
    assert one.difference.mean == pytest.approx(x.mean() - y.mean(), rel=1e-8, abs=1e-12 * abs(x).max())
    assert (one.difference.low, one.difference.high) == pytest.approx(tuple(interval), rel=1e-8)
    assert math.isnan(one.difference.p) if min(one.n) < 5 else one.difference.p == pytest.approx(expected[1], 1e-8)
    assert one.better == pytest.approx(stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)), rel=1e-8)


def _all_signs(differences: np.ndarray) -> float:
    tolerance = 1e-12 * abs(differences).sum()  # sums that are equal but for the last bit
    signs = np.array(list(itertools.product((1, -1), repeat=len(differences))))
    return float((abs(signs @ differences) >= abs(differences.sum()) - tolerance).mean())


def stats_holm(p: list[float]) -> list[float]:
    """Each p times the number of those that are at least as large, and never below a smaller one's."""
    there = [value for value in p if math.isfinite(value)]
    times = {value: min(1.0, value * sum(other >= value for other in there)) for value in there}
    return [max((times[v] for v in there if v <= value), default=math.nan) for value in p]


def test_word_is_what_the_numbers_say(tmp_path: Path) -> None:
    draw, words = np.random.default_rng(7), set()
    for trial in range(20):
        study = tmp_path / str(trial) / "depth"
        gain, scatter, smallest = draw.choice([-0.03, 0.0, 0.02, 0.05]), draw.choice([0.002, 0.02]), 0.02
        base = [round(draw.normal(0.8, 0.02), 4) for _ in SEEDS]
        add_seeds(study, base)
        add_seeds(study, [round(value + draw.normal(gain, scatter), 4) for value in base], "net5")
        findings = found(study, baseline={"model": "net2"}, smallest_difference=smallest)
        (one,) = findings.comparisons
        expected = "not decidable with 6 seeds"
        if one.difference.low > smallest:
            expected = SUPPORTED
        elif one.difference.high < smallest:
            expected = NOT_SUPPORTED
        elif one.difference.low > 0:
            expected = SHOWN
        assert findings.answer
        assert findings.answer.word == expected
        words.add(expected)
    assert len(words) == 4


def test_every_output_holds_the_same_numbers(study: Path) -> None:
    add_seeds(study, NET2)
    add_seeds(study, NET5[::-1], "net5")
    write_plan(study, comparisons=[{"model": "net5"}], seeds=SEEDS)
    folder = written(study)
    full = {row["model"]: row for row in read_csv(folder / "summary.csv") if row["metric"] == ACCURACY}
    (difference,) = read_csv(folder / "comparisons.csv")
    macros = {
        name: (text, comment)
        for name, text, comment in re.findall(
            r"newcommand\{\\(\w+)\}\{(.*)\}% ([^:]+):", (folder / "numbers.tex").read_text("utf-8")
        )
    }
    rounded = read_csv(folder / "tables" / "summary.csv")
    page = (folder / "report.html").read_text("utf-8")
    for row in rounded:
        name = {"net2": "NetTwo", "net5": "NetFive"}[row["model"]]
        for column, quantity, key in (("mean", "Mean", "mean"), ("SD", "SD", "sd")):
            text, comment = macros[f"Depth{name}ValidationAccuracy{quantity}"]
            assert text == row[column]
            assert float(comment) == float(full[row["model"]][key]) == pytest.approx(float(text), abs=0.5e-3)
            assert f">{text}<" in page
            for suffix in ("tex", "md"):
                assert text in (folder / "tables" / f"summary.{suffix}").read_text("utf-8")
    (shown,) = read_csv(folder / "tables" / "comparison.csv")
    text, comment = macros["DepthNetFiveAgainstNetTwoValidationAccuracyDifference"]
    assert float(comment) == float(difference["difference"])
    assert shown["difference"].lstrip("+") == text
    assert shown["wins/ties/losses"] == "/".join(difference[key] for key in ("wins", "ties", "losses"))
