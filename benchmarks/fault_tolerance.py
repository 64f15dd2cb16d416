"""What it costs an undisturbed run that it could be killed, interrupted or taken over at any moment.

    python benchmarks/fault_tolerance.py [--rounds 3]

The same training of about 40 s, alternately with everything that is on by default (the lock and its lease, heartbeats,
checked losses, signals, checkpoints at the interval that adapts) and with none of it; rows, log and progress stay.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "{{cookiecutter.project_slug}}"))

from labkit.runs.folder import RunFolder
from labkit.runs.interruption import Interruption
from labkit.runs.progress import open_log
from labkit.runs.recorder import Due, Recorder
from modules.training.trainer import Trainer
from trainer_overhead import digits_data, mlp, settings, trainer_of


class Unprotected(Recorder):
    def due(self, step: int) -> Due:
        return Due(report=step % 50 == 0)

    def until_interrupted(self, batches: Iterable[Any]) -> Iterator[Any]:
        return iter(batches)

    def save(self, state: Mapping[str, Any] | None, best: Mapping[str, Any] | None, best_step: int | None) -> None: ...


class UncheckedTrainer(Trainer):
    def _check_loss(self) -> None: ...


def large() -> nn.Module:
    """24 million parameters: 290 MB with AdamW's averages."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1600),
        nn.ReLU(), nn.Linear(1600, 10),
    )  # fmt: skip


def seconds_of(network: nn.Module, epochs: int, *, protected: bool) -> tuple[float, list[float]]:
    """Of training, and of them those of each checkpoint."""
    data, config = digits_data(), settings(epochs)
    on_disk = Path(__file__).resolve().parents[1] / "build"  # /tmp may lie in memory, where writing costs less
    on_disk.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=on_disk) as folder:
        run = RunFolder(Path(folder))
        trainer = trainer_of(Trainer if protected else UncheckedTrainer, data, network, config)
        with contextlib.ExitStack() as stack:
            interruption = Interruption()
            if protected:
                for part in (interruption, run.locked(), run.heartbeat()):
                    stack.enter_context(part)
            log = stack.enter_context(open_log(run.log, quiet=True))
            kind = Recorder if protected else Unprotected
            recorder = kind(run, log, interruption, "benchmark", config.system, trainer.workload)
            stack.enter_context(recorder)
            saves = _timed(recorder)
            started = time.perf_counter()
            trainer.train(recorder)
            seconds = time.perf_counter() - started
    return seconds, saves


def _timed(recorder: Recorder) -> list[float]:
    times: list[float] = []
    save = recorder.save

    def timed(*given: Any) -> None:
        started = time.perf_counter()
        save(*given)
        times.append(time.perf_counter() - started)

    recorder.save = timed
    return times


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=40)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for title, make in (("MLP 64-64-10", mlp), ("MLP of 24 million parameters", large)):
        seconds_of(make(), 1, protected=True)  # warms up
        epochs = max(2, int(given.seconds / (seconds_of(make(), 2, protected=False)[0] / 2)))
        times: dict[bool, list[float]] = {True: [], False: []}
        saves: list[float] = []
        for _ in range(given.rounds):
            for protected in (False, True):
                seconds, written = seconds_of(make(), epochs, protected=protected)
                times[protected].append(seconds)
                saves = written if protected else saves
        bare, whole = (statistics.median(times[protected]) for protected in (False, True))
        ratios = sorted(one / other for one, other in zip(times[True], times[False], strict=True))
        print(
            f"{title}: {bare:.1f} s without, {whole:.1f} s with: {whole / bare:.3f} "
            f"({ratios[0]:.3f} to {ratios[-1]:.3f}); "
            f"{len(saves)} checkpoints took {sum(saves) / whole:.2%} of it "
            f"(torch {torch.__version__}, 1 thread, {given.rounds} rounds)",
            flush=True,
        )


if __name__ == "__main__":
    main()
