"""What training promises: budgets, evaluation, schedules, accumulation, clipping and averages."""

import math
from pathlib import Path

import pytest
import torch
from modules.training.trainer import Trainer
from small_runs import (
    EVERY_STEP,
    SMALL_LINEAR,
    checkpoint,
    column,
    parts_of,
    result,
    rows,
    same_bits,
    small_trainer,
    train_in,
    train_small,
    weights,
)
from torch import nn

STANDSTILL = ("optimizer=sgd", "optimizer.lr=1e-30")  # no evaluation is better than the first


def steps(number: int) -> tuple[str, str]:
    return ("training.epochs=null", f"training.steps={number}")


# ---- learning


def test_four_batches_of_two_train_as_one_batch_of_eight(runs_dir: Path) -> None:
    whole = train_small(runs_dir, *EVERY_STEP)
    parts = train_small(runs_dir, "training.batch_size=2", "training.accumulation=4", *EVERY_STEP)
    for name, weight in weights(whole).items():
        torch.testing.assert_close(weights(parts)[name], weight, rtol=1e-4, atol=1e-6)
    for one, other in zip(rows(whole), rows(parts), strict=True):
        assert one.keys() == other.keys()
        assert other["train/loss"] == pytest.approx(one["train/loss"], rel=1e-5)
        assert other["train/accuracy"] == one["train/accuracy"]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_in_half_and_keeps_its_weights_in_full(runs_dir: Path, precision: str) -> None:
    lines = ("training.epochs=10", f"training.precision={precision}", "optimizer.lr=0.02")
    folder = train_small(runs_dir, *lines)
    loss = column(folder, "train/loss")
    assert loss[-1] < 0.8 * loss[0]
    assert all(weight.dtype == torch.float32 for weight in weights(folder).values())
    assert bool(checkpoint(folder)["scaler"]) == (precision == "fp16")
    assert not same_bits(weights(folder), weights(train_small(runs_dir, *lines, "training.precision=fp32")))


# ---- budget and evaluation


def test_a_budget_in_steps_ends_there_with_an_evaluation(runs_dir: Path) -> None:
    every = ("training.evaluate_every_epochs=null", "training.evaluate_every_steps=4")
    folder = train_small(runs_dir, *steps(10), *every)
    assert column(folder, "step") == [4, 8, 10]
    assert column(folder, "epoch") == [4 / 7, 8 / 7, 10 / 7]
    assert checkpoint(folder)["step"] == 10


def test_a_budget_in_epochs_leaves_out_what_does_not_fill_a_step(runs_dir: Path) -> None:
    folder = train_small(runs_dir, "training.epochs=5", "training.evaluate_every_epochs=2")
    assert column(folder, "step") == [14, 28, 35]
    assert column(folder, "epoch") == [2, 4, 5]


def test_evaluating_more_often_changes_nothing_that_is_trained(runs_dir: Path) -> None:
    once = train_small(runs_dir, "model=net_bn", "model.dropout=0.5")  # batch statistics and random draws
    often = train_small(runs_dir, "model=net_bn", "model.dropout=0.5", *EVERY_STEP)
    assert len(rows(once)) < len(rows(often))
    assert same_bits(weights(once), weights(often))
    without = train_small(runs_dir, "model=net_bn")
    assert not same_bits([*weights(once).values()], [*weights(without).values()])


@pytest.mark.parametrize(("metric", "direction"), [("loss", "min"), ("accuracy", "max"), ("macro_f1", "max")])
def test_best_is_the_first_best_row_and_best_pt_holds_its_weights(runs_dir: Path, metric: str, direction: str) -> None:
    monitor = (f"training.monitor=validation/{metric}", f"training.direction={direction}")
    folder = train_small(runs_dir, "training.epochs=12", "optimizer.lr=0.03", *monitor)
    values = column(folder, f"validation/{metric}")
    best, run = (min if direction == "min" else max)(values), result(folder)
    row = rows(folder)[values.index(best)]
    assert run["monitor"] == {"metric": f"validation/{metric}", "direction": direction}
    assert repr({**run["best"]["metrics"]}) == repr(
        {name: type(run["best"]["metrics"][name])(row[name]) for name in row}
    )
    assert run["best"]["step"] == row["step"] == checkpoint(folder, "best")["step"]
    trainer = small_trainer()
    trainer.load_weights(checkpoint(folder, "best")["network"])
    again = trainer.evaluate(trainer.validation.in_order(512))
    assert {f"validation/{name}": value for name, value in again.metrics.items()}.items() <= run["best"][
        "metrics"
    ].items()
    assert again.confusion_matrix == run["confusion_matrix"]


def test_early_stopping_stops_and_says_so(runs_dir: Path) -> None:
    folder = train_small(runs_dir, "training.epochs=20", "training.early_stopping=3", *STANDSTILL)
    assert column(folder, "epoch") == [1, 2, 3, 4]
    assert result(folder)["stopped_early"] is True
    assert "stopped early" in (folder / "train.log").read_text(encoding="utf-8")
    assert result(train_small(runs_dir, "training.early_stopping=3", *STANDSTILL))["stopped_early"] is False


# ---- learning rate


def rates(runs_dir: Path, *overrides: str) -> list[float]:
    """The learning rate of each step, as a part of the optimizer's."""
    folder = train_small(runs_dir, *EVERY_STEP, *overrides)
    return [rate / result(folder)["config"]["optimizer"]["lr"] for rate in column(folder, "learning_rate")]


def test_a_constant_learning_rate_is_warmed_up_in_a_line(runs_dir: Path) -> None:
    assert rates(runs_dir, *steps(6), "training.warmup_steps=3") == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 1, 1])


def test_a_cosine_falls_from_the_warm_up_to_nothing(runs_dir: Path) -> None:
    cosine = [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
    expected = pytest.approx([1 / 3, 2 / 3, *cosine])
    assert rates(runs_dir, *steps(10), "training.warmup_steps=2", "training.schedule=cosine") == expected


def test_a_plateau_lowers_the_learning_rate_after_so_many_evaluations_without_a_new_best(runs_dir: Path) -> None:
    plateau = ("training.schedule=plateau", "training.plateau_patience=2", "training.plateau_factor=0.1")
    expected = pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.001])
    assert rates(runs_dir, *steps(8), *plateau, *STANDSTILL) == expected


def test_every_group_of_parameters_keeps_its_own_rate(tmp_path: Path) -> None:
    trainer = small_trainer("training.warmup_steps=13")
    extra = nn.Parameter(torch.zeros(1))
    trainer.optimizers[0].add_param_group({"params": [extra], "lr": 5.0})
    again = Trainer(**parts_of(trainer))
    train_in(tmp_path, again)
    assert [group["lr"] for group in again.optimizers[0].param_groups] == pytest.approx([0.003, 5.0])
    assert column(tmp_path, "learning_rate") == pytest.approx([0.003 * 7 / 14, 0.003])


# ---- gradients and averages


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_clipping_bounds_the_gradient_and_logs_its_norm_before(runs_dir: Path, precision: str) -> None:
    unit = ("optimizer.lr=1", *steps(1), f"training.precision={precision}")
    before = small_trainer(base=SMALL_LINEAR).bare.state_dict()

    def moved(folder: Path) -> float:
        return math.sqrt(sum((weights(folder)[name] - before[name]).square().sum().item() for name in before))

    free = moved(train_small(runs_dir, *unit, "training.clip_norm=1000", base=SMALL_LINEAR))
    folder = train_small(runs_dir, *unit, "training.clip_norm=0.01", base=SMALL_LINEAR)
    assert moved(folder) == pytest.approx(0.01, rel=1e-3)
    assert column(folder, "train/gradient_norm") == [pytest.approx(free, rel=1e-3)]
    assert free > 0.1


def test_the_norm_of_the_gradient_is_no_column_without_clipping(runs_dir: Path) -> None:
    assert "train/gradient_norm" not in rows(train_small(runs_dir))[0]


def test_averaged_weights_follow_their_formula_and_are_what_is_evaluated_and_kept(runs_dir: Path) -> None:
    by_step = [weights(train_small(runs_dir, *steps(n), base=SMALL_LINEAR)) for n in (1, 2, 3)]
    folder = train_small(runs_dir, *steps(3), "training.ema_decay=0.8", base=SMALL_LINEAR)
    best = checkpoint(folder, "best")["network"]
    for name, first in by_step[0].items():
        average = first  # it begins with the weights after the first step
        for step in by_step[1:]:
            average = 0.8 * average + 0.2 * step[name]
        torch.testing.assert_close(best[name], average)
    assert same_bits(weights(folder), by_step[2])
    trainer = small_trainer(base=SMALL_LINEAR)
    trainer.load_weights(best)
    evaluated = trainer.evaluate(trainer.validation.in_order(512)).metrics["loss"]
    assert evaluated == result(folder)["last"]["metrics"]["validation/loss"]
