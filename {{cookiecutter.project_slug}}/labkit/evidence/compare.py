"""What two runs differ in: code, configuration, data, packages, machine, and the first row that is another."""

import csv
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from labkit.runs.files import METRICS, PROVENANCE, read_json
from labkit.runs.folder import RunFolder
from labkit.runs.identity import LEFT_OUT
from labkit.runs.json_shapes import STARTED, fits
from labkit.values import canonical, flatten

MACHINE = ("python", "platform", "cpu", "device", "gpu", "cuda", "driver", "threads", "processes")
SAME, CLOSE, DIFFERENT = "bit-identical", "equal within rounding", "different"


@dataclass
class CompareConfig:
    runs: list[str]
    rounding: float


class Recorded(NamedTuple):
    """What a run folder says of its run, finished or not."""

    folder: RunFolder
    config: dict[str, Any]  # by run.json, which nobody edits; by config.yaml while there is none
    launches: list[dict[str, Any]]  # the code of the last one made the results
    rows: list[dict[str, str]]  # of metrics.csv, as they stand there


def compare(config: CompareConfig) -> None:
    """Prints what made the results of two runs and is not the same, then where the results are not."""
    if len(config.runs) != 2:
        raise ValueError("runs: takes the folders of two runs, as in python runs/compare.py <folder> <folder>")
    one, other = (read_recorded(Path(path)) for path in config.runs)
    print(*(changes(one, other) or ["the same code, configuration, data, packages and machine"]), sep="\n")
    name, where = verdict(one, other, config.rounding)
    print("; ".join([f"results: {name}", *where]))
    last = [{key: text for key, text in (run.rows or [{}])[-1].items() if "_class_" not in key} for run in (one, other)]
    for text in pairs(*last):
        print(f"  last {text}")


def read_recorded(path: Path) -> Recorded:
    """ValueError where the folder is not a run's."""
    folder = RunFolder(path)
    result = folder.read_result() or {}
    config = result.get("config") or folder.read_config()
    launches = result.get("launches") or read_json(folder.provenance)
    if not config or not isinstance(launches, list) or not launches or not fits(launches[-1], STARTED):
        raise ValueError(f"{path}: is not a run's folder, which has config.yaml and {PROVENANCE}; name another one")
    text = folder.metrics.read_text(encoding="utf-8") if folder.metrics.exists() else ""
    return Recorded(folder, config, launches, list(csv.DictReader(text.splitlines())))


def changes(one: Recorded, other: Recorded) -> list[str]:
    """A line for each kind of thing that is not the same and may change a result."""
    theirs = _about(other)
    return [f"{what}: {', '.join(two)}" for what, mine in _about(one).items() if (two := pairs(mine, theirs[what]))]


def pairs(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """'torch 2.12.0 -> 2.13.0' for each key that differs."""
    keys = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
    return [f"{key} {one.get(key, 'absent')} -> {other.get(key, 'absent')}" for key in keys]


def verdict(one: Recorded, other: Recorded, rounding: float) -> tuple[str, list[str]]:
    """SAME, CLOSE or DIFFERENT, and sentences on where; `rounding`: a relative difference that counts as none."""
    close = True
    first = ""
    for number, (row, again) in enumerate(zip_longest(one.rows, other.rows, fillvalue={}), 1):
        if row != again:
            close = close and all(_is_close(row.get(key), again.get(key), rounding) for key in {*row, *again})
            texts = pairs(row, again)
            more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
            first = first or f"row {number} of {METRICS} is the first to differ: {', '.join(texts[:3])}{more}"
    if first:
        return CLOSE if close else DIFFERENT, [first]
    checkpoints = {
        name: [_parts(run.folder.checkpoints / name) for run in (one, other)] for name in ("best.pt", "last.pt")
    }
    differ = [f"the weights in {name} differ" for name, two in checkpoints.items() if all(two) and two[0] != two[1]]
    absent = [f"{name} is not there to be compared" for name, two in checkpoints.items() if not all(two)]
    return CLOSE if differ else SAME, differ + absent


def _is_close(one: str | None, other: str | None, rounding: float) -> bool:
    return one == other or bool(one and other and math.isclose(float(one), float(other), rel_tol=rounding))


def _parts(path: Path) -> list[tuple[str, str]]:
    """Of each array in split.npz, or tensor in a checkpoint, its name, and checksum and size; [] for no such file. What
    else a checkpoint holds, such as times, no two runs share."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        parts = [part for part in archive.infolist() if "/" not in part.filename or "/data/" in part.filename]
    return [(part.filename.rpartition("/")[2], f"{part.CRC:08x} ({part.file_size} bytes)") for part in parts]


def _about(run: Recorded) -> dict[str, dict[str, Any]]:
    launch = run.launches[-1]
    commit = (launch["git"]["commit"] or "none")[:12]
    split = {f"split/{name}": part for name, part in _parts(run.folder.path / "split.npz")}
    return {
        "code": {"version": f"{launch['code_id']} (commit {commit}{', changed' * bool(launch['diff'])})"},
        "configuration": flatten({key: canonical(value) for key, value in run.config.items() if key not in LEFT_OUT}),
        "data": {"fingerprint": launch["data_fingerprint"], **split},
        "packages": launch["packages"],
        "machine": {key: launch.get(key) for key in MACHINE},
    }
