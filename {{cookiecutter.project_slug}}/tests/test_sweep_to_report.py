"""A small sweep, from the command that starts it to the report that compares its settings."""

import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
from small_runs import ROOT, SMALL, at

from labkit.launching.entry_point import VERSION_BASE, CheckedTask
from labkit.reporting.report import ReportConfig, report

FIGURES = sorted(path.stem for path in (ROOT / "modules" / "figures").glob("*.py") if path.stem != "__init__")


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of a sweep over two models and three seeds."""
    folder = tmp_path_factory.mktemp("sweep") / "runs"
    words = ["--multirun", "+launcher=joblib", "model=linear,net2", "seed=0,1,2", "study=small"]
    command = [sys.executable, "runs/train.py", *words, *SMALL, at("system.runs_dir", folder)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    return folder


@pytest.fixture(scope="module")
def reported(runs_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the report of this sweep, with every figure of config/report.yaml."""
    places = [at("system.runs_dir", runs_dir), at("reports_dir", tmp_path_factory.mktemp("reports"))]
    with hydra.initialize_config_dir(str(ROOT / "config"), **VERSION_BASE):
        composed = hydra.compose("report", [*places, "study=small"], return_hydra_config=True)
    config = CheckedTask(ReportConfig, report).checked(composed, composed.hydra)
    report(config)
    return Path(config.reports_dir) / "small"


def test_the_report_pools_the_seeds_of_each_setting_and_nothing_else(runs_dir: Path, reported: Path) -> None:
    with (reported / "summary.csv").open(encoding="utf-8", newline="") as file:
        summary = [row for row in csv.DictReader(file) if row["metric"] == "validation/accuracy"]
    assert {row["model"]: row["n"] for row in summary} == {"linear": "3", "net2": "3"}
    for row in summary:
        results = [json.loads(path.read_bytes()) for path in runs_dir.glob(f"small/{row['model']}-*/run.json")]
        mean = statistics.fmean(result["best"]["metrics"]["validation/accuracy"] for result in results)
        assert float(row["mean"]) == pytest.approx(mean)
    assert (reported / "report.pdf").stat().st_size > 10_000
    assert (reported / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_in_modules_is_drawn_or_says_why_not(name: str, reported: Path) -> None:
    drawn = list((reported / "figures").glob(f"{name}*.pdf"))
    assert drawn or f"{name}: " in (reported / "report.html").read_text(encoding="utf-8")
