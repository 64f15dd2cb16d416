"""Where metrics go besides metrics.csv: views of a run, never the truth."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path


class Tracker(ABC):
    """Built with the run's folder and the step it starts or resumes from; `config/tracker/` chooses the class."""

    @abstractmethod
    def log(self, step: int, metrics: Mapping[str, float]) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class TensorBoard(Tracker):
    """Event files in <run folder>/tensorboard; `tensorboard --logdir data/runs` shows them."""

    def __init__(self, *, folder: Path, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import, and only this needs it

        # purge_step hides what an interrupted run logged after its last checkpoint.
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step or None)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()
