"""The contract of config/train.yaml: every key of a run, and what it may hold.

Values live in YAML only. `model`, `data` and `optimizer` name a class by `_target_`, whose signature is their contract.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.config import SystemConfig, check_choice, check_folder_name, check_fraction, check_least
from labkit.runs.identity import Neutral
from modules.training.schedules import SCHEDULES

__all__ = ["SystemConfig", "TrainConfig", "TrainingConfig"]

AT_LEAST_1 = (
    *("epochs", "steps", "batch_size", "evaluation_batch_size", "accumulation", "plateau_patience"),
    *("evaluate_every_epochs", "evaluate_every_steps", "early_stopping"),
)
CHOICES = {
    "precision": ("fp32", "bf16", "fp16"),
    "schedule": tuple(SCHEDULES),
    "direction": ("max", "min"),
    "divergence": ("stop", "skip_step", "continue"),
    "sharding": ("none", "full"),
}


@dataclass
class TrainingConfig:
    """config/training/: explained there, key by key."""

    epochs: int | None
    steps: int | None
    batch_size: int
    evaluation_batch_size: int
    accumulation: int
    precision: str
    clip_norm: float | None
    schedule: str
    warmup_steps: int
    plateau_factor: float
    plateau_patience: int
    evaluate_every_epochs: int | None
    evaluate_every_steps: int | None
    monitor: str
    direction: str | None
    early_stopping: int | None
    ema_decay: float | None
    divergence: str
    compile: bool
    deterministic: bool
    sharding: str

    def __post_init__(self) -> None:
        for key, choices in CHOICES.items():
            if getattr(self, key) is not None:
                check_choice(f"training.{key}", getattr(self, key), choices)
        for key in AT_LEAST_1:
            check_least(f"training.{key}", getattr(self, key), 1)
        check_least("training.warmup_steps", self.warmup_steps, 0)
        for key in ("plateau_factor", "ema_decay"):
            check_fraction(f"training.{key}", getattr(self, key))
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ValueError(f"training.clip_norm: must be a number above 0, not {self.clip_norm}")
        if self.sharding == "full" and (self.compile or self.ema_decay is not None):
            raise ValueError("training.sharding: full does not go with training.compile or training.ema_decay")
        for one, other in (("epochs", "steps"), ("evaluate_every_epochs", "evaluate_every_steps")):
            if (getattr(self, one) is None) == (getattr(self, other) is None):
                raise ValueError(f"training.{one}: set either this or training.{other}, and the other one to null")

    def steps_per_epoch(self, examples: int, processes: int) -> int:
        """What does not fill a whole step is left out of the epoch. ValueError where that is everything, or where the
        warm-up takes the whole budget."""
        steps = examples // (self.batch_size * self.accumulation * processes)
        if steps == 0:
            raise ValueError(
                f"training.batch_size: {examples} training examples do not fill one step of {self.batch_size} x "
                f"{self.accumulation} x {processes} (batch_size x accumulation x processes); lower one of them"
            )
        total = self.steps or (self.epochs or 0) * steps
        if self.warmup_steps >= total:
            raise ValueError(
                f"training.warmup_steps: must be below the {total} steps of the run, not {self.warmup_steps}"
            )
        return steps


# Keys that came later than the first runs, and the value that means what was before them: see labkit/runs/identity.py.
NEUTRAL = {
    "task._target_": Neutral("modules.tasks.classification.Classification"),
    "task.name": Neutral("classification"),
    "task.label_smoothing": Neutral(0.0),
    "data.flip": Neutral(False),
    "data.normalise": Neutral(False),
    "data.split_kind": Neutral("stratified"),
    "data.folds": Neutral(None),
    "data.fold": Neutral(0),
    "data.fraction": Neutral(1.0),
    "training.direction": Neutral(None, before="max"),
    "training.sharding": Neutral("none"),
}


@dataclass
class TrainConfig:
    """One run. The four `dict`s are `_target_` nodes."""

    NEUTRAL: ClassVar[dict[str, Neutral]] = NEUTRAL

    study: str
    ablation: str | None  # the name of the file in config/ablation/: what it changes is in the settings
    seed: int
    restart: bool
    model: dict[str, Any]
    data: dict[str, Any]
    task: dict[str, Any]
    optimizer: dict[str, Any]
    training: TrainingConfig
    system: SystemConfig

    def __post_init__(self) -> None:
        check_least("seed", self.seed, 0)
        rate = self.optimizer.get("lr", 1.0)  # an optimizer without a learning rate is for torch to judge
        if isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0:
            raise ValueError(f"optimizer.lr: must be a number above 0, not {rate}")
        check_folder_name("study", self.study)
        for group in ("model", "data", "task", "optimizer"):
            node = getattr(self, group)
            if not isinstance(node.get("name"), str) or not isinstance(node.get("_target_"), str):
                raise ValueError(f"{group}: needs a name and a _target_; choose one of config/{group}/")
            check_folder_name(f"{group}.name", node["name"])


@dataclass
class EvaluateConfig:
    """config/evaluate.yaml, explained there."""

    study: str | None
    runs: list[str] | None
    weights: str
    predictions: bool
    device: str
    runs_dir: str
    datasets_dir: str

    def __post_init__(self) -> None:
        check_choice("weights", self.weights, ("best", "last"))
