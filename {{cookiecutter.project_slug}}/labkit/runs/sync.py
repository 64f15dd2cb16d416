"""Data sets, runs and reports, sent to another place and brought from there by rclone. Standard library only."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from labkit.config import check_choice
from labkit.runs.files import LOCK, METRICS, RESULT, SLURM
from labkit.text import counted

# What belongs to one machine, or to a process that is at work: locks, halves, Slurm's jobs, the databases of trackers.
STAYS = (LOCK, "*.part", ".report-*/**", f"{SLURM}*/**", ".mlflow/**", ".wandb/**")
WEIGHTS = "checkpoints/**"
NO_FOLDER = 3  # rclone's exit status where the place to read from is not there


@dataclass
class SyncConfig:
    direction: str
    remote: str | None
    copy: bool
    checkpoints: bool
    datasets_dir: str
    runs_dir: str
    reports_dir: str

    def __post_init__(self) -> None:
        check_choice("direction", self.direction, ("push", "pull", "check"))


class Part(NamedTuple):
    """What is copied or compared in one go."""

    name: str
    source: str
    target: str
    rules: list[str]  # rclone's, on what is left out


def sync(config: SyncConfig) -> None:
    """Copies, deletes nothing, and leaves alone what runs further at the target. ValueError if rclone is missing or
    fails, or if the two places are not the same in the end."""
    if ":" not in (config.remote or ""):
        raise ValueError('remote: must be <name>:<folder>, as in remote=lab:study; "rclone config" makes a name')
    if not shutil.which("rclone"):
        raise ValueError("rclone: not found; install it from the packages of your system or from rclone.org")
    parts = list(_parts(config))
    if not parts:
        raise ValueError(f"{config.remote}: there is nothing to {config.direction}")
    if config.direction != "check":
        for part in parts:
            _copy(config, part)
    if config.direction == "check" or config.copy:
        _compare(config, parts)
    else:
        print("nothing was copied; copy=true copies it")


def _parts(config: SyncConfig) -> Iterator[Part]:
    remote = str(config.remote)
    listed = _rclone("lsf", remote, "--dirs-only", ends=(0, NO_FOLDER))
    rules = [f"--filter=- {pattern}" for pattern in (*STAYS, *[WEIGHTS] * (not config.checkpoints))]
    for name, here in (("datasets", config.datasets_dir), ("runs", config.runs_dir), ("reports", config.reports_dir)):
        ends = here, f"{remote.rstrip('/')}/{name}"
        if config.direction == "pull" or not Path(here).exists():
            if config.direction == "push" or f"{name}/" not in listed:
                continue
            ends = ends[::-1]
        further = _further(*ends) if name == "runs" and config.direction != "check" else []
        for run in further:
            print(f"left alone: {run}, which is further at {ends[1]}")
        kept = [f"--filter=- /{_literal(run)}/**" for run in further]
        yield Part(name, ends[0], ends[1], [*kept, *rules])


def _further(source: str, target: str) -> list[str]:
    """The runs that have finished at the target only, or have more rows of metrics there."""
    come = []
    for place in (source, target):
        rules = [f"--filter=+ /*/*/{METRICS}", f"--filter=+ /*/*/{RESULT}", "--filter=- *"]
        lines = _rclone("lsf", place, "--recursive", "--files-only", "--format=sp", *rules, ends=(0, NO_FOLDER))
        sizes = {path: int(size) for size, _, path in (line.partition(";") for line in lines)}
        runs = {path.rpartition("/")[0] for path in sizes}
        come.append({run: (f"{run}/{RESULT}" in sizes, sizes.get(f"{run}/{METRICS}", 0)) for run in runs})
    return sorted(run for run, reached in come[1].items() if run in come[0] and reached > come[0][run])


def _literal(name: str) -> str:
    """As a pattern of rclone that fits nothing else."""
    return re.sub(r"([][*?{}\\])", r"\\\1", name)


def _copy(config: SyncConfig, part: Part) -> None:
    how = ["--progress" if sys.stdout.isatty() else "--stats=0", *["--dry-run"] * (not config.copy)]
    # A run without run.json has not finished: that file is the last one to arrive.
    last = [[f"--filter=- {RESULT}"], [f"--filter=+ {RESULT}", "--filter=- *"]] if part.name == "runs" else [[]]
    for only in last:
        words = ["rclone", "copy", part.source, part.target, *how, *part.rules, *only]
        if subprocess.run(words, stdin=subprocess.DEVNULL).returncode:
            raise ValueError(f"{config.remote}: rclone failed, see above; the same command goes on")


def _compare(config: SyncConfig, parts: list[Part]) -> None:
    """Prints what differs: after a copy by size and in what was to be copied, else by content and both ways."""
    quick = ["--size-only", "--one-way"] if config.copy else []
    count: Counter[str] = Counter()
    for part in parts:
        sides = ("there", "here") if part.source.startswith(str(config.remote)) else ("here", "there")
        words = {"=": "the same", "*": "different", "!": "unreadable"}  # after rclone's marks
        words |= {mark: f"only {side}" for mark, side in zip("+-", sides, strict=True)}
        for line in _rclone("check", part.source, part.target, *quick, *part.rules, "--combined=-", ends=(0, 1)):
            mark, _, path = line.partition(" ")
            count[words[mark]] += 1
            if mark != "=":
                print(f"{words[mark]}: {part.name}/{path}")
    print(", ".join(f"{counted(n, 'file')} {word}" for word, n in count.items()) or "no files")
    if count.keys() - {"the same"}:
        raise ValueError(f"{config.remote}: is not the same as here, see above")


def _rclone(*words: str, ends: tuple[int, ...]) -> list[str]:
    """What it prints, in lines. ValueError, in its own words, if it ends with another status or says nothing."""
    answer = subprocess.run(["rclone", *words], stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")
    if answer.returncode not in ends or (answer.returncode == 1 and not answer.stdout):
        why = " ".join(answer.stderr.strip().splitlines()[-1:])
        raise ValueError(f"rclone: {re.sub(r'^[0-9/]+ [0-9:]+ ', '', why)}")
    return answer.stdout.splitlines()
