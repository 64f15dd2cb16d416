"""Metrics are exact over examples, whatever the size of the batches, and are those of scikit-learn."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score
from small_runs import CPU, SMALL, config_of, rows, run
from torch import Tensor

from labkit.runs.folder import RunFolder
from labkit.runs.interruption import Interruption
from labkit.runs.recorder import Recorder
from modules.parts import make_data, make_trainer
from modules.tasks.classification import classification_metrics
from modules.training.metrics import Tally
from modules.training.task import Batch, Mean, Task, Value
from modules.training.trainer import Trainer

CASES = {
    "some right": ([0, 0, 1, 1, 2, 2, 2], [0, 1, 1, 1, 2, 0, 2]),
    "all right": ([0, 1, 2], [0, 1, 2]),
    "all wrong": ([0, 1, 2], [1, 2, 0]),
    "one class is never predicted": ([0, 1, 2, 2], [0, 1, 0, 1]),
    "one class does not occur": ([0, 0, 1], [0, 2, 1]),
}


@pytest.mark.parametrize("case", CASES)
def test_metrics_are_those_of_scikit_learn(case: str) -> None:
    true, predicted = (np.array(labels) for labels in CASES[case])
    found = classification_metrics(confusion_matrix(true, predicted, labels=[0, 1, 2]))
    assert found["accuracy"] == pytest.approx(accuracy_score(true, predicted), rel=1e-12)
    f1 = f1_score(true, predicted, average="macro", labels=np.unique(true), zero_division=0.0)  # pyright: ignore
    assert found["macro_f1"] == pytest.approx(f1, rel=1e-12)
    for k in range(3):
        recall = recall_score(true == k, predicted == k) if k in true else np.nan
        assert found[f"accuracy_class_{k}"] == pytest.approx(recall, rel=1e-12, nan_ok=True)


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    config = config_of(*SMALL, "model=net_bn", "model.dropout=0.5")  # in evaluation neither may draw nor adapt
    return make_trainer(config, make_data(config), CPU)


def test_an_evaluation_counts_what_the_network_predicts(trainer: Trainer) -> None:
    (batch,) = trainer.validation.in_order(512)
    with torch.inference_mode():
        logits = trainer.bare.eval()(batch["input"])
    evaluation = trainer.evaluate([batch])
    assert evaluation.confusion_matrix == confusion_matrix(batch["target"], logits.argmax(1)).tolist()
    loss = -logits.double().log_softmax(1)[torch.arange(20), batch["target"]].mean().item()
    assert evaluation.metrics["loss"] == pytest.approx(loss, rel=1e-6)


def test_training_reports_the_accuracy_of_its_own_predictions(trainer: Trainer) -> None:
    batch = next(trainer.data.shuffled(0, 60, 0, 1))
    trainer.bare.eval()  # no dropout, so that both predictions are the same
    _, means = trainer.task.step(batch)
    accuracy = means["accuracy"]
    assert isinstance(accuracy, Tensor)
    right = trainer.bare(batch["input"]).argmax(1) == batch["target"]
    assert accuracy.double().mean() == right.double().mean()


@pytest.mark.parametrize("batch_size", [1, 7, 19])
def test_the_size_of_the_evaluated_batches_changes_no_metric(trainer: Trainer, batch_size: int) -> None:
    whole = trainer.evaluate(trainer.validation.in_order(20))
    parts = trainer.evaluate(trainer.validation.in_order(batch_size))
    assert parts.confusion_matrix == whole.confusion_matrix
    assert parts.metrics == pytest.approx(whole.metrics, rel=1e-6)


class Distance(Task):
    """A task of one method. `of_the_batch` is one number for the whole batch, `of_each` one for each example."""

    def step(self, batch: Batch) -> tuple[Tensor, dict[str, Value]]:
        error = self.output(batch).mean(1) - batch["target"]
        return error.square().mean(), {"of_the_batch": error.abs().mean(), "of_each": error.abs()}


def test_means_of_uneven_batches_are_weighted_by_their_examples_or_by_counts_of_their_own() -> None:
    tally = Tally()
    tokens = [Mean(torch.tensor(1.0), torch.tensor(1.0)), Mean(torch.tensor(0.0), torch.tensor(3.0))]
    means = {"of_the_batch": torch.tensor(1.0), "of_each": torch.tensor([1.0, 2.0, 3.0])}
    tally.add({**means, "of_tokens": tokens[0]}, examples=3)
    tally.add({"of_the_batch": torch.tensor(5.0), "of_each": torch.tensor([6.0]), "of_tokens": tokens[1]}, examples=1)
    assert tally.evaluation(Distance()).metrics == {"of_the_batch": 2.0, "of_each": 3.0, "of_tokens": 0.25}


def test_a_task_of_your_own_needs_one_method(tmp_path: Path) -> None:
    config = config_of(*SMALL, "training.monitor=validation/loss", "training.epochs=20")
    made = make_trainer(config, make_data(config), CPU)
    own = Trainer(
        task=Distance(),
        network=made.bare,
        optimizers=made.optimizers,
        training=made.data,
        validation=made.validation,
        config=config.training,
        seed=0,
        device=CPU,
    )
    with Recorder(
        RunFolder(tmp_path), logging.getLogger("test"), Interruption(), "an id", config.system, own.workload
    ) as recorder:
        own.train(recorder)
    first, *_, last = rows(tmp_path)
    assert last["train/loss"] < 0.5 * first["train/loss"]
    (batch,) = own.validation.in_order(20)
    with torch.inference_mode():
        error = (own.bare.eval()(batch["input"]).mean(1) - batch["target"]).abs().double()
    for name in ("of_the_batch", "of_each"):
        assert last[f"validation/{name}"] == pytest.approx(error.mean().item(), rel=1e-6)


def test_a_row_holds_the_means_over_all_steps_since_the_last_row(tmp_path: Path) -> None:
    every_step = ("training.evaluate_every_epochs=null", "training.evaluate_every_steps=1")
    steps = rows(run(tmp_path / "steps", *every_step))
    for epoch, row in enumerate(rows(run(tmp_path / "epochs"))):
        for name in ("train/loss", "train/accuracy"):
            mean = np.mean([step[name] for step in steps[7 * epoch : 7 * epoch + 7]])
            assert row[name] == pytest.approx(mean, rel=1e-12)
