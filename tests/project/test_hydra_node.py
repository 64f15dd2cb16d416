"""What a file or a command line puts under `hydra` runs nothing but this project's own."""

from pathlib import Path

import pytest
from small_runs import SMALL, run_command, train_command_here

EVIL = "{_target_: shutil.copy, src: SOURCE, dst: TARGET}"


@pytest.fixture
def evil(tmp_path: Path) -> str:
    """What copies a file if anything makes it."""
    source = tmp_path / "source"
    source.write_text("copied")
    return EVIL.replace("SOURCE", str(source)).replace("TARGET", str(tmp_path / "copied"))


def assert_refused(key: str, words: list[str], tmp_path: Path, script: str = "train") -> None:
    runs_dir = tmp_path / "runs"
    of_a_run = script == "train" and "--hydra-help" not in words
    answer = run_command(f"runs/{script}.py", *words, *([f"system.runs_dir={runs_dir}"] if of_a_run else []))
    assert answer.returncode == 1, answer
    (line,) = answer.stderr.splitlines()
    assert line.startswith(f"error: {key}: ")
    assert not (tmp_path / "copied").exists()
    assert not runs_dir.exists()


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--multirun", "seed=0,1"],
        *(["--cfg", kind] for kind in ("job", "hydra", "all")),
        *(["--info", kind] for kind in ("all", "config", "searchpath")),
        ["--hydra-help"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_a_callback_on_the_command_line_is_refused_whatever_the_flags(
    flags: list[str], evil: str, tmp_path: Path
) -> None:
    assert_refused("hydra.callbacks.x._target_", [*flags, f"+hydra.callbacks.x={evil}"], tmp_path)


@pytest.mark.parametrize("script", ["check", "evaluate", "report", "status", "prepare"])
def test_every_command_refuses_it(script: str, evil: str, tmp_path: Path) -> None:
    assert_refused("hydra.callbacks.x._target_", [f"+hydra.callbacks.x={evil}"], tmp_path, script)


IN_A_FILE = {
    "hydra.callbacks.x._target_": "hydra: {callbacks: {x: EVIL}}",
    "hydra.launcher._target_": "hydra: {launcher: EVIL}",
    "hydra.sweeper._target_": "hydra: {sweeper: EVIL}",
    "hydra.sweeper.params.x._target_": "hydra: {sweeper: {params: {x: EVIL}}}",
    "hydra.sweeper.combinations.0._target_": "hydra: {sweeper: {combinations: [EVIL]}}",
    "hydra.job_logging.handlers.x.()": "hydra: {job_logging: {root: {}, handlers: {x: {(): shutil.copy}}}}",
    "hydra.job_logging.handlers.x.class": "hydra: {job_logging: {root: {}, handlers: {x: {class: shutil.copy}}}}",
    "hydra.hydra_logging.formatters.x.()": "hydra: {hydra_logging: {formatters: {x: {(): os.system}}}}",
    "hydra.hydra_logging.handlers.x.stream": "hydra: {hydra_logging: {handlers: {x: {stream: 'ext://os.environ'}}}}",
    "hydra.callbacks._target_": "model: EVIL\nhydra: {callbacks: '${model}'}",
    "hydra.launcher.setup": "hydra: {launcher: {setup: ['export WANDB_API_KEY=0123456789abcdef']}}",
    "hydra.sweeper.params.model.api_key": "hydra: {sweeper: {params: {model.api_key: '01234567,12345678'}}}",
    "hydra.job.env_set": "hydra: {job: {env_set: {LD_PRELOAD: x.so}}}",
}


@pytest.mark.parametrize("file", ["experiment/mine", "local/default"])
@pytest.mark.parametrize("key", IN_A_FILE)
def test_one_in_a_file_is_refused(key: str, file: str, evil: str, tmp_path: Path) -> None:
    path = tmp_path / "config" / f"{file}.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(f"# @package _global_\n{IN_A_FILE[key].replace('EVIL', evil)}\n")
    words = [f"hydra.searchpath=[{(tmp_path / 'config').as_uri()}]"]
    words += ["+experiment=mine"] if file.startswith("experiment") else []
    for more in ([], ["--multirun", "seed=0,1"]):
        answer = train_command_here(*more, *words, *SMALL, f"system.runs_dir={tmp_path / 'runs'}")
        assert (answer.returncode, answer.stdout) == (1, "")
        (line,) = answer.stderr.splitlines()
        assert line.startswith(f"error: {key}: ")
        assert not (tmp_path / "copied").exists()
        assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["hydra/launcher=other"], "hydra.launcher._target_"),
        (["hydra.launcher._target_=labkit.runs.files.write_json"], "hydra.launcher._target_"),
        (["+launcher=slurm", "hydra.launcher._target_=shutil.copy"], "hydra.launcher._target_"),
        (["hydra.sweeper._target_=shutil.copy"], "hydra.sweeper._target_"),
        (["hydra/job_logging=default"], "hydra.job_logging.handlers.file.class"),  # it may write any file
        (["hydra/hydra_logging=hydra_debug"], "hydra.hydra_logging.handlers.file.class"),
    ],
    ids=str,
)
def test_a_launcher_a_sweeper_or_a_log_of_others_is_refused(words: list[str], key: str, tmp_path: Path) -> None:
    other = tmp_path / "config/hydra/launcher/other.yaml"  # as that of an installed plugin
    other.parent.mkdir(parents=True)
    other.write_text("_target_: hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher\n")
    searched = f"hydra.searchpath=[{(tmp_path / 'config').as_uri()}]"
    assert_refused(key, ["--multirun", searched, "seed=0,1", *words], tmp_path)


@pytest.mark.parametrize("words", [["--hydra-help"], ["--cfg", "all"], ["+launcher=slurm", "--cfg", "hydra"]])
def test_what_the_project_ships_is_shown(words: list[str]) -> None:
    answer = run_command("runs/train.py", *words)
    assert (answer.returncode, answer.stderr) == (0, "")
