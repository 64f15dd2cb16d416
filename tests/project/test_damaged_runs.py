"""A run whose files are well formed and wrong is one line; the others are evaluated and reported as ever."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from labkit.reporting.report import report
from labkit.runs.study import read_study
from report_studies import report_config
from small_runs import SMALL_LINEAR, train_small
from test_evaluation import evaluate_all


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder with a study of two runs; not to be changed."""
    runs_dir = tmp_path_factory.mktemp("base") / "runs"
    for seed in (0, 1):
        train_small(runs_dir, f"seed={seed}", "study=two", base=SMALL_LINEAR)
    return runs_dir


def configured(**changes: object) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        config = yaml.safe_load((run / "config.yaml").read_bytes())
        (run / "config.yaml").write_text(yaml.safe_dump(config | changes))

    return change


def written(name: str, text: str) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        (run / name).write_text(text)

    return write


def without_weights(run: Path) -> None:
    saved = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    del saved["network"]
    torch.save(saved, run / "checkpoints" / "best.pt")


def linked_to_itself(run: Path) -> None:
    shutil.rmtree(run)
    run.symlink_to(run)


# What is done to a run, what evaluate.py says of it (None: it is evaluated, or is none), and its status.
DAMAGED = {
    "a model that is gone": (
        configured(model={"name": "linear", "_target_": "modules.models.networks.Gone"}),
        'model._target_: there is no "modules.models.networks.Gone"',
        "finished",
    ),
    "a model that no longer fits": (
        configured(model={"name": "linear", "_target_": "modules.models.networks.Linear", "width": 7}),
        "model.width: Linear has no such setting",
        "finished",
    ),
    "a list for the system": (configured(system=[1]), "config.yaml: is missing or not that of a run", "finished"),
    "a number for the model": (configured(model=5), "model: Cannot assign int", "finished"),
    "a list for the configuration": (written("config.yaml", "[1, 2]"), "config.yaml: is damaged", "finished"),
    "a result with nothing in it": (written("run.json", '{"format": 1}'), "run.json: is damaged", "unreadable"),
    "a list for the result": (written("run.json", "[1]"), "run.json: is damaged", "unreadable"),
    "best weights without weights": (without_weights, "best.pt: the checkpoint is damaged (it has no netw", "finished"),
    "an empty launch": (written("provenance.json", "[{}]"), None, "finished"),
    "a link to itself": (linked_to_itself, None, "unreadable"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_run_takes_no_other_down(name: str, two_runs: Path, tmp_path: Path) -> None:
    damage, said, status = DAMAGED[name]
    runs_dir = tmp_path / "runs"
    shutil.copytree(two_runs, runs_dir)
    whole, damaged = sorted((runs_dir / "two").glob("linear*"))
    damage(damaged)
    if said:
        with pytest.raises(ValueError, match="1 of 2 runs were not evaluated:") as refusal:
            evaluate_all(runs_dir)
        assert str(damaged) in str(refusal.value)
        assert said in str(refusal.value)
        assert "\n" not in str(refusal.value).partition("\n")[2]
    else:
        evaluate_all(runs_dir)
    assert (whole / "test.json").exists()
    assert {run.name: run.status for run in read_study(runs_dir / "two").runs} == {
        whole.name: "finished",
        damaged.name: status,
    }
    report(report_config(runs_dir / "two"))
    assert (tmp_path / "reports" / "two" / "report.html").exists()
