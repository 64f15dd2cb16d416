"""`runs/report.py`: for each study everything in data/reports/<study>/, or the report of yesterday.

What reads, computes and draws is imported inside: `--help` need not wait for it.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.config import check_choice
from labkit.reporting.analysis.names import read_labels
from labkit.runs.files import folder_beside
from labkit.runs.notebook import note
from labkit.runs.places import read_places
from labkit.runs.study import find_studies, no_garbage
from labkit.text import counted, one_line

if TYPE_CHECKING:
    from labkit.reporting.analysis.findings import Findings

WRITTEN = ".written"  # lists what a report consists of: files of yours beside it are never removed
SIUNITX, PARENTHESES = "siunitx", "parentheses"  # of table_numbers and table_uncertainty


@dataclass
class ReportConfig:
    """config/report.yaml, explained there."""

    study: str | None
    metric: str | None
    direction: str | None
    repeats: list[str]
    figures: list[str]
    figures_package: str
    figure_width_cm: float
    figure_font: str
    labels: dict[str, Any]
    table_numbers: str
    table_uncertainty: str
    runs_dir: str
    more_runs_dirs: list[str]
    reports_dir: str
    study_files_dir: str
    audit: str | None


def report(config: ReportConfig) -> None:
    """Write the report of the study, or of every study, and say where it is. A study that has none does not keep the
    others from theirs."""
    if config.audit:
        return _audit(Path(config.audit), config)
    _check(config)
    problems = []
    unknown = dict.fromkeys(config.labels, "")
    for name, folders in find_studies([config.runs_dir, *config.more_runs_dirs], config.study).items():
        try:
            found = _report(name, folders, config)
        except ValueError as error:
            problems.append(error)
        else:
            unknown = {label: found[label] for label in unknown if label in found}
    for sentence in filter(None, unknown.values()):  # one study may have what another has not
        print(one_line(f"warning: {sentence}"))
    for problem in problems[1:]:
        print(one_line(f"error: {problem}"), file=sys.stderr)
    if problems:
        raise problems[0]


def _audit(text: Path, config: ReportConfig) -> None:
    """Print what the text claims without a run behind it."""
    from labkit.reporting.audit import audit

    if not text.exists():
        raise ValueError(f"audit: there is no {text}; name the folder of your text, such as thesis/")
    found = audit(text, Path(config.reports_dir), [config.runs_dir, *config.more_runs_dirs])
    print("\n".join(map(one_line, found)) or f"{text}: every number, figure and table comes from a report as it is now")
    if found:
        raise ValueError(f"audit: {counted(len(found), 'place')} to mend in {text}")


@no_garbage()
def _report(name: str, folders: list[Path], config: ReportConfig) -> dict[str, str]:
    """Returns what is wrong with each label that is of no use here."""
    from labkit.reporting.outputs import write_outputs

    study = read_places(folders)
    if config.study:
        absent = [place for place in config.more_runs_dirs if not (Path(place) / name).is_dir()]
        study.warnings += [f"more_runs_dirs: {place} holds no study {name!r}" for place in absent]
    target = Path(config.reports_dir) / name
    # Made beside and renamed when all of it is there: a failure leaves the report of yesterday.
    with folder_beside(target) as new:
        contents = write_outputs(new, study, config, target)
        _replace(new, target)
    counts = ", ".join(f"{n} {status}" for status, n in study.counts().items())
    lines = [f"{target / 'report.pdf'}: {counts if study.ended else f'{counts}; no results yet'}"]
    findings = contents.findings
    outcome = _outcome(findings) if findings else []
    lines += [f"  {sentence}" for sentence in outcome if findings and findings.file]
    lines += [f"  warning: {warning}" for warning in contents.warnings]
    print("\n".join(map(one_line, lines)))
    if outcome and not Path(config.reports_dir).is_absolute():  # one elsewhere is a trial
        note(f"report of {name}", f"python runs/report.py study={name}", " ".join(outcome))
    return findings.results.unknown_labels if findings else dict.fromkeys(config.labels, "")


def _outcome(findings: "Findings") -> list[str]:
    """What came out, in sentences: the answer, or the best setting where nothing was asked; what was published."""
    if answer := findings.answer:
        return [f"{answer.word}: {answer.sentence}", *findings.published]
    if not findings.ranking:
        return findings.published
    best, results = findings.ranking[0], findings.results
    found = findings.summary[results.metric][best]
    first = f"{results.label} is best for {results.groups[best].label}: {found.mean:.4g} (n = {found.n})"
    return [f"{first}, of {counted(len(results.groups), 'setting')}.", *findings.published]


def _check(config: ReportConfig) -> None:
    if not 1 <= config.figure_width_cm <= 100:
        raise ValueError(f"figure_width_cm: {config.figure_width_cm} is no width; give centimetres, such as 14")
    if config.direction not in (None, "max", "min"):
        raise ValueError(f"direction: must be max or min, not {config.direction!r}")
    if "seed" not in config.repeats:
        raise ValueError("repeats: must contain seed; add data.split_seed where each seed has a split of its own")
    check_choice("table_numbers", config.table_numbers, ("plain", SIUNITX))
    check_choice("table_uncertainty", config.table_uncertainty, ("columns", PARENTHESES))
    read_labels(config.labels)


def _replace(beside: Path, target: Path) -> None:
    """Move the new files over the old ones, and remove what an earlier report wrote and this one did not."""
    new = sorted(path.relative_to(beside).as_posix() for path in beside.rglob("*") if path.is_file())
    listing = target / WRITTEN
    for path in new:
        if (target / path).is_dir():
            raise ValueError(f"{target / path}: is a folder where the report writes a file; rename it")
    old = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    try:
        for path in new:
            if path == "analysis.py" and (target / path).exists():  # the reader may have changed it
                continue
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(beside / path, target / path)
        for path in set(old) - {*new, "analysis.py"}:
            if ".." in Path(path).parts or Path(path).is_absolute():  # no name that a report writes
                continue
            (target / path).unlink(missing_ok=True)
    except PermissionError as error:
        raise ValueError(f"{error.filename}: cannot be replaced; close it if another program shows it") from error
    listing.write_text("\n".join(new), encoding="utf-8", newline="\n")
