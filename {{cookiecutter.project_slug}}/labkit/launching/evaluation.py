"""Finished runs on all cores or on Slurm, each for itself: runs/evaluate.py with a launcher."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from labkit.launching.compose import Composer
from labkit.launching.entry_point import CheckedTask
from labkit.runs.files import PREDICTIONS, PREDICTIONS_LAST
from labkit.runs.folder import RunFolder
from labkit.runs.interruption import Interruption
from labkit.runs.slurm_queue import Queue
from labkit.runs.study import find_studies, read_studies


@dataclass(eq=False)
class Evaluation:
    """Of one finished run; what a launcher needs to know of it, as of a `Member`."""

    name: str
    config: DictConfig  # for this run only, Hydra's node included
    settings: Any  # the same, checked: study, runs, weights, predictions, device, runs_dir, datasets_dir
    folder: RunFolder
    job: str | None = None
    status: str = "waiting"
    reason: str | None = None

    @property
    def device(self) -> str:
        return self.settings.device

    def is_finished(self) -> bool:
        return False


def evaluate_all(
    given: Sequence[list[str]], composer: Composer, launcher: Any, task: CheckedTask[Any], interruption: Interruption
) -> None:
    """What each of the `given` overrides asks for. ValueError, after all others, for those that were not evaluated."""
    evaluations = _asked_for(given, composer, task)
    print(f"{len(evaluations)} runs to evaluate", flush=True)
    launcher.evaluate(list(evaluations.values()), task, interruption)
    interruption.check()
    left = {
        path for path in _asked_for(given, composer, task) if evaluations[path].status not in ("waiting", "submitted")
    }
    if left:
        reasons = [f"  {evaluations[path].name}: {evaluations[path].reason}" for path in sorted(left)]
        raise ValueError("\n".join([f"{len(left)} of {len(evaluations)} runs were not evaluated:", *reasons]))


def _asked_for(given: Sequence[list[str]], composer: Composer, task: CheckedTask[Any]) -> dict[Path, Evaluation]:
    """Those that have not been evaluated so, by the folder of the run."""
    evaluations = {}
    for config in map(composer.compose, given):
        wanted = task.checked(config, config.hydra)
        predictions = PREDICTIONS if wanted.weights == "best" else PREDICTIONS_LAST
        folders = [folder for (folder,) in find_studies([wanted.runs_dir], wanted.study).values()]
        for run in (run for study in read_studies(folders, Queue()) for run in study.runs if run.ended):
            done = run.tests[wanted.weights] and not (wanted.predictions and not (run.path / predictions).exists())
            if done or run.name not in (wanted.runs or [run.name]):
                continue
            single = config.copy()
            OmegaConf.update(single, "study", run.study.name)
            OmegaConf.update(single, "runs", [run.name])
            settings = task.checked(single, single.hydra)
            evaluations[run.path] = Evaluation(f"{run.study.name}/{run.name}", single, settings, RunFolder(run.path))
    return evaluations
