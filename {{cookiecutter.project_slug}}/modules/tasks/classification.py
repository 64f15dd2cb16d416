"""The task of this project: single-label image classification."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from modules.training.metrics import confusion_matrix
from modules.training.trainer import Batch, Trainer


class ClassificationTrainer(Trainer):
    """Batches hold "input" (batch, channels, height, width) and "target" (batch,), the number of the class."""

    def step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        logits = self.network(batch["input"])  # (batch, classes)
        loss = cross_entropy(logits, batch["target"])
        if self.training:
            return loss, {"accuracy": logits.argmax(1) == batch["target"]}
        return loss, {"confusion_matrix": confusion_matrix(logits, batch["target"])}
