"""Which one of several classes an example belongs to."""

from typing import ClassVar

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy

from modules.shapes import Float
from modules.tasks.measures import auc, confusion_matrix
from modules.training.task import Batch, Each, Metric, Sum, Task, Value


class Classification(Task):
    """Batches hold "input" (batch, ...) and "target" (batch,), the number of the class; the network gives logits."""

    metrics: ClassVar = {
        "loss": Metric("min", "loss", bounds=(0, None)),
        "accuracy": Metric("max", "accuracy", bounds=(0, 1)),
        "macro_f1": Metric("max", "macro F1", bounds=(0, 1)),
    }

    def __init__(self, *, label_smoothing: float, class_names: list[str] | None = None) -> None:
        """`label_smoothing`: share of the target that is spread over all classes (Szegedy et al. 2016, section 7)."""
        if class_names is None:
            raise ValueError(
                "task: classification needs class_names; this data set has numbers or labels: use task=regression or "
                "task=multilabel"
            )
        self.classes = len(class_names)
        self.chance_loss = float(np.log(self.classes))
        if self.classes == 2:
            more = {"auc": Metric("max", "AUC", bounds=(0, 1))}
            self.metrics = {**self.metrics, **more}  # pyright: ignore[reportAttributeAccessIssue]
        self.label_smoothing = label_smoothing

    def step(self, batch: Batch) -> tuple[Float[Tensor, ""], dict[str, Value]]:
        logits = self.output(batch)  # (batch, classes)
        loss = cross_entropy(logits, batch["target"], label_smoothing=self.label_smoothing if self.training else 0.0)
        if self.training:
            return loss, {"accuracy": logits.argmax(1) == batch["target"]}
        values: dict[str, Value] = {
            "confusion_matrix": Sum(confusion_matrix(logits.argmax(1), batch["target"], self.classes))
        }
        if self.classes == 2:
            values |= {"score": Each(logits[:, 1] - logits[:, 0]), "class": Each(batch["target"])}
        return loss, values

    def derive(self, sums: dict[str, np.ndarray], each: dict[str, np.ndarray]) -> dict[str, float]:
        area = {"auc": auc(each["score"], each["class"])} if self.classes == 2 else {}
        return classification_metrics(sums["confusion_matrix"]) | area

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        probability = self.output(batch).softmax(1)  # (batch, classes)
        return {"class": probability.argmax(1), "probability": probability}


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
