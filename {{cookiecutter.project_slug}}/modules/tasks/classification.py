"""Which one of several classes an example belongs to."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from modules.training.task import Batch, Metric, Sum, Task, Value


class Classification(Task):
    """Batches hold "input" (batch, ...) and "target" (batch,), the number of the class; the network gives logits."""

    metrics: ClassVar = {
        "accuracy": Metric("max", "Accuracy"),
        "macro_f1": Metric("max", "Macro F1"),
    }

    def __init__(self, *, class_names: list[str], label_smoothing: float) -> None:
        """`label_smoothing`: share of the target that is spread over all classes (Szegedy et al. 2016, section 7)."""
        self.classes = len(class_names)
        self.label_smoothing = label_smoothing

    def step(self, batch: Batch) -> tuple[Tensor, dict[str, Value]]:
        logits = self.network(batch["input"])  # (batch, classes)
        loss = cross_entropy(logits, batch["target"], label_smoothing=self.label_smoothing if self.training else 0.0)
        if self.training:
            return loss, {"accuracy": logits.argmax(1) == batch["target"]}
        return loss, {"confusion_matrix": Sum(confusion_matrix(logits.argmax(1), batch["target"], self.classes))}

    def derive(self, sums: dict[str, np.ndarray], each: dict[str, np.ndarray]) -> dict[str, float]:
        return classification_metrics(sums["confusion_matrix"])

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        probability = self.network(batch["input"]).softmax(1)  # (batch, classes)
        return {"class": probability.argmax(1), "probability": probability}


def confusion_matrix(predicted: Tensor, target: Tensor, classes: int) -> Tensor:
    """Two tensors of class numbers, of one shape -> counts (classes, classes): the row is the true class."""
    return torch.bincount(target.flatten() * classes + predicted.flatten(), minlength=classes**2).view(classes, classes)


def classification_metrics(counts: np.ndarray) -> dict[str, float]:
    """Of a confusion matrix of counts (classes, classes), rows the true class.

    Accuracy; macro F1, the mean over the classes that occur of 2 TP / (2 TP + FP + FN); and accuracy_class_<k>, the
    share of class k that is recognised (its recall), NaN where it does not occur.
    """
    right = counts.diagonal()
    true = counts.sum(1)
    f1 = 2 * right / np.maximum(true + counts.sum(0), 1)
    recall = np.divide(right, true, out=np.full(len(counts), np.nan), where=true > 0)
    per_class = {f"accuracy_class_{k}": value for k, value in enumerate(recall.tolist())}
    return {"accuracy": float(right.sum() / true.sum()), "macro_f1": float(f1[true > 0].mean()), **per_class}
