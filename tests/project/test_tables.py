"""Tables, macros and the document say what the findings say, and mark no more than was shown."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from labkit.reporting.analysis.findings import Findings, find
from labkit.reporting.pages.contents import Contents
from labkit.reporting.pages.document import write_document
from labkit.reporting.pages.macro_names import macro_names
from labkit.reporting.pages.numbers_tex import to_macros
from labkit.reporting.rounding import interval, with_uncertainty
from labkit.reporting.tables import make_tables
from labkit.reporting.tables.comparisons import comparison_rows
from labkit.reporting.tables.formats import MOST_ROWS, Table, to_csv, to_markdown
from labkit.reporting.tables.latex import fitting, to_latex
from labkit.runs.study import read_study
from report_studies import A, B, C
from run_folders import add_run, add_unfinished, change_record, plan


def add_seeds(study: Path, model: str, values: list[float], **changes: Any) -> list[Path]:
    return [add_run(study, model, seed, value, **changes) for seed, value in enumerate(values)]


def found(study: Path, **entries: Any) -> Findings:
    """As a study file with these entries would have it; without any: no file."""
    return find(read_study(study), plan(**entries) if entries else None, None, None, ["seed"])


def tables(study: Path, **entries: Any) -> dict[str, Table]:
    findings = found(study, **entries)
    return make_tables(findings.results.study, findings)


def macros(study: Path, **entries: Any) -> dict[str, str]:
    """{name: value} of numbers.tex."""
    findings = found(study, **entries)
    text = to_macros(findings.results.study, findings)
    return dict(re.findall(r"^\\newcommand\{\\([A-Za-z]+)\}\{(.*?)\}%", text, flags=re.MULTILINE))


def column(table: Table, name: str) -> list[str]:
    return [row[table.header.index(name)] for row in table.rows]


def test_the_comparison_equals_the_reference_values_rounded_and_in_full(study: Path) -> None:
    for model, values in {"net2": A, "net5": B, "net7": C}.items():
        add_seeds(study, model, values)
    entries = {"baseline": {"model": "net2"}, "comparisons": [{"model": "net5"}, {"model": "net7"}]}
    table = tables(study, **entries)["comparison"]
    assert table.header == [
        *("model", "n", "difference", "95 % interval", "p", "p Holm", "sign-flip p", "sign-flip p Holm"),
        *("P(better)", "wins/ties/losses"),
    ]
    assert table.rows[0] == [
        *("net5", "10", "+0.59", "0.39 to 0.79", "<0.001", "<0.001", "0.002", "0.004", "0.83", "10/0/0")
    ]
    assert table.rows[1][3:6] == ["-0.13 to 0.15", "0.876", "0.876"]
    row, _ = comparison_rows(found(study, **entries))
    assert (row["model"], row["against.model"], row["planned"], row["method"]) == ("net5", "net2", True, "paired")
    assert row["difference"] == pytest.approx(0.59, abs=1e-8)
    assert (row["low"], row["high"]) == (pytest.approx(0.3949640912, abs=1e-8), pytest.approx(0.7850359088, abs=1e-8))
    assert row["p"] == pytest.approx(7.530431785e-05, abs=1e-12)
    assert row["p_holm"] == pytest.approx(2 * 7.530431785e-05, abs=1e-12)
    assert (row["p_sign_flip"], row["p_sign_flip_holm"]) == (0.001953125, 0.00390625)
    assert (row["improvement_probability"], row["wins"], row["ties"], row["losses"]) == (0.835, 10, 0, 0)


def test_planned_and_exploratory_comparisons_are_told_apart(study: Path) -> None:
    for model, values in {"net2": A, "net5": B, "net7": C}.items():
        add_seeds(study, model, values)
    table = tables(study, baseline={"model": "net2"}, comparisons=[{"model": "net5"}])["comparison"]
    assert column(table, "kind") == ["planned", "exploratory"]
    assert "setting minus net2, the baseline" in table.caption
    assert (
        "1 planned comparison, Holm-adjusted over 1. 1 exploratory comparison, Holm-adjusted over 1." in table.caption
    )
    assert "Exploratory comparisons were not planned: they suggest, and prove nothing." in table.caption


def test_without_a_study_file_the_caption_says_why_the_best_is_the_opponent(study: Path) -> None:
    for model, values in {"net2": A, "net5": B}.items():
        add_seeds(study, model, values)
    table = tables(study)["comparison"]
    assert column(table, "model") == ["net2"]
    assert "net5 has the best mean, and is the opponent because no baseline was named" in table.caption
    assert "studies/depth.yaml can name one" in table.caption


def test_fewer_than_five_seeds_give_an_interval_and_no_p(study: Path) -> None:
    for model, values in {"net2": A[:3], "net5": B[:3]}.items():
        add_seeds(study, model, values)
    table = tables(study)["comparison"]
    assert table.header == ["model", "n", "difference", "95 % interval", "P(better)", "wins/ties/losses"]
    assert "Fewer than 5 seeds are too few for a test: no p." in table.caption


def test_seeds_that_only_one_of_two_settings_has_are_named(study: Path) -> None:
    add_seeds(study, "net2", A[:5])
    for seed, value in enumerate(B[:6], start=1):
        add_run(study, "net5", seed, value)
    table = tables(study, baseline={"model": "net2"})["comparison"]
    assert column(table, "n") == ["6, 5"]
    assert "Not in pairs, for lack of shared seeds: net5 (lacks 0; the other lacks 5, 6)." in table.caption
    assert "Welch's t test" in table.caption


def test_the_best_is_bold_and_only_what_cannot_be_told_from_it_has_a_dagger(study: Path) -> None:
    for model, values in {"net2": A, "net5": B, "net7": [value - 0.01 for value in reversed(B)]}.items():
        add_seeds(study, model, values, test=0.9)
    made = tables(study)
    summary, mean = made["summary"], made["summary"].header.index("mean")
    assert (summary.bold, summary.daggers) == ({(1, mean)}, {(2, mean)})
    assert "†: not distinguishable from it" in summary.caption
    assert (
        "the 95 % interval of the difference, corrected for all pairs of settings on the same data" in summary.caption
    )
    assert (made["summary_test"].bold, made["summary_test"].daggers) == (set(), set())
    assert "chosen by validation/accuracy" in made["summary_test"].caption
    assert "net5 & 10 & \\textbf{91.67} &" in to_latex(summary)
    assert "net7 & 10 & 91.66\\rlap{$^{\\dagger}$} &" in to_latex(summary)
    assert "| net5 | 10 | **91.67** |" in to_markdown(summary)
    assert "| net7 | 10 | 91.66† |" in to_markdown(summary)
    assert "net5,10,91.67,0.45," in to_csv(summary)


def test_an_ablation_says_what_it_changes(study: Path) -> None:
    add_seeds(study, "net2", A, ablation="none")
    add_seeds(study, "net2", C, ablation="no_decay", **{"optimizer.weight_decay": 0.0})
    add_seeds(study, "linear", B, ablation="linear")
    table = tables(study)["ablation"]
    assert column(table, "ablation") == ["linear", "no_decay"]
    assert column(table, "changes") == ["model net2 → linear", "optimizer.weight_decay 0.01 → 0"]
    assert column(table, "difference") == ["+0.59", "+0.01"]
    assert column(table, "wins/ties/losses") == ["10/0/0", "6/0/4"]
    assert [row["table"] for row in comparison_rows(found(study))] == ["comparison"] * 2 + ["ablation"] * 2
    assert "ablation" not in tables(add_run(study.parent / "other").parent)


def add_classes(folder: Path, *values: float) -> None:
    record = json.loads((folder / "run.json").read_bytes())
    for number, value in enumerate(values):
        record["best"]["metrics"][f"validation/accuracy_class_{number}"] = value
    change_record(folder, best=record["best"])


def test_each_class_has_its_best_setting(study: Path) -> None:
    for seed in (0, 1):
        add_classes(add_run(study, "net2", seed), 0.5 + seed / 10, 0.9)
        add_classes(add_run(study, "net5", seed), 0.7 + seed / 10, 0.8)
    table = tables(study)["per_class"]
    assert (table.header, table.text_columns) == (["class", "net2", "net5"], 1)
    assert table.rows == [["0", "0.550 (0.071)", "0.750 (0.071)"], ["1", "0.900 (0.000)", "0.800 (0.000)"]]
    assert table.bold == {(0, 2), (1, 1)}


def test_of_many_settings_the_classes_are_shown_for_the_baseline_and_the_best(study: Path) -> None:
    for number in range(2, 10):
        add_run(study, f"net{number}", 0, 0.9 + number / 1000)
    table = tables(study, baseline={"model": "net3"})["per_class"]
    assert table.header == ["class", "net3", "net9", "net8", "net7"]
    assert "Shown are 4 of 8 settings: the baseline and the best; all are in summary.csv." in table.caption


def test_costs_are_means_and_what_was_not_measured_is_blank(study: Path) -> None:
    for seed in (0, 1):
        add_run(study, "net2", seed)
    other = add_run(study, "net5")
    record = json.loads((other / "run.json").read_bytes())
    change_record(other, cost=record["cost"] | {"peak_memory_mb": None})
    table = tables(study)["cost"]
    assert table.header == [
        *("model", "n", "wall time (s)", "CPU time (s)", "examples/s", "parameters", "memory (MiB)")
    ]
    assert table.rows == [
        ["net2", "2", "13", "12", "5000", "12345", "310"],
        ["net5", "1", "12.5", "12", "5000", "12345", ""],
    ]
    assert "Zero or not measured in all runs: GPU time (s), GPU memory (MiB)." in table.caption


def test_what_made_the_results_is_listed_with_the_packages_that_differ(study: Path) -> None:
    add_seeds(study, "net2", [0.9, 0.91])
    other = add_run(study, "net5")
    record = json.loads((other / "run.json").read_bytes())
    git = {"commit": "f" * 40, "dirty": True, "missing": None}
    launch = {"code_id": "c0de00000002", "git": git, "host": "cluster", "packages": {"torch": "3.0", "numpy": "2"}}
    data = record["data"] | {"split_fingerprint": "s2"}
    change_record(other, launches=[record["launches"][0] | launch], data=data)
    made = tables(study)
    rows = [tuple(row) for row in made["provenance"].rows]
    assert ("code", f"c0de00000002 (commit {'f' * 40}, uncommitted changes)", "1") in rows
    assert rows[rows.index(("host", "laptop", "2")) + 1] == ("host", "cluster", "1")
    assert {("package torch", "2.9.0", "2"), ("package torch", "3.0", "1")} < set(rows)
    assert {("package numpy", "not installed", "2"), ("package numpy", "2", "1")} < set(rows)
    assert made["data"].rows == [
        ["digits", "d1", "s1", "1077", "360", "360", "2"],
        ["digits", "d1", "s2", "1077", "360", "360", "1"],
    ]


def test_latex_numbers_have_signs_of_mathematics_and_lists_go_on_over_pages() -> None:
    rows = [["-1_a", "-0.5", "-1e-05 to +2.0", "<0.001"]]
    text = to_latex(Table("c", ["name", "a", "b", "p"], rows, 1, long=True))
    assert r"-1\_a & $-$0.5 & $-1\cdot10^{-5}$ to $+$2.0 & \textless{}0.001 \\" in text
    assert r"\begin{longtable}" in text
    assert r"\endhead" in text
    assert text.startswith(r"% \usepackage{booktabs} \usepackage[T1]{fontenc} \usepackage{longtable}")


def test_a_long_text_gets_a_column_that_breaks() -> None:
    text = to_latex(Table("c", ["run", "reason", "n"], [["a", "x" * 80, "1"]], 2))
    assert r"l>{\raggedright\arraybackslash}p{0.8" in text
    assert "x" * 20 + r"\allowbreak{}" + "x" * 20 in text
    assert r"\usepackage{array}" in text


def swept(study: Path, *keys: str) -> None:
    """40 settings that differ in each of the keys."""
    for setting in range(40):
        add_run(study, "net2", 0, 0.9 + setting / 1000, test=0.9, **{key: setting / 64 for key in keys})


def test_of_many_settings_a_float_has_the_best_and_the_baseline_and_the_files_have_all(study: Path) -> None:
    swept(study, "optimizer.lr")
    made = tables(study, baseline={"optimizer.lr": 3 / 64}, comparisons=[{"optimizer.lr": 5 / 64}])
    for name in ("summary", "summary_test", "cost", "comparison"):
        whole, shown = made[name], fitting(name, made[name])
        assert len(whole.rows) == len(to_csv(whole).splitlines()) - 1 == len(to_markdown(whole).splitlines()) - 2 >= 39
        assert len(shown.rows) == MOST_ROWS
        assert [row for row in whole.rows if row in shown.rows] == shown.rows  # in their usual order
        assert shown.rows[-1] == whole.rows[-1]
    best = "the baseline and those of the best mean validation/accuracy"
    assert fitting("summary", made["summary"]).caption.endswith(
        f" {MOST_ROWS} of 40 rows: {best}; all are in tables/summary.csv."
    )
    rates = column(fitting("summary", made["summary"]), "optimizer.lr")
    assert rates == [str(number / 64) for number in (3, *range(11, 40))]
    assert fitting("summary", made["summary"]).bold == {(MOST_ROWS - 1, 2)}
    assert column(fitting("comparison", made["comparison"]), "optimizer.lr")[0] == str(5 / 64)
    assert len(fitting("runs", made["runs"]).rows) == 40


def test_of_many_classes_a_float_has_those_that_the_best_setting_finds_hardest(study: Path) -> None:
    add_classes(add_run(study, "net2", 0, 0.9), *(0.9 for _ in range(50)))
    add_classes(add_run(study, "net5", 0, 0.95), *(1 - number * 7 % 50 / 100 for number in range(50)))
    table = tables(study)["per_class"]
    shown = fitting("per_class", table)
    assert column(shown, "class") == [str(number) for number in range(50) if number * 7 % 50 >= 20]
    assert shown.caption.endswith("30 of 50 rows: those that net5 finds hardest; all are in tables/per_class.csv.")


def test_too_many_settings_for_the_width_of_a_page_are_one_column(study: Path) -> None:
    keys = [f"model.factor_of_layer_{number}" for number in range(9)]
    swept(study, *keys)
    made = tables(study)
    for name in ("summary", "runs"):
        shown = fitting(name, made[name])
        (text,) = {row[shown.header.index("setting")] for row in shown.rows if "layer_0=0.609375" in row[-1] + str(row)}
        assert text == ", ".join(f"factor_of_layer_{number}=0.609375" for number in range(9))
        assert set(keys) <= set(made[name].header)
    assert len(fitting("summary", made["summary"]).rows) < MOST_ROWS
    mean = fitting("summary", made["summary"]).header.index("mean")
    assert {column for _, column in fitting("summary", made["summary"]).bold} == {mean}


@pytest.mark.parametrize(
    ("ends", "decimals", "text"),
    [
        ((2e-5, 4e-5), 3, "2e-05 to 4e-05"),
        ((-2e-5, 0.3), 3, "-2e-05 to 0.300"),
        ((0.0, 0.5), 3, "0.000 to 0.500"),
        ((float("nan"), float("nan")), 3, ""),
    ],
)
def test_the_ends_of_an_interval_keep_digits(ends: tuple[float, float], decimals: int, text: str) -> None:
    assert interval(*ends, decimals) == text


@pytest.mark.parametrize(
    ("mean", "sd", "decimals", "text"),
    [
        (0.9741, 0.0031, 4, "0.9741(31)"),
        (0.9741, 0.0031, 3, "0.974(3)"),
        (91.67, 0.4473, 2, "91.67(45)"),
        (-12.34, 15.2, 0, "-12(15)"),
        (0.97, 0.0, 3, "0.970(0)"),
        (0.97, 0.00002, 3, "0.970000(20)"),
        (0.97, float("nan"), 3, "0.970"),
        (float("nan"), float("nan"), 3, ""),
        (1e300, 2e299, 0, "1e+300 (2e+299)"),
    ],
)
def test_the_deviation_stands_in_units_of_the_last_digit(mean: float, sd: float, decimals: int, text: str) -> None:
    assert with_uncertainty(mean, sd, decimals) == text


def test_mean_and_deviation_can_be_one_column(study: Path) -> None:
    for model, values in {"net2": A, "net5": B}.items():
        for run in add_seeds(study, model, values, test=0.9):
            add_classes(run, 0.5, 0.7)
    findings = found(study)
    made = make_tables(findings.results.study, findings, parentheses=True)
    assert made["summary"].header == ["model", "n", "mean", "95 % interval"]
    assert column(made["summary"], "mean") == ["91.08(44)", "91.67(45)"]
    assert made["summary"].bold == {(1, 2)}
    assert "| net5 | 10 | **91.67(45)** |" in to_markdown(made["summary"])
    assert made["per_class"].rows[0] == ["0", "0.5000(0)", "0.5000(0)"]
    for name in ("summary", "summary_test", "per_class"):
        assert made[name].caption.endswith("in units of the last digit of the mean.")


def test_siunitx_aligns_numbers_and_wraps_those_in_other_cells() -> None:
    rows = [["a_b", "91.67(45)", "+0.5", "-0.13 to 12345.5", "", "10/0/0"], ["c", "", "-10.25", "<0.001", "", "1e-05"]]
    table = Table("c", ["name", "mean", "d", "interval", "none", "wins"], rows, 1, bold={(0, 1)}, daggers={(1, 2)})
    text = to_latex(table, siunitx=True)
    assert r"\usepackage{siunitx}" in text.splitlines()[0]
    assert re.search(r"\{@\{\}lS\[table-format=2\.2\(2\),.*\]S\[table-format=\+2\.2,.*\]rrr@\{\}\}", text)
    assert r"a\_b & \bfseries 91.67(45) & +0.5 & \num{-0.13} to \num{12345.5} &  & 10/0/0 \\" in text
    assert r"c & {} & -10.25 {\rlap{$^{\dagger}$}} & \textless{}\num{0.001} &  & 1e-05 \\" in text
    assert r"name & {mean} & {d} & interval" in text


def test_letters_without_a_glyph_and_ligatures_do_not_reach_latex() -> None:
    text = to_latex(Table("c", ["a"], [["Ħ λ --- '' ,, \u00adé  ä "]], 1))
    assert "U+0126 U+03BB -{}-{}- '{}' ,{}, U+00ADé \\ ä\\  \\\\\n" in text


def test_a_macro_says_study_setting_and_quantity(study: Path) -> None:
    for model, values in {"net2": A, "net5": B}.items():
        add_seeds(study, model, values, **{"optimizer.lr": 0.001 if model == "net2" else 1e-05})
    add_unfinished(study, "failed", "net7")
    planned = [{"model": "net5", "optimizer.lr": 1e-05}]
    made = macros(study, baseline={"model": "net2"}, comparisons=planned)
    net5 = "DepthNetFiveLrOneEMinusZeroFive"
    against = f"{net5}AgainstNetTwoLrZeroPointZeroZeroOneValidationAccuracy"
    assert made[f"{net5}ValidationAccuracyMean"] == "91.67"
    assert made[f"{net5}ValidationAccuracySD"] == "0.45"
    assert made[f"{net5}Parameters"] == "12345"
    assert made[f"{against}Difference"] == "0.59"
    assert made[f"{against}PHolm"] == r"\ensuremath{{<}0.001}"
    assert made[f"{against}PSignFlip"] == "0.002"
    assert made["DepthBestSettingValidationAccuracy"] == "net5, lr=1e-05"
    assert (made["DepthRuns"], made["DepthRunsFinished"], made["DepthRunsFailed"]) == ("21", "20", "1")
    assert made["DepthAnswer"] == "supported"
    assert made["DepthAlpha"] == "0.05"


def test_a_number_keeps_its_name_when_settings_are_added(study: Path) -> None:
    add_seeds(study, "net2", A)
    add_seeds(study, "net_bn", C)
    before = macros(study)
    add_seeds(study, "net5", B)
    after = macros(study)
    kept = {name for name in before if "Against" not in name and "Best" not in name}
    assert kept <= after.keys()
    assert before["DepthNetBnValidationAccuracyMean"] == after["DepthNetBnValidationAccuracyMean"] == "91.09"


def test_settings_whose_names_would_be_one_macro_get_one_each(study: Path) -> None:
    for model, value in {"net-2": 0.1, "net_2": 0.2, "é": 0.3, "中": 0.4, "netTwo": 0.5, "plain": 0.6}.items():
        add_run(study, model, 0, value)
    made = {name: value for name, value in macros(study).items() if "ValidationAccuracyMean" in name}
    assert sorted(made.values()) == [f"0.{digit}000" for digit in range(1, 7)]
    assert made["DepthPlainValidationAccuracyMean"] == "0.6000"


def test_a_lossy_name_does_not_depend_on_the_others() -> None:
    one, other = (("", "depth"), ("model", "é")), (("", "depth"), ("model", "ü"))
    assert macro_names([one])[one] == macro_names([other, one])[one] != macro_names([other])[other]


def test_a_number_that_does_not_exist_is_visible_and_warned_of(study: Path) -> None:
    add_run(study)
    findings = found(study)
    text = to_macros(findings.results.study, findings)
    name = "DepthNetTwoValidationAccuracySD"
    assert rf"\newcommand{{\{name}}}{{\NumberMissing{{{name}}}}}% no value: sample standard deviation" in text
    assert r"\NumberMissing}[1]{\textbf{??}\PackageWarning{numbers.tex}{#1 has no value}}" in text


def test_no_name_breaks_out_of_a_comment(study: Path) -> None:
    add_run(study, "a\nb\r\u2028c\x85}", 0)
    findings = found(study)
    lines = to_macros(findings.results.study, findings).splitlines()
    assert {line.split("{")[0] for line in lines if not line.startswith("%")} == {
        r"\newcommand",
        r"\DeclareRobustCommand",
    }


def test_the_document_shows_every_kind_of_answer(study: Path, tmp_path: Path) -> None:
    for model, values in {"net2": A, "net5": B}.items():
        add_seeds(study, model, values)
    texts = {"question": "Is it\n#deep?", "hypothesis": "$x$ *is*", "formal_problem": "a\nb"}
    file = plan(baseline={"model": "net2"}, comparisons=[{"model": "net5"}], **texts)
    members = read_study(study)
    sizes = []
    for plan_or_none, metric in ((file, None), (file, "validation/loss"), (None, None)):
        findings = find(members, plan_or_none, metric, None, ["seed"])
        made = make_tables(members, findings)
        write_document(tmp_path, Contents(members, plan_or_none, findings, made, {}, ["_x"], ["_a *b* #c"]))
        sizes.append((tmp_path / "report.pdf").stat().st_size)
    write_document(tmp_path, Contents(members, file, None, {}, {}, [], []))
    assert len({*sizes, (tmp_path / "report.pdf").stat().st_size}) == 4
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.pdf"]
