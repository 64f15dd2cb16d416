"""What a run folder says of its run besides what the trainer writes: configuration, provenance, state, run.json."""

import datetime
import logging
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from typing import Any

import torch
import yaml

from modules.data.sources import DataSet
from modules.launching import rerun_command, save_hydra_snapshot
from modules.training.progress import close_log, open_log
from modules.training.recorder import peak_memory_mb
from modules.training.trainer import Diverged, Trainer
from modules.utils import provenance
from modules.utils.config import TrainConfig
from modules.utils.distributed import naming_the_other, rank, world_size
from modules.utils.identity import differences, run_id
from modules.utils.interruption import Interrupted
from modules.utils.run_folder import RunFolder, atomic_file, read_json, write_json
from modules.utils.secrets import redact


def record_start(folder: RunFolder, config: TrainConfig, data: DataSet, log: logging.Logger) -> None:
    """config.yaml, split.npz, .hydra/ and one more entry of provenance.json. ValueError where the folder holds another
    configuration or was trained on other data."""
    saved = folder.read_config()
    if saved and (keys := differences(saved, asdict(config))):
        raise ValueError(f"{folder.path}: holds a run with another {', '.join(keys)}; remove or rename that folder")
    launches = read_json(folder.path / "provenance.json") or []
    if launches and launches[-1]["data_fingerprint"] != data.fingerprint:
        raise ValueError(
            f"{folder.path}: began on other data ({launches[-1]['data_fingerprint']}); add restart=true to begin anew"
        )
    record = provenance.launch_record(rerun_command(), now()) | _gpu()
    record |= {"threads": torch.get_num_threads(), "processes": world_size()}
    record |= {"data_fingerprint": data.fingerprint, "diff": None}
    record |= {"study_file": provenance.study_files().get(config.study)}
    if launches and launches[-1]["code_id"] != record["code_id"]:
        log.warning("warning: this run goes on with other code than it began with")
    with atomic_file(folder.path / "config.yaml") as file:  # first: it makes the folder one of a run
        file.write(yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True).encode())
    if diff := provenance.code_diff():
        record["diff"] = f"code-{record['code_id']}.diff"
        text = diff.decode(errors="surrogateescape")
        with atomic_file(folder.path / record["diff"]) as file:
            file.write(redact(text).encode(errors="surrogateescape"))
        if redact(text) != text:
            log.warning(f"warning: {record['diff']} leaves out what looks like a secret, and so does not apply")
    with atomic_file(folder.path / "split.npz") as file:
        file.write(data.split.to_bytes())
    save_hydra_snapshot(folder.path / ".hydra")
    write_json(folder.path / "provenance.json", [*launches, record])


@contextmanager
def log_kept(folder: RunFolder, *, quiet: bool) -> Iterator[logging.Logger]:
    """train.log, and the terminal unless `quiet`. Only process 0 of a run has one; another writes why it failed."""
    log = open_log(folder.log if rank() == 0 else folder.path / f"train-rank{rank()}.log", quiet=quiet or rank() > 0)
    if rank() > 0:
        log.setLevel(logging.ERROR)
    try:
        yield log
    finally:
        close_log(log)


@contextmanager
def state_kept(folder: RunFolder, log: logging.Logger) -> Iterator[None]:
    """Leaves in state.json how the run ended, and the traceback of a failure in train.log."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID")
    write = folder.write_state if rank() == 0 else _nothing
    write("running", started=time.time(), reason=None, job=job, log=folder.log.name)
    try:
        with folder.heartbeat() if rank() == 0 else nullcontext(), naming_the_other():
            yield
    except (Interrupted, KeyboardInterrupt) as error:
        write("interrupted", reason=str(error) or "Ctrl-C twice")
        raise
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        with suppress(OSError):  # the disk may be full: that is then the error
            write("diverged" if isinstance(error, Diverged) else "failed", reason=f"{kind}{error}".splitlines()[0])
            record = log.makeRecord("run", logging.ERROR, "", 0, traceback.format_exc(), (), None)
            log.handlers[0].emit(record)  # the file; the terminal gets it from launching.py
        raise


def result(folder: RunFolder, config: TrainConfig, data: DataSet, trainer: Trainer, costs: dict[str, float]) -> Any:
    """The content of run.json."""
    assert trainer.best is not None
    assert trainer.last is not None
    return {
        "format": 1,
        "run_id": run_id(config),
        "name": folder.path.name,
        "study": config.study,
        "status": "finished",
        "finished": now(),
        "config": asdict(config),
        "monitor": {"metric": config.training.monitor, "direction": config.training.direction},
        "best": {name: trainer.best[name] for name in ("step", "epoch", "metrics")},
        "last": {name: trainer.last[name] for name in ("step", "epoch", "metrics")},
        "confusion_matrix": trainer.best["confusion_matrix"],
        "stopped_early": trainer.stopped_early,
        "cost": _cost(trainer, costs),
        "data": _about_data(config, data),
        "seeds": {"training": config.seed, "split": config.data.get("split_seed")},
        "launches": read_json(folder.path / "provenance.json"),
    }


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _cost(trainer: Trainer, costs: dict[str, float]) -> dict[str, float | int | None]:
    on_gpu = trainer.device.type == "cuda"
    return {
        "wall_s": costs["wall_s"],
        "cpu_s": costs["cpu_s"],
        "gpu_s": costs["wall_s"] * world_size() if on_gpu else 0.0,
        "examples_per_s": costs["examples"] / costs["training_s"] if costs["training_s"] else None,
        "peak_memory_mb": peak_memory_mb(),
        "peak_gpu_memory_mb": torch.cuda.max_memory_allocated() / 2**20 if on_gpu else None,
        "parameters": sum(p.numel() for p in trainer.bare.parameters()),
    }


def _about_data(config: TrainConfig, data: DataSet) -> dict[str, Any]:
    return {
        "name": config.data["name"],
        "fingerprint": data.fingerprint,
        "split_fingerprint": data.split.fingerprint(),
        "examples": {part: len(getattr(data.split, part)) for part in ("train", "validation", "test")},
        "input_shape": list(data.input_shape),
        "classes": data.classes,
    }


def _gpu() -> dict[str, str | None]:
    if not torch.cuda.is_available():
        return {"gpu": None, "cuda": None, "driver": None}
    return {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda, "driver": provenance.gpu_driver()}


def _nothing(*_: Any, **__: Any) -> None:
    """What a process other than 0 writes of its state."""
