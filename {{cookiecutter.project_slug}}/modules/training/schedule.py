"""The learning rate as a function of the step: nothing to save, nothing that can fail to step."""

import math


def learning_rate_scale(schedule: str, step: int, warmup_steps: int, total_steps: int) -> float:
    """The factor on the optimizer's learning rate before step number `step` (from 0).

    Linear warm-up, then "cosine" falls to 0 at `total_steps` (Loshchilov & Hutter 2017, eq. 5, without restarts);
    "constant" and "plateau" stay at 1 (the plateau's own factor is the trainer's).
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / (total_steps - warmup_steps)))
    return 1.0
