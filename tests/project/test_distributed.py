"""One run on several processes: the same folder, the same results, the same bits when it is resumed."""

import gc
import itertools
import logging
import multiprocessing
import os
import shutil
import socket
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from faults import LONGEST_S
from labkit.distributed import averaging_gradients, exchange, process_group
from labkit.runs.checkpoint import save_checkpoint
from labkit.runs.folder import RunFolder
from labkit.runs.interruption import Interruption
from labkit.runs.recorder import Recorder, Workload, _bits
from omegaconf import DictConfig
from small_runs import (
    SMALL,
    checkpoint,
    column,
    compose,
    config_of,
    forking,
    held_at_its_first_row,
    result,
    same_bits,
    small_trainer,
    train_composed,
    train_small,
)
from test_resume import assert_same_run, wait_for_checkpoint
from torch.distributed import GradBucket  # pyright: ignore[reportPrivateImportUsage]

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="torchrun's gloo is tested on Linux and macOS")
OF_TWO = ("model=net_bn", "training.evaluation_batch_size=3")
WITH_BUFFERS = ("model=net_bn", "model.dropout=0.3", "training.ema_decay=0.9", "training.accumulation=2")
OFTEN = ("training.batch_size=4", "training.evaluate_every_epochs=null", "training.evaluate_every_steps=3")


def start(processes: int, work: Callable[..., object], *arguments: Any) -> list[ForkServerProcess]:
    """What torchrun does: processes that find each other by their environment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = []
    for rank in range(processes):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes}
        variables = {**place, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        started.append(forking().Process(target=_as_one_of_them, args=(variables, work, *arguments)))
        started[-1].start()
    return started


def end(processes: list[ForkServerProcess]) -> list[int | None]:
    """Their exit statuses; one that hangs is killed."""
    for process in processes:
        process.join(timeout=LONGEST_S)
        process.kill()
        process.join()
    return [process.exitcode for process in processes]


def killed_on_two(composed: DictConfig) -> Path:
    """The folder of a run of two processes that were killed after its first row."""
    killed = start(2, held_at_its_first_row, train_composed, composed)
    folder = wait_for_checkpoint(Path(composed.system.runs_dir), killed[0])
    for process in killed:
        process.kill()
    end(killed)
    return folder


def train_on(processes: int, runs_dir: Path, *overrides: str) -> Path:
    composed = compose(*SMALL, f"system.runs_dir={runs_dir}", *overrides)
    assert end(start(processes, train_composed, composed)) == [0] * processes
    (folder,) = runs_dir.glob("default/*")
    return folder


def test_two_processes_train_as_one_does_with_their_batches_together(tmp_path: Path) -> None:
    """Also with accumulation; the validation set, of 20 examples, fills no whole number of batches."""
    uneven = "training.evaluation_batch_size=8"
    alone = train_small(tmp_path / "one", "training.batch_size=16", uneven)
    together = train_on(2, tmp_path / "two", "training.batch_size=4", "training.accumulation=2", uneven)
    for name in ("train/loss", "train/accuracy", "validation/loss", "validation/accuracy"):
        assert column(together, name) == pytest.approx(column(alone, name), rel=1e-4)
    for name, weight in checkpoint(alone)["network"].items():
        torch.testing.assert_close(checkpoint(together)["network"][name], weight, rtol=1e-3, atol=1e-5)
    assert result(together)["launches"][0]["processes"] == 2
    assert sum(map(sum, result(together)["confusion_matrix"])) == 20
    assert not list(together.glob("train-rank*.log"))


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on two processes; not to be changed."""
    return train_on(2, tmp_path_factory.mktemp("of_two"), *OF_TWO)


def test_all_processes_evaluate_with_the_same_batch_statistics(of_two: Path) -> None:
    trainer = small_trainer(OF_TWO[0])
    trainer.load_weights(checkpoint(of_two)["network"])
    again = trainer.evaluate(trainer.validation.in_order(512)).metrics["loss"]
    assert column(of_two, "validation/loss")[-1] == pytest.approx(again, rel=1e-6)


def test_a_killed_run_of_two_processes_ends_with_the_same_bits(tmp_path: Path) -> None:
    words = (*WITH_BUFFERS, *OFTEN, "training.epochs=8")
    once = train_on(2, tmp_path / "once", *words)
    composed = compose(*SMALL, f"system.runs_dir={tmp_path / 'runs'}", *words, "system.checkpoint_minutes=0")
    folder = killed_on_two(composed)
    resumed = train_on(2, tmp_path / "runs", *words)
    assert "resumed at step" in (folder / "train.log").read_text(encoding="utf-8")
    assert_same_run(once, resumed)


def test_another_number_of_processes_is_refused(of_two: Path, tmp_path: Path) -> None:
    shutil.copytree(of_two, folder := tmp_path / "default" / of_two.name)
    (folder / "run.json").unlink()
    refused = "began on 2 processes and cannot go on with 1; use torchrun --nproc-per-node=2"
    with pytest.raises(ValueError, match=refused):
        train_small(tmp_path, *OF_TWO)


def test_a_resumed_run_hears_a_signal_within_seconds(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "metrics.csv").touch()
    saved = {"run_id": "an id", "processes": 2, "step": 100_000, "best_step": None, "rows": {"bytes": 0, "crc32": 0}}
    saved |= {"costs": dict.fromkeys(("wall_s", "cpu_s", "training_s", "examples"), 0.0), "bits": _bits()}
    save_checkpoint(tmp_path / "checkpoints" / "last.pt", saved)
    assert end(start(2, _hear_a_signal, tmp_path)) == [0, 0]


def test_accumulated_gradients_are_exchanged_once(tmp_path: Path) -> None:
    assert end(start(2, _count_exchanges, tmp_path)) == [0, 0]
    assert [int(path.read_text()) for path in tmp_path.glob("*")] == [1, 1]


def test_one_process_alone_is_not_wrapped() -> None:
    network = torch.nn.Linear(2, 2)
    assert averaging_gradients(network, torch.device("cpu")) is network
    assert same_bits(list(network.parameters()), list(small_trainer().bare.parameters())) is False


def _as_one_of_them(variables: dict[str, object], work: Callable[..., object], *arguments: Any) -> None:
    multiprocessing.set_start_method(None, force=True)  # loader workers start as they do under runs/train.py
    gc.freeze()  # what was imported before the fork: process_group() looks for garbage, and need not look there
    os.environ |= {name: str(value) for name, value in variables.items()}
    work(*arguments)


def _hear_a_signal(folder: Path) -> None:
    with process_group(torch.device("cpu")):
        interruption = Interruption()
        about = (RunFolder(folder), logging.getLogger("test"), interruption, "an id", config_of().system)
        with Recorder(*about, Workload(200_000, 1, 0)) as recorder:
            time.sleep(0.05)
            recorder.due(100_001)
            interruption.received = 15
            steps = itertools.takewhile(lambda step: not recorder.due(step).signal, itertools.count(100_002))
            waited_s = sum(time.sleep(0.01) or 0.01 for _ in itertools.islice(steps, 600))
    assert waited_s < 5


def _count_exchanges(folder: Path) -> None:
    exchanges = 0

    def count(_: object, bucket: GradBucket) -> torch.futures.Future[torch.Tensor]:
        nonlocal exchanges
        exchanges += 1
        done = torch.futures.Future[torch.Tensor]()
        done.set_result(bucket.buffer())
        return done

    with process_group(torch.device("cpu")):
        network: Any = averaging_gradients(torch.nn.Linear(2, 2), torch.device("cpu"))
        network.register_comm_hook(None, count)
        for left in (2, 1, 0):
            with exchange(network, now=left == 0):
                network(torch.ones(1, 2)).sum().backward()
        (folder / os.environ["RANK"]).write_text(str(exchanges))
        del network
