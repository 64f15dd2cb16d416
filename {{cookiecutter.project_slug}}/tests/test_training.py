"""Training learns, repeats itself to the bit, survives a kill, and what it saved predicts the same again."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from small_runs import ROOT, SHORT, SMALL, at, rows, run, same_bits, weights

from modules.config import EvaluateConfig
from modules.evaluate import evaluate
from modules.loading import load_run

# All that must be saved or drawn again: momentum, dropout, shifts, batch statistics, averages, a falling rate.
EVERYTHING = (
    *("model=net_bn", "model.dropout=0.3", "data.max_shift=1", "data.flip=true", "training.ema_decay=0.9"),
    *("training.schedule=cosine", "training.epochs=null", "training.steps=150"),
)


def test_the_loss_falls_and_what_was_learned_holds_for_new_examples(runs_dir: Path) -> None:
    learned = rows(run(runs_dir, "training.epochs=10"))
    assert learned[-1]["train/loss"] < 0.5 * learned[0]["train/loss"]
    assert learned[-1]["validation/accuracy"] > 0.75  # guessing: 0.25


def test_one_seed_gives_the_same_weights_again_and_another_seed_gives_others(tmp_path: Path) -> None:
    def trained(number: int, seed: int) -> dict[str, torch.Tensor]:
        return weights(run(tmp_path / str(number), f"seed={seed}", "model.dropout=0.5", "data.max_shift=1"))

    first = trained(1, seed=0)
    torch.rand(5)
    assert same_bits(first, trained(2, seed=0))
    assert not same_bits(first, trained(3, seed=1))


def test_both_data_paths_train_the_same_weights(tmp_path: Path) -> None:
    first, second = (run(tmp_path, f"data.in_memory={value}", "model.dropout=0.5") for value in ("true", "false"))
    assert first != second
    assert same_bits(weights(first), weights(second))


def test_a_run_that_is_killed_and_started_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    words = [*SMALL, *EVERYTHING, at("system.runs_dir", killed), "system.checkpoint_minutes=0"]
    with subprocess.Popen([sys.executable, "runs/train.py", *words], cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while not list(killed.glob("*/*/checkpoints/last.pt")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert not list(killed.glob("*/*/run.json"))
    resumed = run(killed, *EVERYTHING)
    assert "resumed at step" in (resumed / "train.log").read_text(encoding="utf-8")
    whole = run(tmp_path / "whole", *EVERYTHING)
    assert (resumed / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    for name in ("last", "best"):
        assert same_bits(weights(resumed, name), weights(whole, name))


def test_a_loaded_run_predicts_what_was_measured_with_its_best_weights(runs_dir: Path) -> None:
    restless = ("model=linear", "optimizer=sgd", "optimizer.momentum=0", "optimizer.lr=0.5", "data.noise=2")
    folder = run(runs_dir, *restless, "training.epochs=6")  # its best evaluation is neither the first nor the last
    evaluate(EvaluateConfig(None, None, "best", False, device="cpu", runs_dir=str(runs_dir), datasets_dir=""))
    loaded = load_run(folder, "cpu")
    assert (loaded.config.model["name"], loaded.config.optimizer["lr"]) == ("linear", 0.5)
    assert loaded.result["best"]["step"] != loaded.result["last"]["step"]
    best = loaded.result["best"]["metrics"]
    assert best["validation/accuracy"] == max(row["validation/accuracy"] for row in rows(folder))
    measured = best | json.loads((folder / "test.json").read_bytes())["metrics"]
    for part in ("validation", "test"):
        examples = loaded.data.part(part)
        batch = examples.fetch(torch.arange(len(examples)), None)
        predicted = loaded.predict(batch["input"])["class"]
        assert (predicted == batch["target"].numpy()).mean() == measured[f"{part}/accuracy"]


def test_a_regression_on_a_table_of_your_own_learns(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"size": random.normal(50, 10, 200), "kind": random.choice(["old", "new"], 200)})
    table["price"] = 3 * table["size"] + 40 * (table["kind"] == "new")
    table.to_csv(tmp_path / "homes.csv", index=False)
    words = ("data=table_regression", f"data.file={tmp_path / 'homes.csv'}", "data.target=price", "task=regression")
    folder = run(tmp_path, *words, "model=mlp", "training.epochs=30", "optimizer.lr=0.01", base=SHORT)
    assert rows(folder)[-1]["validation/r2"] > 0.95
    loaded = load_run(folder, "cpu")
    test = loaded.data.part("test")
    predicted = loaded.predict(test.fetch(torch.arange(len(test)), None)["input"])["value"]
    price = table["price"].to_numpy()[loaded.data.split.test]  # in its own unit, as the prediction is
    assert ((predicted - price) ** 2).mean() < 0.05 * price.var()
