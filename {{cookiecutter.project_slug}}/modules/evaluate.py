"""The held-out test set, once for each finished run: best weights, the run's own saved configuration -> test.json.
With `weights=last` those of the last evaluation -> test_last.json, for a study that selects it.

With `predictions`, what is predicted for each test example stays in predictions.npz: "example", its row in the data
set; "target"; and what the task's `predict` names.
"""

import glob
import math
from pathlib import Path
from typing import Any

import numpy as np

from labkit.runs.files import RESULT, atomic_file, read_json, write_json
from labkit.runs.folder import RunFolder
from labkit.runs.provenance import code_id
from labkit.text import nearest
from modules.config import EvaluateConfig


def evaluate(config: EvaluateConfig) -> None:
    """Every finished run of the study, or of all studies. ValueError, after all others, for those that cannot be."""
    from labkit.launching.errors import sentence

    runs_dir = Path(config.runs_dir)
    pattern = f"{glob.escape(config.study) if config.study else '*'}/*/{RESULT}"
    finished = sorted(runs_dir / Path(name).parent for name in glob.glob(pattern, root_dir=runs_dir))
    finished = [path for path in finished if path.name in (config.runs or [path.name])]
    if not finished:
        studies = sorted(path.name for path in runs_dir.glob("*") if path.is_dir())
        hint = nearest(config.study or "", studies)
        raise ValueError(f"study: no finished run in {runs_dir / (config.study or '')}; there is {studies}{hint}")
    problems = []
    for path in finished:
        try:
            _evaluate_once(RunFolder(path), config)
        except Exception as error:
            reason = (
                sentence(error) or f"{type(error).__name__}: {error}".splitlines()[0]
            )  # the others are evaluated all the same
            problems.append(reason if str(path) in reason else f"{path}: {reason}")
    if problems and config.runs:
        raise ValueError("\n".join(problems))
    if problems:
        raise ValueError("\n".join([f"{len(problems)} of {len(finished)} runs were not evaluated:", *problems]))


def _evaluate_once(folder: RunFolder, wanted: EvaluateConfig) -> None:
    result = folder.read_result()
    weights = wanted.weights
    files = {"best": (folder.test, folder.predictions), "last": (folder.test_last, folder.predictions_last)}
    target, predictions = files[weights]
    tested = read_json(target)
    if result is None:
        raise ValueError(f"{folder.result}: is damaged; the run's command writes it again")
    folder.refuse_links()
    of = {"run_id": result["run_id"], "step": result[weights]["step"]}
    asked = wanted.predictions and not predictions.exists()
    if isinstance(tested, dict) and tested | of == tested and not asked:
        print(f"{folder.path}: evaluated already")
        return
    import labkit.libraries  # torch, sooner than by itself  # noqa: F401
    from modules.loading import load_run
    from modules.parts import make_batches

    run = load_run(folder.path, wanted.device, wanted.datasets_dir, weights)
    config = run.config
    data = run.data
    trainer = run.trainer
    size = config.training.evaluation_batch_size
    then = result[weights]["metrics"]["validation/loss"]
    again = trainer.evaluate(make_batches(config, data, "validation", trainer.device).in_order(size)).metrics["loss"]
    if not math.isclose(then, again, rel_tol=0.02):  # more than another device or precision explains
        raise ValueError(f"{folder.path}: validation/loss was {then:.4g} and is {again:.4g} now: the code has changed")
    test = make_batches(config, data, "test", trainer.device)
    evaluation = trainer.evaluate(test.in_order(size))
    if wanted.predictions:
        with atomic_file(predictions) as file:
            predicted: dict[str, Any] = trainer.predict(test.in_order(size))
            np.savez(file, example=data.split.test, **predicted)
    metrics = {f"test/{name}": value for name, value in evaluation.metrics.items()}
    about = {"format": 1, **of, "split": "test", "metrics": metrics}
    about |= {"confusion_matrix": evaluation.confusion_matrix, "code_id": code_id()}
    write_json(target, about)
    shown = (f"{name} {value:.4f}" for name, value in metrics.items() if "_class_" not in name)
    print(f"{folder.path}: {', '.join(shown)}", flush=True)
