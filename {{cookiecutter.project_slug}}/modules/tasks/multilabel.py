"""Which of several labels an example has: none, one, or more."""

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from modules.shapes import Float
from modules.tasks.measures import auc
from modules.training.task import Batch, Each, Metric, Sum, Task, Value


class MultiLabel(Task):
    """Batches hold "input" (batch, ...) and "target" (batch, labels) float32 of 0 and 1; the network gives logits."""

    metrics: ClassVar = {
        "loss": Metric("min", "loss", bounds=(0, None)),
        "macro_f1": Metric("max", "macro F1", bounds=(0, 1)),
        "micro_f1": Metric("max", "micro F1", bounds=(0, 1)),
        "auc": Metric("max", "mean AUC", bounds=(0, 1)),
        "f1_label": Metric("max", "F1", bounds=(0, 1)),  # of each f1_label_<number>
        "auc_label": Metric("max", "AUC", bounds=(0, 1)),
    }

    chance_loss = math.log(2)  # the loss is the mean over the labels

    def __init__(self, *, threshold: float, label_names: list[str] | None = None) -> None:
        """`threshold`: the probability from which on a label is predicted."""
        if label_names is None:
            raise ValueError(
                "task: multi-label classification needs label_names; this data set has none: use task=classification "
                "for one class for each example"
            )
        if not 0 < threshold < 1:
            raise ValueError(f"task.threshold: must be above 0 and below 1, not {threshold}")
        self.threshold = threshold
        self.label_names = label_names

    def step(self, batch: Batch) -> tuple[Float[Tensor, ""], dict[str, Value]]:
        target = batch["target"]
        logits = self.output(batch).float()  # (batch, labels)
        loss = binary_cross_entropy_with_logits(logits, target)
        scores = logits.detach().sigmoid()
        predicted = scores >= self.threshold
        true = target == 1
        if self.training:
            return loss, {"label_accuracy": (predicted == true).double().mean(1)}
        counts = [predicted & true, predicted & ~true, ~predicted & true]
        summed = torch.stack([count.sum(0) for count in counts])  # (3, labels)
        return loss, {"counts": Sum(summed), "scores": Each(scores), "labels": Each(target)}

    def derive(self, sums: dict[str, np.ndarray], each: dict[str, np.ndarray]) -> dict[str, float]:
        hits, false, missed = sums["counts"]
        f1 = _f1(hits, false, missed)
        areas = [auc(each["scores"][:, k], each["labels"][:, k]) for k in range(len(self.label_names))]
        known = [area for area in areas if not np.isnan(area)]
        return {
            "macro_f1": float(f1.mean()),
            "micro_f1": _f1(*sums["counts"].sum(1, keepdims=True)).item(),
            "auc": float(np.mean(known)) if known else float("nan"),
            **{f"f1_label_{k}": value for k, value in enumerate(f1.tolist())},
            **{f"auc_label_{k}": value for k, value in enumerate(areas)},
        }

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        probability = self.output(batch).sigmoid()
        return {"labels": probability >= self.threshold, "probability": probability}


def _f1(hits: np.ndarray, false: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """2 TP / (2 TP + FP + FN); 0 for a label that neither occurs nor is predicted, as in scikit-learn."""
    return 2 * hits / np.maximum(2 * hits + false + missed, 1)
