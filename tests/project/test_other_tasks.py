"""Regression, several labels and pixels: the metrics are scikit-learn's, in one process and in two."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from labkit.distributed import process_group, rank, world_size
from modules.tasks.classification import Classification
from modules.tasks.measures import auc
from modules.tasks.multilabel import MultiLabel
from modules.tasks.regression import Regression
from modules.tasks.segmentation import Segmentation
from modules.training.metrics import Tally
from modules.training.task import Task
from sklearn import metrics
from small_runs import CPU, column, process_of, result, train_small
from test_distributed import start
from test_other_data import pictures, shards
from test_resume import assert_same_run, wait_for_checkpoint
from torch import Tensor

reference: Any = metrics  # whose annotations do not know average=None

EXACT = 1e-12
IGNORED = -100
MEAN, SCALE = 152.1, 77.3


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cases() -> dict[str, tuple[Task, Tensor, Tensor]]:
    """By name: a task, what a network gave, and what it should have given; 57 examples, scores with ties."""
    numbers = torch.randn(57, generator=random())
    labels = (torch.rand(57, 4, generator=random(1)) < 0.4).float()
    labels[:, 3] = 0  # it never occurs
    pixels = torch.randint(0, 4, (57, 6, 5), generator=random(2))  # of five classes: one never occurs
    pixels[torch.rand(pixels.shape, generator=random(3)) < 0.2] = IGNORED
    pixels[:8] = IGNORED  # a whole batch
    two = torch.randint(0, 2, (57,), generator=random(4))
    return {
        "regression": (
            Regression(unit="", target_mean=MEAN, target_scale=SCALE),
            (numbers + 0.5 * torch.randn(57, generator=random(5)))[:, None],
            numbers,
        ),
        "multilabel": (
            MultiLabel(threshold=0.5, label_names=["a", "b", "c", "d"]),
            (labels + torch.randn(57, 4, generator=random(6))).mul(4).round() / 4 - 0.5,
            labels,
        ),
        "segmentation": (
            Segmentation(ignore_index=IGNORED, class_names=list("abcde")),
            torch.randn(57, 5, 6, 5, generator=random(7))[:, :] - torch.tensor([0, 0, 0, 0, 99.0]).view(1, 5, 1, 1),
            pixels,
        ),
        "two classes": (
            Classification(label_smoothing=0.0, class_names=["no", "yes"]),
            (torch.randn(57, 2, generator=random(8)) + two[:, None] * torch.tensor([0.0, 1.0])).mul(4).round() / 4,
            two,
        ),
    }


def expected(name: str, outputs: Tensor, targets: Tensor) -> dict[str, float]:
    output, target = outputs.double().numpy(), targets.double().numpy()
    if name == "regression":
        true, predicted = target * SCALE + MEAN, output[:, 0] * SCALE + MEAN
        return {
            "r2": reference.r2_score(true, predicted),
            "rmse": reference.root_mean_squared_error(true, predicted),
            "mae": reference.mean_absolute_error(true, predicted),
        }
    if name == "multilabel":
        scores = outputs.sigmoid().numpy()
        areas = [reference.roc_auc_score(target[:, k], scores[:, k]) for k in range(3)]
        true, predicted = target, scores >= 0.5
        f1 = reference.f1_score(true, predicted, average=None, zero_division=0.0)
        return {
            "macro_f1": reference.f1_score(true, predicted, average="macro", zero_division=0.0),
            "micro_f1": reference.f1_score(true, predicted, average="micro"),
            "auc": float(np.mean(areas)),
            **{f"auc_label_{k}": area for k, area in enumerate(areas)},
            **{f"f1_label_{k}": value for k, value in enumerate(f1.tolist())},
        }
    if name == "segmentation":
        known = targets.numpy() != IGNORED
        true, predicted = targets.numpy()[known], outputs.argmax(1).numpy()[known]
        iou = reference.jaccard_score(true, predicted, average=None)
        assert len(iou) == 4
        return {
            "miou": float(np.mean(iou)),
            "pixel_accuracy": reference.accuracy_score(true, predicted),
            "loss": reference.log_loss(
                true, outputs.double().softmax(1).permute(0, 2, 3, 1).numpy()[known], labels=range(5)
            ),
            **{f"iou_class_{k}": value for k, value in enumerate(iou.tolist())},
        }
    return {
        "auc": reference.roc_auc_score(target, output[:, 1] - output[:, 0]),
        "accuracy": reference.accuracy_score(target, output.argmax(1)),
    }


def measured(name: str, batch_size: int = 8) -> dict[str, float]:
    """By this process and those beside it, which take the batches in turns."""
    task, outputs, targets = cases()[name]
    task.training = False
    task.network = lambda indices: outputs[indices]
    tally = Tally()
    for begin in range(rank() * batch_size, 57, world_size() * batch_size):
        indices = torch.arange(begin, min(begin + batch_size, 57))
        loss, values = task.step({"input": indices, "target": targets[indices]})
        tally.add({"loss": loss, **values}, len(indices))
    return tally.evaluation(task).metrics


@pytest.mark.parametrize("name", cases())
def test_metrics_are_those_of_scikit_learn(name: str) -> None:
    _, outputs, targets = cases()[name]
    for batch_size in (8, 57):
        found = measured(name, batch_size)
        for metric, value in expected(name, outputs, targets).items():
            assert found[metric] == pytest.approx(value, rel=1e-6 if metric == "loss" else EXACT, abs=EXACT), metric


def measure_here(path: Path) -> None:
    with process_group(CPU):
        found = {name: measured(name) for name in cases()}
        if rank() == 0:
            path.write_text(json.dumps(found), encoding="utf-8")


def test_two_processes_measure_the_same_to_the_last_bit_of_what_is_exact(tmp_path: Path) -> None:
    processes = start(2, measure_here, tmp_path / "found.json")
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    for name in cases():
        assert found[name] == pytest.approx(measured(name), rel=EXACT, abs=EXACT, nan_ok=True)


def test_a_metric_that_is_no_number_is_nan() -> None:
    assert np.isnan(auc(np.array([0.1, 0.2]), np.array([1, 1])))
    assert np.isnan(measured("multilabel")["auc_label_3"])
    assert np.isnan(measured("segmentation")["iou_class_4"])
    task = Regression(unit="", target_mean=0.0, target_scale=1.0)
    sums = np.array([1.0, 2.0, 4.0, 1.0])  # one example: nothing varies
    assert np.isnan(task.derive({"sums": sums}, {})["r2"])


def test_every_metric_says_what_it_is() -> None:
    for name, (task, _, _) in cases().items():
        found = measured(name)
        for metric in task.metrics:  # also of each class: "iou_class" of iou_class_0, iou_class_1, ...
            assert any(metric in (of, of.rpartition("_")[0]) for of in found), metric
        assert all(metric.direction in ("max", "min") and metric.title for metric in task.metrics.values())


def test_a_batch_without_a_labelled_pixel_changes_nothing() -> None:
    task, outputs, _ = cases()["segmentation"]
    weights = outputs[:8].clone().requires_grad_()
    task.network = lambda _: weights
    loss, values = task.step({"input": torch.zeros(8), "target": torch.full((8, 6, 5), IGNORED)})
    mean: Any = loss
    (mean.total / mean.count).backward()
    assert (mean.total / mean.count).item() == 0
    assert weights.grad is not None
    assert not weights.grad.any()
    assert values.keys() == {"pixel_accuracy"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("data=table", "model=mlp", "task=regression"),
            "^task: regression needs target_mean .* use task=classification",
        ),
        (("data=table_regression", "model=mlp"), "^task: classification needs class_names; .* use task=regression"),
        (("data=table", "model=mlp", "task=multilabel"), "^task: multi-label classification needs label_names"),
        (("data=table_regression", "model=mlp", "task=segmentation"), "^task: segmentation needs class_names"),
        (
            ("data=table", "model=mlp", "task=segmentation"),
            r"^task: segmentation needs a class for each pixel, .* \(64,\)",
        ),
        (
            ("data=shapes", "model=net2", "task=segmentation"),
            r"^model: gives \(64, 3\) for pixels .* choose model=unet",
        ),
        (("data=shapes_labels", "task=multilabel", "task.threshold=1"), "^task.threshold: must be above 0"),
    ],
    ids=str,
)
def test_a_task_says_what_data_it_needs(runs_dir: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_small(runs_dir, base=words)
    assert not runs_dir.exists()


STEPS = ("training.epochs=null", "training.steps=40", "training.batch_size=8", "system.device=cpu", "system.threads=1")
SHORT = (*STEPS, "training.evaluate_every_epochs=null", "training.evaluate_every_steps=10")
SHAPES = ("data.examples=100", "data.size=8")
KINDS = {
    "regression": ("data=table_regression", "task=regression", "model=mlp", "training.precision=bf16"),
    "several labels": ("data=shapes_labels", *SHAPES, "task=multilabel", "model=net_bn", "model.channels=2"),
    "pixels": ("data=shapes", *SHAPES, "task=segmentation", "model=unet", "model.channels=2", "data.flip=true"),
    "a table": ("data=table", "model=mlp", "model.dropout=0.2", "data.folds=5", "data.fold=2"),
    "patches": ("data=synthetic", "data.examples=100", "model=transformer", "model.width=8", "data.max_shift=1"),
    "images by workers": (
        *("data=image_folder", "data.folder={files}/images", "data.size=8", "data.in_memory=false", "data.flip=true"),
        *("system.loader_workers=2", "model=resnet20", "model.channels=2", "model.blocks=1"),
    ),
    "a memory map": (
        *("data=memory_map", "data.folder={files}/shards", "data.class_names=[no,yes]", "data.split_kind=random"),
        *("system.loader_workers=1", "model=mlp"),
    ),
    "texts": ("data=text", "model=transformer_text", "model.width=8", "model.dropout=0.2", "training.accumulation=2"),
}


def killed_and_resumed(runs_dir: Path, *words: str) -> Path:
    with process_of(runs_dir, *words, "system.checkpoint_minutes=0", base=(), held=True) as process:
        wait_for_checkpoint(runs_dir, process)
    folder = train_small(runs_dir, *words, base=())
    assert "resumed at step" in (folder / "train.log").read_text(encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_of_each_kind_ends_with_the_same_bits(kind: str, tmp_path: Path) -> None:
    pictures(tmp_path / "images")
    shards(tmp_path / "shards")
    words = [word.format(files=tmp_path) for word in KINDS[kind]]
    once = train_small(tmp_path / "once", *words, base=SHORT)
    metric = result(once)["monitor"]["metric"]
    assert len(column(once, metric)) == 4
    assert metric.removeprefix("validation/") in result(once)["metrics"]
    again = killed_and_resumed(tmp_path / "again", *SHORT, *words)
    assert_same_run(once, again)
