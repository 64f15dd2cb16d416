"""What the tests of the report share: studies of two models, and the report on them."""

import csv
import json
from pathlib import Path
from typing import Any

import yaml
from labkit.reporting.analysis.checks import find_warnings
from labkit.reporting.analysis.comparisons import Comparison
from labkit.reporting.analysis.findings import Findings, find
from labkit.reporting.report import ReportConfig, report
from labkit.runs.study import read_study
from run_folders import add_run, change_record, plan
from small_runs import ROOT

# Reference values: ten seeds of three settings, agreed on by two or more statistics libraries
A = [91.2, 90.8, 91.5, 90.4, 91.9, 91.1, 90.6, 91.4, 91.0, 90.9]
B = [91.9, 91.3, 91.7, 91.2, 92.6, 91.4, 91.5, 92.1, 91.2, 91.8]
C = [91.0, 90.9, 91.6, 90.1, 92.0, 91.3, 90.5, 91.5, 90.8, 91.2]
SEEDS = list(range(6))
NET2 = [0.90, 0.91, 0.92, 0.91, 0.90, 0.92]
NET5 = [0.96, 0.96, 0.98, 0.98, 0.95, 0.98]
ACCURACY = "validation/accuracy"


def report_config(folder: Path, **changes: Any) -> ReportConfig:
    """config/report.yaml, for a study in a folder of its own, and without most of the figures: they take long."""
    places: dict[str, Any] = {"runs_dir": str(folder.parent), "reports_dir": str(folder.parents[1] / "reports")}
    content = yaml.safe_load((ROOT / "config" / "report.yaml").read_bytes())
    values: dict[str, Any] = {key: value for key, value in content.items() if key != "defaults"}
    files: dict[str, Any] = {"study_files_dir": str(folder.parents[1] / "study"), "figures": ["comparison"]}
    return ReportConfig(**{**values, "study": folder.name, **places, **files, **changes})


def add_seeds(study: Path, values: list[float], model: str = "net2", **changes: Any) -> None:
    for seed, value in enumerate(values):
        add_run(study, model, seed, value, **changes)


def found(study: Path, **entries: Any) -> Findings:
    """As a study file with these entries would have it; without any: no file."""
    planned = {"comparisons": [{"model": "net5"}], "smallest_difference": 0.02, "seeds": SEEDS}
    file = plan(**{**planned, **entries}) if entries else None
    return find(read_study(study), file, None, None, ["seed"])


def labels(findings: Findings) -> list[str]:
    return [group.label for group in findings.results.groups]


def pairs(findings: Findings, comparisons: list[Comparison]) -> set[tuple[str, str]]:
    names = labels(findings)
    return {(names[one.group], names[one.against]) for one in comparisons}


def said(findings: Findings) -> str:
    return "\n".join(find_warnings(findings))


def means(findings: Findings, metric: str = ACCURACY) -> list[float]:
    return [one.mean for one in findings.summary[metric]]


def written(study: Path, **changes: Any) -> Path:
    """The whole report but its figures."""
    report(report_config(study, figures=[], **changes))
    return study.parents[1] / "reports" / study.name


def write_plan(study: Path, text: str = "", **entries: Any) -> None:
    """studies/depth.yaml; `text` is put behind the entries as it is."""
    content = {
        key: value for key, value in vars(plan(**entries)).items() if key not in ("digest", *text.split(":")[:1])
    }
    folder = study.parents[1] / "study"
    folder.mkdir(exist_ok=True)
    (folder / f"{study.name}.yaml").write_text(yaml.safe_dump(content) + text, encoding="utf-8")


def change_metrics(run: Path, metrics: dict[str, Any]) -> Path:
    """Of the best evaluation of a finished run."""
    best = json.loads((run / "run.json").read_bytes())["best"]
    change_record(run, best={**best, "metrics": {**best["metrics"], **metrics}})
    return run


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
