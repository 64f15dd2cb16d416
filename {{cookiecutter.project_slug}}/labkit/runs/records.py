"""What a run folder says about its run, besides what the trainer writes: configuration, provenance, state, run.json."""

import datetime
import logging
import os
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from typing import Any

import torch
import yaml

from labkit.config import RunConfig
from labkit.distributed import naming_the_other, rank, world_size
from labkit.runs import provenance
from labkit.runs.files import atomic_file, read_json, write_json
from labkit.runs.folder import RunFolder
from labkit.runs.identity import ABSENT, differences, run_id
from labkit.runs.interruption import Interrupted
from labkit.runs.progress import LogFile, open_log
from labkit.runs.pruning import Pruned
from labkit.runs.recorder import Recorder
from labkit.runs.spent import ended_launches


class Diverged(ValueError):
    """The loss or the weights are no longer numbers."""


def record_start(
    folder: RunFolder,
    config: RunConfig,
    log: logging.Logger,
    *,
    data_fingerprint: str,
    command: str,
    device: str,
    files: Mapping[str, bytes],
) -> None:
    """Writes config.yaml, one more entry of provenance.json, and the other `files` that belong to the run, by name.

    `command` runs this one run again. ValueError if the folder holds another configuration or was trained on other
    data.
    """
    saved = folder.read_config()
    if saved and (keys := differences(saved, asdict(config), config.NEUTRAL)):
        raise ValueError(f"{folder.path}: holds a run with another {', '.join(keys)}; remove or rename that folder")
    launches = ended_launches(folder)
    if launches and launches[-1]["data_fingerprint"] != data_fingerprint:
        raise ValueError(
            f"{folder.path}: began on other data ({launches[-1]['data_fingerprint']}); add restart=true to start over"
        )
    record = provenance.launch_record(command, now()) | _gpu()
    record |= {"device": device, "threads": torch.get_num_threads(), "processes": world_size()}
    record |= {"data_fingerprint": data_fingerprint, "diff": None}
    record |= {"study_file": provenance.study_files().get(config.study)}
    if launches and launches[-1]["code_id"] != record["code_id"]:
        log.warning("warning: this run continues with code that has changed since it began")
    with atomic_file(folder.config) as file:  # first: it makes the folder a run's
        file.write(yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True).encode())
    if diff := provenance.code_diff():
        record["diff"] = _save_diff(folder, f"code-{record['code_id']}.diff", diff, log)
    for name, content in files.items():
        (folder.path / name).parent.mkdir(exist_ok=True)
        with atomic_file(folder.path / name) as file:
            file.write(content)
    write_json(folder.provenance, [*launches, record])


@contextmanager
def log_kept(folder: RunFolder, *, quiet: bool) -> Iterator[logging.Logger]:
    """train.log, and the terminal unless `quiet`. Processes other than the first only write why they failed."""
    path = folder.log if rank() == 0 else folder.path / f"train-rank{rank()}.log"
    with open_log(path, quiet=quiet or rank() > 0) as log:
        if rank() > 0:
            log.setLevel(logging.ERROR)
        yield log


@contextmanager
def state_kept(folder: RunFolder, log: logging.Logger) -> Iterator[None]:
    """Keeps state.json up to date until it says how the run ended; the traceback of a failure goes into train.log."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID")
    _write_state(folder, "running", started=time.time(), reason=None, job=job, log=folder.log.name)
    try:
        with folder.heartbeat() if rank() == 0 else nullcontext(), naming_the_other():
            yield
    except (Interrupted, KeyboardInterrupt) as error:
        _write_state(folder, "interrupted", reason=str(error) or "Ctrl-C twice")
        raise
    except Pruned as error:
        log.info(f"pruned: {error}")
        _write_state(folder, "pruned", reason=str(error))
        raise
    except Exception as error:
        status = "diverged" if isinstance(error, Diverged) else "failed"
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        with suppress(OSError):  # the disk may be full, which is then the error
            _write_state(folder, status, reason=f"{kind}{error}".splitlines()[0])
            record = log.makeRecord("run", logging.ERROR, "", 0, traceback.format_exc(), (), None)
            for handler in log.handlers:
                if isinstance(handler, LogFile):  # the terminal gets it from labkit.launching
                    handler.emit(record)
        raise


def write_result(
    folder: RunFolder, config: RunConfig, recorder: Recorder, result: dict[str, Any], steps: int, device: torch.device
) -> None:
    """run.json, which says that the run is finished: what the trainer found, and what else is known of the run.

    `result` is {"monitor", "best", "last", "confusion_matrix", "stopped_early", "parameters", "data"}.
    """
    costs = recorder.costs()  # of all processes
    if rank() != 0:
        return
    found = dict(result)
    data = found.pop("data")
    cost = {**_cost(costs, device), "parameters": found.pop("parameters")}
    about = {
        "format": 1,
        "run_id": run_id(config),
        "name": folder.path.name,
        "study": config.study,
        "status": "finished",
        "finished": now(),
        "config": asdict(config),
        "neutral": {key: list(n)[: 1 if n.before is ABSENT else 2] for key, n in config.NEUTRAL.items()},
        **found,
        "cost": cost,
        "data": data,
        "seeds": {"training": config.seed, "split": config.data.get("split_seed")},
        "launches": read_json(folder.provenance),
    }
    folder.check_lock()
    write_json(folder.result, about)
    folder.write_state("finished", step=steps, seconds_left=0.0)


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _write_state(folder: RunFolder, status: str, **values: Any) -> None:
    if rank() == 0:
        folder.write_state(status, **values)


def _save_diff(folder: RunFolder, name: str, diff: bytes, log: logging.Logger) -> str:
    with atomic_file(folder.path / name) as file:
        file.write(diff)
    if diff.startswith(provenance.INCOMPLETE):
        log.warning(f"warning: {name} leaves out what looks like a secret, so it cannot be applied")
    return name


def _cost(costs: dict[str, float], device: torch.device) -> dict[str, float | int | None]:
    on_gpu = device.type == "cuda"
    return {
        "wall_s": costs["wall_s"],
        "cpu_s": costs["cpu_s"],
        "gpu_s": costs["wall_s"] * world_size() if on_gpu else 0.0,
        "examples_per_s": costs["examples"] / costs["training_s"] if costs["training_s"] else None,
        "peak_memory_mb": _peak_memory_mb(),
        "peak_gpu_memory_mb": torch.cuda.max_memory_allocated() / 2**20 if on_gpu else None,
    }


def _peak_memory_mb() -> float | None:
    """The largest resident size of this process; None if the system does not say (Windows)."""
    with suppress(OSError, IndexError), open("/proc/self/status", encoding="utf-8") as file:
        return int(file.read().split("VmHWM:")[1].split()[0]) / 2**10
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def _gpu() -> dict[str, str | None]:
    if not torch.cuda.is_available():
        return {"gpu": None, "cuda": None, "driver": None}
    return {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda, "driver": provenance.gpu_driver()}
