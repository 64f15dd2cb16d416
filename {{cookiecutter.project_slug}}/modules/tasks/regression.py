"""A number for each example."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from modules.shapes import Float
from modules.training.task import Batch, Metric, Sum, Task, Value


class Regression(Task):
    """Batches hold "input" (batch, ...) and "target" (batch,) float32, less the training part's mean and divided by its
    standard deviation; the network gives (batch, 1). The metrics are in the target's own unit."""

    metrics: ClassVar = {}
    chance_loss = 1.0  # the variance of a standardised target

    def __init__(self, *, unit: str, target_mean: float | None = None, target_scale: float | None = None) -> None:
        """`unit`: of the target, for the report. The other two are facts of the data set."""
        if target_mean is None or target_scale is None:
            raise ValueError(
                "task: regression needs target_mean and target_scale; this data set has none: use task=classification "
                "for classes, or give these two facts"
            )
        self.mean = target_mean
        self.scale = target_scale
        self.metrics = {  # pyright: ignore[reportAttributeAccessIssue]  # the unit is not the class's
            "loss": Metric("min", "loss", bounds=(0, None)),
            "rmse": Metric("min", "RMSE", unit, bounds=(0, None)),
            "mae": Metric("min", "MAE", unit, bounds=(0, None)),
            "r2": Metric("max", "R²", bounds=(None, 1)),
        }

    def step(self, batch: Batch) -> tuple[Float[Tensor, ""], dict[str, Value]]:
        target = batch["target"]
        output = self.output(batch).squeeze(1).float()
        if output.shape != target.shape:
            raise ValueError(f"model: gives {tuple(output.shape)} numbers for targets of {tuple(target.shape)}")
        errors = output.detach().double() - target.double()
        values: dict[str, Value] = {"mae": errors.abs() * self.scale}
        if not self.training:  # the target is centred already, so that nothing is lost in these sums
            t = target.double()
            values["sums"] = Sum(
                torch.stack([errors.square().sum(), t.sum(), t.square().sum(), torch.ones_like(t).sum()])
            )
        return mse_loss(output, target), values

    def derive(self, sums: dict[str, np.ndarray], each: dict[str, np.ndarray]) -> dict[str, float]:
        squared_errors, total, squares, count = sums["sums"].tolist()
        variation = squares - total**2 / count
        return {
            "rmse": self.scale * (squared_errors / count) ** 0.5,
            "r2": 1 - squared_errors / variation if variation > 0 else float("nan"),
        }

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """In the target's own unit, and so is the target where it is known."""
        known = {"target": batch["target"] * self.scale + self.mean} if "target" in batch else {}
        return {"value": self.output(batch).squeeze(1) * self.scale + self.mean, **known}
