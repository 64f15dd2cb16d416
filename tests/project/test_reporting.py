"""The report says what is in the run folders: right numbers, nothing pooled, nothing dropped in silence."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from labkit.reporting.analysis.checks import find_warnings
from labkit.reporting.analysis.findings import Findings, find, summary_rows
from labkit.reporting.report import report
from labkit.reporting.tables.formats import to_csv, to_markdown, write_rows
from labkit.reporting.tables.latex import to_latex
from labkit.reporting.tables.metrics import summary_table
from labkit.runs.study import read_study
from report_studies import A, B, C, read_csv, report_config, write_plan
from run_folders import EPOCHS, add_plan, add_run, add_test, add_unfinished, change_record, write_json
from small_runs import ROOT

REFERENCE = {
    "net2": (10, 91.08, 0.4442221666, 90.7622226, 91.3977774),
    "net5": (10, 91.67, 0.4473378042, 91.3499938, 91.9900062),
    "net7": (10, 91.09, 0.5546770832, 90.6932079, 91.4867921),
}
FIGURES = yaml.safe_load((ROOT / "config" / "report.yaml").read_bytes())["figures"]
HOSTILE = "_a&b%c#d$e~f^g\\h{i}<j>\"k'l|m\nn é 中 --*[x] `o`"


def find_all(study: Path, metric: str | None = None) -> Findings:
    return find(read_study(study), None, metric, None, ["seed"])


def make_report(study: Path, **changes: Any) -> Path:
    report(report_config(study, **changes))
    return study.parents[1] / "reports" / study.name


def summarised(study: Path, metric: str = "validation/accuracy") -> list[dict[str, Any]]:
    """The rows of summary.csv on one metric, without drawing the figures."""
    findings = find_all(study)
    return [row for row in summary_rows(findings.results, findings.summary) if row["metric"] == metric]


def warnings_about(study: Path) -> str:
    return "\n".join(find_warnings(find_all(study)))


def listed(study: Path) -> dict[str, tuple[str, str]]:
    return {run.name: (run.status, run.reason) for run in read_study(study).runs}


def test_what_a_data_set_warns_of_is_said_in_the_report(study: Path) -> None:
    for seed in range(3):
        folder = add_run(study, "net2", seed, 0.9)
        data = json.loads((folder / "run.json").read_bytes())["data"]
        doubles = "data: 2 of 20 test examples are in the training part as well"
        change_record(folder, data=data | {"warnings": [doubles] if seed else "none"})
    said = "digits: 2 of 20 test examples are in the training part as well"
    assert warnings_about(study).splitlines().count(said) == 1


def test_statistics_equal_the_reference_values_from_folders_to_table(study: Path) -> None:
    for model, values in zip(REFERENCE, (A, B, C), strict=True):
        for seed, value in enumerate(values):
            add_run(study, model, seed, value)
    rows = [row for row in read_csv(make_report(study) / "summary.csv") if row["metric"] == "validation/accuracy"]
    assert [row["model"] for row in rows] == list(REFERENCE)
    for row in rows:
        n, mean, sd, low, high = REFERENCE[row["model"]]
        assert int(row["n"]) == n
        assert float(row["mean"]) == pytest.approx(mean, abs=1e-8)
        assert float(row["sd"]) == pytest.approx(sd, abs=1e-8)
        # The reference gives seven digits.
        assert [float(row["low"]), float(row["high"])] == pytest.approx([low, high], abs=5.1e-8)


def test_comparisons_equal_the_reference_values_from_folders_to_table(study: Path) -> None:
    for model, values in zip(REFERENCE, (A, B, C), strict=True):
        for seed, value in enumerate(values):
            add_run(study, model, seed, value)
    planned = [{"model": "net5"}, {"model": "net7"}, {"model": "net5", "against": {"model": "net7"}}]
    write_plan(study, comparisons=planned, seeds=list(range(10)))
    ba, ca, bc = read_csv(make_report(study) / "comparisons.csv")
    assert [float(ba[key]) for key in ("difference", "low", "high")] == [
        pytest.approx(0.59, abs=1e-8),
        pytest.approx(0.3949640912, abs=1e-8),
        pytest.approx(0.7850359088, abs=1e-8),
    ]
    assert float(ba["p"]) == pytest.approx(7.530431785e-05, abs=1e-12)
    assert [float(one["p_holm"]) for one in (ba, ca, bc)] == pytest.approx(
        [0.000225913, 0.875965909, 0.000981879], abs=1e-9
    )
    assert [float(one["p_sign_flip_holm"]) for one in (ba, ca, bc)] == [0.005859375, 1, 0.005859375]
    assert [float(one["improvement_probability"]) for one in (ba, ca)] == [0.835, 0.525]
    assert [[one[key] for key in ("wins", "ties", "losses")] for one in (ba, ca)] == [["10", "0", "0"], ["6", "0", "4"]]


def test_tables_to_paste_are_rounded_and_settings_are_not(study: Path) -> None:
    for seed, value in enumerate(A):
        add_run(study, "net2", seed, value, **{"optimizer.lr": 0.00012345678})
        add_run(study, "net2", seed, value, **{"optimizer.lr": 1e-05})
    findings = find_all(study)
    table = summary_table(findings, "validation/accuracy")
    assert table.header == ["optimizer.lr", "n", "mean", "SD", "95 % interval"]
    assert table.rows == [
        ["1e-05", "10", "91.08", "0.44", "90.76 to 91.40"],
        ["0.00012345678", "10", "91.08", "0.44", "90.76 to 91.40"],
    ]
    assert to_csv(table).splitlines()[1] == "1e-05,10,91.08,0.44,90.76 to 91.40"
    assert to_markdown(table).splitlines()[2] == "| 1e-05 | 10 | **91.08** | 0.44 | 90.76 to 91.40 |"
    assert r"1e-05 & 10 & \textbf{91.08} & 0.44 & 90.76 to 91.40 \\" in to_latex(table).splitlines()


def test_runs_that_differ_in_more_than_the_seed_are_never_pooled(study: Path) -> None:
    for seed in (0, 1):
        add_run(study, "net2", seed, **{"optimizer.lr": 0.1})
        add_run(study, "net2", seed, **{"optimizer.lr": 0.01})
        add_run(study, "net5", seed, **{"optimizer.lr": 0.01})
    rows = summarised(study)
    assert [(row["model"], row["optimizer.lr"], row["n"]) for row in rows] == [
        ("net2", "0.01", 2),
        ("net2", "0.1", 2),
        ("net5", "0.01", 2),
    ]
    assert "model.hidden_layers" not in rows[0]  # the name of the model stands for it


def test_a_setting_that_the_name_does_not_determine_is_shown(study: Path) -> None:
    add_run(study, "net2", **{"model.channels": 8})
    add_run(study, "net2", **{"model.channels": 16})
    add_run(study, "net5")
    rows = summarised(study)
    assert [(row["model"], row["model.channels"]) for row in rows] == [("net2", "8"), ("net2", "16"), ("net5", "16")]


def test_seed_and_machine_alone_are_no_setting(study: Path) -> None:
    add_run(study, "net2", 0, **{"system.threads": 1})
    add_run(study, "net2", 1, **{"system.threads": 4})
    (row,) = summarised(study)
    assert (row["model"], row["n"]) == ("net2", 2)


def test_one_setting_written_in_two_ways_is_one_setting(study: Path) -> None:
    add_run(study, "net2", 0, **{"optimizer.lr": 1, "optimizer.name": "\u00e9"})
    add_run(study, "net2", 1, **{"optimizer.lr": 1.0, "optimizer.name": "e\u0301"})
    (row,) = summarised(study)
    assert row["n"] == 2


def test_sd_of_one_seed_and_interval_of_two_are_blank(study: Path) -> None:
    add_run(study, "net2", 0)
    for seed in (0, 1):
        add_run(study, "net5", seed, 0.9 + seed / 100)
    write_rows(study / "summary.csv", summarised(study))
    one, two = read_csv(study / "summary.csv")
    assert (one["mean"], one["sd"], one["low"], one["high"]) == ("0.95", "", "", "")
    assert float(two["sd"]) == pytest.approx(0.01 / 2**0.5)
    assert (two["low"], two["high"]) == ("", "")


def test_equal_values_have_a_sd_of_exactly_zero(study: Path) -> None:
    for seed in range(3):
        add_run(study, "net2", seed, 0.1)
    (row,) = summarised(study)
    assert (row["mean"], row["sd"], row["low"], row["high"]) == (0.1, 0, 0.1, 0.1)


def test_everything_that_did_not_finish_is_listed(study: Path) -> None:
    finished = add_run(study, "net2", 0)
    add_unfinished(study, "failed", "net2", 1, reason="OutOfMemoryError: 2 GiB")
    add_unfinished(study, "running", "net2", 2)
    add_unfinished(study, "running", "net2", 3, heartbeat=0, host="node7")
    add_plan(study, {"name": finished.name}, {"name": "net5-digits-s0-0123456789ab"})
    add_plan(study, {"overrides": ["model=net9"], "error": "model: there is no net9"})
    shutil.copytree(finished, study / "a-copy")
    folder = make_report(study)
    runs = {row["run"]: (row["status"], row["reason"]) for row in read_csv(folder / "runs.csv")}
    assert len(runs) == 7
    assert runs["a-copy"] == ("duplicate", f"the same run as {finished.name}: counted once")
    assert runs[finished.name] == ("finished", "")
    assert ("failed", "OutOfMemoryError: 2 GiB") in runs.values()
    assert ("running", "") in runs.values()
    assert dict(runs.values())["dead"].startswith("no sign of life on ")
    assert runs["net5-digits-s0-0123456789ab"] == ("missing", "")
    assert runs["model=net9"] == ("refused", "model: there is no net9")
    (row,) = read_csv(folder / "tables" / "summary.csv")
    assert (row["n"], row["unfinished"]) == ("1", "3")


def test_half_written_files_are_named(study: Path) -> None:
    good, cut, broken, half_test = (add_run(study, "net2", seed, test=0.9) for seed in range(4))
    with (cut / "metrics.csv").open("a") as file:
        file.write("108,6,0.00")  # killed while it wrote: only this line is lost
    (broken / "run.json").write_bytes((good / "run.json").read_bytes()[:200])
    (half_test / "test.json").write_text('{"format"')
    stateless = add_unfinished(study, "running", seed=9)
    write_json(stateless / "state.json", ["not", "a", "state"])
    (good / "metrics.csv").write_text("step,epoch\n1,2,3\n")
    (study / ".sweeps").mkdir()
    (study / ".sweeps" / "0123456789ab.json").write_text("{")
    assert listed(study)[broken.name] == ("unreadable", "run.json is half-written or damaged")
    assert listed(study)[stateless.name] == ("unreadable", "state.json was not written by this version of the project")
    assert [row["n"] for row in summarised(study)] == [3]
    assert [row["n"] for row in summarised(study, "test/accuracy")] == [2]
    assert len(find_all(study).results.curves) == 2 * EPOCHS
    said = warnings_about(study)
    assert f"{half_test.name}: test.json is half-written or damaged: its test metrics are left blank" in said
    assert f"{good.name}: metrics.csv is missing or damaged: not in the learning curves" in said
    assert cut.name not in said
    assert ".sweeps/0123456789ab.json is half-written or damaged" in said


def test_records_that_lack_something_or_are_of_another_format_are_named(study: Path) -> None:
    lacking, newer = add_run(study, "net2", 0), add_run(study, "net2", 1)
    write_json(lacking / "run.json", {"format": 1, "config": {}, "cost": {}, "launches": [], "monitor": {}})
    change_record(newer, format=2)
    assert listed(study)[lacking.name] == ("unreadable", "run.json has no run_id, or something else in its place")
    assert listed(study)[newer.name] == ("unreadable", "run.json was not written by this version of the project")


def test_test_metrics_of_other_weights_are_left_blank(study: Path) -> None:
    add_test(add_run(study), accuracy=0.99, step=18)
    assert "test.json is from step 18, but the best step is 72" in warnings_about(study)
    assert not summarised(study, "test/accuracy")


def test_foreign_folder_is_left_out_and_named(study: Path) -> None:
    add_run(study)
    (study / "notes").mkdir()
    assert "notes" not in listed(study)
    assert warnings_about(study) == "notes is not a run folder (it has no config.yaml) and is left out"


def test_nan_seed_is_dropped_and_named(study: Path) -> None:
    for seed, accuracy in enumerate((0.9, None, 0.92, 0.94)):
        add_run(study, "net2", seed, accuracy)
    (row,) = summarised(study)
    assert (row["n"], row["mean"], row["seeds_not_a_number"]) == (3, pytest.approx(0.92), "1")
    assert "net2: validation/accuracy is not a number for seed 1, which its mean leaves out" in warnings_about(study)
    assert ("diverged", "not a number: validation/accuracy") in listed(study).values()


def test_study_in_which_every_run_diverged_has_a_report(study: Path) -> None:
    add_run(study, accuracy=None)
    (row,) = read_csv(make_report(study) / "tables" / "summary.csv")
    assert (row["n"], row["mean"]) == ("0", "")


def test_doubts_about_the_runs_are_said(study: Path) -> None:
    for seed in (0, 1):
        add_run(study, "net2", seed, 0.95)
    other = add_run(study, "net5", 0, 0.97, test=0.9)
    record = json.loads((other / "run.json").read_bytes())
    launch = record["launches"][0]
    del record["best"]["metrics"]["train/accuracy"]
    data = record["data"] | {"fingerprint": "d2"}
    launches = [launch, launch | {"code_id": "c0de00000002"}]
    monitor = {"metric": "validation/loss", "direction": "min"}
    change_record(other, launches=launches, data=data, monitor=monitor, best=record["best"])
    said = warnings_about(study)
    assert "net2: validation/accuracy is the same for all seeds; check that the seed has an effect" in said
    assert "the settings have unequal numbers of seeds: 1 to 2" in said
    assert "the runs used different versions of the code: c0de00000001 (2 runs); c0de00000002 (1 run)" in said
    assert f"{other.name} was resumed after the code had changed" in said
    assert "the data digits was not the same in all runs: d1, split s1 (2 runs); d2, split s1 (1 run)" in said
    assert (
        "chose their best evaluation by different rules: max validation/accuracy (2 runs); min validation/loss (1 run)"
        in said
    )
    assert "not every run measured train/accuracy; it is blank where it was not measured" in said
    assert "only 1 of 3 runs were evaluated on the test set" in said
    assert [row["n"] for row in summarised(study, "train/accuracy")] == [2, 0]


def test_hostile_names_survive_or_are_escaped_in_every_output(tmp_path: Path) -> None:
    study = tmp_path / "runs" / HOSTILE
    for model in (HOSTILE, "$x$", "=1+1", "_"):
        add_run(study, model, test=0.9, **{"optimizer.name": HOSTILE, "optimizer.lr": 0.1 if model == "_" else 1})
    add_unfinished(study, "failed", HOSTILE, 7, reason=HOSTILE)
    folder = make_report(study)  # compiles the PDF; hostile names in figures: test_figures.py
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    rows = read_csv(folder / "summary.csv")
    assert {row["model"] for row in rows} == {HOSTILE.replace("\n", "\\n"), "$x$", "'=1+1", "_"}
    tex = (folder / "tables" / "summary.tex").read_text("utf-8")
    assert (
        r"\_a\&b\%c\#d\$e\textasciitilde{}f\textasciicircum{}g\textbackslash{}h\{i\}\textless{}j\textgreater{}"
        r"\char34{}k'l\textbar{}m\textbackslash{}nn é U+4E2D -{}-{*}{[}x] \textasciigrave{}o\textasciigrave{} & 1 & "
    ) in re.sub(r"\\allowbreak\{\}", "", tex)
    for table in (folder / "tables").glob("*.md"):
        lines = table.read_text("utf-8").splitlines()
        assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1  # no name opens a column or a row


def test_same_runs_give_the_same_bytes(study: Path) -> None:
    for seed in range(3):
        add_run(study, "net2", seed, 0.9 + seed / 100, test=0.9)
        add_run(study, "net5", seed, 0.92 + seed / 100, test=0.9)
    folder = make_report(study, figures=FIGURES)
    names = sorted(path.relative_to(folder) for path in folder.rglob("[!.]*") if path.is_file())
    first = {name: (folder / name).read_bytes() for name in names}
    assert {"report.html", "numbers.tex", "analysis.py", "comparisons.csv"} <= {path.name for path in names}
    shutil.rmtree(folder)
    make_report(study, figures=FIGURES)
    assert {name: (folder / name).read_bytes() for name in names} == first


def test_failure_leaves_the_old_report_and_no_debris(study: Path) -> None:
    add_run(study)
    folder = make_report(study)
    old = (folder / "summary.csv").read_bytes()
    add_run(study, "net5")
    with pytest.raises(ValueError, match="metric: no run"):
        make_report(study, metric="validation/acuracy")
    assert (folder / "summary.csv").read_bytes() == old
    assert [path.name for path in folder.parent.iterdir()] == [study.name]


def test_outdated_tables_are_removed(study: Path) -> None:
    run = add_run(study, test=0.9)
    folder = make_report(study)
    assert (folder / "tables" / "summary_test.tex").exists()
    (run / "test.json").unlink()
    make_report(study)
    assert not list(folder.rglob("*_test.*"))


def test_unknown_study_is_answered_with_the_nearest(study: Path) -> None:
    add_run(study)
    with pytest.raises(ValueError, match=r"study: no study 'dept' in .*; there are: depth; did you mean \"depth\"\?"):
        report(report_config(study, study="dept"))


def test_no_study_at_all_is_said(study: Path) -> None:
    with pytest.raises(ValueError, match=r"no study here; start one with python runs/train\.py"):
        report(report_config(study))


def test_unknown_metric_is_answered_with_the_nearest(study: Path) -> None:
    add_run(study)
    message = r"'validation/acuracy'; there are: train/.*; did you mean \"validation/accuracy\"\?"
    with pytest.raises(ValueError, match=message):
        make_report(study, metric="validation/acuracy")
    assert not list((study.parents[1] / "reports").iterdir())


def test_width_of_no_size_is_refused(study: Path) -> None:
    with pytest.raises(ValueError, match="figure_width_cm: 0 is no width; give centimetres, such as 14"):
        report(report_config(study, figure_width_cm=0))


@pytest.mark.parametrize(
    ("key", "value", "choices"),
    [("table_numbers", "siunit", "plain, siunitx"), ("table_uncertainty", "brackets", "columns, parentheses")],
)
def test_a_choice_that_does_not_exist_is_refused(key: str, value: str, choices: str, study: Path) -> None:
    with pytest.raises(ValueError, match=f'{key}: "{value}" is not one of {choices}'):
        report(report_config(study, **{key: value}))


def test_study_without_results_lists_its_runs(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_unfinished(study, "interrupted")
    folder = make_report(study)
    assert capsys.readouterr().out == f"{folder / 'report.pdf'}: 1 interrupted; no results yet\n"
    assert [row["status"] for row in read_csv(folder / "runs.csv")] == ["interrupted"]
    assert (folder / "report.pdf").exists()
    assert not (folder / "summary.csv").exists()


def test_another_metric_can_be_asked_for(study: Path) -> None:
    add_run(study)
    findings = find_all(study, "validation/loss")
    caption = summary_table(findings, "validation/loss").caption
    assert caption.startswith("validation/loss per setting over n seeds")
    assert caption.endswith("Of each run, the evaluation with the highest validation/accuracy counts.")


def test_run_that_was_stopped_because_it_diverged_is_listed_and_in_no_number(study: Path) -> None:
    for seed, accuracy in enumerate((0.9, 0.92)):
        add_run(study, "net2", seed, accuracy)
    stopped = add_unfinished(study, "diverged", "net2", 2, reason="the loss became nan between steps 1 and 36")
    add_unfinished(study, "diverged", "net5", 0, reason="the loss became nan between steps 1 and 36")
    folder = make_report(study)
    (row,) = read_csv(folder / "tables" / "summary.csv")
    assert (row["model"], row["n"], row["unfinished"], row["mean"]) == ("net2", "2", "1", "0.910")
    (listed_run,) = [row for row in read_csv(folder / "runs.csv") if row["run"] == stopped.name]
    told = {name: value for name, value in listed_run.items() if value}
    reason = "the loss became nan between steps 1 and 36"
    about = {"run": stopped.name, "status": "diverged", "reason": reason, "model": "net2"}
    assert told == {**about, "seed": "2", "folder": stopped.as_posix()}
    assert [row["status"] for row in read_csv(folder / "tables" / "unfinished.csv")] == ["diverged", "diverged"]
    assert "net2: 1 of 3 runs diverged without a result; its mean leaves them out" in warnings_about(study)
    assert "1 run diverged in settings that have no result at all, and count in no mean" in warnings_about(study)
