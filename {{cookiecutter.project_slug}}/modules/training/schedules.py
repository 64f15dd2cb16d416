"""The learning rate as a pure function of the step: `training.schedule` names a function of this file. Add your own.

Each gets the step and the number of steps, both counted from the end of the warm-up, and returns the factor on the
optimizer's learning rate before that step.
"""

import math


def constant(step: int, steps: int) -> float:
    return 1.0


def plateau(step: int, steps: int) -> float:
    """The factor is the monitor's, which lowers it when no evaluation is better: modules/training/monitor.py."""
    return 1.0


def cosine(step: int, steps: int) -> float:
    """Falls to 0 along half a cosine (Loshchilov & Hutter 2017, eq. 5, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def linear(step: int, steps: int) -> float:
    """Falls to 0 in a line."""
    return 1 - step / steps


def one_cycle(step: int, steps: int) -> float:
    """Rises from 1/25 to 1 over the first 30 % of the steps, then falls to nearly 0, both along half a cosine (Smith &
    Topin 2019, as PyTorch's OneCycleLR has it)."""
    top = 0.3 * steps
    if step < top:
        return 1 / 25 + (1 - 1 / 25) * 0.5 * (1 - math.cos(math.pi * step / top))
    return 1e-5 + (1 - 1e-5) * 0.5 * (1 + math.cos(math.pi * (step - top) / (steps - top)))


SCHEDULES = {name: function for name, function in globals().items() if getattr(function, "__module__", "") == __name__}


def learning_rate_scale(schedule: str, step: int, warmup_steps: int, total_steps: int) -> float:
    """The factor before step number `step` (from 0): a linear warm-up, then the function that `schedule` names."""
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    return SCHEDULES[schedule](step - warmup_steps, total_steps - warmup_steps)
