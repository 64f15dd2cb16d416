"""Which class each pixel of an image belongs to."""

from typing import ClassVar

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy

from modules.tasks.measures import confusion_matrix
from modules.training.task import Batch, Mean, Metric, Sum, Task, Value


class Segmentation(Task):
    """Batches hold "input" (batch, channels, height, width) and "target" (batch, height, width), each pixel's class or
    `ignore_index`; the network gives logits (batch, classes, height, width). All means are over pixels."""

    metrics: ClassVar = {
        "loss": Metric("min", "loss", bounds=(0, None)),
        "miou": Metric("max", "mean IoU", bounds=(0, 1)),
        "pixel_accuracy": Metric("max", "pixel accuracy", bounds=(0, 1)),
        "iou_class": Metric("max", "IoU", bounds=(0, 1)),  # of each iou_class_<number>
    }

    def __init__(self, *, ignore_index: int, class_names: list[str] | None = None) -> None:
        """`ignore_index`: the mark of a pixel that nobody has labelled; it counts nowhere."""
        if class_names is None:
            raise ValueError(
                "task: segmentation needs class_names; this data set has numbers: use task=regression or multilabel"
            )
        self.classes = len(class_names)
        self.chance_loss = float(np.log(self.classes))
        self.ignore_index = ignore_index

    def step(self, batch: Batch) -> tuple[Mean, dict[str, Value]]:
        target = batch["target"]
        if target.ndim != 3:
            raise ValueError(
                f"task: segmentation needs a class for each pixel, (batch, height, width), not {tuple(target.shape)}: "
                "use task=classification"
            )
        logits = self.output(batch)  # (batch, classes, height, width)
        if logits.shape != (len(target), self.classes, *target.shape[1:]):
            raise ValueError(
                f"model: gives {tuple(logits.shape)} for pixels of the shape {tuple(target.shape)} in {self.classes} "
                "classes; choose model=unet"
            )
        labelled = target != self.ignore_index
        pixels = labelled.sum()
        if self.training:  # a batch without a labelled pixel has a loss of 0, not of 0 / 0
            pixels = pixels.clamp(min=1)
        total = cross_entropy(logits.float(), target, ignore_index=self.ignore_index, reduction="sum")
        predicted = logits.argmax(1)
        if self.training:
            right = ((predicted == target) & labelled).sum()
            return Mean(total, pixels), {"pixel_accuracy": Mean(right, pixels)}
        counts = confusion_matrix(predicted[labelled], target[labelled], self.classes)
        return Mean(total, pixels), {"confusion_matrix": Sum(counts)}

    def derive(self, sums: dict[str, np.ndarray], each: dict[str, np.ndarray]) -> dict[str, float]:
        """IoU of a class: TP / (TP + FP + FN), NaN where it neither occurs nor is predicted; mIoU leaves it out."""
        counts = sums["confusion_matrix"]
        right = counts.diagonal()
        union = counts.sum(0) + counts.sum(1) - right
        iou = np.divide(right, union, out=np.full(len(counts), np.nan), where=union > 0)
        return {
            "miou": float(np.nanmean(iou)) if counts.any() else float("nan"),
            "pixel_accuracy": float(right.sum() / counts.sum()) if counts.any() else float("nan"),
            **{f"iou_class_{k}": value for k, value in enumerate(iou.tolist())},
        }

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        probability = self.output(batch).softmax(1)
        return {"class": probability.argmax(1), "probability": probability}
