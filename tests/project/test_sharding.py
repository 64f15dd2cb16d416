"""A run whose processes each keep a share of the weights: the results, the files and the resume of any other run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from labkit.distributed import process_group
from labkit.runs.identity import run_id
from modules.loading import load_run
from small_runs import (
    CPU,
    SMALL,
    checkpoint,
    column,
    compose,
    config_of,
    result,
    small_trainer,
    train_composed,
    train_small,
)
from test_distributed import OFTEN, end, killed_on_two, start
from test_resume import assert_same_run

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="torchrun's gloo is tested on Linux and macOS")
# Weights of which not all can be halved. The validation set, of 20 examples, is four batches for one process, three for
# the other.
BLOCKS = (
    *(word for word in SMALL if not word.startswith("model.")),
    *("model=transformer", "model.patch=2", "model.width=6", "model.heads=2", "model.layers=2", "model.dropout=0.1"),
    *("training.evaluation_batch_size=3", "training.clip_norm=0.5", "training.accumulation=2"),
)
FULL = "training.sharding=full"


def composed(runs_dir: Path, *words: str) -> Any:
    return compose(*BLOCKS, f"system.runs_dir={runs_dir}", *words)


def on_two(runs_dir: Path, *words: str) -> Path:
    assert end(start(2, train_composed, composed(runs_dir, *words))) == [0, 0]
    (folder,) = runs_dir.glob("default/*")
    return folder


def test_shares_train_as_whole_weights_do(tmp_path: Path) -> None:
    """Also where evaluation takes a batch more on one process; what is saved is loaded by one process alone."""
    words = ("optimizer=sgd", "training.divergence=skip_step")
    whole = on_two(tmp_path / "whole", *words)
    shared = on_two(tmp_path / "shared", *words, FULL)
    for name in ("train/loss", "train/gradient_norm", "validation/loss", "validation/accuracy"):
        assert column(shared, name) == pytest.approx(column(whole, name), rel=1e-5)
    for name in ("last", "best"):
        for key, weight in checkpoint(whole, name)["network"].items():
            torch.testing.assert_close(checkpoint(shared, name)["network"][key], weight, rtol=1e-4, atol=1e-6)
    assert result(shared)["cost"]["parameters"] == result(whole)["cost"]["parameters"]
    loaded = load_run(shared)
    again = loaded.trainer.evaluate(loaded.trainer.validation.in_order(512)).metrics["loss"]
    best = result(shared)["best"]["metrics"]["validation/loss"]
    assert again == pytest.approx(best, rel=1e-5)


def test_each_process_keeps_half_of_everything() -> None:
    assert end(start(2, _keep_half)) == [0, 0]


def test_a_killed_run_of_shares_ends_with_the_same_bits(tmp_path: Path) -> None:
    words = (FULL, *OFTEN, "training.epochs=4")
    once = on_two(tmp_path / "once", *words)
    saving = composed(tmp_path / "runs", *words, "system.checkpoint_minutes=0")
    folder = killed_on_two(saving)
    resumed = on_two(tmp_path / "runs", *words)
    assert "resumed at step" in (folder / "train.log").read_text(encoding="utf-8")
    assert_same_run(once, resumed)


def test_what_shares_cannot_do_is_refused(tmp_path: Path) -> None:
    for other in ("training.compile=true", "training.ema_decay=0.9"):
        with pytest.raises(ValueError, match=r"training.sharding: full does not go with training.compile"):
            config_of(*BLOCKS, FULL, other)
    with pytest.raises(ValueError, match=r"training.sharding: .* several processes; start them with torchrun"):
        train_small(tmp_path, FULL)
    assert not list(tmp_path.iterdir())


def test_a_run_without_shares_keeps_its_id() -> None:
    config = config_of(*BLOCKS)
    before = run_id(config)
    config.training.sharding = "full"
    assert run_id(config) != before


def _keep_half() -> None:
    with process_group(CPU):
        trainer = small_trainer("training.divergence=continue", FULL, base=BLOCKS)
        trainer.update(trainer.data.shuffled(0, 8, 0, 2))
        weights: list[Any] = list(trainer.bare.parameters())
        moments: list[Any] = [
            part for kept in trainer.optimizers[0].state.values() for part in kept.values() if part.ndim
        ]
        assert len(moments) == 2 * len(weights)
        for kept in (weights, moments):
            own = sum(part.to_local().numel() for part in kept)
            assert own == pytest.approx(sum(part.numel() for part in kept) / 2, rel=0.1)
        del trainer, weights, moments, kept
