"""A mistake is answered in one sentence before anything is created."""

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from labkit.launching.errors import sentence
from modules.parts import make_data
from small_runs import DIGITS, checked, config_of, hydra_compose, run_command, train_small

MISTAKES: list[tuple[str, str]] = [
    # unknown keys and choices
    ("training.batch_sise=3", 'training.batch_sise: nothing reads this key; did you mean "training.batch_size"?'),
    ("batchsize=3", "batchsize: nothing reads this key"),
    ("modle=net2", 'modle: nothing reads this key; did you mean "model"?'),
    ("++new=1", "new: nothing reads this key"),
    ("+training.epoch=1", 'training.epoch: nothing reads this key; did you mean "training.epochs"?'),
    ("+model.hidden_layer=3", 'model.hidden_layer: ConvNet has no such setting; did you mean "hidden_layers"?'),
    ("+data.example=3", 'data.example: Synthetic has no such setting; did you mean "examples"?'),
    ("+optimizer.weight_dekay=1", 'optimizer.weight_dekay: AdamW has no such setting; did you mean "weight_decay"?'),
    ("model=nett2", 'model: there is no "nett2", there is linear, mlp, net2, net5, '),
    ("model=nett2", 'did you mean "net2"?'),
    ("data=digit", 'did you mean "digits"?'),
    ("optimizer=adam", 'did you mean "adamw"?'),
    ("tracker=tensorbord", 'did you mean "tensorboard"?'),
    ("+launcher=jolib", 'launcher: there is no "jolib"'),
    ("+launcher=jolib", 'did you mean "joblib"?'),
    ("+launcher=slurmgp", 'did you mean "slurmgpu"?'),
    ("+experiment=sweep_model", 'did you mean "sweep_models"?'),
    # types
    ("training.batch_size=abc", "training.batch_size: "),
    ("training.batch_size=32.5", "training.batch_size: "),
    ("training.batch_size=", "training.batch_size: "),
    ("training.batch_size=null", "training.batch_size: "),
    ("training.batch_size=[1,2]", "training.batch_size: "),
    ("training.clip_norm=abc", "training.clip_norm: "),
    ("training.compile=maybe", "training.compile: "),
    ("seed=abc", "seed: "),
    ("seed=1.5", "seed: "),
    ("model.channels=1.5", "model.channels: "),
    ("model.dropout=abc", "model.dropout: "),
    ("data.in_memory=maybe", "data.in_memory: "),
    ("data.input_shape=8", "data.input_shape: "),
    ("optimizer.lr=abc", "optimizer.lr: must be a number above 0, not abc"),
    ("optimizer.lr=true", "optimizer.lr: must be a number above 0, not True"),
    ("optimizer.lr=null", "optimizer.lr: "),
    ("optimizer.lr=[1]", "optimizer.lr: must be a number above 0, not [1]"),
    ("optimizer.weight_decay=abc", "optimizer.weight_decay: "),
    ("optimizer.fused=abc", "optimizer.fused: "),
    (
        "model=[net2,net5]",
        "model: takes one choice, not [net2,net5]; to sweep over them, use --multirun model=net2,net5",
    ),
    # ranges
    ("seed=-1", "seed: must be at least 0, not -1"),
    ("training.batch_size=0", "training.batch_size: must be at least 1, not 0"),
    ("training.batch_size=-5", "training.batch_size: must be at least 1, not -5"),
    ("training.evaluation_batch_size=0", "training.evaluation_batch_size: must be at least 1, not 0"),
    ("training.accumulation=0", "training.accumulation: must be at least 1, not 0"),
    ("training.epochs=0", "training.epochs: must be at least 1, not 0"),
    ("training.warmup_steps=-1", "training.warmup_steps: must be at least 0, not -1"),
    ("training.warmup_steps=14", "training.warmup_steps: must be below the 14 steps of the run, not 14"),
    ("training.early_stopping=0", "training.early_stopping: must be at least 1, not 0"),
    ("training.evaluate_every_epochs=0", "training.evaluate_every_epochs: must be at least 1, not 0"),
    ("training.plateau_patience=0", "training.plateau_patience: must be at least 1, not 0"),
    ("training.plateau_factor=1.5", "training.plateau_factor: must be above 0 and below 1, not 1.5"),
    ("training.ema_decay=1", "training.ema_decay: must be above 0 and below 1, not 1.0"),
    ("training.clip_norm=0", "training.clip_norm: must be a number above 0, not 0.0"),
    ("optimizer.lr=0", "optimizer.lr: must be a number above 0, not 0"),
    ("optimizer.lr=-1e-3", "optimizer.lr: must be a number above 0, not -0.001"),
    ("optimizer.lr=nan", "optimizer.lr: nan is not a finite number"),
    ("optimizer.lr=inf", "optimizer.lr: inf is not a finite number"),
    ("optimizer.lr=1e400", "optimizer.lr: inf is not a finite number"),
    ("optimizer.weight_decay=-1", "optimizer: torch.optim.AdamW rejects its settings (Invalid weight_decay"),
    ("data.split_seed=-1", "data"),
    ("data.generation_seed=-1", "data"),
    ("optimizer.weight_decay=nan", "optimizer.weight_decay: nan is not a finite number"),
    ("model.hidden_layers=-1", "model: channels, hidden_layers, hidden_width must be at least 1"),
    ("model.dropout=1", "dropout at least 0, below 1"),
    ("data.input_shape=[1,3,8]", "data: images of 3 x 8 pixels are too small for this model; it needs 4 x 4"),
    ("data.input_shape=[8,8]", "data: needs examples >= 1, classes >= 2 and an input_shape of three sizes >= 1"),
    ("data.examples=0", "data: needs examples >= 1"),
    ("data.examples=10", "data: class 2 has 2 examples, too few for every part of the split"),
    ("data.max_shift=-1", "data.max_shift: must be at least 0 pixels, not -1"),
    (
        "data.test_fraction=0.9",
        "data: validation_fraction must be above 0, test_fraction at least 0, and",
    ),
    ("system.loader_workers=-1", "system.loader_workers: must be at least 0, not -1"),
    ("system.log_every_steps=0", "system.log_every_steps: must be at least 1, not 0"),
    ("system.checkpoint_minutes=-1", "system.checkpoint_minutes: must be at least 0, not -1"),
    ("training.precision=fp8", 'training.precision: "fp8" is not one of fp32, bf16, fp16'),
    (
        "training.schedule=cosin",
        'training.schedule: "cosin" is not one of constant, plateau, cosine, linear, one_cycle; did you mean "cosine"?',
    ),
    ("training.direction=up", 'training.direction: "up" is not one of max, min'),
    ("system.device=gpu", 'system.device: "gpu" is not one of auto, cpu, cuda'),
    ("study=a/b", 'study: "a/b" cannot name a folder'),
    ("study='..'", 'study: ".." cannot name a folder'),
    ("study=''", 'study: "" cannot name a folder'),
    # combinations
    ("training.steps=5", "training.epochs: set either this or training.steps, and the other one to null"),
    ("training.epochs=null", "training.epochs: set either this or training.steps, and the other one to null"),
    (
        "training.evaluate_every_steps=5",
        "training.evaluate_every_epochs: set either this or training.evaluate_every_steps",
    ),
    ("training.batch_size=61", "training.batch_size: 60 training examples do not fill one step of 61 x 1"),
    ("training.accumulation=8", "training.batch_size: 60 training examples do not fill one step of 8 x 8"),
    (
        "training.monitor=validation/acuracy",
        'training.monitor: "validation/acuracy" is not one of the metrics validation/loss',
    ),
    ("training.monitor=validation/acuracy", 'did you mean "validation/accuracy"?'),
    ("training.direction=min", "training.direction: validation/accuracy is better when it is higher: leave"),
    ("study=con", 'study: "con" cannot name a folder'),
    ("model.name=Aux.1", 'model.name: "Aux.1" cannot name a folder'),
    ("system.threads=100000", "system.threads: must be at most "),
    ("+system.tracker._target_=modules.models.networks.ConvNet", "is not a Tracker of this project or of torch"),
    ("model._target_=modules.data.sources.Synthetic", "is not a Module of this project or of torch"),
    ("model._target_=modules.data.sources.Path", "is not a Module of this project or of torch"),
    # missing values
    ("seed=???", "seed: has no value"),
    ("model.channels=???", "model.channels: has no value"),
    ("optimizer.lr=${missing.key}", "optimizer.lr: "),
    ("optimizer.lr=${missing.key}", "missing.key"),
    # what cannot be read
    ("seed", "seed: cannot be read as key=value"),
    ("seed=[1", "seed=[1: cannot be read as key=value"),
    ("model._target_=os.system", 'model._target_: "os.system" is not allowed'),
]


def refusal(runs_dir: Path, *overrides: str, **how: Any) -> str:
    """The sentence that is printed instead of training; nothing has been created."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  (the test is that there is a sentence for it)
        train_small(runs_dir, *overrides, **how)
    answer = sentence(caught.value)
    assert answer is not None, f"a traceback: {caught.value!r}"
    assert len(answer.splitlines()) == 1
    assert not runs_dir.exists()
    return answer


def test_batch_norm_needs_two_examples(runs_dir: Path) -> None:
    answer = refusal(runs_dir, "model=net_bn", "training.batch_size=1")
    assert answer == "training.batch_size: batch normalisation needs batches of at least 2"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "Not a directory" in refusal(tmp_path / "file" / "runs")


def test_a_setting_that_the_tracker_does_not_have_is_refused(runs_dir: Path) -> None:
    answer = refusal(runs_dir, "tracker=tensorboard", "+system.tracker.x=1")
    assert answer == "system.tracker.x: TensorBoard has no such setting"


def test_a_loss_that_is_no_number_stops_the_run(runs_dir: Path) -> None:
    with pytest.raises(ValueError, match="the loss became nan between steps 1 and 7; lower"):
        train_small(runs_dir, "optimizer.lr=1e30")
    assert not list(runs_dir.glob("*/*/run.json"))


@pytest.mark.parametrize(("override", "answer"), MISTAKES)
def test_a_mistake_is_answered_in_one_sentence_and_leaves_nothing(override: str, answer: str, runs_dir: Path) -> None:
    assert answer in refusal(runs_dir, override)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_asked_for_must_be_there(runs_dir: Path) -> None:
    answer = refusal(runs_dir, "system.device=cuda")
    assert answer == f"system.device: no GPU visible (torch {torch.__version__}); use cpu or auto"


def test_a_misspelt_key_inside_an_experiment_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    experiment = tmp_path / "experiment" / "mine.yaml"
    experiment.write_text("# @package _global_\ntraining: {epoch: 3}\n", encoding="utf-8")
    composed = hydra_compose("+experiment=mine", f"hydra.searchpath=[{tmp_path.as_uri()}]")
    with pytest.raises(
        ValueError, match=r'^training\.epoch: nothing reads this key; did you mean "training\.epochs"\?$'
    ):
        checked(composed)


def test_missing_data_are_answered_with_the_command_that_prepares_them(runs_dir: Path, tmp_path: Path) -> None:
    answer = refusal(runs_dir, f"system.datasets_dir={tmp_path}", base=DIGITS)
    path = tmp_path / "digits" / "dataset.json"
    assert answer == f"{path}: the data set is missing; run: python runs/prepare.py datasets=[digits]"


def test_data_that_are_not_those_that_were_prepared_are_named(tmp_path: Path, datasets: Path) -> None:
    config = config_of(*DIGITS, f"system.datasets_dir={tmp_path}")
    folder = tmp_path / "digits"
    for name, damage in itertools.product(
        ("inputs.npy", "targets.npy", "dataset.json"), ("edited", "cut", "empty", None)
    ):
        shutil.copytree(datasets, tmp_path, dirs_exist_ok=True)
        make_data(config)
        content = (folder / name).read_bytes()
        edited = content[:-40] + bytes([content[-40] ^ 1]) + content[-39:]
        (folder / name).write_bytes({"edited": edited, "cut": content[:-40], "empty": b""}.get(str(damage), b""))
        if damage is None:
            (folder / name).unlink()
        with pytest.raises(ValueError, match=r"; run: python runs/prepare\.py datasets=\[digits\]$") as caught:
            make_data(config)
        assert str(folder) in str(caught.value)


def test_the_command_prints_one_line_and_ends_with_status_1(tmp_path: Path) -> None:
    answers = {
        "modle=net2": 'error: modle: nothing reads this key; did you mean "model"?\n',
        "training=3": "error: training=3: takes the name of a file in config/; see --help\n",
        "seed=-1": "error: seed: must be at least 0, not -1\n",
    }
    for override, answer in answers.items():
        result = run_command("runs/train.py", override, f"system.runs_dir={tmp_path / 'runs'}")
        assert (result.returncode, result.stdout, result.stderr) == (1, "", answer)
    assert list(tmp_path.iterdir()) == []
