"""What else differs between two compared settings: what may be the true cause, and what was spent on each."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from labkit.reporting.analysis.collect import Results
from labkit.reporting.analysis.comparisons import Comparison
from labkit.reporting.analysis.grouping import PROCESSES, Group
from labkit.reporting.analysis.study_file import CONFOUNDERS
from labkit.runs.json_shapes import is_number
from labkit.runs.study import Run
from labkit.text import counted, duration

COINCIDES_FROM = 0.5  # total variation distance of the values of both: half of the runs have another one
MORE_TIME = 1.1  # wall time scatters by itself


def confounders(results: Results, comparison: Comparison) -> list[str]:
    """Which of CONFOUNDERS coincide with the compared setting: most runs of the two differ in them as well."""
    own, other = (results.groups[i] for i in (comparison.group, comparison.against))
    found = [
        name
        for name, value_of in OF_A_RUN.items()
        if _distance([value_of(run) for run in own.runs], [value_of(run) for run in other.runs]) >= COINCIDES_FROM
    ]
    if "data" in found and results.block_of(own) != results.block_of(other):
        found.remove("data")  # that is what was to be compared
    return [*found, "processes"] if own.config[PROCESSES] != other.config[PROCESSES] else found


def unequal_effort(results: Results, comparison: Comparison) -> list[str]:
    """What was spent on one of the two and not on the other, such as "2000 and 200 steps"."""
    own, other = (results.groups[i] for i in (comparison.group, comparison.against))
    sentences = []
    for what, measure in (("evaluations", _evaluations), ("steps", _steps), ("training examples seen", _examples)):
        mine, theirs = (measure(results, group) for group in (own, other))
        if not np.isclose(mine, theirs, rtol=0.01):
            sentences.append(f"{mine:.4g} and {theirs:.4g} {what} a run")
    mine, theirs = (float(np.mean([run.record["cost"]["wall_s"] for run in group.runs])) for group in (own, other))
    if max(mine, theirs) > MORE_TIME * min(mine, theirs):
        sentences.append(f"{duration(mine)} and {duration(theirs)} of wall time a run")
    return sentences


def unequal_trials(results: Results, comparison: Comparison, named: list[str]) -> str:
    """How many settings were tried of each of the two, where the numbers differ: the best of more is better by chance.

    `named`: the keys that tell the two apart, as the plan names them.
    """
    own, other = (results.groups[i] for i in (comparison.group, comparison.against))
    tried = [
        sum(
            all(group.settings.get(key) == one.settings.get(key) for key in (*named, *results.blocks))
            for group in results.groups
        )
        for one in (own, other)
    ]
    return "" if tried[0] == tried[1] else f"{tried[0]} and {counted(tried[1], 'setting')} tried"


def _distance(values: list[Any], others: list[Any]) -> float:
    """Total variation distance of two samples: 0 for equal shares of all values, 1 where no value is in both."""
    a, b = Counter(values), Counter(others)
    return 0.5 * sum(abs(a[value] / len(values) - b[value] / len(others)) for value in {*a, *b})


def _last_launch(run: Run) -> dict[str, Any]:
    return run.record["launches"][-1]


def _device(run: Run) -> str:
    return str(_last_launch(run).get("gpu")) if run.record["cost"].get("gpu_s") else "CPU"


OF_A_RUN: dict[str, Callable[[Run], Any]] = {
    "code": lambda run: _last_launch(run)["code_id"],
    "data": lambda run: run.record["data"]["fingerprint"],
    "packages": lambda run: run.packages_id,
    "host": lambda run: _last_launch(run).get("cpu"),
    "device": _device,
}
assert {*OF_A_RUN, "processes"} == {*CONFOUNDERS}


def _evaluations(results: Results, group: Group) -> float:
    return float(np.mean([results.evaluations.get(run.name, 0) for run in group.runs]))


def _steps(results: Results, group: Group) -> float:
    return float(np.mean([run.record["last"]["step"] for run in group.runs]))


def _examples(results: Results, group: Group) -> float:
    """Epochs times the examples of the training part; 0 where a run does not say how many there are."""
    seen = []
    for run in group.runs:
        examples = run.record["data"]["examples"].get("train")
        seen.append(run.record["last"]["epoch"] * examples if is_number(examples) else 0)
    return float(np.mean(seen))
