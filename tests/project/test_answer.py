"""The question of a study is answered from its planned comparisons, and never from less than was planned."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from labkit.reporting.analysis.answer import NOT_SUPPORTED, SHOWN, SUPPORTED, Answer
from labkit.reporting.analysis.checks import find_warnings
from labkit.reporting.analysis.findings import find
from labkit.reporting.analysis.study_file import read_study_file
from labkit.runs.study import read_study
from run_folders import add_run, add_unfinished, change_record, launch, plan

NET2 = [0.90, 0.91, 0.92, 0.91, 0.90, 0.92]
BETTER = [0.06, 0.05, 0.06, 0.07, 0.05, 0.06]  # than net2, seed by seed
SEEDS = list(range(6))


def add_pairs(study: Path, gains: list[float], model: str = "net5") -> None:
    """net2 and another model that is better by so much, seed by seed."""
    for seed, (value, gain) in enumerate(zip(NET2, gains, strict=False)):
        if not list(study.glob(f"net2-digits-s{seed}-*")):
            add_run(study, "net2", seed, value)
        add_run(study, model, seed, value + gain)


def answered(study: Path, **entries: Any) -> Answer:
    planned = {"comparisons": [{"model": "net5"}], "smallest_difference": 0.02, "seeds": SEEDS}
    answer = find(read_study(study), plan(**{**planned, **entries}), None, None, ["seed"]).answer
    assert answer
    return answer


def why(answer: Answer) -> str:
    return " | ".join(verdict.why for verdict in answer.verdicts)


def test_an_improvement_that_matters_is_supported_with_the_numbers_behind_the_word(study: Path) -> None:
    add_pairs(study, BETTER)
    answer = answered(study)
    assert answer.word == SUPPORTED
    assert why(answer) == (
        "validation/accuracy differs by +0.05833 [0.05043, 0.06623] (95 % t interval, paired, n = 6), "
        "Holm-adjusted p = 7.5e-06; 0.02 is the smallest difference that matters; an improvement of at least 0.02 is "
        "shown"
    )
    assert [verdict.name for verdict in answer.verdicts] == ["net5 against net2"]
    assert answer.verdicts[0].needed == (5, 5, 9)


def test_an_improvement_too_small_to_matter_is_not_supported(study: Path) -> None:
    add_pairs(study, [0.006, 0.005, 0.006, 0.007, 0.005, 0.006])
    answer = answered(study)
    assert answer.word == NOT_SUPPORTED
    assert answer.sentence == "No improvement that matters: net5 against net2."
    assert "there is an improvement, and it is shown to be smaller than 0.02" in why(answer)


def test_what_is_worse_is_not_supported_and_for_a_loss_lower_is_better(study: Path) -> None:
    add_pairs(study, [-gain for gain in BETTER])
    assert answered(study).word == NOT_SUPPORTED
    for run in study.glob("net*/run.json"):
        add_loss(run.parent)
    assert answered(study, metric="validation/loss", direction="min").word == SUPPORTED


def add_loss(folder: Path) -> None:
    """A validation loss that is the accuracy."""
    (run,) = [run for run in read_study(folder.parent).runs if run.name == folder.name]
    metrics = run.record["best"]["metrics"]
    metrics = {**metrics, "validation/loss": metrics["validation/accuracy"]}
    change_record(folder, best={**run.record["best"], "metrics": metrics})


def test_a_difference_that_scatters_is_not_decidable_and_says_how_many_seeds_would_do(study: Path) -> None:
    add_pairs(study, [0.09, -0.04, 0.05, -0.03, 0.06, 0.02])
    answer = answered(study)
    assert answer.word == "not decidable with 6 seeds"
    assert answer.sentence == (
        "With 55 seeds per setting (23 to 318, as the scatter of so few is uncertain), 80 % of such studies would show "
        "a difference of 0.02."
    )


def test_an_improvement_that_may_be_too_small_is_shown_and_no_more(study: Path) -> None:
    add_pairs(study, BETTER)
    answer = answered(study, smallest_difference=0.058)  # the mean difference is larger
    assert (answer.word, answer.sentence) == (SHOWN, "Whether it is at least 0.058 is open: net5 against net2.")
    assert "an improvement is shown; that it is at least 0.058 is not" in why(answer)


def test_fewer_than_five_seeds_decide_nothing(study: Path) -> None:
    add_pairs(study, BETTER[:4])
    answer = answered(study, seeds=[0, 1, 2, 3])
    assert answer.word == "not decidable with 4 seeds"
    assert "a test needs at least 5 seeds per setting" in why(answer)


def test_a_study_on_its_way_is_not_decided(study: Path) -> None:
    """Who looks again and again finds something in the end."""
    add_pairs(study, BETTER[:5])
    answer = answered(study)
    assert answer.word == "not decidable with 5 seeds"
    assert "net5 lacks the planned seed 5 and net2 lacks the planned seed 5" in why(answer)


def test_a_run_that_diverged_is_waited_for_no_longer(study: Path) -> None:
    add_pairs(study, BETTER[:5])
    add_run(study, "net2", 5, NET2[5])
    assert answered(study).word == "not decidable with 5 seeds"
    add_unfinished(study, "diverged", "net5", 5)
    answer = answered(study)
    assert answer.word == SUPPORTED
    assert "paired, n = 5" in why(answer)


def test_all_planned_comparisons_must_hold(study: Path) -> None:
    add_pairs(study, BETTER)
    add_pairs(study, [0.001, -0.001, 0.0, 0.002, 0.001, -0.002], "net7")
    answer = answered(study, comparisons=[{"model": "net5"}, {"model": "net7"}])
    assert [verdict.word for verdict in answer.verdicts] == [SUPPORTED, NOT_SUPPORTED]
    assert (answer.word, answer.sentence) == (NOT_SUPPORTED, "No improvement that matters: net7 against net2.")


def test_a_planned_setting_without_runs_is_named(study: Path) -> None:
    add_pairs(study, BETTER)
    answer = answered(study, comparisons=[{"model": "net7"}])
    assert answer.word == "not decidable with 0 seeds"
    assert answer.verdicts[0].name == "net7 against net2"
    assert why(answer) == "net7 has no finished run yet"


def test_seeds_without_an_effect_decide_nothing(study: Path) -> None:
    for seed in SEEDS:
        add_run(study, "net2", seed, 0.9)
        add_run(study, "net5", seed, 0.95)
    assert "the seed has no effect" in why(answered(study))


def test_a_setting_that_no_run_has_is_answered_with_the_nearest(study: Path) -> None:
    add_pairs(study, BETTER)
    message = r"studies/depth\.yaml: comparisons: no run has a setting 'modle'; there are: .*; did you mean \"model\"\?"
    with pytest.raises(ValueError, match=message):
        answered(study, comparisons=[{"modle": "net5"}])


def test_a_report_about_another_metric_does_not_answer_and_says_so(study: Path) -> None:
    add_pairs(study, BETTER)
    findings = find(read_study(study), plan(comparisons=[{"model": "net5"}]), "validation/loss", None, ["seed"])
    assert findings.answer is None
    assert not any(one.planned for one in findings.comparisons)
    about = "this report is about validation/loss and the study about validation/accuracy, so it is not answered here"
    assert about in find_warnings(findings)


def test_a_plan_that_is_younger_than_the_runs_is_named(study: Path) -> None:
    add_pairs(study, BETTER)
    change_record(next(study.glob("net5*")), launches=[{**launch(), "study_file": None}])
    later = [warning for warning in find_warnings(find(read_study(study), plan(), None, None, ["seed"]))]
    assert any("was written or changed after 1 of 12 runs had begun" in warning for warning in later)


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"metrc": "x"}, 'metrc: nothing reads this key; did you mean "metric"?'),
        ({"question": None}, "question: has no value; studies/sweep_models.yaml explains it"),
        ({"direction": "up"}, 'direction: "up" is not one of max, min'),
        ({"alpha": 5}, "alpha: must be above 0 and below 1, not 5"),
        ({"seeds": 5}, "seeds: must be a list of different seeds, such as [0, 1, 2], not 5"),
        ({"baseline": "net2"}, "baseline: must be a setting, such as {model: net2}, not 'net2'"),
        ({"comparisons": ["net5"]}, "comparisons: must be a list of settings"),
        ({"smallest_difference": "1 %"}, "smallest_difference: Value '1 %' of type 'str' could not be converted"),
        ({"smallest_difference": -1}, "smallest_difference: must be at least 0, not -1"),
        ({"formal_problem": ["x"]}, "formal_problem: Cannot convert"),
    ],
)
def test_a_mistake_in_a_study_file_is_one_sentence(entries: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    content = {key: value for key, value in vars(plan()).items() if key != "digest"}
    (tmp_path / "depth.yaml").write_text(yaml.safe_dump({**content, **entries}))
    with pytest.raises(ValueError, match=r"^.*depth\.yaml: ") as refused:
        read_study_file(tmp_path, "depth")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_formula_in_a_study_file_is_text_and_refers_to_no_key(tmp_path: Path) -> None:
    formula = r"predict $\hat{y}$ from ${\bf x}$ \\${z}"
    content = {key: value for key, value in vars(plan(formal_problem=formula)).items() if key != "digest"}
    (tmp_path / "depth.yaml").write_text(yaml.safe_dump(content))
    file = read_study_file(tmp_path, "depth")
    assert file
    assert file.formal_problem == formula


@pytest.mark.parametrize("text", ["", "question: [", "\xff"])
def test_a_damaged_study_file_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "depth.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"depth\.yaml: (cannot be read|holds no keys)") as refused:
        read_study_file(tmp_path, "depth")
    assert "\n" not in str(refused.value)
