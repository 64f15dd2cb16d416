"""What runs/check.py says of data, a model and a task: it names planted faults and writes one picture."""

import itertools
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gan_example
import numpy as np
import pytest
import torch
from labkit.launching.main import main
from matplotlib.image import imread
from modules.check import check
from modules.data.picture import draw
from modules.models import networks
from modules.tasks import classification
from modules.tasks.classification import Classification
from modules.tasks.multilabel import MultiLabel
from modules.tasks.regression import Regression
from modules.tasks.segmentation import Segmentation
from modules.training.task import Batch, Task, Value
from runs.check import load
from small_runs import SMALL, config_of, run_command
from torch import Tensor, nn

SHORT = ("training.batch_size=8", "training.epochs=2", "system.device=cpu", "system.threads=1")
NAMES = ["parts", "batch", "targets", "targets", "targets", "picture", "loss", "cost", "one batch"]


class Checked:
    """What the command printed."""

    def __init__(self, printed: str, folder: Path) -> None:
        self.lines = printed.splitlines()
        self.pictures = [path for path in folder.rglob("*") if path.is_file()]

    def of(self, name: str) -> list[str]:
        return [line[11:] for line in self.lines if line[:9].strip() == name]


@pytest.fixture
def checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Calls the command in this process, with `data/` in a folder of its own."""

    def call(*words: str) -> Checked:
        check(config_of(*words, f"system.runs_dir={tmp_path}/data/runs"))
        return Checked(capsys.readouterr().out, tmp_path / "data")

    return call


def install(patch: pytest.MonkeyPatch, module: Any, kind: type) -> str:
    """Puts a class where a student's would be; returns its `_target_`."""
    patch.setattr(kind, "__module__", module.__name__)
    patch.setattr(module, kind.__name__, kind, raising=False)
    return f"{module.__name__}.{kind.__name__}"


def write_table(path: Path) -> tuple[str, ...]:
    """200 rows, of which 1 in 20 is of the class yes; a row of the test part stands in the training part as well."""
    random = np.random.default_rng(0)
    rows = [[*random.normal(size=3), "yes" if k % 20 == 0 else "no", "train"] for k in range(200)]
    for row in rows[120:160]:
        row[4] = "validation"
    for row in rows[160:]:
        row[4] = "test"
    rows[199][:4] = rows[19][:4]
    lines = ["a,b,c,answer,part", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return ("data=table", f"data.file={path}", "data.target=answer", "data.split_kind=given", "data.split_column=part")


def test_images_have_a_line_for_each_check_and_one_picture(checked: Any) -> None:
    found = checked(*SMALL, "data.max_shift=1")
    assert [line[:9].strip() for line in found.lines] == NAMES
    assert all(line[11:].startswith("ok: ") for line in found.lines)
    assert found.of("parts") == ["ok: 60 train, 20 validation, 20 test examples, none of them in two parts"]
    assert found.of("batch")[0].startswith("ok: input (8, 1, 4, 4) float32 from ")
    assert found.of("batch")[0].endswith("; target (8,) int64 from 1 to 3")
    assert found.of("targets")[0] == "ok: train: 0 (25.0%), 1 (25.0%), 2 (25.0%), 3 (25.0%)"
    assert found.of("loss")[0].endswith(" before training, where chance gives 1.386")
    assert re.search(r"a run of 14 steps takes 0\.\d s without its evaluations", found.of("cost")[0])
    assert "they are learnt by heart" in found.of("one batch")[0]
    (picture,) = found.pictures
    assert picture.parts[-3:] == ("data", "checks", "net2-synthetic-classification.png")
    assert str(picture) in found.of("picture")[0]
    assert min(imread(picture).shape[:2]) > 200


def test_a_rare_class_and_an_example_in_two_parts_are_named(checked: Any, tmp_path: Path) -> None:
    found = checked(*write_table(tmp_path / "t.csv"), "model=mlp", *SHORT)
    twice = "1 of 40 test examples are in the training part as well"
    assert found.of("data") == [f"look: {twice}; correct the data, or say so beside every result"]
    assert found.of("parts") == ["ok: 120 train, 40 validation, 40 test examples"]
    rare = "yes is rare: a mean over all of them hides it"
    assert found.of("targets")[0] == f"look: train: no (95.0%), yes (5.0%); {rare}"
    assert found.of("targets")[2] == "ok: test: no (95.0%), yes (5.0%)"
    assert found.of("batch")[0].startswith("ok: input (8, 3) float32")


def test_pixels_up_to_255_in_a_memory_map_are_named(checked: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "inputs-000.npy", np.random.default_rng(0).uniform(0, 255, (40_000, 1, 4, 4)).astype(np.float32))
    np.save(tmp_path / "targets-000.npy", np.arange(40_000) % 8)
    words = ("data=memory_map", f"data.folder={tmp_path}", "data.class_names=[a,b,c,d,e,f,g,h]", "model=linear")
    found = checked(*words, *SHORT)
    assert found.of("parts")[0].endswith("examples; equal ones were not searched for")
    assert re.match(r"look: input .* from \d\.\d+ to 25\d, mean 1\d\d, std 7\d", found.of("batch")[0])
    assert found.of("batch")[0].endswith("scale them")
    sample = re.match(
        r"ok: train, (\d,\d+) examples of it: 8 classes, most often \w \((\d+)\..%\), least often \w \((\d+)\..%\)",
        found.of("targets")[0],
    )
    assert sample
    assert 4_000 < int(sample[1].replace(",", "")) <= 5_000
    assert 10 < int(sample[3]) <= int(sample[2]) < 15
    assert re.match(r"look: [\d.]+ before training, where chance gives 2.079; the network begins", found.of("loss")[0])


def test_texts_and_masks_and_numbers_are_described(checked: Any) -> None:
    found = checked("data=text", "model=transformer_text", *SHORT)
    assert re.match(r"ok: input \(8, \d+\) int64 from 0 to \d+; mask .* bool, \d+% True", found.of("batch")[0])
    assert re.match(r"ok: train: positive \(50.\d%\), negative \(49.\d%\)", found.of("targets")[0])
    found = checked("data=shapes", "data.examples=40", "data.size=8", "task=segmentation", "model=unet", *SHORT)
    assert re.match(
        r"(ok|look): train: background \(\d\d.\d%\), \w+ \(\d+.\d%\), \w+ \(\d+.\d%\)", found.of("targets")[0]
    )
    assert found.of("loss")[0].endswith("where chance gives 1.099")
    found = checked("data=table_regression", "task=regression", "model=mlp", *SHORT)
    assert found.of("targets")[0] == "ok: train: from 25 to 346, mean 152.7, std 79.83"
    assert found.of("loss")[0].endswith("where chance gives 1")
    found = checked("data=shapes_labels", "data.examples=40", "data.size=8", "task=multilabel", "model=net2", *SHORT)
    assert re.match(r"ok: train: \w+ \(\d\d.\d%\), \w+ \(\d\d.\d%\)$", found.of("targets")[0])
    assert found.of("loss")[0].endswith("where chance gives 0.6931")
    assert len(found.pictures) == 4


def test_a_frozen_network_does_not_learn_a_batch(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Frozen(networks.Linear):
        def __init__(self, *, input_shape: tuple[int, ...], outputs: int) -> None:
            super().__init__(input_shape=input_shape, outputs=outputs)
            for name, parameter in self.named_parameters():
                parameter.requires_grad = name.endswith("bias")

    found = checked(*SMALL[:4], "model=linear", *SHORT, f"model._target_={install(monkeypatch, networks, Frozen)}")
    assert found.of("one batch")[0].startswith("look: the loss of 8 training examples goes from ")
    assert found.of("one batch")[0].endswith("in 1000 steps; 64 weights are frozen (requires_grad is False)")
    found = checked(*SMALL[:4], "model=linear", *SHORT, "optimizer.lr=1e-9")
    assert found.of("one batch")[0].endswith(
        "; look at optimizer.lr, the labels in the picture, and the size of the model"
    )


def test_a_batch_that_time_was_too_short_for_is_no_fault(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()  # a clock that shows a hundredth of a second more each time it is looked at
    clock = SimpleNamespace(perf_counter=lambda: next(ticks) / 100)
    for name, value in {"FEW_SECONDS": 1.0, "FEW_STEPS": 10**9, "LEARNT": 0.0, "time": clock}.items():
        monkeypatch.setattr(f"modules.check.{name}", value)
    found = checked(*SMALL[:4], "model=linear", *SHORT, "optimizer.lr=0.01")
    assert found.of("one batch")[0].startswith("ok: the loss of 8 training examples goes from ")
    assert found.of("one batch")[0].endswith(" steps, all that 1 s allow: it is on its way")


def test_a_step_that_fails_is_a_sentence(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Whole(networks.Linear):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).exp().add_(1)  # whose gradient needs what is overwritten here

    with pytest.raises(ValueError, match=r"inplace operation.*\(RuntimeError\); the batch holds input \(8, 1, 4, 4\)"):
        checked(*SMALL[:4], "model=linear", *SHORT, f"model._target_={install(monkeypatch, networks, Whole)}")


def test_a_first_loss_far_below_that_of_chance_is_named(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tenth(Classification):
        def step(self, batch: Batch) -> tuple[Tensor, dict[str, Value]]:
            loss, values = super().step(batch)
            return loss / 10, values

    found = checked(*SMALL, f"task._target_={install(monkeypatch, classification, Tenth)}")
    assert found.of("loss")[0].startswith("look: 0.1")
    assert found.of("loss")[0].endswith("; is the answer in the input, or is the network trained already?")


def test_a_task_of_the_users_own_is_checked_without_its_chance_loss(
    checked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(Task):
        def step(self, batch: Batch) -> tuple[Tensor, dict[str, Value]]:
            return nn.functional.cross_entropy(self.network(batch["input"]), batch["target"]), {}

    target = install(monkeypatch, classification, Own)
    words = (f"task._target_={target}", "task.name=own", "~task.label_smoothing", "training.monitor=validation/loss")
    found = checked(*SMALL, *words)
    assert found.of("loss")[0].endswith(" before training; the task has no chance_loss to compare it with")
    assert "they are learnt by heart" in found.of("one batch")[0]


def test_turns_against_each_other_are_left_out_of_the_one_batch(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task = install(monkeypatch, classification, gan_example.Adversarial)
    model = install(monkeypatch, networks, gan_example.GAN)
    words = (f"task._target_={task}", "task.name=gan", "~task.label_smoothing", "training.monitor=validation/fooled")
    words = (*words, "model=linear", f"model._target_={model}", "model.name=gan", "+model.width=8")
    found = checked(*SMALL[:4], *words, *SHORT)
    assert found.of("one batch")[0].startswith("ok: not tried: where several turns work against each other")
    assert " ms a step" in found.of("cost")[0]


def test_the_picture_shows_each_example_with_its_label() -> None:
    images = torch.rand(3, 1, 4, 4)
    facts = {"class_names": ["cat", "$dog$"]}
    figure = draw({"input": images, "target": torch.tensor([1, 0, 1])}, facts)
    assert [axes.get_title() for axes in figure.axes][:3] == ["$dog$", "cat", "$dog$"]
    shown: list[Any] = [axes.images[0].get_array() for axes in figure.axes[:3]]
    low, high = float(images.min()), float(images.max())
    assert all(
        np.allclose(pixels, (image[0] - low) / (high - low)) for pixels, image in zip(shown, images, strict=True)
    )
    masks = torch.tensor([[[0, 1], [1, -100]]])
    figure = draw({"input": torch.rand(1, 3, 2, 2), "target": masks}, facts)
    image, mask = (cast("Any", shown.get_array()) for shown in figure.axes[0].images)
    assert image.shape == (2, 2, 3)
    assert mask.filled(9).tolist() == [[0, 1], [1, 9]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cat", "$dog$"]
    facts = {"class_names": ["bad", "good"], "tokens": ["", "?", "very", "nice"]}
    figure = draw({"input": torch.tensor([[2, 3, 0], [1, 0, 0]]), "target": torch.tensor([1, 0])}, facts)
    assert [text.get_text() for text in figure.axes[0].texts] == ["good", "very nice", "bad", "?"]
    facts = {"target_mean": 100.0, "target_scale": 10.0}
    figure = draw({"input": torch.rand(2, 5), "target": torch.tensor([0.5, -1.0])}, facts)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["105", "90"]
    target = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    figure = draw({"input": torch.rand(2, 3, 7), "target": target}, {"label_names": ["a", "b"]})
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a, b", "none"]


@pytest.mark.parametrize(
    ("task", "shape", "target"),
    [
        (Classification(label_smoothing=0.0, class_names=list("abc")), (6, 3), torch.tensor([0, 1, 2, 0, 1, 2])),
        (Segmentation(ignore_index=-1, class_names=list("abcd")), (2, 4, 3, 3), torch.ones(2, 3, 3, dtype=torch.long)),
        (MultiLabel(threshold=0.5, label_names=["a", "b"]), (3, 2), torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])),
        (Regression(unit="", target_mean=3.0, target_scale=2.0), (4, 1), torch.tensor([1.0, -1.0, 1.0, -1.0])),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Task) else "",
)
def test_chance_is_the_loss_of_a_network_that_gives_zeros(task: Task, shape: tuple[int, ...], target: Tensor) -> None:
    task.network = lambda inputs: torch.zeros(shape)
    task.training = False
    loss, _ = task.step({"input": torch.zeros(len(target), 1), "target": target})
    mean = loss if isinstance(loss, Tensor) else loss.total / loss.count
    assert task.chance_loss is not None
    assert math.isclose(float(mean), task.chance_loss, rel_tol=1e-6)


def test_what_is_no_single_run_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = run_command("runs/check.py", "--multirun", "seed=0,1")
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("error: --multirun: this command takes one run; leave it out")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"^torchrun: this command needs one process only"):
        check(config_of(*SMALL))


def test_what_training_would_refuse_is_refused_before_any_file(checked: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^model: ConvNet takes images"):
        checked("data=table", "model=net2", *SHORT)
    assert list(tmp_path.iterdir()) == []


def test_help_names_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["runs/check.py", "--help"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # main() sets it: taken back at the end
    main("train", load, sweeps=False)
    assert capsys.readouterr().out.startswith("python runs/check.py [key=value ...]")
