"""A finished run comes back as it was: its best weights, its data, its configuration."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from modules.loading import load_run
from small_runs import SMALL_LINEAR, train_small

# A learning rate at which the best evaluation is not the last one.
RESTLESS = ("training.epochs=6", "optimizer.lr=0.5")


def test_a_loaded_model_predicts_what_the_best_evaluation_counted(runs_dir: Path) -> None:
    folder = train_small(runs_dir, *RESTLESS, base=SMALL_LINEAR)
    run = load_run(folder)
    inputs, targets = (torch.from_numpy(values) for values in (run.data.inputs, run.data.targets))
    validation = run.data.split.validation
    with torch.no_grad():
        right = run.model(inputs[validation]).argmax(1) == targets[validation]
    assert run.result["best"]["step"] != run.result["last"]["step"]
    assert right.double().mean().item() == run.result["best"]["metrics"]["validation/accuracy"]
    assert (run.config.model["name"], run.config.optimizer["lr"]) == ("linear", 0.5)


def test_what_cannot_be_loaded_is_one_sentence(runs_dir: Path) -> None:
    folder = train_small(runs_dir, base=SMALL_LINEAR)
    with pytest.raises(ValueError, match=r"holds no finished run \(no run\.json\)"):
        load_run(folder.parent)
    other = shutil.copytree(folder, folder.with_name("other"))
    record = json.loads((other / "run.json").read_text())
    record["data"]["fingerprint"] = "0" * 16
    (other / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="was trained on other data"):
        load_run(other)
    (folder / "config.yaml").unlink()
    with pytest.raises(ValueError, match=r"config\.yaml: is missing or not that of a run"):
        load_run(folder)
