"""A sweep runs what is missing, names what failed, and leaves a plan; whatever launches it."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import pytest
from hydra.errors import HydraException
from labkit.launching.errors import sentence
from labkit.runs.folder import RunFolder
from labkit.runs.identity import run_name
from omegaconf import DictConfig, OmegaConf
from small_runs import (
    ROOT,
    SMALL,
    compose,
    config_of,
    forking,
    hydra_compose,
    result,
    run_command,
    train_command_here,
    train_small,
    without_hydra,
)

# What runs/train.py does, and whether its own process needed torch for it.
TRAIN_AND_TELL = """
import runpy, sys
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
print("torch imported:", "torch" in sys.modules)
"""
TINY = ("data=synthetic", "data.examples=60", "training.epochs=1", "training.batch_size=8", "system.threads=1")
# The members of this one: two are refused, and one has no data.
MIXED = ("data=synthetic,digits", "training.batch_size=64,0", "training.epochs=1", "model=linear", "system.threads=1")


class Swept(NamedTuple):
    """The words of a sweep, what it answered, and its study as it left it."""

    words: tuple[str, ...]
    answer: "CompletedProcess[str]"
    study: Path
    entries: list[Path]
    finished: dict[Path, int]
    plans: list[dict[str, Any]]


def swept(answer: "CompletedProcess[str]", study: Path, *words: str) -> Swept:
    return Swept(words, answer, study, sorted(study.iterdir()), finished(study), plans(study))


def sweep(*words: str) -> "CompletedProcess[str]":
    """python runs/train.py --multirun <words>; its members are forked from a process that has read the code already."""
    forking()
    return train_command_here("--multirun", *words)


def plans(study: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in (study / ".sweeps").glob("*.json")]


def finished(study: Path) -> dict[Path, int]:
    """The runs of a study and when each was finished."""
    return {path.parent: path.stat().st_mtime_ns for path in study.glob("*/run.json")}


# ---- an experiment, by a command of its own


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """With the first of its seeds."""
    runs_dir = tmp_path_factory.mktemp("experiment")
    words = ("+experiment=sweep_models", "seed=0", *TINY, f"system.runs_dir={runs_dir}", "+launcher=joblib")
    answer = run_command("-c", TRAIN_AND_TELL, "runs/train.py", *words)  # no --multirun is needed
    return swept(answer, runs_dir / "sweep_models", *words)


def test_an_experiment_runs_under_joblib_each_member_once(experiment: Swept) -> None:
    models = compose("+experiment=sweep_models").hydra.sweeper.params.model.split(",")
    n, answer = len(models), experiment.answer
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "torch imported: False" in answer.stdout  # only the members need it
    assert f"{n} members: 0 finished already, 0 refused, {n} to run" in answer.stdout
    ended = [line.split(",")[0] for line in answer.stdout.splitlines() if line.startswith("[")]
    assert ended == [f"[{k}/{n}" for k in range(1, n + 1)]  # whole lines: the members write none
    assert f"all {n} members are finished" in answer.stdout

    configs = [result(folder)["config"] for folder in experiment.finished]
    assert sorted((run["model"]["name"], run["seed"]) for run in configs) == sorted((model, 0) for model in models)
    (plan,) = experiment.plans
    assert {m["name"]: m["error"] for m in plan["members"]} == {folder.name: None for folder in experiment.finished}


def test_a_finished_sweep_is_left_alone(experiment: Swept) -> None:
    again, n = train_command_here(*experiment.words), len(experiment.finished)
    assert (again.returncode, again.stderr) == (0, "")
    assert f"{n} members: {n} finished already, 0 refused, 0 to run" in again.stdout
    assert (finished(experiment.study), plans(experiment.study)) == (experiment.finished, experiment.plans)


def test_a_member_is_the_run_of_a_plain_command(experiment: Swept) -> None:
    for model in ("net2", "net5"):
        assert experiment.study / run_name(config_of(f"model={model}", "seed=0", *TINY)) in experiment.finished
    member = next(iter(experiment.finished))
    python, script, *words = shlex.split(result(member)["launches"][0]["command"])
    assert (python, script) == ("python", "runs/train.py")
    alone = train_command_here(*words)
    assert (alone.returncode, alone.stdout) == (0, f"{member}: finished already; nothing to do\n")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "model=net5 seed=3 training.clip_norm=1",
        "+experiment=sweep_models seed=1",
        "+system.tracker={_target_:x} system.tracker._target_=y seed=1",
        "~tracker training={epochs:3} system.threads=null",
        "model@other=net5 seed=1",
        "x=1",
        "model.x.y=1 seed=1",
    ],
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


def test_a_sweep_over_ablations_runs_each_of_them_by_name(runs_dir: Path) -> None:
    words = (*TINY, "study=ablations", f"system.runs_dir={runs_dir}")
    answer = sweep("+ablation=glob(*)", "seed=range(1)", *words)
    assert (answer.returncode, answer.stderr) == (0, "")
    names = sorted(path.stem for path in (ROOT / "config" / "ablation").glob("*.yaml"))
    runs = [result(folder)["config"] for folder in finished(runs_dir / "ablations")]
    assert sorted((run["ablation"], run["seed"]) for run in runs) == [(name, 0) for name in names]
    without = [run for run in runs if run["ablation"] == "one_hidden_layer"]
    assert [run["model"]["hidden_layers"] for run in without] == [1]
    plain = train_command_here(*words)
    assert "finished already" in plain.stdout  # the ablation "none" is the run itself


def test_listed_combinations_are_members_and_not_their_product(runs_dir: Path) -> None:
    listed = "hydra.sweeper.combinations=[{model:linear,optimizer.lr:0.1},{model:net2,optimizer.lr:0.01}]"
    words = ("hydra.sweeper.params={seed:'0,1'}", "study=paired", *TINY, f"system.runs_dir={runs_dir}")
    answer = sweep(listed, *words)
    assert (answer.returncode, answer.stderr) == (0, "")
    runs = [result(folder)["config"] for folder in finished(runs_dir / "paired")]
    assert sorted((run["model"]["name"], run["optimizer"]["lr"], run["seed"]) for run in runs) == [
        ("linear", 0.1, 0),
        ("linear", 0.1, 1),
        ("net2", 0.01, 0),
        ("net2", 0.01, 1),
    ]


def test_a_restarted_member_is_cleared_once_and_goes_on_like_any_other(runs_dir: Path) -> None:
    done, held = (train_small(runs_dir, f"seed={seed}") for seed in (0, 1))
    (done / "test.json").write_text("of the run before")
    words = (*SMALL, "seed=0,1", f"system.runs_dir={runs_dir}")
    with RunFolder(held).locked():
        answer = sweep(*words, "restart=true")
    assert answer.returncode == 1
    assert f"restart: deletes {done} (finished at step 14" in answer.stdout
    assert answer.stdout.count("restart: deletes") == 1
    assert "2 members: 0 finished already, 0 refused, 2 to run" in answer.stdout
    assert f"refused: seed=1: {held}: process " in answer.stderr
    assert "is writing this run; wait for it or stop it" in answer.stderr
    assert not (done / "test.json").exists()
    assert "[1/1, 0 failed, 0.0 s left] seed=0: finished in " in answer.stdout
    assert [len(result(folder)["launches"]) for folder in (done, held)] == [1, 1]
    said = [result(done)["config"], result(done)["launches"][0]["command"], *plans(done.parent)]
    assert [True for text in map(str, said) if "restart=" in text or "'restart': True" in text] == []

    again = sweep(*words)
    assert (again.returncode, again.stderr) == (0, "")
    assert "2 members: 2 finished already, 0 refused, 0 to run" in again.stdout


# ---- a sweep with bad members, by a command of its own, and what is made of it


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    folder = tmp_path_factory.mktemp("mixed")
    places = (f"system.datasets_dir={folder / 'datasets'}", f"system.runs_dir={folder}")
    words = (*MIXED, "study=mine", *places)
    return swept(run_command("runs/train.py", "--multirun", *words), folder / "mine", *words)


@pytest.fixture(scope="module")
def mixed_with_data(mixed: Swept, datasets: Path) -> Swept:
    """The same once more, when there is data for all."""
    shutil.copytree(datasets, mixed.study.parent / "datasets")
    return swept(sweep(*mixed.words), mixed.study, *mixed.words)


def test_bad_members_are_named_and_the_others_run(mixed: Swept) -> None:
    refused = "training.batch_size: must be at least 1, not 0"
    file = mixed.study.parent / "datasets" / "digits" / "dataset.json"
    missing = f"{file}: the data set is missing; run: python runs/prepare.py datasets=[digits]"
    expected = [("synthetic", 64, None), ("synthetic", 0, refused), ("digits", 64, missing), ("digits", 0, refused)]

    stdout, stderr = mixed.answer.stdout, mixed.answer.stderr
    assert mixed.answer.returncode == 1
    assert "Traceback" not in stderr
    assert "4 members: 0 finished already, 2 refused, 2 to run" in stdout
    assert "finished: best validation/accuracy" in stdout  # one at a time, they speak for themselves
    assert "interrupted" not in stdout
    final = stderr[stderr.index("error: ") :]
    assert final.startswith("error: 3 of 4 members did not finish:\n")
    for name, batch_size, error in expected:
        named = [line for line in final.splitlines() if f"data={name} training.batch_size={batch_size} " in line]
        kind = "refused" if error == refused else "failed"
        assert [line.startswith(f"  {kind} ") and line.endswith(str(error)) for line in named] == [True] * bool(error)

    (plan,) = mixed.plans
    assert {(*member["overrides"][:2], member["error"]) for member in plan["members"]} == {
        (f"data={name}", f"training.batch_size={batch_size}", error) for name, batch_size, error in expected
    }
    assert [path.name[:16] for path in mixed.finished] == ["linear-synthetic"]
    assert mixed.entries == [mixed.study / ".sweeps", *mixed.finished]


def test_what_failed_is_tried_again(mixed: Swept, mixed_with_data: Swept) -> None:
    answer, after = mixed_with_data.answer, mixed_with_data.finished
    assert answer.returncode == 1
    assert "4 members: 1 finished already, 2 refused, 1 to run" in answer.stdout
    assert "error: 2 of 4 members did not finish:" in answer.stderr
    assert len(after) == 2
    assert mixed.finished.items() <= after.items()


def test_a_corrected_sweep_leaves_no_plan_of_the_mistyped_one(mixed_with_data: Swept) -> None:
    corrected = sweep(*mixed_with_data.words, "training.batch_size=64")
    assert "2 members: 2 finished already, 0 refused, 0 to run" in corrected.stdout
    (plan,) = plans(mixed_with_data.study)  # this one has all of its runs
    assert [member["error"] for member in plan["members"]] == [None, None]
