"""The fault table, F10, F18 and F22 to F27: losses that are no numbers, folders and code that are not those of before,
hostile settings, secrets, and mistakes."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from faults import EVERY_STEP, KILLED, SETTING, Project
from outcomes import differences, rows, state, the_run

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no kill -9")
pytest_plugins = ["fault_fixtures"]


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def copy(folder: Path, runs_dir: Path, finished: bool = True) -> Path:
    """The same run in another runs folder; without its result if it is to be unfinished."""
    again = runs_dir / folder.parent.name / folder.name
    shutil.copytree(folder, again)
    if not finished:
        (again / "run.json").unlink()
    return again


def test_f10_a_finished_run_started_again(project: Project, undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    """F10 a finished run started again, as by a queue: skipped, status 0, no file touched."""
    folder = copy(undisturbed(*SETTING), tmp_path)
    before = snapshot(tmp_path)
    ended = project.run(*SETTING, f"system.runs_dir={tmp_path}")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == f"{folder}: finished already; nothing to do\n"
    assert snapshot(tmp_path) == before


# A user's model whose loss is NaN for one batch in five or so.
SPIKY = '''

class Spiky(Linear):
    """Linear, but for batches whose first pixel is bright."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits * float("nan") if self.training and x.flatten()[0] > 0.8 else logits
'''
# ... and one whose signature is not what it takes: batches of images that are not square.
CLAIMING = """

class Claiming(Linear):
    def forward(self, images: Float[Tensor, "batch channels side side"]) -> Float[Tensor, "batch outputs"]:
        return super().forward(images)
"""
SPIKES = [word for word in SETTING if not word.startswith("model")] + ["model=spiky", "training.ema_decay=null"]


@pytest.fixture(scope="module")
def edited(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project after its user has added a model."""
    root = tmp_path_factory.mktemp("edited") / "project"
    shutil.copytree(project.root, root)
    with (root / "modules" / "models" / "networks.py").open("a", encoding="utf-8") as file:
        file.write(SPIKY + CLAIMING)
    for name in ("Spiky", "Claiming"):
        node = {"_target_": f"modules.models.networks.{name}", "name": name.lower()}
        (root / "config" / "model" / f"{name.lower()}.yaml").write_text(yaml.safe_dump(node), encoding="utf-8")
    return Project(root, tmp_path_factory.mktemp("processes"))


def test_f18a_a_loss_that_is_no_number(edited: Project, tmp_path: Path) -> None:
    """F18a NaN loss: stops with the range of steps, keeps the last good checkpoint, is not tried again unasked."""
    words = (*SPIKES, EVERY_STEP, f"system.runs_dir={tmp_path}")
    stopped = edited.run(*words)
    assert "training: the loss became nan between steps " in stopped.sentence
    assert state(the_run(tmp_path))["status"] == "diverged"
    saved = torch.load(the_run(tmp_path) / "checkpoints" / "last.pt", weights_only=True)
    assert all(bool(tensor.isfinite().all()) for tensor in saved["network"].values())
    assert not (the_run(tmp_path) / "run.json").exists()
    before = saved["step"], len(rows(the_run(tmp_path)))
    again = edited.run(*words)
    assert "diverged" in again.sentence
    assert "restart=true" in again.sentence
    saved = torch.load(the_run(tmp_path) / "checkpoints" / "last.pt", weights_only=True)
    assert (saved["step"], len(rows(the_run(tmp_path)))) == before
    anew = edited.run(*words, "restart=true")
    assert f"restart: deletes {the_run(tmp_path)} (diverged at step " in anew.out
    assert "training: the loss became nan" in anew.sentence


def test_f18b_steps_that_are_skipped(edited: Project, tmp_path: Path) -> None:
    """F18b policy skip_step: the steps with a NaN loss change nothing, also when killed between them."""
    words = (*SPIKES, "training.divergence=skip_step", EVERY_STEP)
    alone = edited.run(*words, f"system.runs_dir={tmp_path / 'alone'}")
    assert (alone.status, alone.err) == (0, "")
    folder = the_run(tmp_path / "alone")
    saved = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
    assert all(bool(tensor.isfinite().all()) for tensor in saved["network"].values())
    assert any(float(row["train/skipped"]) > 0 for row in rows(folder))
    runs = f"system.runs_dir={tmp_path / 'killed'}"
    assert edited.run(*words, runs, fault=("kill", [("write", r"last\.pt", 30)])).status == KILLED
    assert edited.run(*words, runs).status == 0
    assert differences(the_run(tmp_path / "killed"), folder) == []


def test_f18c_a_loss_that_is_let_be(edited: Project, tmp_path: Path) -> None:
    """F18c policy continue: goes through, and is called diverged, never a result."""
    ended = edited.run(*SPIKES, "training.divergence=continue", f"system.runs_dir={tmp_path}")
    assert (ended.status, ended.err) == (0, "")
    assert (the_run(tmp_path) / "run.json").exists()
    told = edited.run(f"runs_dir={tmp_path}", script="status")
    assert "0 of 1 finished, 1 diverged" in told.out


def test_shapes_in_signatures_are_checked_where_asked(edited: Project, tmp_path: Path) -> None:
    words = (*SPIKES, "model=claiming", "data.input_shape=[1,4,5]", f"system.runs_dir={tmp_path}")
    refused = edited.run(*words, "debug=shapes")
    assert "Type-check error whilst checking the parameters of modules.models.networks." in refused.sentence
    assert "Actual value: f32[2,1,4,5]" in refused.sentence
    assert "'batch channels side side'" in refused.sentence
    assert edited.run(*words, "data.input_shape=[1,4,4]", "debug=shapes").status == 0
    assert edited.run(*words).status == 0


def test_f22_a_folder_with_another_configuration(
    project: Project, undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    """F22 the folder holds a run with other settings: refused, naming the keys."""
    folder = copy(undisturbed(*SETTING), tmp_path, finished=False)
    config = yaml.safe_load((folder / "config.yaml").read_bytes())
    config["optimizer"]["lr"] *= 2
    config["training"]["clip_norm"] = None
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    before = (folder / "checkpoints" / "last.pt").read_bytes()
    refused = project.run(*SETTING, f"system.runs_dir={tmp_path}")
    assert f"{folder}: holds a run with another optimizer.lr, training.clip_norm; " in refused.sentence
    assert (folder / "checkpoints" / "last.pt").read_bytes() == before


def test_f23a_code_changed_since_the_run_finished(
    edited: Project, undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    """F23a code changed since the run finished: said, and nothing is trained."""
    copy(undisturbed(*SETTING), tmp_path)
    ended = edited.run(*SETTING, f"system.runs_dir={tmp_path}")
    assert (ended.status, ended.err) == (0, "")
    (warning,) = ended.warnings
    assert "finished with code that has changed since" in warning


def test_f23b_code_changed_since_the_run_was_interrupted(
    edited: Project, undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    """F23b code changed since the run was interrupted: said, and the report separates the versions."""
    folder = copy(undisturbed(*SETTING), tmp_path, finished=False)
    copy(undisturbed(*SETTING, "seed=1"), tmp_path)
    ended = edited.run(*SETTING, f"system.runs_dir={tmp_path}")
    assert (ended.status, ended.err) == (0, "")
    (warning,) = ended.warnings
    assert "continues with code that has changed since it began" in warning
    told = edited.run(f"runs_dir={tmp_path}", f"reports_dir={tmp_path / 'reports'}", script="report")
    assert (told.status, told.err) == (0, "")
    assert f"{folder.name} was resumed after the code had changed" in told.out
    assert "different versions of the code: " in told.out


HOSTILE = {
    "F24b _target_ os.system": ["model._target_=os.system", "+model.command='touch exploded'"],
    "F24c _target_ torch.load": ["model._target_=torch.load", "+model.f=exploded"],
    "F24d _target_ of a module that the project imports": ["model._target_=labkit.runs.provenance.shutil.rmtree"],
}


@pytest.mark.parametrize("row", HOSTILE)
def test_hostile_target(row: str, project: Project, tmp_path: Path) -> None:
    refused = project.run(*SETTING, *HOSTILE[row], f"system.runs_dir={tmp_path}")
    assert refused.sentence.startswith("model._target_: ")
    assert list(tmp_path.iterdir()) == []
    assert not (project.root / "exploded").exists()


def test_f24e_a_hostile_target_in_a_saved_configuration(
    project: Project, undisturbed: Callable[..., Path], tmp_path: Path
) -> None:
    """F24e somebody has put os.system into the config.yaml of a finished run: evaluate.py refuses it."""
    folder = copy(undisturbed(*SETTING), tmp_path)
    config: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_bytes())
    config["model"] = {"_target_": "os.system", "name": "net_bn", "command": f"touch {tmp_path / 'exploded'}"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    refused = project.run(f"runs_dir={tmp_path}", script="evaluate")
    assert refused.status == 1
    assert 'model._target_: "os.system" is not allowed' in refused.err
    assert "Traceback" not in refused.err
    assert not (tmp_path / "exploded").exists()


def test_f27_mistakes(project: Project, tmp_path: Path) -> None:
    """F27 unknown key, wrong type, out of range, missing data: one sentence before any file."""
    answers = {
        ("modle=net2",): 'modle: nothing reads this key; did you mean "model"?',
        ("training.batch_size=abc",): "training.batch_size: ",
        ("optimizer.lr=-1",): "optimizer.lr: must be a number above 0, not -1",
        ("training.divergence=stopp",): 'did you mean "stop"?',
        ("data=digits", f"system.datasets_dir={tmp_path / 'none'}"): "the data set is missing; run: python runs/prep",
    }
    for words, answer in answers.items():
        assert answer in project.run(*words, f"system.runs_dir={tmp_path / 'runs'}").sentence
    assert list(tmp_path.iterdir()) == []
