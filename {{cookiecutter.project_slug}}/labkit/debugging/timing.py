"""debug=profile: where the time of a step goes."""

import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from labkit.runs.files import atomic_file

STEPS = 20
TRACED = 5
ADVICE = {
    "data": "set data.in_memory=true, or raise system.loader_workers",
    "forward": "make the model smaller, or on a GPU try training.precision=bf16 and training.compile=true",
    "backward": "make the model smaller, or on a GPU try training.precision=bf16 and training.compile=true",
    "optimizer": "take larger batches: the optimizer costs the same for each",
}


def profile(
    task: Any, optimizers: list[Optimizer], update: Callable[[], tuple[float, float]], device: torch.device, trace: Path
) -> tuple[list[str], str]:
    """`update` takes a step, and returns the seconds of fetching and of updating; `task.step` is the way forward."""
    seconds = dict.fromkeys(ADVICE, 0.0)
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def timing(*args: Any, **kwargs: Any) -> Any:
            wait()
            started = time.perf_counter()
            with torch.profiler.record_function(name):
                result = call(*args, **kwargs)
            wait()
            seconds[name] += time.perf_counter() - started
            return result

        return timing

    task.step = timed("forward", task.step)
    for optimizer in optimizers:
        optimizer.step = timed("optimizer", optimizer.step)
    for _ in range(TRACED):  # they choose kernels and start workers
        update()
    seconds.update(dict.fromkeys(seconds, 0.0))
    for _ in range(STEPS):
        fetching, updating = update()
        seconds["data"] += fetching
        seconds["backward"] += updating
    seconds["backward"] -= seconds["forward"] + seconds["optimizer"]
    with torch.profiler.profile() as profiler:
        for _ in range(TRACED):
            update()
    trace.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(trace) as file:
        profiler.export_chrome_trace(file.name)
    total = sum(seconds.values())
    lines = [f"{name:9}  {1000 * s / STEPS:8.3g} ms a step  {s / total:4.0%}" for name, s in seconds.items()]
    most = max(seconds, key=lambda name: seconds[name])
    by = profiler.key_averages()
    slowest = sorted(by, key=lambda op: -op.self_cpu_time_total - op.self_device_time_total)
    lines += [f"the slowest operations: {', '.join(op.key for op in slowest if '::' in op.key)[:100]}"]
    lines += [f"the trace of {TRACED} steps: {trace} (open it on https://ui.perfetto.dev)"]
    return lines, f"{most} takes most of the time, {seconds[most] / total:.0%}: {ADVICE[most]}"
