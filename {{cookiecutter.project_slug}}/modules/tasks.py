"""What runs/train.py and runs/evaluate.py do with a checked configuration.

Everything that needs torch is imported inside: a command that ends before a run starts answers at once.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modules.utils import provenance
from modules.utils.build import checked
from modules.utils.config import TrainConfig, nearest, typed
from modules.utils.identity import run_id, run_name
from modules.utils.run_folder import RunFolder, read_json, write_json

if TYPE_CHECKING:
    import logging

    from modules.data.sources import DataSet
    from modules.training.trainer import Trainer


@dataclass
class EvaluateConfig:
    """config/evaluate.yaml, explained there."""

    study: str | None
    device: str
    runs_dir: str
    datasets_dir: str


def train(config: TrainConfig) -> None:
    """One run, from where it stands: begun, resumed or, if it is finished, left alone."""
    folder = RunFolder(Path(config.system.runs_dir) / config.study / run_name(config))
    if folder.finished:
        _say_finished(folder)
        return
    from modules.parts import make_data, make_trainer, set_up_torch
    from modules.records import record_start, state_kept
    from modules.training.progress import close_log, open_log

    device = set_up_torch(config)
    data = make_data(config)
    trainer = make_trainer(config, data, device)
    _check_tracker(config)
    with folder.locked():
        if folder.finished:  # by the process that held the lock until now
            _say_finished(folder)
            return
        in_worker = multiprocessing.current_process().name != "MainProcess"
        log = open_log(folder.log, quiet=in_worker)  # the parent of a sweep's workers speaks for them
        try:
            record_start(folder, config, data, log)
            with state_kept(folder, log):
                _train_in(folder, config, data, trainer, log)
        finally:
            close_log(log)


def evaluate(config: EvaluateConfig) -> None:
    """The test set, once for each finished run: best weights, the run's own saved configuration -> test.json."""
    runs_dir = Path(config.runs_dir)
    finished = sorted(path.parent for path in runs_dir.glob(f"{config.study or '*'}/*/run.json"))
    if not finished:
        studies = sorted(path.name for path in runs_dir.glob("*") if path.is_dir())
        hint = nearest(config.study or "", studies)
        raise ValueError(f"study: no finished run in {runs_dir / (config.study or '')}; there is {studies}{hint}")
    problems = []
    for path in finished:
        try:
            _evaluate_once(RunFolder(path), config)
        except ValueError as error:
            problems.append(str(error))  # the others are evaluated all the same
    if problems:
        raise ValueError("\n".join([f"{len(problems)} of {len(finished)} runs were not evaluated:", *problems]))


def _train_in(folder: RunFolder, config: TrainConfig, data: DataSet, trainer: Trainer, log: logging.Logger) -> None:
    from modules.records import result
    from modules.training.recorder import Recorder

    recorder = Recorder(folder, log, run_id(config), config.system)
    log.info(f"{folder.path}: {trainer.total_steps} steps, {trainer.steps_per_epoch} an epoch, on {trainer.device}")
    trainer.train(recorder)
    if trainer.best is None:
        raise ValueError(f"training.monitor: {config.training.monitor} was never a number; monitor another metric")
    write_json(folder.result, result(folder, config, data, trainer, recorder.costs()))
    folder.write_state("finished", step=trainer.steps, seconds_left=0.0)
    early = f"stopped early at step {trainer.steps}" if trainer.stopped_early else "finished"
    best = trainer.best["metrics"][config.training.monitor]
    log.info(f"{early}: best {config.training.monitor} {best:.4f} at step {trainer.best['step']}")


def _say_finished(folder: RunFolder) -> None:
    print(f"{folder.path}: finished already; nothing to do")
    if folder.read_result()["launches"][-1]["code_id"] != provenance.code_id():
        print("warning: it finished with other code than there is now; remove the folder to run it again")


def _check_tracker(config: TrainConfig) -> None:
    from modules.training.trackers import Tracker

    if config.system.tracker:
        checked("system.tracker", config.system.tracker, Tracker, given=("folder", "first_step"))


def _evaluate_once(folder: RunFolder, wanted: EvaluateConfig) -> None:
    result, tested = folder.read_result(), read_json(folder.path / "test.json")
    if tested and (tested["run_id"], tested["step"]) == (result["run_id"], result["best"]["step"]):
        print(f"{folder.path}: evaluated already")
        return
    from modules.parts import make_batches, make_data, make_trainer, set_up_torch
    from modules.records import read_config
    from modules.training.checkpoint import load_checkpoint

    saved = read_config(folder.path)
    saved["system"] |= {"device": wanted.device, "datasets_dir": wanted.datasets_dir, "threads": None, "tracker": None}
    config = typed(TrainConfig, saved)
    device = set_up_torch(config)
    best = load_checkpoint(folder.checkpoints / "best.pt", device)
    if best["step"] != result["best"]["step"]:
        raise ValueError(f"{folder.path}: best.pt is of step {best['step']}, which run.json does not call the best")
    data, about = make_data(config), result["data"]
    if (about["fingerprint"], about["split_fingerprint"]) != (data.fingerprint, data.split.fingerprint()):
        raise ValueError(f"{folder.path}: was trained on other data or another split; the test set is not the same")
    trainer = make_trainer(config, data, device)
    trainer.load_weights(best["network"])
    test = make_batches(config, data, "test", device)
    evaluation = trainer.evaluate(test.in_order(config.training.evaluation_batch_size))
    metrics = {f"test/{name}": value for name, value in evaluation.metrics.items()}
    about = {"format": 1, "run_id": best["run_id"], "split": "test", "step": best["step"], "metrics": metrics}
    write_json(folder.path / "test.json", about | {"confusion_matrix": evaluation.confusion_matrix})
    shown = (f"{name} {value:.4f}" for name, value in metrics.items() if "_class_" not in name)
    print(f"{folder.path}: {', '.join(shown)}", flush=True)
