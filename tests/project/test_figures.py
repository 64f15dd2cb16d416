"""The figures show what was measured, all of it or a word on the rest, and stay readable whatever the names."""

import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import yaml
from labkit.reporting.analysis.findings import find
from labkit.reporting.figures import draw_figures, find_function
from labkit.reporting.figures.style import MOST_POINTS, STYLE, Drawing
from labkit.reporting.report import report
from labkit.runs.study import read_study
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from report_studies import found, report_config
from run_folders import add_run, add_test, change_record, write_json
from small_runs import ROOT

NAMES: list[str] = yaml.safe_load((ROOT / "config" / "report.yaml").read_bytes())["figures"]
OWN = "modules.figures"
FONT = "DejaVu Sans"
HOSTILE = "_a&b%c#d$e~f^g\\h{i}<j>\"k'l|m\nn é 中 --*[x] `o`"
LONG = "word " * 24
WIDTH = 14.0
PLAN: dict[str, Any] = {"smallest_difference": 0.01, "seeds": [0, 1, 2]}  # net5 is compared with net2


def draw(name: str, study: Path, **plan: Any) -> list[Drawing] | str:
    """`plan`: entries of the study's file; without any there is no file."""
    with matplotlib.rc_context(STYLE):
        return find_function(name, OWN)(found(study, **plan), WIDTH)


def draw_all(study: Path, width_cm: float = WIDTH) -> Iterator[Drawing]:
    """All figures that the configuration lists."""
    findings = found(study)
    with matplotlib.rc_context(STYLE):
        for name in NAMES:
            result = find_function(name, OWN)(findings, width_cm)
            yield from [] if isinstance(result, str) else result


def drawn(name: str, study: Path, **plan: Any) -> dict[str, tuple[Figure, str]]:
    result = draw(name, study, **plan)
    assert not isinstance(result, str), result
    return {file_name: (figure, caption) for file_name, figure, caption in result}


def add_three(study: Path, **changes: Any) -> None:
    """Three settings on the same three seeds: net5 always gains, net7 loses once."""
    for model, values in {
        "net2": (0.9, 0.91, 0.92),
        "net5": (0.93, 0.94, 0.96),
        "net7": (0.91, 0.9, 0.93),
    }.items():
        for seed, value in enumerate(values):
            add_run(study, model, seed, value, **changes)


def dots(axes: Axes) -> np.ndarray:
    """The places of all marks without a line, (marks, 2), but for the ends of intervals."""
    lines = [line for line in axes.get_lines() if line.get_marker() not in ("|", "_")]
    return np.concatenate([points(line) for line in lines if line.get_linestyle() == "None"])


def points(line: Line2D) -> np.ndarray:
    return np.array(line.get_xydata())


def pieces(line: Line2D) -> list[np.ndarray]:
    """The lines that are drawn as this one, with a gap behind each."""
    gaps = np.flatnonzero(np.isnan(points(line)[:, 0]))
    return [part[~np.isnan(part[:, 0])] for part in np.split(points(line), gaps + 1) if len(part)]


def ticks(axes: Axes, axis: str) -> list[str]:
    return [label.get_text() for label in getattr(axes, f"get_{axis}ticklabels")()]


def assert_whole(figure: Figure) -> None:
    """No text leaves the figure, and no two names beside or below an axis cover each other."""
    with matplotlib.rc_context(STYLE):
        figure.draw_without_rendering()
    edges = figure.bbox.padded(1)
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert edges.x0 <= box.x0 < box.x1 <= edges.x1
        assert edges.y0 <= box.y0 < box.y1 <= edges.y1
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        box = axes.get_tightbbox()
        assert box is not None
        assert edges.x0 <= box.x0 < box.x1 <= edges.x1
        assert edges.y0 <= box.y0 < box.y1 <= edges.y1
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            boxes = [label.get_window_extent() for label in labels if label.get_text() and label.get_visible()]
            assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))


# The list in config/report.yaml


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty package `own_figures`, as a student's modules/figures."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "own_figures"
    folder.mkdir()
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "own_figures"]:
        del sys.modules[name]


def test_a_students_figure_is_drawn_even_in_place_of_ours(study: Path, tmp_path: Path, package: Path) -> None:
    add_run(study)
    (package / "cost.py").write_text(
        "from matplotlib.figure import Figure\n\n\n"
        "def cost(findings, width_cm):\n"
        "    figure = Figure(figsize=(width_cm / 2.54, 2))\n"
        "    figure.subplots().hist(findings.results.values[findings.results.metric])\n"
        "    return [('histogram', figure, 'How often.')]\n"
    )
    made = draw_figures(found(study), ["cost", "swept_keys"], "own_figures", WIDTH, FONT, tmp_path)
    assert made.captions == {"histogram": "How often."}
    assert made.not_drawn == ["swept_keys: the runs differ in nothing but the seed."]
    assert {path.suffix for path in tmp_path.glob("histogram.*")} == {".pdf", ".png"}


def test_a_name_without_a_file_is_answered_with_what_there_is_in_both_places(study: Path, tmp_path: Path) -> None:
    add_run(study)
    expected = (
        r"figures: there is no confusion\.py in modules/figures or in labkit/reporting/figures; there are: attention, "
        r"comparison, confusion_matrix, cost, data_sets, interaction, learning_curves, paired_seeds, search_history, "
        r"swept_keys, time_curves, training_size; "
        r'did you mean "confusion_matrix"\?'
    )
    with pytest.raises(ValueError, match=expected):
        draw_figures(found(study), ["confusion"], OWN, WIDTH, FONT, tmp_path)
    with pytest.raises(ValueError, match=r"figures_package: No module named 'modules\.figurs'"):
        draw_figures(found(study), ["cost"], "modules.figurs", WIDTH, FONT, tmp_path)


def test_a_file_without_the_function_and_a_name_used_twice_are_said(study: Path, tmp_path: Path, package: Path) -> None:
    add_run(study)
    (package / "half_done.py").write_text("def halfdone(): ...\n")
    with pytest.raises(ValueError, match=r"figures: own_figures/half_done\.py must hold a function half_done"):
        draw_figures(found(study), ["half_done"], "own_figures", WIDTH, FONT, tmp_path)
    with pytest.raises(ValueError, match="figures: cost: there already is a figure 'cost'; name it differently"):
        draw_figures(found(study), ["cost", "cost"], OWN, WIDTH, FONT, tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def mine(findings, width_cm):\n    return findings.nothing\n", "AttributeError: 'Findings' object has no"),
        ("def mine(findings, width_cm):\n    raise ValueError('first\\nsecond')\n", "ValueError: first second;"),
        ("def mine(findings, width_cm):\n    return [('a', None, 'b')]\n", "AttributeError: 'NoneType' object"),
        ("def mine(findings, width_cm):\n    return 7\n", "TypeError: 'int' object is not iterable"),
        ("def mine(:\n", "SyntaxError: invalid syntax (mine.py, line 1)"),
        ("import nowhere\n", "ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_a_figure_that_fails_costs_itself(
    text: str, said: str, study: Path, tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_run(study)
    (package / "mine.py").write_text(text)
    report(report_config(study, figures=["mine", "cost"], figures_package="own_figures"))
    folder = study.parents[1] / "reports" / study.name
    output = capsys.readouterr().out
    (line,) = [line for line in output.splitlines() if "mine: failed" in line]
    assert line.startswith(f"  warning: mine: failed: {said}")
    assert line.endswith("; the traceback is in report.log")
    assert "mine: failed" in (folder / "report.html").read_text("utf-8")
    log = (folder / "report.log").read_text("utf-8")
    assert "Traceback (most recent call last)" in log
    assert said.split(":")[0] in log
    assert {path.name for path in (folder / "figures").iterdir()} == {"cost.pdf", "cost.png"}
    assert (folder / "report.pdf").exists()
    report(report_config(study, figures=["cost"]))
    assert not (folder / "report.log").exists()


def test_a_curve_of_many_rows_is_drawn_with_its_peaks_and_not_with_all_points(study: Path) -> None:
    for seed in range(3):
        run = add_run(study, "net2", seed)
        rows = [f"{step},0.5,{9 if step == 777 else 0.5}" for step in range(20_000)]
        (run / "metrics.csv").write_text("\n".join(["step,train/accuracy,validation/accuracy", *rows]) + "\n")
    figure, _ = drawn("learning_curves", study)["learning_curves"]
    thin, mean = figure.axes[1].get_lines()
    for line in pieces(thin):
        assert len(line) <= MOST_POINTS + 2
        assert [777, 9] in line.tolist()
        assert line[[0, -1], 0].tolist() == [0, 19_999]
    assert len(points(mean)) <= MOST_POINTS + 2


def test_a_thousand_classes_are_an_image(study: Path, tmp_path: Path) -> None:
    counts = np.eye(1000, dtype=int) * 40
    counts[7] = 0
    change_record(add_run(study), confusion_matrix=counts.tolist())
    draw_figures(found(study), ["confusion_matrix"], OWN, WIDTH, FONT, tmp_path)
    assert (tmp_path / "confusion_matrix.pdf").stat().st_size < 500_000
    figure, _ = drawn("confusion_matrix", study)["confusion_matrix"]
    (image,) = figure.axes[0].get_images()
    shown: Any = image.get_array()
    assert np.isnan(np.ma.filled(shown, np.nan)[7]).all()
    assert_whole(figure)


def test_every_figure_is_as_wide_as_asked_and_what_is_not_drawn_is_said(study: Path, tmp_path: Path) -> None:
    add_three(study)
    made = draw_figures(found(study, **PLAN), NAMES, OWN, 8.5, FONT, tmp_path)
    assert list(made.captions) == [
        *("comparison", "learning_curves", "paired_seeds", "paired_differences", "time_curves", "confusion_matrix"),
        "cost",
    ]
    assert made.not_drawn == [
        "swept_keys: model is all that varies, and figure comparison shows what it does.",
        "attention: no run with results is a transformer.",
    ]
    for name in made.captions:
        box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ", (tmp_path / f"{name}.pdf").read_bytes())
        assert box
        assert float(box[1]) == pytest.approx(8.5 / 2.54 * 72, abs=0.01)
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


# Whatever the runs are like


def test_names_of_any_kind_stay_inside_and_apart(study: Path) -> None:
    for seed in range(2):
        for model in (HOSTILE, "$x$", "_", LONG, "a" * 120):
            lr = 0.001 if model == "_" else 10
            add_run(study, model, seed, 0.9 + seed / 100, test=0.9, **{"optimizer.lr": lr, "optimizer.name": HOSTILE})
    for _, figure, _ in draw_all(study):
        assert_whole(figure)


def test_a_column_of_a_paper_is_wide_enough(study: Path) -> None:
    for lr in (0.001, 0.01, 0.1):
        for width in (8, 16, 32):
            setting: dict[str, Any] = {"optimizer.lr": lr, "model.channels": width}
            for seed in range(2):
                add_run(study, "net2", seed, 0.9 + lr + width / 1000, **setting)
    for _, figure, _ in draw_all(study, 8.5):
        assert_whole(figure)


def test_thirty_settings_fit_or_the_rest_is_counted(study: Path) -> None:
    for model in range(6):
        for lr in (0.0001, 0.001, 0.01, 0.1, 1.0):
            add_run(study, f"net{model}", 0, 0.9 + model / 100 - lr / 50, **{"optimizer.lr": lr})
    for name, figure, caption in draw_all(study):
        assert_whole(figure)
        assert name != "learning_curves" or "Shown: the best 8 of 30 settings by mean validation/accuracy" in caption
        assert name != "cost" or "Grey crosses: the means of 22 other settings" in caption


@pytest.mark.parametrize("accuracy", [0.95, 0.0, None])
def test_one_run_has_the_figures_that_one_run_can_have(accuracy: float | None, study: Path) -> None:
    add_run(study, accuracy=accuracy)
    results = {name: draw(name, study) for name in NAMES}
    said = {name: result for name, result in results.items() if isinstance(result, str)}
    nothing = "no run has a number of validation/accuracy."
    if accuracy is None:
        assert said["comparison"] == said["swept_keys"] == said["cost"] == nothing
    else:
        assert said == {
            "paired_seeds": "there is one setting.",
            "swept_keys": "the runs differ in nothing but the seed.",
            "attention": "no run with results is a transformer.",
        }
    for result in results.values():
        for _, figure, _ in [] if isinstance(result, str) else result:
            assert_whole(figure)


def test_equal_values_unequal_seeds_and_other_metrics_are_drawn(study: Path) -> None:
    for seed in range(4):
        add_run(study, "net2", seed, 0.9, **{"optimizer.lr": 0.1})
    for seed in range(2, 5):
        add_run(study, "net5", seed, None if seed == 3 else 0.9, **{"optimizer.lr": 0.1})
    other = add_run(study, "net5", 0, 0.9, **{"optimizer.lr": 0.01})
    (other / "metrics.csv").write_text("step,epoch,train/loss,validation/f1\n7,1,0.5,0.4\n900,2,0.4,0.3\n")
    damaged = add_run(study, "net7", 0, 0.9, **{"optimizer.lr": 0.01})
    (damaged / "metrics.csv").unlink()
    for _, figure, caption in draw_all(study):
        assert_whole(figure)
        assert "nan" not in caption


def test_a_long_name_of_the_metric_stays_inside(study: Path) -> None:
    metric = "validation/" + "a_very_long_name_" * 6 + HOSTILE
    for seed in range(3):
        for lr in (0.01, 0.1):
            for width in (8, 16):
                run = add_run(study, "net2", seed, **{"optimizer.lr": lr, "model.channels": width})
                best = {"step": 1, "epoch": 1, "metrics": {metric: seed + width * lr}}
                change_record(run, best=best, last=best, monitor={"metric": metric, "direction": "max"})
                header = f'step,"{metric}","{metric.replace("validation", "train")}"'.replace("\n", " ")
                (run / "metrics.csv").write_text(f"{header}\n1,2,3\n2,3,4\n", encoding="utf-8")
    for _, figure, _ in draw_all(study):
        assert_whole(figure)


# Each figure


def test_comparison_shows_every_seed_the_mean_the_baseline_and_the_best(study: Path) -> None:
    add_three(study)
    add_run(study, "net7", 3, None)  # no number: no point
    figure, caption = drawn("comparison", study, **PLAN)["comparison"]
    (axes,) = figure.axes
    assert ticks(axes, "y") == ["net2  (baseline)", "net5", "net7"]
    assert [label.get_fontweight() for label in axes.get_yticklabels()] == ["normal", "bold", "normal"]
    assert sorted(dots(axes)[:9, 0]) == sorted([0.9, 0.91, 0.92, 0.93, 0.94, 0.96, 0.91, 0.9, 0.93])
    assert sorted(dots(axes)[9:, 0]) == pytest.approx(sorted([0.91, 0.94333333333, 0.91333333333]))
    assert "n = 3 seeds per setting. Split: validation. Of each run, the evaluation with the highest" in caption
    assert "alpha = 0.05, corrected for all pairs of settings on the same data" in caption


def test_validation_and_test_are_in_figures_of_their_own(study: Path) -> None:
    for seed in range(3):
        add_run(study, "net2", seed, 0.9, test=0.5)
    both = drawn("comparison", study)
    assert [figure.axes[0].get_xlabel() for figure, _ in both.values()] == ["validation/accuracy", "test/accuracy"]
    assert {float(x) for x in dots(both["comparison"][0].axes[0])[:, 0]} == {0.9}
    assert {float(x) for x in dots(both["comparison_test"][0].axes[0])[:, 0]} == {0.5}
    assert "Split: test." in both["comparison_test"][1]


def test_a_metric_that_only_the_test_split_has_is_drawn(study: Path) -> None:
    for seed in range(2):
        add_test(add_run(study, "net2", seed), 0.8 + seed / 10, 72)
        content = json.loads((study / sorted(path.name for path in study.iterdir())[seed] / "test.json").read_bytes())
        content["metrics"]["test/auc"] = 0.5
        write_json(study / sorted(path.name for path in study.iterdir())[seed] / "test.json", content)
    findings = find(read_study(study), None, "test/auc", "max", ["seed"])
    assert len(findings.results.values) == 2
    with matplotlib.rc_context(STYLE):
        results = {name: find_function(name, OWN)(findings, WIDTH) for name in NAMES}
    assert [name for name, *_ in results["comparison"]] == ["comparison"]
    assert "Split: test." in results["comparison"][0][2]
    assert not isinstance(results["cost"], str)


def test_curves_have_every_seed_and_a_mean_where_all_have_a_value(study: Path) -> None:
    for seed in range(3):
        run = add_run(study, "net2", seed)
        last = 3 if seed == 2 else 4
        rows = [f"{step},{step / 10 + seed},{step}" for step in range(1, last + 1)]
        (run / "metrics.csv").write_text("\n".join(["step,train/accuracy,validation/accuracy", *rows]) + "\n")
    figure, caption = drawn("learning_curves", study)["learning_curves"]
    train, validation = figure.axes
    thin, mean = train.get_lines()
    assert [len(line) for line in pieces(thin)] == [4, 4, 3]
    assert points(mean) == pytest.approx(np.array([[1, 1.1], [2, 1.2], [3, 1.3]]))
    assert (train.get_ylabel(), validation.get_ylabel()) == ("train/accuracy", "validation/accuracy")
    assert "n = 3 seeds per setting" in caption


def test_one_run_that_explodes_does_not_flatten_the_others(study: Path) -> None:
    for seed, worst in enumerate((2.0, 900.0)):
        run = add_run(study, "net2", seed)
        (run / "metrics.csv").write_text(f"step,train/loss,validation/loss\n1,{worst},{worst}\n2,0.1,0.2\n")
    figure, _ = drawn("learning_curves", study)["learning_curves"]
    assert {axes.get_yscale() for axes in figure.axes} == {"log"}


def test_no_quantity_on_both_splits_is_said(study: Path) -> None:
    run = add_run(study)
    (run / "metrics.csv").write_text("step,train/loss,validation/auc\n1,2,3\n")
    assert draw("learning_curves", study) == "no quantity was measured on both the training and the validation split."


def test_wins_and_losses_of_pairs_differ_in_shape_and_planned_ones_come_first(study: Path) -> None:
    add_three(study)
    pairs = drawn("paired_seeds", study, **PLAN)
    slopes, caption = pairs["paired_seeds"]
    assert [ticks(axes, "x") for axes in slopes.axes] == [["net2", "net5"], ["net2", "net7"]]
    drawn_as = {line.get_marker(): (line.get_linestyle(), len(pieces(line))) for line in slopes.axes[1].get_lines()}
    assert drawn_as == {"^": ("-", 2), "v": ("--", 1), "D": ("-", 1)}
    figure, differences = pairs["paired_differences"]
    left, right = figure.axes
    assert (ticks(left, "y"), ticks(right, "y")) == (["net5  (planned)", "net7"], ["3/0/0", "2/0/1"])
    assert sorted(dots(left)[:6, 0]) == pytest.approx([-0.01, 0.01, 0.01, 0.03, 0.03, 0.04])
    assert [points(line)[0, 0] for line in left.get_lines() if line.get_linestyle() == "--"] == [0.01]
    assert "2 comparisons, 1 planned, the others exploratory; p values are Holm-adjusted" in caption
    assert "0.01, the smallest difference that matters" in differences


def test_lower_is_better_turns_wins_and_the_limit_around(study: Path) -> None:
    for seed in range(3):
        add_run(study, "net2", seed)
        run = add_run(study, "net5", seed)
        best = json.loads((run / "run.json").read_bytes())["best"]
        best["metrics"]["validation/loss"] -= 0.2
        change_record(run, best=best)
    plan = PLAN | {"metric": "validation/loss", "direction": "min"}
    pairs = drawn("paired_seeds", study, **plan)
    gains, _ = pairs["paired_seeds"][0].axes[0].get_lines()
    assert (gains.get_marker(), len(pieces(gains))) == ("^", 3)
    left = pairs["paired_differences"][0].axes[0]
    assert [points(line)[0, 0] for line in left.get_lines() if line.get_linestyle() == "--"] == [-0.01]
    assert left.get_xlabel() == "validation/loss: difference to net2 (\u2190\xa0better)"
    label = drawn("comparison", study, **plan)["comparison"][0].axes[0].get_yticklabels()[1]
    assert (label.get_text(), label.get_fontweight()) == ("net5", "bold")


def test_comparisons_on_other_seeds_are_counted_not_drawn(study: Path) -> None:
    add_three(study)
    add_run(study, "net9", 7, 0.91)
    _, caption = drawn("paired_seeds", study, **PLAN)["paired_differences"]
    assert "3 comparisons" in caption
    assert caption.endswith("Not shown: 1 on other seeds or without a number.")


def add_sweep(study: Path, key: str, values: list[Any], model: str = "net2", seeds: int = 2, **changes: Any) -> None:
    """Each value, on each seed: 0.9 and a point more from value to value."""
    for place, value in enumerate(values):
        for seed in range(seeds):
            add_run(study, model, seed, 0.9 + place / 100 + seed / 1000, **changes | {key: value})


def test_a_swept_number_is_a_line_over_its_values(study: Path) -> None:
    add_sweep(study, "optimizer.lr", [0.0001, 0.001, 0.01, 0.1])
    figure, caption = drawn("swept_keys", study)["swept_optimizer_lr"]
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert ticks(axes, "x") == ["0.0001", "0.001", "0.01", "0.1"]
    (line,) = [line for line in axes.get_lines() if line.get_linestyle() == "-"]
    assert points(line)[:, 1] == pytest.approx([0.9005, 0.9105, 0.9205, 0.9305])
    assert len(dots(axes)) == 8
    assert caption.endswith("Logarithmic axis.")


@pytest.mark.parametrize(
    ("values", "scale", "places"),
    [([8, 16, 32], "linear", [8, 16, 32]), ([0, 0.0001, 0.001, 0.01], "linear", [0, 1, 2, 3])],
)
def test_the_axis_suits_the_values(values: list[float], scale: str, places: list[float], study: Path) -> None:
    add_sweep(study, "optimizer.weight_decay", values)
    figure, caption = drawn("swept_keys", study)["swept_optimizer_weight_decay"]
    (axes,) = figure.axes
    assert axes.get_xscale() == scale
    assert axes.get_xticks().tolist() == places
    assert caption.endswith("Values at equal distances.") == (values[0] == 0)


def test_one_line_for_each_combination_of_the_other_settings_eight_at_most(study: Path) -> None:
    for model in range(10):
        add_sweep(study, "model.channels", [8, 16, 32], f"net{model}", seeds=1)
    result = drawn("swept_keys", study)
    figure, caption = result["swept_model_channels"]
    assert len(figure.legends[0].get_texts()) == 8
    assert "Shown: the 8 of 10 combinations of the other keys with the best mean." in caption
    assert ticks(result["swept_model"][0].axes[0], "x") == [f"net{model}" for model in range(10)]


def test_settings_without_the_key_and_names_that_files_cannot_have(study: Path) -> None:
    add_sweep(study, "model.w & h", [1, 2])
    add_run(study, "net5", 0, 0.9)
    result = drawn("swept_keys", study)
    assert list(result) == ["swept_model", "swept_model_w_h"]
    assert "Not shown: 1 setting without this key." in result["swept_model_w_h"][1]


def test_two_swept_numbers_are_a_map_with_the_mean_in_each_cell(study: Path) -> None:
    for width in (8, 16, 32):
        setting: dict[str, Any] = {"model.channels": width}
        add_sweep(study, "optimizer.lr", [0.001, 0.01], **setting)
    result = drawn("swept_keys", study)
    assert list(result) == ["swept_model_channels", "swept_optimizer_lr", "swept_map"]
    (axes,) = result["swept_map"][0].axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("model.channels", "optimizer.lr")
    assert (ticks(axes, "x"), ticks(axes, "y")) == (["8", "16", "32"], ["0.01", "0.001"])
    assert [text.get_text() for text in axes.texts] == ["0.9105"] * 3 + ["0.9005"] * 3
    assert_whole(result["swept_map"][0])


def matrices(study: Path, **plan: Any) -> dict[str, list[np.ndarray]]:
    """The shares that the panels of each figure show."""
    figures = drawn("confusion_matrix", study, **plan)
    return {
        name: [np.array(axes.collections[0].get_array(), float) for axes in figure.axes if axes.get_xlabel()]
        for name, (figure, _) in figures.items()
    }


def test_confusion_is_summed_over_seeds_for_the_baseline_and_the_best(study: Path) -> None:
    add_three(study)
    for run in study.glob("net5-*"):
        change_record(run, confusion_matrix=[[8, 2], [0, 5]] if "-s0-" in run.name else [[9, 1], [5, 0]])
    (baseline, best) = matrices(study, **PLAN)["confusion_matrix"]
    assert baseline == pytest.approx(np.array([[90, 10], [20, 80]]))
    assert best == pytest.approx(np.array([[2600, 400], [1000, 500]]) / [[30], [15]])
    figure, caption = drawn("confusion_matrix", study, **PLAN)["confusion_matrix"]
    assert [axes.get_title("left") for axes in figure.axes[:2]] == ["(a) net2", "(b) net5"]
    assert "best validation evaluation, counts summed over the seeds: (a) net2, n = 3 seeds; (b) net5, n = 3" in caption


def test_confusion_on_the_test_split_is_its_own_and_of_the_same_weights(study: Path) -> None:
    run, stale = add_run(study, "net2", 0, test=0.9), add_run(study, "net2", 1, test=0.9)
    for path, step in ((run, 72), (stale, 18)):
        content = json.loads((path / "test.json").read_bytes())
        write_json(path / "test.json", content | {"step": step, "confusion_matrix": [[1, 3], [0, 4]]})
    assert matrices(study)["confusion_matrix_test"][0] == pytest.approx(np.array([[25, 75], [0, 100]]))
    _, caption = drawn("confusion_matrix", study)["confusion_matrix_test"]
    assert "of the test split, with the same weights, counts summed over the seeds: net2, n = 1 seed" in caption
    assert f"Left out, without a matrix of 2 classes: {stale.name}." in caption


def test_runs_without_a_matrix_or_with_another_size_are_named(study: Path) -> None:
    runs = [add_run(study, "net2", seed) for seed in range(4)]
    change_record(runs[1], confusion_matrix=None)
    change_record(runs[2], confusion_matrix=[[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    _, caption = drawn("confusion_matrix", study)["confusion_matrix"]
    assert f"Left out, without a matrix of 2 classes: {runs[1].name}, {runs[2].name}." in caption
    for run in runs:
        change_record(run, confusion_matrix=None)
    said = "the runs of the best setting and of the baseline hold no confusion matrix."
    assert draw("confusion_matrix", study) == said


def test_a_hundred_classes_have_no_numbers_and_few_ticks(study: Path) -> None:
    change_record(add_run(study), confusion_matrix=np.eye(100, dtype=int).tolist())
    figure, _ = drawn("confusion_matrix", study)["confusion_matrix"]
    assert not figure.axes[0].texts
    assert len(ticks(figure.axes[0], "x")) == 20
    assert_whole(figure)


def test_a_class_without_examples_is_hatched_not_zero(study: Path) -> None:
    change_record(add_run(study), confusion_matrix=[[3, 1], [0, 0]])
    figure, _ = drawn("confusion_matrix", study)["confusion_matrix"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["75", "25"]


def test_cost_is_gpu_time_where_a_gpu_was_used_and_size_where_it_varies(study: Path) -> None:
    add_three(study)
    figure, _ = drawn("cost", study)["cost"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["wall time (s)"]
    assert sorted({float(x) for x in dots(figure.axes[0])[:, 0]}) == [12.5, 13.5, 14.5]
    for run in study.glob("net*"):
        cost = json.loads((run / "run.json").read_bytes())["cost"]
        change_record(run, cost=cost | {"gpu_s": 7200.0 * 2, "parameters": 10 ** int(run.name[3])})
    figure, caption = drawn("cost", study)["cost"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["GPU time (h)", "parameters (millions)"]
    assert figure.axes[1].get_xscale() == "log"
    assert "validation/accuracy against GPU time and parameters of a whole run" in caption


def test_the_font_of_the_thesis_is_in_the_file_and_sets_what_it_can(study: Path, tmp_path: Path) -> None:
    add_run(study, "net2 \u4e2d\u03b1")
    draw_figures(found(study), ["comparison"], OWN, WIDTH, "STIXGeneral", tmp_path)
    assert b"STIXGeneral" in (tmp_path / "comparison.pdf").read_bytes()
    with pytest.raises(ValueError, match=r"no font 'STIXGenral' here; .*; did you mean \"STIXGeneral\"\?"):
        draw_figures(found(study), ["comparison"], OWN, WIDTH, "STIXGenral", tmp_path)
