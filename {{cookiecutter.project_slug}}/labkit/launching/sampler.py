"""Asks Optuna what to try next. It is told all that is known at each question, and its answer follows from that."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from labkit.launching.space import Space, listed
from labkit.runs.pruning import best_values
from labkit.runs.study import Run

SAMPLERS = ("tpe", "random", "qmc", "cmaes", "grid")
ASKED = 100  # times in a row, before nothing new is left to try


class Sampler:
    """`kind`: one of SAMPLERS."""

    def __init__(self, kind: str, seed: int, space: Space) -> None:
        """ValueError where Optuna is not installed, or the space is none for this kind."""
        self._kind, self._seed, self._space = kind, seed, space
        self._grid = space.all() if kind == "grid" else []
        self._optuna = _import_optuna()
        self._distributions = {key: _distribution(override) for key, override in space.overrides.items()}

    def suggestions(
        self, trials: Sequence[Mapping[str, Any]], runs: Mapping[str, Run]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Choices of the space, the best guess first, and what the sampler wants to remember of each.

        `trials`: {"name", "values", "attrs"} of those so far; `runs`: what became of them, by name.
        """
        if self._kind == "grid":
            yield from ((values, {}) for values in self._grid)
            return
        study = self._study(trials, runs)
        # A low-discrepancy sequence counts the questions after the first.
        again = max(len(trials) - 1, 0) if self._kind == "qmc" else 0
        for number in range(again + ASKED):
            trial = study.ask()
            values = self._space.choose(lambda key, trial=trial: _suggest(trial, key, self._distributions[key]))
            if number >= again:
                yield values, study.trials[-1].system_attrs

    def importance(self, trials: Sequence[Mapping[str, Any]], runs: Mapping[str, Run]) -> dict[str, float]:
        """The share of the variance that each key explains, of those that all trials have: fANOVA (Hutter et al. 2014).
        Empty where the trials cannot tell."""
        study = self._study(trials, runs)
        evaluator = self._optuna.importance.FanovaImportanceEvaluator(seed=self._seed)
        if len({trial.value for trial in study.trials if trial.value is not None}) < 3:
            return {}
        return self._optuna.importance.get_param_importances(study, evaluator=evaluator)

    def _study(self, trials: Sequence[Mapping[str, Any]], runs: Mapping[str, Run]) -> Any:
        monitors = [run.record["monitor"] for run in runs.values() if run.record]
        direction = monitors[0]["direction"] if monitors else "max"
        study = self._optuna.create_study(sampler=self._sampler(len(trials)), direction=f"{direction}imize")
        study.add_trials([self._seen(trial, runs.get(trial["name"]), monitors) for trial in trials])
        return study

    def _seen(self, trial: Mapping[str, Any], run: Run | None, monitors: Sequence[dict[str, str]]) -> Any:
        """One that has not ended counts as one that runs: others are then tried elsewhere."""
        state = self._optuna.trial.TrialState
        status = run.status if run else "missing"
        known: dict[str, Any] = {"state": state.RUNNING}
        if run and status == "finished":
            known = {"state": state.COMPLETE, "value": run.record["best"]["metrics"][run.record["monitor"]["metric"]]}
        elif run and status == "pruned" and monitors:
            known = {"state": state.PRUNED, "intermediate_values": best_values(run.path, monitors[0])}
        elif status in ("pruned", "diverged", "failed", "refused"):
            known = {"state": state.FAIL}
        here = {key: self._distributions[key] for key in trial["values"]}
        return self._optuna.trial.create_trial(
            **known, params=trial["values"], distributions=here, system_attrs=trial["attrs"]
        )

    def _sampler(self, n: int) -> Any:
        samplers = self._optuna.samplers
        if self._kind == "random":
            return samplers.RandomSampler(seed=self._seed + n)
        if self._kind == "qmc":
            quiet = {"warn_asynchronous_seeding": False, "warn_independent_sampling": False}
            with warnings.catch_warnings(action="ignore"):  # Optuna calls it experimental
                return samplers.QMCSampler(scramble=True, seed=self._seed, **quiet)
        if self._kind == "cmaes":
            return samplers.CmaEsSampler(seed=self._seed + n, warn_independent_sampling=False)
        return samplers.TPESampler(seed=self._seed + n)


def _distribution(override: Override) -> Any:
    from optuna import distributions  # pyright: ignore[reportMissingImports]

    swept: Any = override.value()
    if isinstance(swept, IntervalSweep):
        whole = isinstance(swept.start, int) and isinstance(swept.end, int)
        kind: Any = distributions.IntDistribution if whole else distributions.FloatDistribution
        return kind(swept.start, swept.end, log="log" in swept.tags)
    if isinstance(swept, RangeSweep) and all(isinstance(end, int) for end in (swept.start, swept.stop, swept.step)):
        numbers = range(swept.start, swept.stop, swept.step)  # pyright: ignore[reportArgumentType]
        return distributions.IntDistribution(min(numbers), max(numbers), step=abs(numbers.step))
    return distributions.CategoricalDistribution(listed(override))


def _suggest(trial: Any, key: str, distribution: Any) -> Any:
    if hasattr(distribution, "choices"):
        return trial.suggest_categorical(key, distribution.choices)
    suggest: Any = trial.suggest_int if isinstance(distribution.low, int) else trial.suggest_float
    value = suggest(key, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
    # Four digits, which a person can type again; not beyond the ends of the interval.
    return min(max(float(f"{value:.4g}"), distribution.low), distribution.high) if isinstance(value, float) else value


def _import_optuna() -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):
            import optuna  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError(
            "hydra.sweeper.search: needs Optuna; run pip install -r env_setup/requirements-search.txt"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
