"""The life of a run, from its checked configuration to run.json. Begin reading here.

What needs torch is imported inside: a command that ends before a run starts answers at once.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from labkit.runs.data_files import file_marks
from labkit.runs.folder import RunFolder
from labkit.runs.identity import run_id, run_path
from labkit.runs.interruption import Interruption
from labkit.runs.standing import enter, in_sweep, is_finished
from modules.config import TrainConfig
from modules.data.splits import PARTS

if TYPE_CHECKING:
    from modules.data.base import Data
    from modules.training.trainer import Trainer


def train(config: TrainConfig) -> None:
    """One run, from where it stands: begun, resumed or, if it is finished, left alone."""
    if config.system.debug:
        from modules.debug import debug

        return debug(config, train)
    folder = RunFolder(run_path(config))
    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    if alone and not config.restart and is_finished(folder, config):
        return
    if alone and config.training.sharding == "full":
        raise ValueError("training.sharding: full shares a network among several processes; start them with torchrun")
    import labkit.libraries  # torch, sooner than by itself  # noqa: F401
    from labkit.distributed import first, process_group
    from labkit.launching.command import hydra_snapshot, rerun_command
    from labkit.runs.recorder import Recorder, check_tracker
    from labkit.runs.records import log_kept, record_start, state_kept, write_result
    from modules.parts import make_data, make_trainer, set_up_torch

    device = set_up_torch(config)
    with process_group(device):  # one process, or several that torchrun or Slurm has started
        # Check: all parts are built before anything is written, so that a mistake leaves no folder behind.
        data = make_data(config)
        marks = file_marks(data.files)
        trainer = make_trainer(config, data, device)
        check_tracker(config.system)
        with Interruption() as interruption, ExitStack() as lock:
            # Lock: only one process at a time may write a run, and it may have finished in the meantime.
            if not first(lambda: enter(folder, config, lock)):
                return
            with log_kept(folder, quiet=in_sweep()) as log:
                # Record: where this run comes from, before its first step.
                files = {"split.npz": data.split.to_bytes(), **hydra_snapshot()}
                about = {"data_fingerprint": data.fingerprint, "command": rerun_command(), "device": device.type}
                first(lambda: record_start(folder, config, log, files=files, **about))
                with (
                    state_kept(folder, log),
                    Recorder(folder, log, interruption, run_id(config), config.system, trainer.workload) as recorder,
                ):
                    # Train, or go on from the last checkpoint.
                    total = trainer.total_steps
                    per_epoch = trainer.steps_per_epoch
                    for warning in data.warnings:
                        log.warning(f"warning: {warning}")
                    log.info(f"{folder.path}: {total} steps, {per_epoch} an epoch, on {device}")
                    trainer.train(recorder)
                    # Finish: run.json comes last, and says that all the rest is there.
                    found = results(config, data, marks, trainer)
                    write_result(folder, config, recorder, found, trainer.steps, device)
                    log.info(_summary(config, trainer))


def results(config: TrainConfig, data: Data, marks: dict[str, Any], trainer: Trainer) -> dict[str, Any]:
    """What run.json holds of the training and its data; labkit adds where, when and by what code."""
    best = trainer.monitor.best
    last = trainer.monitor.last
    if best is None or last is None:
        raise ValueError(f"training.monitor: {config.training.monitor} was never a number; monitor another metric")
    return {
        "monitor": {"metric": config.training.monitor, "direction": trainer.monitor.direction},
        "metrics": {name: asdict(metric) for name, metric in trainer.task.metrics.items()},
        "best": {name: best[name] for name in ("step", "epoch", "metrics")},
        "last": {name: last[name] for name in ("step", "epoch", "metrics")},
        "confusion_matrix": best["confusion_matrix"],
        "stopped_early": trainer.monitor.stopped_early,
        "parameters": sum(p.numel() for p in trainer.bare.parameters()),
        "data": {
            "name": config.data["name"],
            "fingerprint": data.fingerprint,
            "split_fingerprint": data.split.fingerprint(),
            "split_kind": data.split.kind,
            "examples": {part: len(data.split.part(part)) for part in PARTS},
            "files": marks,
            "warnings": data.warnings,
            "facts": data.facts,
            **({"classes": len(data.facts["class_names"])} if "class_names" in data.facts else {}),
        },
    }


def _summary(config: TrainConfig, trainer: Trainer) -> str:
    best = trainer.monitor.best
    assert best is not None
    ended = f"stopped early at step {trainer.steps}" if trainer.monitor.stopped_early else "finished"
    metric = config.training.monitor
    return f"{ended}: best {metric} {best['metrics'][metric]:.4f} at step {best['step']}"
