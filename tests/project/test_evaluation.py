"""The test set is touched once, at the end, with the weights that validation chose."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from modules.config import EvaluateConfig
from modules.evaluate import evaluate
from modules.loading import load_run
from modules.models.networks import Linear
from modules.parts import make_batches, make_data, make_trainer
from sklearn.datasets import load_diabetes
from small_runs import CPU, SMALL_LINEAR, checkpoint, config_of, train_small

# A learning rate at which the best evaluation is not the last one.
RESTLESS = ("training.epochs=6", "optimizer.lr=0.5")


def evaluate_all(runs_dir: Path, study: str | None = None, predictions: bool = False, weights: str = "best") -> None:
    given = {"study": study, "runs": None, "weights": weights, "predictions": predictions}
    evaluate(EvaluateConfig(**given, device="cpu", runs_dir=str(runs_dir), datasets_dir=""))


def metrics_of_test(folder: Path, name: str = "test.json") -> dict[str, float]:
    return json.loads((folder / name).read_text())["metrics"]


def predictions_of(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "predictions.npz") as kept:
        return dict(kept)


def test_test_metrics_are_those_of_the_best_weights_on_the_test_split(runs_dir: Path) -> None:
    folder = train_small(runs_dir, *RESTLESS, base=SMALL_LINEAR)
    result = json.loads((folder / "run.json").read_text())
    assert result["best"]["step"] != result["last"]["step"]
    evaluate_all(runs_dir)
    config = config_of(*SMALL_LINEAR, *RESTLESS)
    data = make_data(config)
    network = make_trainer(config, data, CPU).bare
    network.load_state_dict(checkpoint(folder, "best")["network"])
    test = np.load(folder / "split.npz")["test"]
    batch = data.part("test").fetch(torch.arange(len(test)), None)
    predicted = network(batch["input"]).argmax(1)
    assert metrics_of_test(folder)["test/accuracy"] == (predicted == batch["target"]).double().mean()
    confusion = np.array(json.loads((folder / "test.json").read_text())["confusion_matrix"])
    assert confusion.sum() == len(test) == 20


@pytest.mark.parametrize("average", [(), ("training.ema_decay=0.9",)])
def test_the_last_weights_are_evaluated_beside_the_best_ones(average: tuple[str, ...], runs_dir: Path) -> None:
    folder = train_small(runs_dir, *RESTLESS, *average, base=SMALL_LINEAR)
    evaluate_all(runs_dir)
    before = (folder / "test.json").read_bytes()
    evaluate_all(runs_dir, weights="last", predictions=True)
    assert (folder / "test.json").read_bytes() == before
    result = json.loads((folder / "run.json").read_text())
    assert json.loads((folder / "test_last.json").read_text())["step"] == result["last"]["step"]
    with np.load(folder / "predictions_last.npz") as kept:
        right = (kept["class"] == kept["target"]).mean()
    assert metrics_of_test(folder, "test_last.json")["test/accuracy"] == pytest.approx(right)
    run = load_run(folder, "cpu", weights="last")
    again = run.trainer.evaluate(make_batches(run.config, run.data, "validation", CPU).in_order(64)).metrics
    assert again["loss"] == pytest.approx(result["last"]["metrics"]["validation/loss"], rel=1e-6)


def test_each_run_is_evaluated_by_its_own_configuration_and_once(
    runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [train_small(runs_dir), train_small(runs_dir, base=SMALL_LINEAR)]
    evaluate_all(runs_dir, "default")
    before = [(folder / "test.json").read_bytes() for folder in folders]
    capsys.readouterr()
    evaluate_all(runs_dir)
    assert capsys.readouterr().out.splitlines() == sorted(f"{folder}: evaluated already" for folder in folders)
    assert [(folder / "test.json").read_bytes() for folder in folders] == before


def test_averaged_weights_are_evaluated_where_there_were_any(runs_dir: Path) -> None:
    folder = train_small(runs_dir, "training.ema_decay=0.9")
    best, last = checkpoint(folder, "best"), checkpoint(folder, "last")
    assert not torch.equal(best["network"]["layers.0.weight"], last["network"]["layers.0.weight"])
    evaluate_all(runs_dir)
    assert 0 <= metrics_of_test(folder)["test/accuracy"] <= 1


def test_what_cannot_be_evaluated_is_named_and_the_others_are(runs_dir: Path) -> None:
    good, other_step, damaged, other_data, flipped = (train_small(runs_dir, f"seed={seed}") for seed in range(5))
    weights = bytearray((flipped / "checkpoints" / "best.pt").read_bytes())
    weights[len(weights) // 2] ^= 64
    (flipped / "checkpoints" / "best.pt").write_bytes(weights)
    best = checkpoint(other_step, "best")
    torch.save(best | {"step": best["step"] + 1}, other_step / "checkpoints" / "best.pt")
    (damaged / "run.json").write_text('{"format": 1, "run')
    config = (other_data / "config.yaml").read_text()
    (other_data / "config.yaml").write_text(config.replace("generation_seed: 0", "generation_seed: 1"))
    with pytest.raises(ValueError, match="4 of 5 runs were not evaluated") as caught:
        evaluate_all(runs_dir)
    said = str(caught.value)
    assert f"{other_step}: best.pt is of step {best['step'] + 1}, which run.json does not call the best" in said
    assert f"{damaged / 'run.json'}: is damaged; the run's command writes it again" in said
    assert f"{other_data}: was trained on other data or another split; the test set is not the same" in said
    assert f"{flipped / 'checkpoints' / 'best.pt'}: the checkpoint is damaged" in said
    assert [path.parent for path in runs_dir.glob("*/*/test.json")] == [good]


def test_old_weights_are_not_evaluated_by_code_that_has_changed(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = train_small(runs_dir, *RESTLESS, base=SMALL_LINEAR)
    forward = Linear.forward
    monkeypatch.setattr(Linear, "forward", lambda self, images: forward(self, -images))
    with pytest.raises(ValueError, match="now: the code has changed"):
        evaluate_all(runs_dir)
    assert not (folder / "test.json").exists()


def test_a_study_without_finished_runs_is_a_mistake(runs_dir: Path) -> None:
    train_small(runs_dir)
    with pytest.raises(ValueError, match=r'no finished run in .*defautl; .* did you mean "default"'):
        evaluate_all(runs_dir, "defautl")


def test_the_prediction_for_each_test_example_is_kept_on_request(runs_dir: Path) -> None:
    folder = train_small(runs_dir, base=SMALL_LINEAR)
    evaluate_all(runs_dir)
    assert not (folder / "predictions.npz").exists()
    evaluate_all(runs_dir, predictions=True)  # also of a run that is evaluated already
    kept = predictions_of(folder)
    assert (kept["example"] == np.load(folder / "split.npz")["test"]).all()
    assert (kept["probability"].argmax(1) == kept["class"]).all()
    assert metrics_of_test(folder)["test/accuracy"] == (kept["class"] == kept["target"]).mean()


def test_a_kept_number_and_its_target_are_in_the_unit_of_the_target(runs_dir: Path) -> None:
    folder = train_small(runs_dir, base=("data=table_regression", "task=regression", "model=mlp", "training.epochs=3"))
    evaluate_all(runs_dir, predictions=True)
    kept = predictions_of(folder)
    bunch: Any = load_diabetes()
    assert kept["target"].tolist() == pytest.approx(bunch.target[kept["example"]], rel=1e-6)
    measured = np.sqrt(np.mean((kept["value"] - kept["target"]) ** 2.0))
    assert metrics_of_test(folder)["test/rmse"] == pytest.approx(measured, rel=1e-5)


def test_a_run_without_a_test_part_is_named(runs_dir: Path) -> None:
    folder = train_small(runs_dir, "data.test_fraction=0")
    with pytest.raises(ValueError, match="the test part is empty; set") as caught:
        evaluate_all(runs_dir)
    assert str(folder) in str(caught.value)
