"""A finished run back in memory: its model with the best weights, its data and its configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from labkit.config import typed
from labkit.runs.checkpoint import READABLE, load_checkpoint
from labkit.runs.folder import RunFolder
from modules.config import TrainConfig
from modules.data.sources import DataSet
from modules.parts import make_data, make_trainer, set_up_torch
from modules.training.trainer import Trainer


@dataclass
class LoadedRun:
    """What was trained, as `load_run` found it."""

    config: TrainConfig
    result: dict[str, Any]  # run.json
    data: DataSet  # with the split of the run: data.inputs[data.split.test]
    trainer: Trainer  # holds the best weights

    @property
    def model(self) -> nn.Module:
        """The network with the weights of the best evaluation, ready to predict."""
        return self.trainer.bare.eval()


def load_run(folder: str | Path, device: str = "auto", datasets_dir: str | None = None) -> LoadedRun:
    """`datasets_dir` None: where the data was when the run was trained. ValueError in a sentence where the run has not
    finished, its checkpoint does not fit, or the data is no longer the same."""
    run = RunFolder(Path(folder))
    result = run.read_result()
    if result is None:
        raise ValueError(f"{run.path}: holds no finished run (no run.json); start its command again, or choose another")
    best = load_checkpoint(run.best, result["run_id"], READABLE)
    saved = run.read_config()
    if "system" not in saved:
        raise ValueError(f"{run.config}: is missing or not that of a run; restore it")
    saved["system"] |= {"device": device, "threads": 1, "tracker": None}
    saved["system"] |= {"datasets_dir": datasets_dir} if datasets_dir else {}
    config = typed(TrainConfig, saved)
    torch_device = set_up_torch(config)
    if best["step"] != result["best"]["step"]:
        raise ValueError(f"{run.path}: best.pt is of step {best['step']}, which run.json does not call the best")
    data = make_data(config)
    about = result["data"]
    if (about["fingerprint"], about["split_fingerprint"]) != (data.fingerprint, data.split.fingerprint()):
        raise ValueError(f"{run.path}: was trained on other data or another split; the test set is not the same")
    trainer = make_trainer(config, data, torch_device)
    trainer.load_weights(best["network"])
    return LoadedRun(config, result, data, trainer)
