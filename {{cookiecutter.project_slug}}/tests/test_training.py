"""Training learns, repeats itself to the bit, survives a kill, and what it saved predicts the same again."""

import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from small_runs import ROOT, SMALL, rows, run, same_bits, weights

from modules.config import EvaluateConfig
from modules.evaluate import evaluate
from modules.loading import load_run

# All that must be saved or drawn again: momentum, dropout, shifts, batch statistics, averages, a falling rate.
EVERYTHING = (
    *("model=net_bn", "model.dropout=0.3", "data.max_shift=1", "training.ema_decay=0.9", "training.schedule=cosine"),
    *("training.epochs=null", "training.steps=150"),
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
    words = [*SMALL, *EVERYTHING, f"system.runs_dir={killed}", "system.checkpoint_minutes=0"]
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
    evaluate(EvaluateConfig(study=None, device="cpu", runs_dir=str(runs_dir), datasets_dir=""))
    loaded = load_run(folder, "cpu")
    assert (loaded.config.model["name"], loaded.config.optimizer["lr"]) == ("linear", 0.5)
    assert loaded.result["best"]["step"] != loaded.result["last"]["step"]
    best = loaded.result["best"]["metrics"]
    assert best["validation/accuracy"] == max(row["validation/accuracy"] for row in rows(folder))
    measured = best | json.loads((folder / "test.json").read_bytes())["metrics"]
    for part in ("validation", "test"):
        chosen = getattr(loaded.data.split, part)
        with torch.inference_mode():
            predicted = loaded.model(torch.from_numpy(loaded.data.inputs[chosen])).argmax(1).numpy()
        assert (predicted == loaded.data.targets[chosen]).mean() == measured[f"{part}/accuracy"]
