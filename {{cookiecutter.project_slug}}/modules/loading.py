"""A finished run back in memory: its model with the best weights, its data and its configuration."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from labkit.build import build
from labkit.config import typed
from labkit.runs.checkpoint import BEST, READABLE, load_checkpoint
from labkit.runs.folder import RunFolder
from labkit.runs.identity import filled
from modules.config import NEUTRAL, TrainConfig
from modules.data.base import Data
from modules.parts import make_data, make_network, make_trainer, set_up_torch
from modules.training.task import Task
from modules.training.trainer import Trainer


@dataclass
class LoadedRun:
    """What was trained, as `load_run` found it: `run.predict(x)` needs no data set, `run.data` reads it."""

    folder: Path
    config: TrainConfig
    result: dict[str, Any]  # run.json
    model: nn.Module  # with the weights of the best evaluation, or of the last one
    task: Task
    device: torch.device

    def predict(self, inputs: Any) -> dict[str, np.ndarray]:
        """By name, a row for each of the inputs (n, ...), which are as the data set gives them."""
        self.task.training = False
        self.task.network = self.model.eval()
        with torch.inference_mode():
            found = self.task.predict({"input": torch.as_tensor(inputs).to(self.device)})
        return {name: values.cpu().numpy() for name, values in found.items()}

    @functools.cached_property
    def data(self) -> Data:
        """With the split of the run: `data.split.test`. ValueError where the data is no longer the same."""
        data = make_data(self.config)
        about = self.result["data"]
        if (about["fingerprint"], about["split_fingerprint"]) != (data.fingerprint, data.split.fingerprint()):
            raise ValueError(f"{self.folder}: was trained on other data or another split; the test set is not the same")
        return data

    @functools.cached_property
    def trainer(self) -> Trainer:
        """To evaluate with: holds the data's batches and the best weights."""
        trainer = make_trainer(self.config, self.data, self.device)
        trainer.load_weights(self.model.state_dict())
        return trainer


def load_run(
    folder: str | Path, device: str = "auto", datasets_dir: str | None = None, weights: str = "best"
) -> LoadedRun:
    """`datasets_dir` None: where the data was when the run was trained; `weights`: "best" or "last". ValueError in a
    sentence where the run has not finished, or its checkpoint does not fit."""
    run = RunFolder(Path(folder))
    result = run.read_result()
    if result is None:
        raise ValueError(f"{run.path}: holds no finished run (no run.json); start its command again, or choose another")
    path = {"best": run.best, "last": run.last}[weights]
    checkpoint = load_checkpoint(path, result["run_id"], BEST, READABLE)
    saved = run.read_config()
    try:
        saved["system"] |= {"device": device, "threads": 1, "tracker": None, "debug": None}
        saved["system"] |= {"datasets_dir": datasets_dir} if datasets_dir else {}
        config = typed(TrainConfig, filled(saved, {key: neutral.value for key, neutral in NEUTRAL.items()}))
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{run.config}: is missing or not that of a run; restore it") from error
    if checkpoint["step"] != result[weights]["step"]:
        step = checkpoint["step"]
        raise ValueError(f"{run.path}: {path.name} is of step {step}, which run.json does not call the {weights}")
    torch_device = set_up_torch(config)
    facts = result["data"].get("facts") or make_data(config).facts  # earlier runs did not record them
    model = make_network(config, facts).to(torch_device)
    model.load_state_dict(_averaged(checkpoint["average"]) if "average" in checkpoint else checkpoint["network"])
    task = build("task", config.task, Task, offered=facts)
    return LoadedRun(run.path, config, result, model.eval(), task, torch_device)


def _averaged(state: dict[str, Any]) -> dict[str, Any]:
    """The averaged weights of a last.pt, as those of the network."""
    prefix = "module."
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
