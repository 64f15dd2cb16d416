"""The budget in steps, and the learning rate as a function of the step: nothing to save, nothing that fails to step."""

from labkit.distributed import world_size
from modules.config import TrainingConfig
from modules.training.schedules import SCHEDULES


def learning_rate_scale(schedule: str, step: int, warmup_steps: int, total_steps: int) -> float:
    """The factor on the optimizer's learning rate before step number `step` (from 0): a linear warm-up, then the
    function of schedules.py that `schedule` names."""
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    return SCHEDULES[schedule](step - warmup_steps, total_steps - warmup_steps)


def steps_per_epoch(examples: int, config: TrainingConfig) -> int:
    """What does not fill a whole step is left out of the epoch. ValueError where that is everything, or where the
    warm-up takes the whole budget."""
    processes = world_size()
    steps = examples // (config.batch_size * config.accumulation * processes)
    if steps == 0:
        raise ValueError(
            f"training.batch_size: {examples} training examples do not fill one step of {config.batch_size} x "
            f"{config.accumulation} x {processes} (batch_size x accumulation x processes); lower one of them"
        )
    total = config.steps or (config.epochs or 0) * steps
    if config.warmup_steps >= total:
        raise ValueError(
            f"training.warmup_steps: must be below the {total} steps of the run, not {config.warmup_steps}"
        )
    return steps
