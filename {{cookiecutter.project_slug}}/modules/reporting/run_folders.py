"""Reads the run folders of a study and says what became of each run.

Standard library only: `runs/status.py` must answer at once, so nothing here may import pandas or torch.
"""

import difflib
import json
import math
import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEARTBEAT_TIMEOUT_S = 60  # a run writes its state every 10 s or so
RECORD_KEYS = {"config", "monitor", "best", "last", "cost", "launches"}


@dataclass
class Run:
    """One member of a study, whether or not it ran.

    `status` is one of finished, diverged (ended, with a loss or a monitored metric that is no number), running,
    interrupted, dead (stopped without a word), failed, missing (planned, no folder), refused (planned, bad
    configuration), duplicate (the same run in a second folder), unreadable. `reason` says why.
    """

    name: str
    path: Path
    status: str
    reason: str = ""
    record: dict[str, Any] = field(default_factory=dict)  # run.json; empty unless the run ended
    state: dict[str, Any] = field(default_factory=dict)  # state.json; empty if the run ended
    test: dict[str, float] = field(default_factory=dict)  # metrics of test.json, if they belong to the best weights

    @property
    def ended(self) -> bool:
        return self.status in ("finished", "diverged")

    @property
    def progress(self) -> str:
        """How far a run came that has not ended."""
        return f"step {self.state['step']} of {self.state['total_steps']}" if self.state.get("total_steps") else ""


@dataclass
class Study:
    name: str
    runs: list[Run]
    warnings: list[str]

    @property
    def ended(self) -> list[Run]:
        """The runs that have results."""
        return [run for run in self.runs if run.ended]

    def counts(self) -> dict[str, int]:
        """How many runs have each status that occurs, finished first."""
        statuses = sorted((run.status for run in self.runs), key=lambda status: (status != "finished", status))
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}


def find_studies(runs_dir: str, study: str | None) -> list[Path]:
    """The folder of the one study asked for, or of every study under `runs_dir`."""
    root = Path(runs_dir)
    folders = sorted(path for path in root.iterdir() if _is_study(path)) if root.is_dir() else []
    if not folders:
        raise ValueError(f"{runs_dir}: no study here; start one with python runs/train.py")
    if study is None:
        return folders
    names = [path.name for path in folders]
    if study not in names:
        raise ValueError(f"study: no study {study!r} in {runs_dir}; {suggest(study, names)}")
    return [root / study]


def suggest(name: str, known: list[str]) -> str:
    """The end of an error sentence: the nearest known name, and all there are."""
    near = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + "there are: " + ", ".join(map(one_line, known))


def read_study(folder: Path) -> Study:
    """Every run of a study by name: its folders, and the planned members that have none."""
    warnings: list[str] = []
    runs: list[Run] = []
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if not os.access(path, os.R_OK | os.X_OK):
            runs.append(Run(path.name, path, "unreadable", "the folder cannot be opened: permission denied"))
        elif os.path.exists(path / "config.yaml"):
            runs.append(_read_run(path, warnings))
        else:
            warnings.append(f"{one_line(path.name)} is no run folder (it holds no config.yaml): left out")
    _mark_duplicates(runs)
    runs += _planned_without_folder(folder, {run.name for run in runs}, warnings)
    return Study(folder.name, sorted(runs, key=lambda run: run.name), warnings)


def one_line(text: str) -> str:
    """The text with line breaks, control characters and undecodable bytes written as escapes."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda match: repr(match[0])[1:-1], text)


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _is_study(path: Path) -> bool:
    if not path.is_dir() or path.name.startswith("."):
        return False
    return (path / ".sweeps").is_dir() or any(os.path.exists(child / "config.yaml") for child in path.iterdir())


def _read_run(path: Path, warnings: list[str]) -> Run:
    if (path / "run.json").exists():
        record, problem = _read_json(path / "run.json", RECORD_KEYS)
        if problem:
            return Run(path.name, path, "unreadable", problem)
        run = Run(path.name, path, "finished", record=record)
        if strange := _not_numbers(record):
            run.status, run.reason = "diverged", f"not a number: {', '.join(strange)}"
        if (path / "test.json").exists():
            run.test = _read_test(run, warnings)
        return run
    if not (path / "state.json").exists():
        return Run(path.name, path, "interrupted", "stopped before its first step")
    state, problem = _read_json(path / "state.json", {"status", "host", "pid", "heartbeat"})
    if problem:
        return Run(path.name, path, "unreadable", problem)
    status, reason = state["status"], one_line(state.get("reason") or "")
    if status not in ("running", "interrupted", "failed", "finished"):
        status, reason = "unreadable", f"state.json holds the unknown status {status!r}"
    if status == "running" and (sign_of_death := _sign_of_death(state)):
        status, reason = "dead", sign_of_death
    elif status == "finished":
        status, reason = "interrupted", "ended, but run.json is missing; the same command completes it"
    return Run(path.name, path, status, reason, state=state)


def _read_json(path: Path, keys: set[str]) -> tuple[dict[str, Any], str]:
    """The content, or an empty dict and the sentence that says what is wrong with the file."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        return {}, f"{path.name} cannot be read: {error.strerror}"
    except ValueError:
        return {}, f"{path.name} is half-written or damaged"
    if not isinstance(content, dict) or content.get("format", 1) != 1:
        return {}, f"{path.name} was not written by this version of the project"
    if absent := sorted(keys - content.keys()):
        return {}, f"{path.name} lacks {', '.join(absent)}"
    return content, ""


def _not_numbers(record: dict[str, Any]) -> list[str]:
    """The losses of the last evaluation and the monitored metric of the best one, where they are NaN or infinite."""
    monitored = record["monitor"]["metric"]
    values = {name: value for name, value in record["last"]["metrics"].items() if name.endswith("/loss")}
    values[monitored] = record["best"]["metrics"].get(monitored)
    return sorted(name for name, value in values.items() if not is_number(value))


def _read_test(run: Run, warnings: list[str]) -> dict[str, float]:
    test, problem = _read_json(run.path / "test.json", {"step", "metrics"})
    if not problem and test["step"] != run.record["best"]["step"]:
        problem = f"test.json is of step {test['step']}, the best step is {run.record['best']['step']}"
    if problem:
        warnings.append(f"{one_line(run.name)}: {problem}: test metrics left blank; run python runs/evaluate.py")
        return {}
    return test["metrics"]


def _sign_of_death(state: dict[str, Any]) -> str:
    patience_s = HEARTBEAT_TIMEOUT_S
    # Windows has no harmless signal to ask with: there os.kill(pid, 0) would interrupt the run.
    if os.name == "posix" and state["host"] == socket.gethostname():
        try:
            os.kill(state["pid"], 0)
        except ProcessLookupError:
            return f"its process {state['pid']} is gone"
        except PermissionError:  # alive, and somebody else's
            pass
        patience_s = 60 * HEARTBEAT_TIMEOUT_S  # it lives; but after a day its number may be another process's
    silent_s = time.time() - state["heartbeat"]
    return f"no sign of life on {state['host']} for {duration(silent_s)}" if silent_s > patience_s else ""


def duration(seconds: float) -> str:
    """Two units at most: 4.5 s, 45 s, 12 min, 3 h 05 min, 2 d 4 h."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def _mark_duplicates(runs: list[Run]) -> None:
    first: dict[str, str] = {}
    for run in runs:
        run_id = run.record.get("run_id")
        if run.ended and run_id and first.setdefault(run_id, run.name) != run.name:
            run.status, run.reason = "duplicate", f"the same run as {one_line(first[run_id])}: counted once"


def _planned_without_folder(folder: Path, present: set[str], warnings: list[str]) -> Iterator[Run]:
    """Members of any plan that have no folder: missing, or refused if no plan could start them."""
    absent: dict[str, str] = {}
    for path in sorted((folder / ".sweeps").glob("*.json")):
        plan, problem = _read_json(path, {"members"})
        if problem:
            warnings.append(f".sweeps/{problem}: members that it planned may be missing from the list")
            continue
        for member in plan["members"]:
            name = member["name"] or " ".join(member["overrides"])
            if name not in present:
                absent[name] = absent.get(name, "refused") and (member["error"] or "")
    for name, error in absent.items():
        yield Run(name, folder / name, "refused" if error else "missing", one_line(error))
