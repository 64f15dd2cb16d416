"""What a run folder says of its run besides what the trainer writes: configuration, provenance, state, run.json."""

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
from labkit.runs.identity import differences, run_id
from labkit.runs.interruption import Interrupted
from labkit.runs.progress import close_log, open_log
from labkit.runs.recorder import Recorder
from labkit.secrets import redact


class Diverged(ValueError):
    """The loss or the weights are no numbers any more."""


def record_start(
    folder: RunFolder,
    config: RunConfig,
    log: logging.Logger,
    *,
    data_fingerprint: str,
    command: str,
    files: Mapping[str, bytes],
) -> None:
    """config.yaml, one more entry of provenance.json, and the other `files` that belong to the run, by name.

    `command`: what starts this one run again. ValueError where the folder holds another configuration or was trained on
    other data.
    """
    saved = folder.read_config()
    if saved and (keys := differences(saved, asdict(config))):
        raise ValueError(f"{folder.path}: holds a run with another {', '.join(keys)}; remove or rename that folder")
    launches = read_json(folder.provenance) or []
    if launches and launches[-1]["data_fingerprint"] != data_fingerprint:
        raise ValueError(
            f"{folder.path}: began on other data ({launches[-1]['data_fingerprint']}); add restart=true to begin again"
        )
    record = provenance.launch_record(command, now()) | _gpu()
    record |= {"threads": torch.get_num_threads(), "processes": world_size()}
    record |= {"data_fingerprint": data_fingerprint, "diff": None}
    record |= {"study_file": provenance.study_files().get(config.study)}
    if launches and launches[-1]["code_id"] != record["code_id"]:
        log.warning("warning: this run goes on with other code than it began with")
    with atomic_file(folder.config) as file:  # first: it makes the folder one of a run
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
            log.handlers[0].emit(record)  # the file; the terminal gets it from labkit.launching
        raise


def write_result(
    folder: RunFolder,
    config: RunConfig,
    recorder: Recorder,
    result: dict[str, Any],
    steps: int,
    device: torch.device,
) -> None:
    """run.json, which says that the run is finished: what the trainer found, and what is known of the run besides.

    `result` is {"monitor", "best", "last", "confusion_matrix", "stopped_early", "parameters", "data"}.
    """
    costs = recorder.costs()  # of all processes
    if rank() != 0:
        return
    result = dict(result)
    parameters, data = result.pop("parameters"), result.pop("data")
    about = {
        "format": 1,
        "run_id": run_id(config),
        "name": folder.path.name,
        "study": config.study,
        "status": "finished",
        "finished": now(),
        "config": asdict(config),
        **result,
        "cost": {**_cost(costs, device), "parameters": parameters},
        "data": data,
        "seeds": {"training": config.seed, "split": config.data.get("split_seed")},
        "launches": read_json(folder.provenance),
    }
    folder.check_lock()
    write_json(folder.result, about)
    folder.write_state("finished", step=steps, seconds_left=0.0)


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _save_diff(folder: RunFolder, name: str, diff: bytes, log: logging.Logger) -> str:
    text = diff.decode(errors="surrogateescape")
    with atomic_file(folder.path / name) as file:
        file.write(redact(text).encode(errors="surrogateescape"))
    if redact(text) != text:
        log.warning(f"warning: {name} leaves out what looks like a secret, and so does not apply")
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
    """The largest resident size of this process; None where the system does not tell (Windows)."""
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


def _nothing(*_: Any, **__: Any) -> None:
    """What a process other than 0 writes of its state."""
