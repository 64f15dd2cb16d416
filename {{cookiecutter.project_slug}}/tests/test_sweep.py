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
from small_runs import ROOT, SMALL, compose, config_of, hydra_compose, result, run_command, train_small, without_hydra

from modules.launching import sentence
from modules.utils.identity import run_name
from modules.utils.run_folder import RunFolder

# What runs/train.py does, and whether its own process needed torch for it.
TRAIN_AND_TELL = """
import runpy, sys
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
print("torch imported:", "torch" in sys.modules)
"""
TINY = ("data=synthetic", "data.examples=60", "training.epochs=1", "training.batch_size=8", "system.threads=1")


def plans(study: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in (study / ".sweeps").glob("*.json")]


def finished(study: Path) -> dict[Path, int]:
    """The runs of a study and when each was finished."""
    return {path.parent: path.stat().st_mtime_ns for path in study.glob("*/run.json")}


def test_an_experiment_runs_under_joblib_each_member_once(runs_dir: Path) -> None:
    study = runs_dir / "sweep_models"
    words = ("runs/train.py", "+experiment=sweep_models", *TINY, f"system.runs_dir={runs_dir}", "+launcher=joblib")
    swept = compose("+experiment=sweep_models").hydra.sweeper.params
    members = [(model, int(seed)) for model in swept.model.split(",") for seed in swept.seed.split(",")]
    n = len(members)

    first = run_command("-c", TRAIN_AND_TELL, *words)  # no --multirun is needed
    assert (first.returncode, first.stderr) == (0, "")
    assert "torch imported: False" in first.stdout  # only the members need it
    assert f"{n} members: 0 finished already, 0 refused, {n} to run" in first.stdout
    ended = [line.split(",")[0] for line in first.stdout.splitlines() if line.startswith("[")]
    assert ended == [f"[{k}/{n}" for k in range(1, n + 1)]  # whole lines: the members write none
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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("seed=range(0)", "--multirun: no member; a swept key has no values"),
        (
            "seed=range(10000) model=net2,net5",
            "hydra.sweeper.max_jobs: the sweep has 20000 members, more than 1000; "
            "add hydra.sweeper.max_jobs=20000 if that is meant",
        ),
        (
            "hydra.launcher.n_jobs=0",
            "hydra.launcher.n_jobs: must be a number of processes, or -1, not 0",
        ),
        (
            "hydra.sweeper.combinations=[net2,net5]",
            "hydra.sweeper.combinations: must be a list of settings, such as [{model: net2, seed: 0}]",
        ),
        (
            "hydra/launcher=basic",
            "hydra/launcher: this project's sweeps need its own launchers; use +launcher=joblib, slurm or none",
        ),
    ],
)
def test_a_sweep_that_cannot_be_meant_is_refused_before_anything_is_written(
    words: str, sentence: str, runs_dir: Path
) -> None:
    answer = run_command("runs/train.py", "--multirun", f"system.runs_dir={runs_dir}", *words.split())
    assert (answer.returncode, answer.stderr) == (1, f"error: {sentence}\n")
    assert not runs_dir.exists()


def test_a_sweep_over_ablations_runs_each_of_them_by_name(runs_dir: Path) -> None:
    words = (*TINY, "study=ablations", f"system.runs_dir={runs_dir}")
    swept = run_command("runs/train.py", "--multirun", "+ablation=glob(*)", "seed=range(2)", *words)
    assert (swept.returncode, swept.stderr) == (0, "")
    names = sorted(path.stem for path in (ROOT / "config" / "ablation").glob("*.yaml"))
    runs = [result(folder)["config"] for folder in finished(runs_dir / "ablations")]
    assert sorted((run["ablation"], run["seed"]) for run in runs) == [(name, seed) for name in names for seed in (0, 1)]
    without = [run for run in runs if run["ablation"] == "one_hidden_layer"]
    assert [run["model"]["hidden_layers"] for run in without] == [1, 1]
    plain = run_command("runs/train.py", *words)
    assert "finished already" in plain.stdout  # the ablation "none" is the run itself


def test_listed_combinations_are_members_and_not_their_product(runs_dir: Path) -> None:
    listed = "hydra.sweeper.combinations=[{model:linear,optimizer.lr:0.1},{model:net2,optimizer.lr:0.01}]"
    words = ("hydra.sweeper.params={seed:'0,1'}", "study=paired", *TINY, f"system.runs_dir={runs_dir}")
    swept = run_command("runs/train.py", "--multirun", listed, *words)
    assert (swept.returncode, swept.stderr) == (0, "")
    runs = [result(folder)["config"] for folder in finished(runs_dir / "paired")]
    assert sorted((run["model"]["name"], run["optimizer"]["lr"], run["seed"]) for run in runs) == [
        ("linear", 0.1, 0),
        ("linear", 0.1, 1),
        ("net2", 0.01, 0),
        ("net2", 0.01, 1),
    ]


def test_under_torchrun_there_is_no_sweep(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    answer = run_command("runs/train.py", "--multirun", "seed=0,1", f"system.runs_dir={runs_dir}")
    assert answer.returncode == 1
    assert (
        answer.stderr == "error: --multirun: torchrun starts one run on several processes; start the sweep without it\n"
    )


def test_a_sweep_over_a_secret_is_refused_wherever_it_is_written(runs_dir: Path) -> None:
    """Also one that the file of an experiment sweeps over, which is no word of the command line."""
    params = "hydra.sweeper.params={model.api_key:'abcdef,ghijkl'}"
    answer = run_command("runs/train.py", "--multirun", params, f"system.runs_dir={runs_dir}")
    assert answer.returncode == 1
    assert "looks like a secret" in answer.stderr
    assert "abcdef" not in answer.stdout + answer.stderr
    assert not runs_dir.exists()


def test_a_restarted_member_is_cleared_once_and_goes_on_like_any_other(runs_dir: Path) -> None:
    done, held = (train_small(runs_dir, f"seed={seed}") for seed in (0, 1))
    (done / "mine.txt").write_text("a note")
    words = ("runs/train.py", "--multirun", *SMALL, "seed=0,1", f"system.runs_dir={runs_dir}")
    with RunFolder(held).locked():
        answer = run_command(*words, "restart=true")
    assert answer.returncode == 1
    assert f"restart: deletes {done} (finished at step 14" in answer.stdout
    assert answer.stdout.count("restart: deletes") == 1
    assert "2 members: 0 finished already, 0 refused, 2 to run" in answer.stdout
    assert f"refused: seed=1: {held}: process " in answer.stderr
    assert "is writing this run; wait for it or stop it" in answer.stderr
    assert not (done / "mine.txt").exists()
    assert "finished: best validation/accuracy" in answer.stdout  # the only one that runs speaks for itself
    assert "[1/1, 0 failed, 0.0 s left] seed=0: finished in " in answer.stdout
    assert [len(result(folder)["launches"]) for folder in (done, held)] == [1, 1]
    said = [result(done)["config"], result(done)["launches"][0]["command"], *plans(done.parent)]
    assert [True for text in map(str, said) if "restart=" in text or "'restart': True" in text] == []

    again = run_command(*words)
    assert (again.returncode, again.stderr) == (0, "")
    assert "2 members: 2 finished already, 0 refused, 0 to run" in again.stdout


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
    assert "interrupted" not in first.stdout
    for name, batch_size, error in expected:
        named = [line for line in final.splitlines() if f"data={name} training.batch_size={batch_size} " in line]
        kind = "refused" if error == refused else "failed"
        assert [line.startswith(f"  {kind} ") and line.endswith(str(error)) for line in named] == [True] * bool(error)
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

    corrected = run_command(*words, "training.batch_size=64")
    assert "2 members: 2 finished already, 0 refused, 0 to run" in corrected.stdout
    (plan,) = plans(study)  # nothing is left of the mistyped one, as this one has all of its runs
    assert [member["error"] for member in plan["members"]] == [None, None]


def test_a_sweep_of_which_every_member_is_refused_leaves_nothing(runs_dir: Path) -> None:
    answer = run_command("runs/train.py", "--multirun", "training.epochs=0,-1", f"system.runs_dir={runs_dir}")
    assert answer.returncode == 1
    assert (
        "error: 2 of 2 members did not finish:\n  refused  training.epochs=0   training.epochs: must" in answer.stderr
    )
    assert not runs_dir.exists()
