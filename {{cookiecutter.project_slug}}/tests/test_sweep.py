"""A sweep runs what is missing, names what failed, and leaves a plan; whatever launches it."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

from small_runs import SMALL, compose, run_command

TINY = (*SMALL, "training.epochs=1", "study=mine")


def plans(study: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in (study / ".sweeps").glob("*.json")]


def finished(study: Path) -> dict[str, int]:
    """The runs of a study and when each was finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in study.glob("*/run.json")}


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_bytes())


def test_a_joblib_sweep_runs_every_combination_once(runs_dir: Path) -> None:
    study = runs_dir / "mine"
    words = ("runs/train.py", "--multirun", *TINY, "seed=0,1", "optimizer=adamw,sgd", f"system.runs_dir={runs_dir}")
    words = (*words, "+launcher=joblib", "hydra.launcher.n_jobs=2")

    first = run_command("-X", "importtime", *words)
    timed = [line for line in first.stderr.splitlines() if line.startswith("import time:")]
    assert timed
    assert not [
        line for line in timed if line.rpartition("|")[2].strip().partition(".")[0] == "torch"
    ]  # only workers do
    assert (first.returncode, first.stderr.splitlines()[len(timed) :]) == (0, [])
    assert "4 members: 0 finished already, 0 refused, 4 to run" in first.stdout
    assert [line[:5] for line in first.stdout.splitlines() if line[0] == "["] == ["[1/4,", "[2/4,", "[3/4,", "[4/4,"]
    assert "all 4 members are finished" in first.stdout

    runs = finished(study)
    configs = [result(study / name)["config"] for name in runs]
    combinations = sorted((config["seed"], config["optimizer"]["name"]) for config in configs)
    assert combinations == [(0, "adamw"), (0, "sgd"), (1, "adamw"), (1, "sgd")]
    (plan,) = plans(study)
    assert {member["name"]: member["error"] for member in plan["members"]} == dict.fromkeys(runs)

    again = run_command(*words)
    assert (again.returncode, again.stderr) == (0, "")
    assert "4 members: 4 finished already, 0 refused, 0 to run" in again.stdout
    assert finished(study) == runs
    assert len(plans(study)) == 1

    member = study / next(iter(runs))
    alone = run_command(*shlex.split(result(member)["launches"][0]["command"])[1:])
    assert (alone.returncode, alone.stdout) == (0, f"{member}: finished already; nothing to do\n")


def test_bad_members_are_named_and_the_others_run_and_what_failed_is_tried_again(
    runs_dir: Path, tmp_path: Path, datasets: Path
) -> None:
    study, data = runs_dir / "mine", tmp_path / "datasets"
    words = (
        *("runs/train.py", "--multirun", "data=synthetic,digits", "training.batch_size=64,0", "training.epochs=1"),
        *(
            "study=mine",
            "model=linear",
            "system.threads=1",
            f"system.datasets_dir={data}",
            f"system.runs_dir={runs_dir}",
        ),
    )
    refused = "training.batch_size: must be at least 1, not 0"
    missing = (
        f"{data / 'digits' / 'dataset.json'}: the data set is missing; run: python runs/prepare.py datasets=[digits]"
    )
    expected = [("synthetic", 64, None), ("synthetic", 0, refused), ("digits", 64, missing), ("digits", 0, refused)]

    first = run_command(*words)
    assert first.returncode == 1
    assert "Traceback" not in first.stderr
    assert "4 members: 0 finished already, 2 refused, 2 to run" in first.stdout
    final = first.stderr[first.stderr.index("error: ") :]
    assert final.startswith("error: 3 of 4 members did not finish:\n")
    for name, batch_size, error in expected:
        named = [line for line in final.splitlines() if f"data={name} training.batch_size={batch_size} " in line]
        assert [line.endswith(str(error)) for line in named] == ([True] if error else [])
    (plan,) = plans(study)
    assert {(*member["overrides"][:2], member["error"]) for member in plan["members"]} == {
        (f"data={name}", f"training.batch_size={batch_size}", error) for name, batch_size, error in expected
    }
    before = finished(study)
    assert [name[:16] for name in before] == ["linear-synthetic"]

    shutil.copytree(datasets, data)
    second = run_command(*words)
    assert second.returncode == 1
    assert "4 members: 1 finished already, 2 refused, 1 to run" in second.stdout
    assert "error: 2 of 4 members did not finish:" in second.stderr
    after = finished(study)
    assert len(after) == 2
    assert before.items() <= after.items()


def test_an_experiment_file_is_a_sweep_without_multirun(runs_dir: Path) -> None:
    tiny = ("data=synthetic", "data.examples=60", "training.epochs=1", "training.batch_size=8", "system.threads=1")
    result = run_command("runs/train.py", "+experiment=sweep_models", *tiny, f"system.runs_dir={runs_dir}")
    assert (result.returncode, result.stderr) == (0, "")
    swept = compose("+experiment=sweep_models").hydra.sweeper.params
    expected = {f"{model}-synthetic-s{seed}" for model in swept.model.split(",") for seed in swept.seed.split(",")}
    assert len(expected) > 1
    assert {name[:-13] for name in finished(runs_dir / "sweep_models")} == expected
