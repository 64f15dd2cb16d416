"""How long runs took to reach a target: a setting that ends a little better may have got there far later."""

from typing import NamedTuple

from labkit.reporting.analysis.collect import Results


class Reached(NamedTuple):
    """The first evaluation of a run that was at least as good as the target."""

    steps: float
    seconds: float  # the wall time of the run in proportion to its steps


def times_to(results: Results, target: float) -> list[list[Reached]]:
    """Per group, of the runs that reached it."""
    curves = results.curves[["run", "step", results.metric]]
    good = curves.loc[results.sign * curves[results.metric] >= results.sign * target]
    first = good.groupby("run", sort=False)["step"].min().to_dict()
    return [
        [
            Reached(float(first[run.name]), run.record["cost"]["wall_s"] * first[run.name] / run.record["last"]["step"])
            for run in group.runs
            if run.name in first and run.record["last"]["step"]
        ]
        for group in results.groups
    ]
