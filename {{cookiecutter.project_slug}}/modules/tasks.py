"""What runs/train.py and runs/evaluate.py do with a checked configuration.

Everything that needs torch is imported inside: a command that ends before a run starts answers at once.
"""

from __future__ import annotations

import glob
import math
import multiprocessing
import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modules.utils import provenance
from modules.utils.build import checked
from modules.utils.config import TrainConfig, nearest
from modules.utils.identity import data_version, differences, run_id, run_path
from modules.utils.interruption import Interruption
from modules.utils.run_folder import RunFolder, read_json, write_json

if TYPE_CHECKING:
    import torch

    from modules.data.sources import DataSet
    from modules.training.recorder import Recorder
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
    folder = RunFolder(run_path(config))
    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    if alone and not config.restart and is_finished(folder, config):
        return
    from modules.parts import set_up_torch
    from modules.utils.distributed import process_group

    device = set_up_torch(config)
    with process_group(device):
        _train_on(device, folder, config)


def discard(config: TrainConfig) -> None:
    """Deletes what a run has done so far, after saying what that is. ValueError where a process is writing it, or where
    the folder is not that of this run."""
    folder = RunFolder(run_path(config))
    if folder.path.exists():
        with folder.locked():
            _discard(folder, config)


def evaluate(config: EvaluateConfig) -> None:
    """The test set, once for each finished run: best weights, the run's own saved configuration -> test.json."""
    from modules.launching import sentence

    runs_dir = Path(config.runs_dir)
    pattern = f"{glob.escape(config.study) if config.study else '*'}/*/run.json"
    finished = sorted(path.parent for path in runs_dir.glob(pattern))
    if not finished:
        studies = sorted(path.name for path in runs_dir.glob("*") if path.is_dir())
        hint = nearest(config.study or "", studies)
        raise ValueError(f"study: no finished run in {runs_dir / (config.study or '')}; there is {studies}{hint}")
    problems = []
    for path in finished:
        try:
            _evaluate_once(RunFolder(path), config)
        except (ValueError, OSError) as error:
            problems.append(sentence(error) or str(error))  # the others are evaluated all the same
    if problems:
        raise ValueError("\n".join([f"{len(problems)} of {len(finished)} runs were not evaluated:", *problems]))


def _train_on(device: torch.device, folder: RunFolder, config: TrainConfig) -> None:
    """Checks everything, and only then makes the folder, or goes on in it."""
    from modules.parts import make_data, make_trainer
    from modules.records import log_kept, record_start, state_kept
    from modules.training.recorder import Recorder
    from modules.utils.distributed import first

    data = make_data(config)
    trainer = make_trainer(config, data, device)
    _check_tracker(config)
    with Interruption() as interruption, ExitStack() as lock:
        if first(lambda: _enter(folder, config, lock)):
            return
        with log_kept(folder, quiet=_in_worker()) as log:
            first(lambda: record_start(folder, config, data, log))
            with state_kept(folder, log):
                recorder = Recorder(folder, log, run_id(config), config.system, interruption)
                _train_in(folder, config, data, trainer, recorder)


def _enter(folder: RunFolder, config: TrainConfig, lock: ExitStack) -> bool:
    """Takes the lock, and the run as it stands there; returns whether it is finished."""
    lock.enter_context(folder.locked())
    if config.restart:
        _discard(folder, config)
        config.restart = False
    elif is_finished(folder, config):
        return True
    state = folder.read_state()
    if state.get("status") == "diverged":
        raise ValueError(
            f"{folder.path}: diverged ({state.get('reason')}); change a setting, or add restart=true to try it again"
        )
    return False


def _discard(folder: RunFolder, config: TrainConfig) -> None:
    files = [path for path in folder.path.rglob("*") if path.is_file() and path.name != ".lock"]
    if not files:
        return
    saved = folder.read_config()
    if not saved or differences(saved, asdict(config)):
        raise ValueError(f"{folder.path}: holds something else than this run; look at it and remove it by hand")
    megabytes = sum(path.lstat().st_size for path in files) / 2**20
    state = folder.read_state()
    done = f"{state.get('status', 'not begun')} at step {state.get('step', 0)}"
    print(f"restart: deletes {folder.path} ({done}, {len(files)} files, {megabytes:.1f} MB)", flush=True)
    folder.clear()


def _train_in(folder: RunFolder, config: TrainConfig, data: DataSet, trainer: Trainer, recorder: Recorder) -> None:
    from modules.records import result
    from modules.utils.distributed import rank

    log = recorder.log
    log.info(f"{folder.path}: {trainer.total_steps} steps, {trainer.steps_per_epoch} an epoch, on {trainer.device}")
    trainer.train(recorder)
    if trainer.best is None:
        raise ValueError(f"training.monitor: {config.training.monitor} was never a number; monitor another metric")
    costs = recorder.costs()
    if rank() == 0:
        folder.check_lock()
        write_json(folder.result, result(folder, config, data, trainer, costs))
        folder.write_state("finished", step=trainer.steps, seconds_left=0.0)
    early = f"stopped early at step {trainer.steps}" if trainer.stopped_early else "finished"
    best = trainer.best["metrics"][config.training.monitor]
    log.info(f"{early}: best {config.training.monitor} {best:.4f} at step {trainer.best['step']}")


def is_finished(folder: RunFolder, config: TrainConfig) -> bool:
    """Also says so, and whether the code has changed since. ValueError: see `finished_code`."""
    code = finished_code(folder, config)
    if code and not _in_worker():
        print(f"{folder.path}: finished already; nothing to do")
        if code != provenance.code_id():
            print("warning: it finished with other code than there is now; add restart=true to run it again")
    return code is not None


def finished_code(folder: RunFolder, config: TrainConfig) -> str | None:
    """The code_id of a finished run, None if it is not finished. ValueError where it was trained on other data."""
    result = folder.read_result()
    if result is None:
        return None
    trained_on, there_is = result["data"]["fingerprint"], data_version(config)
    if there_is not in (None, trained_on):
        raise ValueError(
            f"{folder.path}: finished on other data ({trained_on}, now {there_is}); add restart=true to run it again"
        )
    return result["launches"][-1]["code_id"]


def _in_worker() -> bool:
    """Of a sweep: the parent process speaks for it."""
    return multiprocessing.current_process().name != "MainProcess"


def _check_tracker(config: TrainConfig) -> None:
    from modules.training.trackers import Tracker

    if config.system.tracker:
        checked("system.tracker", config.system.tracker, Tracker, given=("folder", "first_step"))


def _evaluate_once(folder: RunFolder, wanted: EvaluateConfig) -> None:
    result, tested = folder.read_result(), read_json(folder.path / "test.json")
    if result is None:
        raise ValueError(f"{folder.result}: is damaged; the run's command writes it again")
    best_of = {"run_id": result["run_id"], "step": result["best"]["step"]}
    if isinstance(tested, dict) and tested | best_of == tested:
        print(f"{folder.path}: evaluated already")
        return
    from modules.loading import load_run
    from modules.parts import make_batches

    run = load_run(folder.path, wanted.device, wanted.datasets_dir)
    config, data, trainer = run.config, run.data, run.trainer
    size = config.training.evaluation_batch_size
    then = result["best"]["metrics"]["validation/loss"]
    again = trainer.evaluate(make_batches(config, data, "validation", trainer.device).in_order(size)).metrics["loss"]
    if not math.isclose(then, again, rel_tol=0.02):  # more than another device or precision explains
        raise ValueError(f"{folder.path}: validation/loss was {then:.4g} and is {again:.4g} now: the code has changed")
    evaluation = trainer.evaluate(make_batches(config, data, "test", trainer.device).in_order(size))
    metrics = {f"test/{name}": value for name, value in evaluation.metrics.items()}
    about = {"format": 1, **best_of, "split": "test", "metrics": metrics}
    about |= {"confusion_matrix": evaluation.confusion_matrix, "code_id": provenance.code_id()}
    write_json(folder.path / "test.json", about)
    shown = (f"{name} {value:.4f}" for name, value in metrics.items() if "_class_" not in name)
    print(f"{folder.path}: {', '.join(shown)}", flush=True)
