"""What runs/train.py and runs/evaluate.py do with a checked configuration: build the parts, call the trainer, write
run.json or test.json.

torch is imported inside the functions: a command that ends before a run starts answers at once.
"""

from __future__ import annotations

import datetime
import multiprocessing
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from modules.launching import rerun_command, save_hydra_snapshot
from modules.utils import provenance
from modules.utils.build import build
from modules.utils.config import TrainConfig, nearest, typed
from modules.utils.identity import differences, run_id, run_name
from modules.utils.run_folder import RunFolder, atomic_file, read_json, write_json

if TYPE_CHECKING:
    import logging

    import torch

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
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    device = _set_up_torch(config)
    data: DataSet = build("data", config.data, datasets_dir=config.system.datasets_dir)
    trainer = make_trainer(config, data, device)
    tracker_class = _tracker(config)
    with folder.locked():
        from modules.training.progress import close_log, open_log

        log = open_log(folder.log, quiet=multiprocessing.current_process().name != "MainProcess")
        try:
            _record_start(folder, config, data, started, log)
            with _state_kept(folder, log):
                _train_in(folder, config, data, trainer, log, tracker_class)
        finally:
            close_log(log)


def evaluate(config: EvaluateConfig) -> None:
    """The test set, once for each finished run: best weights, the run's own saved configuration -> test.json."""
    study = config.study or "*"
    runs_dir = Path(config.runs_dir)
    finished = sorted(path.parent for path in runs_dir.glob(f"{study}/*/run.json"))
    if not finished:
        studies = sorted(path.name for path in runs_dir.glob("*") if path.is_dir())
        hint = nearest(config.study, studies) if config.study else ""
        raise ValueError(f"study: no finished run in {runs_dir / study}; studies there: {', '.join(studies)}{hint}")
    for path in finished:
        if (path / "test.json").exists():
            print(f"{path}: evaluated already")
            continue
        metrics = _evaluate_run(RunFolder(path), config)
        print(f"{path}: " + ", ".join(f"{k} {v:.4f}" for k, v in metrics.items() if "_class_" not in k), flush=True)


def make_trainer(config: TrainConfig, data: DataSet, device: torch.device) -> Trainer:
    """Model, optimizer and batches as configured. ValueError where they do not fit together."""
    import torch

    from modules.training.classification import ClassificationTrainer
    from modules.training.trainer import steps_per_epoch
    from modules.utils.randomness import key

    steps_per_epoch(len(data.split.train), config.training)
    torch.manual_seed(key("weights", config.seed))
    network = build("model", config.model, input_shape=data.input_shape, classes=data.classes).to(device)
    return ClassificationTrainer(
        network=network,
        optimizer=build("optimizer", config.optimizer, params=network.parameters()),
        training=make_batches(config, data, "train", device),
        validation=make_batches(config, data, "validation", device),
        config=config.training,
        seed=config.seed,
        device=device,
    )


def make_batches(config: TrainConfig, data: DataSet, part: str, device: torch.device) -> Any:
    """The batches of one part of the split ("train", "validation", "test"), by the data path the data set asks for."""
    from modules.data.batches import LoaderBatches, TensorBatches

    indices = getattr(data.split, part)
    max_shift = data.max_shift if part == "train" else 0
    if data.in_memory:
        return TensorBatches(data, indices, device, config.seed, max_shift)
    return LoaderBatches(data, indices, device, config.seed, max_shift, config.system.loader_workers)


def _train_in(
    folder: RunFolder, config: TrainConfig, data: DataSet, trainer: Trainer, log: logging.Logger, tracker_class: Any
) -> None:
    from modules.training.recorder import Recorder

    recorder = Recorder(
        folder,
        log,
        lambda path, step: tracker_class(folder=path, first_step=step) if tracker_class else None,
        run_id=run_id(config),
        log_every_steps=config.system.log_every_steps,
        checkpoint_minutes=config.system.checkpoint_minutes,
    )
    log.info(f"{folder.path}: {trainer.total_steps} steps of {trainer.steps_per_epoch} an epoch on {trainer.device}")
    try:
        trainer.train(recorder)
    finally:
        recorder.close()
    if trainer.best is None:
        raise ValueError(f"training.monitor: {config.training.monitor} was never a number; lower optimizer.lr")
    result = _result(folder, config, data, trainer, recorder.costs())
    write_json(folder.result, result)
    best = trainer.best["metrics"][config.training.monitor]
    log.info(f"finished: best {config.training.monitor} {best:.4f} at step {trainer.best['step']}")


def _result(
    folder: RunFolder, config: TrainConfig, data: DataSet, trainer: Trainer, costs: dict[str, float]
) -> dict[str, Any]:
    import torch

    from modules.training.recorder import peak_memory_mb

    on_gpu = trainer.device.type == "cuda"
    assert trainer.best is not None and trainer.last is not None
    return {
        "format": 1,
        "run_id": run_id(config),
        "name": folder.path.name,
        "study": config.study,
        "status": "finished",
        "finished": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "config": asdict(config),
        "monitor": {"metric": config.training.monitor, "direction": config.training.direction},
        "best": {name: trainer.best[name] for name in ("step", "epoch", "metrics")},
        "last": {name: trainer.last[name] for name in ("step", "epoch", "metrics")},
        "confusion_matrix": trainer.best["confusion_matrix"],
        "stopped_early": trainer.stopped_early,
        "cost": {
            "wall_s": costs["wall_s"],
            "cpu_s": costs["cpu_s"],
            "gpu_s": costs["wall_s"] if on_gpu else 0.0,
            "examples_per_s": costs["examples"] / costs["training_s"] if costs["training_s"] else None,
            "peak_memory_mb": peak_memory_mb(),
            "peak_gpu_memory_mb": torch.cuda.max_memory_allocated() / 2**20 if on_gpu else None,
            "parameters": sum(p.numel() for p in trainer.bare.parameters()),
        },
        "data": _about_data(config, data),
        "seeds": {"training": config.seed, "split": config.data.get("split_seed")},
        "launches": read_json(folder.path / "provenance.json"),
    }


def _about_data(config: TrainConfig, data: DataSet) -> dict[str, Any]:
    parts = {part: len(getattr(data.split, part)) for part in ("train", "validation", "test")}
    return {
        "name": config.data["name"],
        "fingerprint": data.fingerprint,
        "split_fingerprint": data.split.fingerprint(),
        "examples": parts,
        "input_shape": list(data.input_shape),
        "classes": data.classes,
    }


def _record_start(
    folder: RunFolder, config: TrainConfig, data: DataSet, started: str, log: logging.Logger
) -> None:
    """config.yaml, split.npz, .hydra/ and one more entry of provenance.json. ValueError where the folder holds another
    configuration or was trained on other data."""
    import torch

    saved = _read_yaml(folder.path / "config.yaml")
    if saved and (keys := differences(saved, asdict(config))):
        raise ValueError(f"{folder.path}: holds a run with another {', '.join(keys)}; remove or rename that folder")
    launches = read_json(folder.path / "provenance.json") or []
    record = provenance.launch_record(rerun_command(), started) | {"threads": torch.get_num_threads()}
    record |= _gpu() | {"data_fingerprint": data.fingerprint, "diff": None}
    if launches and launches[-1]["data_fingerprint"] != data.fingerprint:
        raise ValueError(f"{folder.path}: began on other data ({launches[-1]['data_fingerprint']}); remove that folder")
    if launches and launches[-1]["code_id"] != record["code_id"]:
        log.warning("warning: this run goes on with other code than it began with")
    if diff := provenance.code_diff():
        record["diff"] = f"code-{record['code_id']}.diff"
        with atomic_file(folder.path / record["diff"]) as file:
            file.write(diff)
    with atomic_file(folder.path / "config.yaml") as file:
        file.write(yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True).encode())
    with atomic_file(folder.path / "split.npz") as file:
        file.write(data.split.to_bytes())
    save_hydra_snapshot(folder.path / ".hydra")
    write_json(folder.path / "provenance.json", [*launches, record])


@contextmanager
def _state_kept(folder: RunFolder, log: logging.Logger) -> Iterator[None]:
    """Leaves in state.json how the run ended, and the traceback of a failure in train.log."""
    folder.write_state("running", started=time.time(), reason=None, job=os.environ.get("SLURM_JOB_ID"))
    try:
        yield
    except KeyboardInterrupt:
        folder.write_state("interrupted", reason="Ctrl-C")
        log.info("interrupted; the same command resumes this run")
        raise
    except Exception as error:
        folder.write_state("failed", reason=f"{type(error).__name__}: {error}".splitlines()[0])
        for handler in log.handlers[:1]:  # the file; the terminal gets it from launching.py
            handler.emit(log.makeRecord("run", 40, "", 0, traceback.format_exc(), (), None))
        raise
    folder.write_state("finished", reason=None)


def _evaluate_run(folder: RunFolder, wanted: EvaluateConfig) -> dict[str, float]:
    saved = _read_yaml(folder.path / "config.yaml")
    saved["system"] |= {"device": wanted.device, "datasets_dir": wanted.datasets_dir, "tracker": None}
    config = typed(TrainConfig, saved)
    device = _set_up_torch(config)

    from modules.training.checkpoint import load_checkpoint

    data: DataSet = build("data", config.data, datasets_dir=config.system.datasets_dir)
    result = read_json(folder.result)
    if result["data"]["fingerprint"] != data.fingerprint or result["data"]["split_fingerprint"] != data.split.fingerprint():
        raise ValueError(f"{folder.path}: was trained on other data or another split; the test set is not the same")
    trainer = make_trainer(config, data, device)
    best = load_checkpoint(folder.checkpoints / "best.pt", device)
    trainer.load_weights(best["network"])
    evaluation = trainer.evaluate(
        make_batches(config, data, "test", device).in_order(config.training.evaluation_batch_size)
    )
    metrics = {f"test/{name}": value for name, value in evaluation.metrics.items()}
    about = {"format": 1, "run_id": result["run_id"], "split": "test", "step": best["step"], "metrics": metrics}
    write_json(folder.path / "test.json", about | {"confusion_matrix": evaluation.confusion_matrix})
    return metrics


def _set_up_torch(config: TrainConfig) -> torch.device:
    """The device asked for. ValueError where there is no GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
    import torch

    if config.system.threads:
        torch.set_num_threads(config.system.threads)
    if config.system.device == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"system.device: no GPU visible (torch {torch.__version__}); use cpu or auto")
    name = "cuda" if torch.cuda.is_available() and config.system.device != "cpu" else "cpu"
    if name == "cuda":
        torch.use_deterministic_algorithms(config.training.deterministic)
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method("fork", force=True)  # DataLoader workers fail under joblib's start method
    return torch.device(name)


def _tracker(config: TrainConfig) -> Any:
    if config.system.tracker is None:
        return None
    from modules.utils.build import locate

    return locate("system.tracker", config.system.tracker["_target_"])


def _gpu() -> dict[str, str | None]:
    import torch

    if not torch.cuda.is_available():
        return {"gpu": None, "cuda": None}
    return {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}


def _say_finished(folder: RunFolder) -> None:
    print(f"{folder.path}: finished already; nothing to do")
    launches = (read_json(folder.result) or {}).get("launches") or [{}]
    if launches[-1].get("code_id") != provenance.code_id():
        print(f"warning: {folder.path}: finished with other code than there is now; remove the folder to run it again")


def _read_yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
