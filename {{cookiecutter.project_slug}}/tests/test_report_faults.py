"""Whatever is wrong with the runs or with what was asked: a right report or one sentence, never a wrong number."""

import copy
import csv
import itertools
import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats
from test_reporting import report_config

from modules.reporting.answer import NOT_SUPPORTED, SUPPORTED
from modules.reporting.checks import find_warnings
from modules.reporting.collect import runs_rows
from modules.reporting.comparisons import CORRECTED, PAIRED, WELCH, Comparison
from modules.reporting.findings import Findings, find, summary_rows
from modules.reporting.places import find_places, read_places
from modules.reporting.report import report
from modules.reporting.run_folders import Study, read_study
from modules.reporting.statistics import seeds_needed
from modules.reporting.study_file import read_study_file
from modules.reporting.tables.comparisons import ablation_table, comparison_rows
from tests.run_folders import add_plan, add_run, add_test, add_unfinished, change_record, plan, write_json

SEEDS = list(range(6))
NET2 = [0.90, 0.91, 0.92, 0.91, 0.90, 0.92]
NET5 = [0.96, 0.96, 0.98, 0.98, 0.95, 0.98]
ACCURACY = "validation/accuracy"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "depth"


def add_seeds(study: Path, values: list[float], model: str = "net2", **changes: Any) -> None:
    for seed, value in enumerate(values):
        add_run(study, model, seed, value, **changes)


def found(study: Path, **entries: Any) -> Findings:
    """As a study file with these entries would have it; without any: no file."""
    planned = {"comparisons": [{"model": "net5"}], "smallest_difference": 0.02, "seeds": SEEDS}
    file = plan(**{**planned, **entries}) if entries else None
    return find(read_study(study), file, None, None, ["seed"])


def labels(findings: Findings) -> list[str]:
    return [group.label for group in findings.results.groups]


def pairs(findings: Findings, comparisons: list[Comparison]) -> set[tuple[str, str]]:
    names = labels(findings)
    return {(names[one.group], names[one.against]) for one in comparisons}


def said(findings: Findings) -> str:
    return "\n".join(find_warnings(findings))


def means(findings: Findings, metric: str = ACCURACY) -> list[float]:
    return [one.mean for one in findings.summary[metric]]


def written(study: Path, **changes: Any) -> Path:
    """The whole report but its figures."""
    report(report_config(study, figures=[], **changes))
    return study.parents[1] / "reports" / study.name


def write_plan(study: Path, text: str = "", **entries: Any) -> None:
    """config/study/depth.yaml; `text` is put behind the entries as it is."""
    content = {
        key: value for key, value in vars(plan(**entries)).items() if key not in ("digest", *text.split(":")[:1])
    }
    folder = study.parents[1] / "study"
    folder.mkdir(exist_ok=True)
    (folder / f"{study.name}.yaml").write_text(yaml.safe_dump(content) + text, encoding="utf-8")


# Who is compared with whom


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
        assert verdict.seeds_needed == seeds_needed(verdict.comparison.difference.sd, 0.02, 0.05 / 3)


@pytest.mark.parametrize(("sd", "difference"), [(1e-5, 0.1), (1e-4, 1.0), (1e-9, 1.0), (1e-3, 10.0)])
def test_seeds_needed_for_a_difference_that_nobody_can_miss_are_the_fewest(sd: float, difference: float) -> None:
    assert seeds_needed(sd, difference, 0.05) == 5


# Which runs are repetitions of each other


def test_settings_that_are_not_the_same_never_look_the_same(study: Path) -> None:
    values: list[Any] = [0.1, "0.1", None, "null", "", True, "true"]
    for value in values:
        add_run(study, "net2", 0, **{"optimizer.lr": value})
    for key in ("training.lr", "model.lr"):
        add_run(study, "net2", 0, **{key: 0.1})
    names = labels(found(study))
    assert len(names) == len(set(names)) == 9


def test_number_in_a_list_may_be_typed_in_two_ways(study: Path) -> None:
    """As in a run's identity."""
    add_run(study, "net2", 0, **{"data.sizes": [1, 2], "data.name": "d"})
    add_run(study, "net2", 1, **{"data.sizes": [1.0, 2], "data.name": "d"})
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


# Numbers


@pytest.mark.parametrize("value", ["0.3", None, [0.3], {}, "x", 10**400], ids=lambda value: repr(value)[:9])
def test_metric_that_is_no_number_is_left_out_and_named(value: object, study: Path) -> None:
    add_seeds(study, NET2[:2])
    change_metrics(add_run(study, "net2", 2), {ACCURACY: value})
    findings = found(study)
    assert means(findings) == [pytest.approx(0.905)]
    assert f"{ACCURACY} is no number for seed 2: left out" in said(findings)


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
    if b.keys() == a.keys():
        both = [seed for seed in b if b[seed] is not None and a[seed] is not None]
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
    for trial in range(14):
        study = tmp_path / str(trial) / "depth"
        gain, scatter, smallest = draw.choice([-0.03, 0.0, 0.02, 0.05]), draw.choice([0.002, 0.02]), 0.02
        base = [round(draw.normal(0.8, 0.02), 4) for _ in SEEDS]
        add_seeds(study, base)
        add_seeds(study, [round(value + draw.normal(gain, scatter), 4) for value in base], "net5")
        findings = found(study, baseline={"model": "net2"}, smallest_difference=smallest)
        (one,) = findings.comparisons
        expected = "not decidable with 6 seeds"
        if one.difference.p < 0.05 and one.difference.mean >= smallest:
            expected = SUPPORTED
        elif one.difference.high < smallest:
            expected = NOT_SUPPORTED
        assert findings.answer
        assert findings.answer.word == expected
        words.add(expected)
    assert len(words) == 3


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


# Damaged and foreign files


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


# One study in several folders


def read(*studies: Path) -> Study:
    return read_places(find_places([str(study.parent) for study in studies], "depth")["depth"])


def test_copy_that_was_evaluated_on_the_test_set_says_more(study: Path, tmp_path: Path) -> None:
    run = add_run(study)
    there = tmp_path / "from_cluster" / "depth"
    shutil.copytree(run, there / run.name)
    add_test(there / run.name, 0.9, 72)
    for places in ((study, there), (there, study)):
        assert [run.test["test/accuracy"] for run in read(*places).runs] == [0.9]


def test_damaged_copy_of_a_run_that_is_whole_elsewhere_is_no_warning(study: Path, tmp_path: Path) -> None:
    run = add_run(study, test=0.9)
    there = tmp_path / "from_cluster" / "depth"
    shutil.copytree(run, there / run.name)
    (there / run.name / "test.json").write_text("{")
    assert read(study, there).warnings == []


def test_same_place_named_in_several_ways_is_the_same_study(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_seeds(study, NET2[:3])
    monkeypatch.chdir(study.parents[1])
    places = find_places([str(study.parent), "runs", "./runs/../runs"], "depth")
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


def change_metrics(run: Path, metrics: dict[str, Any]) -> Path:
    """Of the best evaluation of a finished run."""
    best = json.loads((run / "run.json").read_bytes())["best"]
    change_record(run, best={**best, "metrics": {**best["metrics"], **metrics}})
    return run


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
