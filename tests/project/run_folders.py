"""Makes run folders as training leaves them, with numbers that a test may choose."""

import hashlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import yaml
from labkit.reporting.analysis.study_file import StudyFile

EPOCHS = 5
STEPS_PER_EPOCH = 18


def config_of(study: str = "depth", model: str = "net2", seed: int = 0, **changes: Any) -> dict[str, Any]:
    """A resolved configuration; `changes` are dotted keys: **{"optimizer.lr": 0.1}."""
    config: dict[str, Any] = {
        "study": study,
        "seed": seed,
        "model": {
            "_target_": "modules.models.networks.ConvNet",
            "name": model,
            "channels": 16,
            "hidden_layers": int(model[-1]) if model[-1].isdigit() else 1,
        },
        "data": {"_target_": "modules.data.sources.PreparedArrays", "name": "digits", "split_seed": 0},
        "optimizer": {"_target_": "torch.optim.AdamW", "name": "adamw", "lr": 0.001, "weight_decay": 0.01},
        "training": {"epochs": EPOCHS, "batch_size": 64, "monitor": "validation/accuracy", "clip_norm": None},
        "system": {"device": "cpu", "threads": 1},
    }
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        (config[section] if section else config)[name] = value
    return config


def add_run(
    study: Path,
    model: str = "net2",
    seed: int = 0,
    accuracy: float | None = 0.95,
    test: float | None = None,
    **changes: Any,
) -> Path:
    """A finished run whose best validation accuracy is `accuracy`; `test`: its accuracy on the test split."""
    config = config_of(study.name, model, seed, **changes)
    folder = _folder(study, config)
    rows = [_row(epoch, accuracy if accuracy is not None else float("nan"), seed) for epoch in range(1, EPOCHS + 1)]
    _write_metrics(folder, rows)
    best, last = rows[-2], rows[-1]
    record = {
        "format": 1,
        "run_id": folder.name[-12:],
        "name": folder.name,
        "study": study.name,
        "status": "finished",
        "finished": "2026-11-21T10:00:00+00:00",
        "config": config,
        "monitor": {"metric": "validation/accuracy", "direction": "max"},
        "best": _evaluation(best),
        "last": _evaluation(last),
        "confusion_matrix": [[9, 1], [2, 8]],
        "stopped_early": False,
        "cost": {"wall_s": 12.5 + seed, "cpu_s": 12.0, "gpu_s": 0.0, "examples_per_s": 5000.0, "peak_memory_mb": 310.0}
        | {"peak_gpu_memory_mb": None, "parameters": 12345},
        "data": {
            "name": "digits",
            "fingerprint": "d1",
            "split_fingerprint": "s1",
            "input_shape": [1, 8, 8],
            "classes": 10,
        }
        | {"examples": {"train": 1077, "validation": 360, "test": 360}},
        "seeds": {"training": seed, "split": 0},
        "launches": [launch()],
    }
    write_json(folder / "run.json", record)
    if test is not None:
        add_test(folder, test, best["step"])
    return folder


def add_test(folder: Path, accuracy: float, step: float) -> None:
    metrics = {"test/loss": round(1.1 - accuracy, 4), "test/accuracy": accuracy}
    content = {"format": 1, "run_id": folder.name[-12:], "split": "test", "step": step, "metrics": metrics}
    write_json(folder / "test.json", content | {"confusion_matrix": [[9, 1], [2, 8]]})


def add_unfinished(study: Path, status: str, model: str = "net2", seed: int = 0, **state: Any) -> Path:
    """A run that has not ended; `state` replaces entries of its state.json."""
    folder = _folder(study, config_of(study.name, model, seed))
    content = {
        "status": status,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "job": None,
        "started": time.time() - 100,
        "heartbeat": time.time(),
        "step": 36,
        "total_steps": 90,
        "epoch": 2,
        "loss": 0.4321,
        "examples_per_s": 5000.0,
        "seconds_left": 130.0,
        "reason": None,
        "log": "train.log",
    }
    content |= state
    write_json(folder / "state.json", content)
    os.utime(folder / "state.json", (content["heartbeat"], content["heartbeat"]))
    _write_metrics(folder, [_row(epoch, 0.9, seed) for epoch in (1, 2)])
    return folder


def add_plan(study: Path, *members: dict[str, Any]) -> None:
    """A sweep's plan; a member is {"name": ..., "error": ...}."""
    full = [{"name": None, "overrides": [], "error": None} | member for member in members]
    plan = {"format": 1, "command": "python runs/train.py --multirun model=net2,net5", "members": full}
    (study / ".sweeps").mkdir(parents=True, exist_ok=True)
    write_json(study / ".sweeps" / f"{_hash(full)}.json", plan)


def plan(**entries: Any) -> StudyFile:
    """What studies/depth.yaml would say, with these entries."""
    text = {"question": "Does depth help?", "hypothesis": "It does.", "formal_problem": "x to y"}
    metric = {"metric": "validation/accuracy", "direction": "max", "baseline": {"model": "net2"}, "comparisons": []}
    numbers = {"smallest_difference": 0.1, "alpha": 0.05, "seeds": list(range(10)), "digest": "s7d1"}
    content: dict[str, Any] = {**text, **metric, **numbers, **entries}
    return StudyFile(**content)


def change_record(folder: Path, **entries: Any) -> None:
    """Replace entries of a finished run's run.json."""
    write_json(folder / "run.json", json.loads((folder / "run.json").read_bytes()) | entries)


def change_state(folder: Path, **entries: Any) -> None:
    """Replace entries of a run's state.json, as the run does it: at once."""
    write_json(folder / "new", json.loads((folder / "state.json").read_bytes()) | entries)
    os.replace(folder / "new", folder / "state.json")


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _folder(study: Path, config: dict[str, Any]) -> Path:
    run_id = _hash({key: value for key, value in config.items() if key not in ("study", "system", "ablation")})
    label = f"{config['model']['name']}-{config['data']['name']}-s{config['seed']}-{run_id}".replace("/", "_")
    folder = study / label
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder


def _row(epoch: int, accuracy: float, seed: int) -> dict[str, float]:
    """The fourth of five evaluations is the best one, with exactly the accuracy asked for."""
    gap = abs(4 - epoch)
    return {
        "step": epoch * STEPS_PER_EPOCH,
        "epoch": epoch,
        "learning_rate": 0.001,
        "train/loss": 1.9 / epoch + 0.02 * (seed % 3),
        "train/accuracy": 1 - 0.3 / epoch,
        "validation/loss": 2.0 / epoch + 0.03 * (seed % 3),
        "validation/accuracy": accuracy - 0.03 * gap * gap if gap else accuracy,
        "validation/accuracy_class_0": 0.9,
    }


def _evaluation(row: dict[str, float]) -> dict[str, Any]:
    return {"step": row["step"], "epoch": row["epoch"], "metrics": row}


def _write_metrics(folder: Path, rows: list[dict[str, float]]) -> None:
    lines = [",".join(rows[0]), *(",".join(repr(value) for value in row.values()) for row in rows)]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def launch() -> dict[str, Any]:
    return {
        "started": "2026-11-21T09:59:00+00:00",
        "argv": ["runs/train.py"],
        "command": "python runs/train.py",
        "code_id": "c0de00000001",
        "git": {"commit": "0123abcd" * 5, "dirty": False, "missing": None},
        "diff": None,
        "packages": {"torch": "2.9.0"},
        "python": "3.12.3",
        "platform": "Linux",
        "host": "laptop",
        "cpu": "some CPU",
        "threads": 1,
        "gpu": None,
        "driver": None,
    }


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
