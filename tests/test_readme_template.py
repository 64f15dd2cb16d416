"""Every command in the README of the template, and in CONTRIBUTING.md, works as it is written there."""

import csv
import os
import re
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from baking import PROJECT, TEMPLATE, command, commit, share_environment, succeed
from package_index import package_index
from pypdf import PdfReader
from readmes import commands, run_in_one_shell

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are for Linux and macOS")

HERE = "path/to/cookiecutter-hydra-research"
# Each is run by a test of its own, but for the first, which would start these tests again.
NOT_RUN = ["make test"]
MAKE_ONE = [f"uvx cookiecutter {HERE}", f"pipx run cookiecutter {HERE}"]
MAKE_ONE += ["python3 -m venv ~/.cookiecutter", "~/.cookiecutter/bin/pip install cookiecutter"]
MAKE_ONE += [f"~/.cookiecutter/bin/cookiecutter {HERE}"]
FOLLOW = [f"uvx cruft create {HERE}", "uvx cruft update --skip-apply-ask"]


@pytest.mark.parametrize("readme", ["README.md", "CONTRIBUTING.md"])
def test_commands_of_the_templates_readme(readme: str, template: Path, tmp_path: Path, empty_home: None) -> None:
    copy = shutil.copytree(template, tmp_path / "Übung 1" / "cookiecutter-hydra-research")
    share_environment(copy)
    commit(copy, "first")
    lines = commands(copy / readme)
    run_in_one_shell([line for line in lines if line not in (*NOT_RUN, *MAKE_ONE, *FOLLOW)], copy)
    if readme == "README.md":
        assert_answered(copy / "build" / "digits-study" / "data" / "reports" / "sweep_models")
    if readme == "README.md" and shutil.which("chromedriver"):  # `make pictures`, but for the demo that it begins with
        shutil.rmtree(copy / "docs" / "pictures")
        (copy / "docs" / "pictures").mkdir()
        run_in_one_shell([".venv/bin/python docs/make_pictures.py"], copy)
        shown = re.findall(r'src="([\w/.]+)"', (copy / readme).read_text(encoding="utf-8"))
        assert len(shown) == 2
        assert all((copy / picture).stat().st_size > 10_000 for picture in shown)


def assert_answered(report: Path) -> None:
    """The report of the demo says what there is to find on the digits, and its analysis can be run."""
    with (report / "runs.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 15
    text = "".join(page.extract_text() for page in PdfReader(report / "report.pdf").pages)
    for level in ("linear", "net2", "net5"):
        assert level in text
    assert "supported" in text  # on this data two hidden layers help by far more than what matters
    assert "not supported" not in text
    assert "Do hidden layers help on the digits?" in text
    said = succeed(sys.executable, "analysis.py", cwd=report, MPLBACKEND="agg")
    assert "Linear(" in said  # the model of the first run in runs.csv, with its weights
    assert "359 validation examples" in said


def test_every_way_to_make_a_project(
    template: Path, tmp_path: Path, empty_home: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the defaults for answers; from an index of this machine, whose packages run what is installed here."""
    source = shutil.copytree(template, tmp_path / "Übung 1" / "template")
    commit(source, "first")
    pinned = [f"{name}=={version(name)}" for name in ("cookiecutter", "cruft")]
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_PYTHON", sys.executable)
    with package_index(tmp_path / "index", {"simple": pinned}, commands=["cookiecutter", "cruft"]) as address:
        monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{address}/simple")
        for number, line in enumerate((*MAKE_ONE, FOLLOW[0])):
            place = tmp_path / str(number)
            place.mkdir()
            ended = command("bash", "-c", line.replace(HERE, f"'{source}'"), cwd=place, typed="\n" * 20)
            assert ended.returncode == 0, ended.stderr
            assert (place / "my-study" / "Makefile").exists() == (HERE in line)
        made = tmp_path / str(len(MAKE_ONE)) / "my-study"
        commit(made, "generated")
        (source / PROJECT / "docs" / "new.md").write_text("# New\n", encoding="utf-8")
        commit(source, "second")
        ended = command("bash", "-c", FOLLOW[1], cwd=made)
        assert ended.returncode == 0, ended.stderr
    assert (made / "docs" / "new.md").exists()


def test_only_commands_that_stand_in_a_readme_are_excused() -> None:
    written = commands(TEMPLATE / "README.md") + commands(TEMPLATE / "CONTRIBUTING.md")
    assert {*NOT_RUN, *MAKE_ONE, *FOLLOW} <= {*written}
