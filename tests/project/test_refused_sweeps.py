"""A sweep that cannot be meant is refused in a sentence, before anything is written."""

from pathlib import Path

import pytest
from small_runs import train_command_here


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
    answer = train_command_here("--multirun", f"system.runs_dir={runs_dir}", *words.split())
    assert (answer.returncode, answer.stderr) == (1, f"error: {sentence}\n")
    assert not runs_dir.exists()


def test_under_torchrun_there_is_no_sweep(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    answer = train_command_here("--multirun", "seed=0,1", f"system.runs_dir={runs_dir}")
    assert answer.returncode == 1
    assert (
        answer.stderr == "error: --multirun: torchrun starts one run on several processes; start the sweep without it\n"
    )


def test_a_sweep_over_a_secret_is_refused_wherever_it_is_written(runs_dir: Path) -> None:
    """Also one that the file of an experiment sweeps over, which is no word of the command line."""
    params = "hydra.sweeper.params={model.api_key:'abcdef,ghijkl'}"
    answer = train_command_here("--multirun", params, f"system.runs_dir={runs_dir}")
    assert answer.returncode == 1
    assert "looks like a secret" in answer.stderr
    assert "abcdef" not in answer.stdout + answer.stderr
    assert not runs_dir.exists()


def test_a_sweep_of_which_every_member_is_refused_leaves_nothing(runs_dir: Path) -> None:
    answer = train_command_here("--multirun", "training.epochs=0,-1", f"system.runs_dir={runs_dir}")
    assert answer.returncode == 1
    assert (
        "error: 2 of 2 members did not finish:\n  refused  training.epochs=0   training.epochs: must" in answer.stderr
    )
    assert not runs_dir.exists()
