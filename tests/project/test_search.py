"""What a search tries next, from its space, its seed and what became of its trials; and which trial ends early."""

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from labkit.launching.combinations import parsed
from labkit.launching.sampler import SAMPLERS, Sampler
from labkit.launching.search import SearchSettings
from labkit.launching.space import Space
from labkit.runs.pruning import Pruning
from labkit.runs.study import Run
from run_folders import add_run

WORDS = ["a=interval(0.0,1.0)", "b=tag(log,interval(0.001,10.0))"]
LISTS = ["model=net2,net5", "n=range(1,4)", "drop=0.1,0.2"]
Values = dict[str, Any]


def space_of(*words: str, **when: Any) -> Space:
    return Space(parsed(OverridesParser.create(), list(words)), when)


def finished(name: str, value: float) -> Run:
    monitor = {"metric": "validation/loss", "direction": "min"}
    record = {"monitor": monitor, "best": {"metrics": {"validation/loss": value}}}
    return Run(name, Path(), "finished", record=record)


def searched(kind: str, words: list[str], n: int, seed: int, loss: Callable[[Values], float]) -> list[Values]:
    """`n` trials, each by a sampler of its own, as after a kill."""
    trials: list[dict[str, Any]] = []
    runs: dict[str, Run] = {}
    for number in range(n):
        values, attrs = next(Sampler(kind, seed, space_of(*words)).suggestions(trials, runs))
        attrs = json.loads(json.dumps(attrs))  # as it stands in the file of the search
        trials.append({"name": str(number), "values": values, "attrs": attrs})
        runs[str(number)] = finished(str(number), loss(values))
    return [trial["values"] for trial in trials]


def bowl(values: Values) -> float:
    return (values["a"] - 0.7) ** 2 + (math.log10(values["b"]) + 1) ** 2


@pytest.mark.parametrize("kind", [kind for kind in SAMPLERS if kind != "grid"])
def test_the_next_trial_follows_from_the_seed_and_the_trials_so_far(kind: str) -> None:
    tried = searched(kind, WORDS, 6, 3, bowl)
    assert searched(kind, WORDS, 6, 3, bowl) == tried
    assert searched(kind, WORDS, 2, 4, bowl) != tried[:2]
    assert len({str(values) for values in tried}) == 6
    assert all(number == float(f"{number:.4g}") for values in tried for number in values.values())
    assert all(0 <= values["a"] <= 1 and 0.001 <= values["b"] <= 10 for values in tried)


@pytest.mark.parametrize("kind", ["tpe", "cmaes"])
def test_what_learns_from_the_trials_comes_closer(kind: str) -> None:
    """By chance the last trials are as good as the first."""
    losses = [bowl(values) for values in searched(kind, WORDS, 30, 0, bowl)]
    assert 2 * statistics.median(losses[15:]) < statistics.median(losses[:10])


def test_a_sequence_of_low_discrepancy_goes_on() -> None:
    """Of 17 points, the first of which is random, the others are one in each sixteenth."""
    tried = searched("qmc", ["a=interval(0.0,1.0)"], 17, 0, lambda values: values["a"])
    assert sorted(int(16 * values["a"]) for values in tried[1:]) == list(range(16))


def test_a_grid_is_every_choice_in_order() -> None:
    space = space_of(*LISTS, **{"drop": {"model": "net5"}})
    tried = [values for values, _ in Sampler("grid", 0, space).suggestions([], {})]
    two = [{"model": "net2", "n": n} for n in ("1", "2", "3")]
    five = [{"model": "net5", "n": n, "drop": drop} for n in ("1", "2", "3") for drop in ("0.1", "0.2")]
    assert tried == two + five


def test_values_are_of_the_kind_that_the_words_say() -> None:
    words = ["a=int(interval(1,9))", "b=range(2,11,4)", "c=x,y", "d=interval(1,2)", "e=1,2"]
    space = space_of(*words, e={"c": ["y"]})
    for values, _ in (next(Sampler("random", seed, space).suggestions([], {})) for seed in range(20)):
        assert values["a"] in range(1, 10)
        assert values["b"] in (2, 6, 10)
        assert isinstance(values["d"], float)
        assert ("e" in values) == (values["c"] == "y")


def test_trials_that_run_and_fail_and_end_early_are_told(tmp_path: Path) -> None:
    """Nothing is asked twice because the sampler does not know of it."""
    space = space_of("c=x,y,z")
    done = add_run(tmp_path / "study")
    pruned = Run(done.name, done.parent, "pruned")
    runs = {"0": finished("0", 1.0), "1": Run("1", Path(), "running"), "2": Run("2", Path(), "failed"), "3": pruned}
    runs["0"].record["monitor"] = {"metric": "validation/accuracy", "direction": "max"}
    runs["0"].record["best"]["metrics"] = {"validation/accuracy": 0.9}
    trials = [{"name": name, "values": {"c": "x"}, "attrs": {}} for name in (*runs, "not begun")]
    suggested = [values for values, _ in Sampler("tpe", 0, space).suggestions(trials, runs)]
    assert {str(values) for values in suggested} == {"{'c': 'x'}", "{'c': 'y'}", "{'c': 'z'}"}


def test_importance_finds_the_key_that_matters() -> None:
    tried = searched("random", WORDS, 30, 0, bowl)
    trials = [{"name": str(n), "values": values, "attrs": {}} for n, values in enumerate(tried)]
    runs = {str(n): finished(str(n), values["a"]) for n, values in enumerate(tried)}
    sampler = Sampler("random", 0, space_of(*WORDS))
    found = sampler.importance(trials, runs)
    assert found["a"] > 0.9
    assert sampler.importance(trials, runs) == found
    assert sampler.importance(trials[:2], runs) == {}


@pytest.mark.parametrize(
    ("words", "when", "said"),
    [
        ([], {}, "hydra.sweeper.search: has nothing to search; sweep over a key, "),
        (["seed=0,1"], {}, "seed: a search over seeds finds luck; "),
        (["a=1,2"], {"b": {"a": 1}}, "hydra.sweeper.search.when.b: both this key and those of its condition "),
        (["a=1,2"], {"a": {"b": 1}}, "hydra.sweeper.search.when.a: both this key and those of its condition "),
        (["a=1,2"], {"a": 1}, "hydra.sweeper.search.when.a: both this key and those of its condition "),
    ],
)
def test_a_space_that_is_none_is_said(words: list[str], when: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        space_of(*words, **when)


def test_an_interval_is_no_grid() -> None:
    with pytest.raises(ValueError, match="a: a grid needs a list of values"):
        Sampler("grid", 0, space_of(*WORDS))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sampler": "bayes"}, 'sampler: "bayes" is not one of tpe, '),
        ({"trials": 0}, "trials: must be at least 1, not 0"),
        ({"hours": 0.0}, "hours: must be a number above 0, not 0.0"),
        ({"seed": -1}, "seed: must be at least 0, not -1"),
    ],
)
def test_settings_that_cannot_be_meant_are_said(change: dict[str, Any], said: str) -> None:
    fine: dict[str, Any] = {"trials": 1, "hours": None, "sampler": "tpe", "seed": 0, "pruning": True, "when": {}}
    with pytest.raises(ValueError, match=said):
        SearchSettings(**fine | change)


def trial(study: Path, seed: int, accuracy: float) -> str:
    return add_run(study, seed=seed, accuracy=accuracy).name


def plan(study: Path, names: list[str], pruning: bool = True) -> None:
    (study / ".sweeps").mkdir()
    content = {"search": {"pruning": pruning}, "members": [{"name": name} for name in names]}
    (study / ".sweeps" / "search-1.json").write_text(json.dumps(content))


def test_a_trial_ends_below_the_median_of_five_that_have_finished(study: Path) -> None:
    others = [trial(study, seed, 0.5 + seed / 10) for seed in range(5)]
    bad, good = trial(study, 8, 0.6), trial(study, 9, 0.75)
    for name in (bad, good):
        (study / name / "run.json").unlink()  # they run
    plan(study, [*others, bad, good])
    last = Pruning(study / bad).reason(72)
    assert last == "validation/accuracy is 0.6 by step 72, where the median of 5 trials is 0.7"
    assert Pruning(study / good).reason(72) is None
    assert Pruning(study / bad).reason(1) is None  # before anyone's first evaluation
    (study / others[0] / "run.json").unlink()
    assert Pruning(study / bad).reason(72) is None


def test_only_trials_of_a_search_that_prunes_end_early(study: Path) -> None:
    names = [trial(study, seed, 0.9) for seed in range(5)]
    alone = trial(study, 9, 0.1)
    plan(study, names)
    assert not Pruning(study / alone).is_trial
    (study / ".sweeps" / "search-1.json").unlink()
    (study / ".sweeps").rmdir()
    plan(study, [*names, alone], pruning=False)
    assert Pruning(study / alone).reason(90) is None
