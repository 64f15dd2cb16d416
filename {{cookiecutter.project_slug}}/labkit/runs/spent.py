"""What all launches of a study took, whatever became of them, also those that a restart has deleted."""

import datetime
from dataclasses import dataclass
from typing import Any

from labkit.runs.files import DISCARDED, PROVENANCE, read_json, write_json
from labkit.runs.folder import RunFolder
from labkit.runs.json_shapes import STARTED, fits
from labkit.runs.study import Study

RESTARTED = "restarted"
KEPT = ("started", "ended", "processes", "threads", "device", "host", "gpu")  # of a launch that is deleted


@dataclass
class Spent:
    """By the runs of one status."""

    status: str
    runs: int = 0
    hours: float = 0.0  # from the start of each launch to its end
    cpu_hours: float = 0.0  # times threads and processes
    gpu_hours: float = 0.0  # times processes, of those on a GPU

    def add(self, launch: dict[str, Any], ended: str | None) -> None:
        """One launch; one whose end nobody knows takes no time."""
        hours = _hours(launch.get("started"), launch.get("ended") or ended)
        processes = launch.get("processes") or 1
        self.hours += hours
        self.cpu_hours += hours * processes * (launch.get("threads") or 1)
        self.gpu_hours += hours * processes if launch.get("device") == "cuda" else 0.0


def spent(study: Study) -> list[Spent]:
    """A row for each status that took time, in the order of the counts."""
    rows: dict[str, Spent] = {}
    for run in study.runs:
        launches = run.record.get("launches") or read_json(run.path / PROVENANCE) or []
        ended = run.record.get("finished") or time_text(run.state.get("heartbeat"))
        if isinstance(launches, list) and launches:
            _add(rows, run.status, launches, ended)
    for folder in sorted({run.study for run in study.runs}):
        for path in sorted((folder / DISCARDED).glob("*.json")):
            launches = (read_json(path) or {}).get("launches")
            if isinstance(launches, list):
                _add(rows, RESTARTED, launches, None)
    return [rows[status] for status in [*study.counts(), RESTARTED] if status in rows]


def keep_spent(folder: RunFolder) -> None:
    """Before a restart deletes the folder."""
    launches = ended_launches(folder)
    if launches:
        beside = folder.path.parent / DISCARDED
        beside.mkdir(exist_ok=True)
        before = len(list(beside.glob(f"{folder.path.name}-*.json")))
        kept = [{key: launch.get(key) for key in KEPT} for launch in launches]
        write_json(beside / f"{folder.path.name}-{before}.json", {"format": 1, "launches": kept})


def ended_launches(folder: RunFolder) -> list[dict[str, Any]]:
    """The launches so far, the last of which has ended: when it was last heard of."""
    kept = read_json(folder.provenance)
    launches = [launch for launch in kept if fits(launch, STARTED)] if isinstance(kept, list) else []
    if launches and "ended" not in launches[-1]:
        launches[-1]["ended"] = time_text(folder.read_state().get("heartbeat"))
    return launches


def time_text(seconds: Any) -> str | None:
    """Of a time in seconds since 1970, as run.json writes it; None for no time."""
    if not isinstance(seconds, int | float):
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


def _add(rows: dict[str, Spent], status: str, launches: list[Any], ended: str | None) -> None:
    row = rows.setdefault(status, Spent(status))
    row.runs += 1
    for place, launch in enumerate(launches):
        if isinstance(launch, dict):
            row.add(launch, ended if place == len(launches) - 1 else None)


def _hours(started: Any, ended: Any) -> float:
    try:
        took = datetime.datetime.fromisoformat(ended) - datetime.datetime.fromisoformat(started)
    except (TypeError, ValueError):
        return 0.0
    return max(took.total_seconds(), 0.0) / 3600
