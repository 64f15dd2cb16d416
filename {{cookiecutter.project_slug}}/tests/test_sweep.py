"""A sweep runs what is missing, names what failed, and leaves a plan; whatever launches it."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from small_runs import compose, config_of, hydra_compose, run_command, without_hydra

from modules.launching import sentence
from modules.utils.identity import run_name

TINY = ("data=synthetic", "data.examples=60", "training.epochs=1", "training.batch_size=8", "system.threads=1")


def plans(study: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in (study / ".sweeps").glob("*.json")]


def finished(study: Path) -> dict[Path, int]:
    """The runs of a study and when each was finished."""
    return {path.parent: path.stat().st_mtime_ns for path in study.glob("*/run.json")}


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_bytes())


def test_an_experiment_runs_under_joblib_each_member_once(runs_dir: Path) -> None:
    study = runs_dir / "sweep_models"
    words = ("runs/train.py", "+experiment=sweep_models", *TINY, f"system.runs_dir={runs_dir}", "+launcher=joblib")
    swept = compose("+experiment=sweep_models").hydra.sweeper.params
    members = [(model, int(seed)) for model in swept.model.split(",") for seed in swept.seed.split(",")]
    n = len(members)

    first = run_command("-X", "importtime", *words)  # no --multirun is needed
    timed = [line for line in first.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip() for line in timed}
    assert "hydra" in imported
    assert "torch" not in imported  # only the workers need it
    assert (first.returncode, first.stderr.splitlines()[len(timed) :]) == (0, [])
    assert f"{n} members: 0 finished already, 0 refused, {n} to run" in first.stdout
    ended = [line.split(",")[0] for line in first.stdout.splitlines() if line.startswith("[")]
    assert ended == [f"[{k}/{n}" for k in range(1, n + 1)]  # whole lines: the workers write none
    assert f"all {n} members are finished" in first.stdout

    runs = finished(study)
    assert sorted((r["config"]["model"]["name"], r["config"]["seed"]) for r in map(result, runs)) == sorted(members)
    (plan,) = plans(study)
    assert {member["name"]: member["error"] for member in plan["members"]} == {path.name: None for path in runs}
    for model, seed in members[:2]:  # a plain command has the same folder
        assert study / run_name(config_of(f"model={model}", f"seed={seed}", *TINY)) in runs

    again = run_command(*words)
    assert (again.returncode, again.stderr) == (0, "")
    assert f"{n} members: {n} finished already, 0 refused, 0 to run" in again.stdout
    assert finished(study) == runs
    assert len(plans(study)) == 1

    member = next(iter(runs))
    alone = run_command(*shlex.split(result(member)["launches"][0]["command"])[1:])
    assert (alone.returncode, alone.stdout) == (0, f"{member}: finished already; nothing to do\n")


@pytest.mark.parametrize(
    "words", ["", "model=net5 seed=3 training.clip_norm=1", "+experiment=sweep_models seed=1", "x=1"]
)
def test_a_member_is_composed_as_hydra_would(words: str) -> None:
    """Also one for which there is no such key."""

    def composed(by: Callable[..., DictConfig]) -> Any:
        try:
            config = by(*words.split())
        except HydraException as error:
            return sentence(error)
        return OmegaConf.to_container(without_hydra(config))

    assert composed(compose) == composed(hydra_compose)
    assert composed(compose)


def test_a_sweep_over_nothing_is_a_mistake() -> None:
    answer = run_command("runs/train.py", "--multirun", "seed=range(0)")
    assert answer.returncode == 1
    assert answer.stderr == "error: --multirun: no member; a swept key has no values\n"


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
    assert [path.name[:16] for path in before] == ["linear-synthetic"]
    assert sorted(study.iterdir()) == [study / ".sweeps", *before]

    shutil.copytree(datasets, data)
    second = run_command(*words)
    assert second.returncode == 1
    assert "4 members: 1 finished already, 2 refused, 1 to run" in second.stdout
    assert "error: 2 of 4 members did not finish:" in second.stderr
    after = finished(study)
    assert len(after) == 2
    assert before.items() <= after.items()
