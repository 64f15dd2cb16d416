"""Metrics are exact sums over examples; a task is one method; and there are views of what is measured."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from modules.training.metrics import Tally
from modules.training.task import Batch, Each, Mean, Metric, Sum, Task, Value
from modules.training.trainer import Trainer
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score
from small_runs import (
    EVERY_STEP,
    SMALL_LINEAR,
    column,
    parts_of,
    result,
    rows,
    small_trainer,
    train_in,
    train_small,
    weights,
)
from torch import Tensor, nn


def test_metrics_are_exact_sums_over_examples_whatever_the_size_of_the_last_batch() -> None:
    trainer = small_trainer()
    whole = trainer.evaluate(trainer.data.in_order(60))
    for batch_size in (7, 8, 59, 1):
        parts = trainer.evaluate(trainer.data.in_order(batch_size))
        assert parts.confusion_matrix == whole.confusion_matrix
        assert {**parts.metrics, "loss": 0} == {**whole.metrics, "loss": 0}
        assert parts.metrics["loss"] == pytest.approx(whole.metrics["loss"], rel=1e-6)


def test_metrics_are_those_of_scikit_learn(runs_dir: Path) -> None:
    folder = train_small(runs_dir, "training.epochs=10")
    trainer = small_trainer()
    trainer.load_weights(weights(folder))
    (batch,) = trainer.validation.in_order(512)
    with torch.inference_mode():
        trainer.bare.eval()
        logits = trainer.bare(batch["input"])
    true, predicted = batch["target"].numpy(), logits.argmax(1).numpy()
    last = {name.removeprefix("validation/"): value for name, value in result(folder)["last"]["metrics"].items()}
    assert trainer.evaluate([batch]).confusion_matrix == confusion_matrix(true, predicted).tolist()
    assert last["loss"] == pytest.approx(nn.functional.cross_entropy(logits, batch["target"]).item(), rel=1e-6)
    assert last["accuracy"] == pytest.approx(accuracy_score(true, predicted), rel=1e-12)
    assert last["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"), rel=1e-12)
    for k in range(4):
        recall = recall_score(true == k, predicted == k)
        assert last[f"accuracy_class_{k}"] == pytest.approx(recall, rel=1e-12)


def test_the_training_metrics_of_a_row_are_means_over_all_steps_since_the_last_row(runs_dir: Path) -> None:
    every = rows(train_small(runs_dir, *EVERY_STEP))
    for epoch, row in enumerate(rows(train_small(runs_dir))):
        for name in ("train/loss", "train/accuracy"):
            assert row[name] == pytest.approx(np.mean([r[name] for r in every[7 * epoch : 7 * epoch + 7]]), rel=1e-12)


# ---- a task of one's own


class Brightness(Task):
    """Finds the brightness of an image: one method is all that a task needs; `visualise` may be filled."""

    metrics: ClassVar = {"mae": Metric("min", "mean absolute error")}

    def step(self, batch: Batch) -> tuple[Tensor, dict[str, Value]]:
        error = self.network(batch["input"])[:, 0] - batch["input"].mean((1, 2, 3))
        return error.square().mean(), {"mae": error.abs()}

    def visualise(self, batch: Batch, folder: Path) -> None:
        assert torch.is_inference_mode_enabled()
        with (folder / "seen.txt").open("a") as file:
            file.write(f"{len(batch['input'])} ")


def brightness(*overrides: str, task: type[Brightness] = Brightness) -> Trainer:
    base = (*SMALL_LINEAR, "optimizer.lr=0.03", "training.epochs=3", "training.evaluation_batch_size=12")
    parts = parts_of(small_trainer(*overrides, base=base))
    config = replace(parts["config"], monitor="validation/mae")
    return Trainer(**parts | {"config": config, "task": task()})


def test_a_task_is_one_method_and_may_draw_in_each_evaluation(tmp_path: Path) -> None:
    trainer = brightness()
    train_in(tmp_path, trainer)
    mae = column(tmp_path, "validation/mae")
    assert mae[-1] < mae[0]
    assert (tmp_path / "seen.txt").read_text() == "12 12 12 "
    (batch,) = trainer.validation.in_order(512)
    with torch.inference_mode():
        error = trainer.bare(batch["input"])[:, 0] - batch["input"].mean((1, 2, 3))
    assert mae[-1] == pytest.approx(error.abs().mean().item(), rel=1e-6)


def test_the_direction_is_that_of_the_metric(tmp_path: Path) -> None:
    trainer = brightness()
    assert trainer.monitor.direction == "min"
    train_in(tmp_path, trainer)
    assert trainer.monitor.best is not None
    assert trainer.monitor.best["metrics"]["validation/mae"] == min(column(tmp_path, "validation/mae"))


class Unsaid(Brightness):
    metrics: ClassVar = {}


@pytest.mark.parametrize(
    ("direction", "task", "answer"),
    [
        ("max", Brightness, "training.direction: validation/mae is better when it is lower: leave direction null"),
        ("null", Unsaid, "training.direction: is validation/mae better when it is higher or lower?"),
    ],
)
def test_a_direction_that_contradicts_the_metric_or_that_nobody_says_is_refused(
    direction: str, task: type[Brightness], answer: str
) -> None:
    parts = parts_of(brightness())
    config = replace(parts["config"], direction=None if direction == "null" else direction)
    with pytest.raises(ValueError, match=re.escape(answer)):
        Trainer(**parts | {"config": config, "task": task()})


def evaluation(batches: list[tuple[dict[str, Value], int]], task: Task | None = None) -> dict[str, float]:
    tally = Tally()
    for values, examples in batches:
        tally.add(values, examples)
    return tally.evaluation(task or Brightness()).metrics


def test_means_of_uneven_batches_are_weighted_by_their_examples() -> None:
    first: dict[str, Value] = {"scalar": torch.tensor(1.0), "each": torch.tensor([1.0, 2.0, 3.0])}
    second: dict[str, Value] = {"scalar": torch.tensor(5.0), "each": torch.tensor([6.0])}
    assert evaluation([(first, 3), (second, 1)]) == {"scalar": 2.0, "each": 3.0}


def test_a_mean_over_pixels_has_counts_of_its_own() -> None:
    batches: list[tuple[dict[str, Value], int]] = [
        ({"share": Mean(torch.tensor(9.0), torch.tensor(10.0))}, 1),
        ({"share": Mean(torch.tensor(1.0), torch.tensor(90.0))}, 5),
    ]
    assert evaluation(batches) == {"share": 0.1}


class Derived(Brightness):
    def derive(self, sums: dict[str, np.ndarray], each: dict[str, np.ndarray]) -> dict[str, float]:
        return {"sum": float(sums["sum"].sum()), "last": float(each["each"][-1]), "rows": len(each["each"])}


def test_sums_and_single_values_reach_the_task_whole() -> None:
    batches: list[tuple[dict[str, Value], int]] = [
        ({"sum": Sum(torch.tensor([k, 1])), "each": Each(torch.arange(k, k + 2))}, 2) for k in range(3)
    ]
    assert evaluation(batches, Derived()) == {"sum": 6.0, "last": 3.0, "rows": 6}


@pytest.mark.parametrize(
    ("value", "found"),
    [(0.5, "is a float"), (torch.zeros(4), r"has the shape \(4,\)"), (torch.zeros(2, 2), r"has the shape \(2, 2\)")],
)
def test_a_metric_that_is_neither_a_mean_nor_a_value_for_each_example_is_refused(value: Any, found: str) -> None:
    with pytest.raises(ValueError, match=f"^task: the metric odd {found}; return a tensor with"):
        Tally().add({"odd": value}, examples=8)


class Items(Brightness):
    def step(self, batch: Batch) -> tuple[Tensor, dict[str, Value]]:
        loss, metrics = super().step(batch)
        return loss, {"mae": metrics["mae"].mean().item()} if self.training else metrics  # pyright: ignore


class Wrong(Brightness):
    def step(self, batch: Batch) -> tuple[Tensor, dict[str, Value]]:
        return nn.functional.cross_entropy(self.network(batch["input"])[:, :2], batch["target"] + 2), {}


RETURNED: dict[str, tuple[Callable[..., Any], str]] = {
    "no pair": (lambda loss, _: loss, "step must return a pair"),
    "no names": (lambda loss, _: (loss, None), "step must return a pair: the loss, and a dictionary"),
    "a loss for each example": (
        lambda loss, _: (loss.expand(4), {}),
        "the loss must be a tensor that holds",
    ),
    "a number": (lambda loss, _: (loss.item(), {}), "the loss must be a tensor"),
    "a detached loss": (lambda loss, _: (loss.detach(), {}), "no weight has a part in the loss"),
}


@pytest.mark.parametrize("mistake", RETURNED)
def test_what_a_step_must_return_is_said_before_training(mistake: str) -> None:
    change, answer = RETURNED[mistake]

    class Returning(Brightness):
        def step(self, batch: Batch) -> Any:
            return change(*super().step(batch))

    with pytest.raises(ValueError, match=f"^task: {answer}"):
        brightness(task=Returning)


def test_an_ordinary_mistake_in_a_task_is_a_sentence_before_training() -> None:
    with pytest.raises(ValueError, match="the metric mae is a float; return a tensor with"):
        brightness(task=Items)
    with pytest.raises(
        ValueError, match=r"the first batch: Target \d is out of bounds.* \(IndexError\); the batch holds"
    ):
        brightness(task=Wrong)


# ---- views


def test_tensorboard_shows_the_rows_of_metrics_csv(runs_dir: Path) -> None:
    pytest.importorskip("tensorboard", reason="pip install tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    folder = train_small(runs_dir, "tracker=tensorboard")
    (file,) = (folder / "tensorboard").iterdir()
    shown = {
        (event.step, value.tag): value.tensor.float_val[0]
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
    }
    for row in rows(folder):
        for name, number in row.items():
            if not math.isnan(number):
                assert shown[int(row["step"]), name] == pytest.approx(number, rel=1e-6)


def test_the_log_says_how_fast_and_how_long_and_what_fetching_takes(runs_dir: Path) -> None:
    folder = train_small(runs_dir, "system.log_every_steps=5")
    log = (folder / "train.log").read_text(encoding="utf-8")
    assert log.count("examples/s | elapsed") == 3  # two of five steps, and the last one
    for word in (
        "step 5/14 | epoch 0.71 | loss ",
        " | left ",
        " | fetch ",
        "update ",
        "finished: best validation/accuracy",
    ):
        assert word in log
