"""What a run folder says of its run, and what two of them differ in; for the fault table's tests and chaos.py."""

import csv
import json
import re
from pathlib import Path
from typing import Any

TIMES = ("costs",)  # what a checkpoint holds that no two runs share


def the_run(runs_dir: Path) -> Path:
    """The only run folder there."""
    (folder,) = (path for path in runs_dir.glob("*/*") if not path.name.startswith("."))
    return folder


def state(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "state.json").read_bytes())


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def resumed_at(folder: Path) -> list[int]:
    """The steps at which the run went on, one for each time."""
    return [int(step) for step in re.findall(r"resumed at step (\d+)", (folder / "train.log").read_text("utf-8"))]


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two finished runs in weights, all else of the checkpoints, rows and results; [] where every
    bit is the same."""
    import torch

    found = []
    for name in ("last.pt", "best.pt"):
        saved, again = (torch.load(folder / "checkpoints" / name, weights_only=True) for folder in (one, other))
        keys = sorted((saved.keys() | again.keys()) - set(TIMES))
        found += [f"{name}: {key}" for key in keys if _bits(saved.get(key)) != _bits(again.get(key))]
    if (one / "metrics.csv").read_bytes() != (other / "metrics.csv").read_bytes():
        found.append("metrics.csv")
    results = [json.loads((folder / "run.json").read_bytes()) for folder in (one, other)]
    keys = ("status", "run_id", "best", "last", "confusion_matrix", "stopped_early", "data")
    return found + [f"run.json: {key}" for key in keys if repr(results[0][key]) != repr(results[1][key])]


def _bits(value: Any) -> Any:
    """Plain values of which two are equal where every bit is; NaN equals NaN."""
    import torch

    if isinstance(value, dict):
        return [(key, _bits(child)) for key, child in value.items()]
    if isinstance(value, list | tuple):
        return [_bits(child) for child in value]
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.contiguous().numpy().tobytes()
    return repr(value)
