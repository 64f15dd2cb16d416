"""The fault table, F35 to F39: what a person types into a file of config/ or behind a command means something else to
YAML or to Hydra. It is said in one sentence that names the file or the key."""

import shutil
from pathlib import Path

import pytest
from faults import SETTING, Project

pytest_plugins = ["fault_fixtures"]

HEAD = b"# @package _global_\n"
EXPERIMENT = "experiment/bad"
LOCAL = "local/default"
FILES = {
    "F35a a tab": (EXPERIMENT, HEAD + b"study: a\n\tseed: 5\n", "config/experiment/bad.yaml, line 3: a tab, where"),
    "F35b a key twice": (EXPERIMENT, HEAD + b"seed: 1\nseed: 2\n", "config/experiment/bad.yaml, line 3: found dup"),
    "F35c a key twice in the local file": (LOCAL, HEAD + b"seed: 1\nseed: 2\n", "config/local/default.yaml, line 3: f"),
    "F35d a bracket that is not closed": (LOCAL, HEAD + b"study: [a\n", "config/local/default.yaml, line 3: expected"),
    "F35e a byte order mark": (EXPERIMENT, b"\xef\xbb\xbf" + HEAD + b"seed: 1\n", "config/experiment/bad.yaml: begins"),
    "F35f no UTF-8": (LOCAL, HEAD + b"study: '\xe4'\n", "config/local/default.yaml: is not UTF-8 text"),
    "F36a no": (EXPERIMENT, HEAD + b"study: no\n", "study: is meant as text, and YAML reads false; put it in quotes"),
    "F36b on": (EXPERIMENT, HEAD + b"study: on\n", "study: is meant as text, and YAML reads true; put it in quotes"),
    "F36c 1e5": (EXPERIMENT, HEAD + b"study: 1e5\n", "study: is meant as text, and YAML reads 100000.0; put it in q"),
    "F36d 1_000": (EXPERIMENT, HEAD + b"study: 1_000\n", "study: is meant as text, and YAML reads 1000; put it in q"),
    "F36e 12:30": (EXPERIMENT, HEAD + b"study: 12:30\n", "study: is meant as text, and YAML reads 750; put it in q"),
    "F36f no deeper down": (
        EXPERIMENT,
        HEAD + b"training: {monitor: no}\n",
        "training.monitor: is meant as text, and YAML reads false; put it in quotes",
    ),
    "F37a a folder of Hydra's": (EXPERIMENT, HEAD + b"hydra: {run: {dir: out}}\n", "hydra.run.dir: has no effect here"),
}


@pytest.fixture(scope="module")
def edited(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("edited") / "project"
    shutil.copytree(project.root, root)
    (root / "config" / "local").mkdir()
    return Project(root, tmp_path_factory.mktemp("processes"))


@pytest.mark.parametrize("row", FILES)
def test_a_file_that_means_something_else(row: str, edited: Project, tmp_path: Path) -> None:
    name, content, answer = FILES[row]
    path = edited.root / "config" / f"{name}.yaml"
    path.write_bytes(content)
    chosen = ["+experiment=bad"] if name == EXPERIMENT else []
    try:
        refused = edited.run(*chosen, f"system.runs_dir={tmp_path / 'runs'}")
    finally:
        path.unlink()
    assert refused.sentence.startswith(answer)
    assert list(tmp_path.iterdir()) == []


WORDS = {
    "F37b a folder of Hydra's": ("hydra.run.dir=out", "hydra.run.dir: has no effect here"),
    "F37c more words in the log": ("hydra.verbose=true", "hydra.verbose: has no effect here"),
    "F38a another file": ("--config-name=mine", "--config-name: would read other files than those of config/"),
    "F38b another folder": ("--config-dir=/mine", "--config-dir: would read other files than those of config/"),
    "F38c the same in short": ("-cn", "-cn: would read other files than those of config/"),
}


@pytest.mark.parametrize("row", WORDS)
def test_a_word_that_changes_nothing_or_the_files(row: str, project: Project, tmp_path: Path) -> None:
    word, answer = WORDS[row]
    refused = project.run(word, f"system.runs_dir={tmp_path / 'runs'}")
    assert refused.sentence.startswith(answer)
    assert list(tmp_path.iterdir()) == []


def test_f36g_a_study_that_is_called_2(project: Project, tmp_path: Path) -> None:
    """F36g a number on the command line that is what it says."""
    words = (*SETTING, "training.steps=8", f"system.runs_dir={tmp_path}")
    assert project.run(*words, "study=2").status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["2"]


def test_f39a_a_key_that_one_choice_does_not_have(project: Project, tmp_path: Path) -> None:
    """F39a a swept group, and a key that only one of its choices has: the others are refused by name."""
    small = [word for word in SETTING if not word.startswith("model")]
    words = ("--multirun", "model=linear,net2", "model.hidden_width=8", *small, "training.steps=4")
    ended = project.run(*words, f"system.runs_dir={tmp_path}")
    assert ended.status == 1
    assert "refused: model=linear: model.hidden_width: nothing reads this key" in ended.err
    assert [path.parent.name.partition("-")[0] for path in tmp_path.glob("*/*/run.json")] == ["net2"]


def test_f39b_a_key_that_no_choice_has(project: Project, tmp_path: Path) -> None:
    """F39b the same where none has it, and where nothing is swept over: refused, and nothing is written."""
    words = ("model.depht=8", f"system.runs_dir={tmp_path}")
    assert project.run("model=net2", *words).sentence.startswith("model.depht: nothing reads this key")
    ended = project.run("--multirun", "model=linear,net2", *words)
    assert ended.status == 1
    assert ended.err.count("refused: model=") == 2
    assert list(tmp_path.iterdir()) == []


def test_f39c_a_sweep_over_experiments_that_sweep(project: Project, tmp_path: Path) -> None:
    """F39c experiments with sweeps of their own are refused by name, not run without these."""
    words = ("--multirun", "+experiment=sweep_models,paired_learning_rates", f"system.runs_dir={tmp_path}")
    ended = project.run(*words)
    assert ended.status == 1
    assert ended.err.count("experiment: holds a sweep of its own, which this sweep would not run; start it alone") == 4
    assert list(tmp_path.iterdir()) == []
