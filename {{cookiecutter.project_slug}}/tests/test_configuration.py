"""Every file of config/ and studies/ can be used, and a mistake is answered in a sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from small_runs import CPU, ROOT, SMALL, DataSets, at, choices, compose, config_of, left_to_the_user

from labkit.build import checked
from labkit.reporting.analysis.study_file import read_study_file
from labkit.runs.identity import run_id
from modules.data.base import Data
from modules.parts import make_data, make_trainer
from runs.schema import schemas, text

CONFIG = ROOT / "config"
PARTS = ("model", "data", "task", "optimizer")
NOT_FOR_TRAINING = ("local", "hydra")
GROUPS = sorted(path.name for path in CONFIG.iterdir() if path.is_dir() and path.name not in NOT_FOR_TRAINING)
# Models need facts of the data that they are for: tests/test_models.py builds each one with the data it fits.
FILES = [(group, choice) for group in GROUPS if group != "model" for choice in choices(group)]


def override(group: str, choice: str) -> str:
    """`+` for a group that is not among the defaults of config/train.yaml."""
    defaults = yaml.safe_load((CONFIG / "train.yaml").read_text(encoding="utf-8"))["defaults"]
    known = any(group in entry for entry in defaults if isinstance(entry, dict))
    return f"{group}={choice}" if known else f"+{group}={choice}"


@pytest.mark.parametrize(("group", "choice"), FILES, ids=map("-".join, FILES))
def test_every_file_of_the_configuration_holds_only_keys_that_are_read(group: str, choice: str) -> None:
    word = override(group, choice)
    open_keys = left_to_the_user(word)
    config = config_of(word, *(f"{key}=given" for key in open_keys))
    if group == "data":  # its class is asked, which does not need the data
        given = [key.removeprefix("data.") for key in open_keys]
        node = {name: value for name, value in config.data.items() if name not in given}
        checked("data", node, Data, given, offered={"datasets_dir": ""})


@pytest.mark.parametrize("group", PARTS)
def test_every_part_is_named_as_its_file(group: str) -> None:
    """Its runs are reported under that name."""
    for choice in choices(group):
        content = yaml.safe_load((CONFIG / group / f"{choice}.yaml").read_text(encoding="utf-8"))
        assert content.get(group, content)["name"] == choice  # below its group where it changes other groups as well


@pytest.mark.parametrize("name", choices("optimizer"))
def test_every_optimizer_can_be_built(name: str) -> None:
    config = config_of(*SMALL, f"optimizer={name}")
    assert make_trainer(config, make_data(config), CPU).optimizers[0].param_groups[0]["lr"] > 0


def members(experiment: str) -> list[list[str]]:
    """Each value that an experiment sweeps over, as overrides, and each of its combinations."""
    sweeper: Any = compose(f"+experiment={experiment}").hydra.sweeper
    single = [[f"{key}={value}"] for key, values in (sweeper.params or {}).items() for value in str(values).split(",")]
    return single + [[f"{key}={value}" for key, value in setting.items()] for setting in sweeper.combinations or []]


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_member_of_every_experiment_can_be_built(
    experiment: str, datasets_dir: Path, data_sets: DataSets
) -> None:
    there = at("system.datasets_dir", datasets_dir)
    for values in members(experiment) or [[]]:
        config = config_of(f"+experiment={experiment}", *values, "system.device=cpu", there)
        if config.data["name"] in data_sets:
            make_trainer(config, make_data(config), CPU)


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_opens_with_its_command_and_what_to_expect(experiment: str) -> None:
    text = (CONFIG / "experiment" / f"{experiment}.yaml").read_text(encoding="utf-8")
    assert f"# python runs/train.py +experiment={experiment}" in text
    assert "# Expected" in text


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_of_a_study_can_be_read(path: Path) -> None:
    assert read_study_file(path.parent, path.stem)


def test_what_changes_the_result_changes_the_id_of_the_run_and_nothing_else_does() -> None:
    def ids(*overrides: str) -> set[str]:
        return {run_id(config_of(*SMALL, override)) for override in overrides}

    (plain,) = ids("seed=0")
    assert ids("study=other", "system.log_every_steps=1", "tracker=mlflow") == {plain}
    others = ids("seed=1", "model=net5", "data.split_seed=1", "optimizer.lr=0.1", "training.precision=bf16")
    others |= ids("task.label_smoothing=0.1")
    assert len(others - {plain}) == 6


@pytest.mark.parametrize(
    ("override", "answer"),
    [
        ("+training.epoch=3", r'^training\.epoch: nothing reads this key; did you mean "training\.epochs"\?$'),
        ("training.batch_size=many", r"^training\.batch_size: .*many.*$"),
        ("seed=-1", "^seed: must be at least 0, not -1$"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(override: str, answer: str) -> None:
    with pytest.raises(ValueError, match=answer):
        config_of(*SMALL, override)


@pytest.mark.parametrize("file", sorted(ROOT.glob(".vscode/schemas/*.json")), ids=lambda file: file.stem)
def test_what_editors_know_of_the_configuration_is_up_to_date(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == text(schemas()[file.stem]), "run python runs/schema.py"
