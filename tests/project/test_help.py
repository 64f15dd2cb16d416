"""What --help shows: the groups and their choices, then the configuration as the command line has it."""

import pytest
from small_runs import ROOT, run_command, train_command_here


@pytest.mark.parametrize("words", [("--help",), ("-h", "--multirun")])
def test_help_lists_every_choice_and_every_key(words: tuple[str, ...]) -> None:
    answer = train_command_here(*words, "model=net5", "training.epochs=3")
    assert (answer.returncode, answer.stderr) == (0, "")
    for group in ("model", "experiment", "launcher"):
        choices = sorted(path.stem for path in (ROOT / "config" / group).glob("*.yaml"))
        assert f"\n  {group}: {', '.join(choices)}\n" in answer.stdout
    assert "\n  hidden_layers: 5\n" in answer.stdout
    assert "\n  epochs: 3\n" in answer.stdout
    assert "hydra:" not in answer.stdout


def test_help_names_the_command_that_was_asked() -> None:
    answer = run_command("runs/report.py", "--help")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("python runs/report.py [key=value ...]")
    assert "\nfigure_width_cm: " in answer.stdout
