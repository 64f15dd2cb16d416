"""How long a new project takes beside one of an empty template, and what of `make demo` is not pip.

python benchmarks/first_hour.py [--rounds 7]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        templates = {"an empty template": _empty(folder / "empty"), "this template": _clone(folder / "this")}
        seconds: dict[str, list[float]] = {name: [] for name in templates}
        for turn in range(rounds):
            for name, template in templates.items():
                seconds[name].append(_generate(template, folder / f"{turn} {name}"))
        for name, taken in seconds.items():
            print(f"cookiecutter, {name:18} {statistics.median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f})")
        project = folder / f"0 {next(reversed(templates))}" / "digits-study"
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        taken = _seconds(["./run_all_tasks.sh"], project, PATH=path)
        print(f"make demo, all that is not pip: {statistics.median(seconds['this template']) + taken:.0f} s")


def _empty(folder: Path) -> Path:
    (folder / "{{cookiecutter.project_slug}}").mkdir(parents=True)
    (folder / "{{cookiecutter.project_slug}}" / "README.md").touch()
    (folder / "cookiecutter.json").write_text(json.dumps({"project_slug": "digits-study"}), encoding="utf-8")
    return folder


def _clone(folder: Path) -> Path:
    """Of what is committed, without what runs have left in the working tree."""
    subprocess.run(["git", "clone", "--quiet", TEMPLATE, folder], check=True)
    shutil.rmtree(folder / ".git")
    return folder


def _generate(template: Path, output: Path) -> float:
    words = ["--no-input", "--default-config", "--output-dir", str(output), "project_slug=digits-study"]
    return _seconds([sys.executable, "-m", "cookiecutter", str(template), *words], template)


def _seconds(words: Sequence[str], folder: Path, **environment: str) -> float:
    started = time.perf_counter()
    subprocess.run(words, cwd=folder, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
