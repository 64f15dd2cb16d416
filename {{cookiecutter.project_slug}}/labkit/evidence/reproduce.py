"""Trains a finished run again, in a new folder, with the code and the configuration that it had, and judges what comes
out."""

import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from labkit.config import check_least
from labkit.evidence.code import restore_code
from labkit.evidence.compare import DIFFERENT, Recorded, changes, pairs, read_recorded, verdict
from labkit.runs.code_files import CODE
from labkit.runs.files import RESULT, folder_beside, write_json
from labkit.runs.interruption import Interruption
from labkit.runs.provenance import ROOT, launch_record
from labkit.runs.study import find_studies, read_study
from labkit.text import counted

VERDICT = "reproduction.json"  # in the new folder: what the terminal shows
HYDRA = {  # what else config/train.yaml holds: a run makes its own folder, and writes its own log
    "defaults": ["_self_", {"override hydra/job_logging": "none"}, {"override hydra/hydra_logging": "none"}],
    "hydra": {"run": {"dir": "."}, "sweep": {"dir": ".", "subdir": "."}, "output_subdir": None},
}


@dataclass
class ReproduceConfig:
    run: str | None
    study: str | None
    members: int | None
    seed: int
    rounding: float
    runs_dir: str
    datasets_dir: str
    reproduced_dir: str

    def __post_init__(self) -> None:
        check_least("members", self.members, 1)


def reproduce(config: ReproduceConfig) -> None:
    """ValueError where a run cannot be trained again, or comes out different."""
    if config.run and (config.study or config.members):
        raise ValueError("run: is one run; leave out study and members")
    paths = [Path(config.run)] if config.run else drawn(config)
    with Interruption() as interruption:
        verdicts = [_reproduce(path, config, interruption) for path in paths]
    if different := verdicts.count(DIFFERENT):
        raise ValueError(f"{different} of {counted(len(paths), 'run')} came out different")


def drawn(config: ReproduceConfig) -> list[Path]:
    """The same ones for the same study and seed."""
    found = find_studies([config.runs_dir], config.study)
    if len(found) > 1:
        raise ValueError(f"study: name one of {', '.join(found)}, or one run as in run=data/runs/<study>/<run>")
    ((name, (folder,)),) = found.items()
    finished = [run.path for run in read_study(folder).ended]
    count = config.members or max(len(finished), 1)
    if count > len(finished):
        raise ValueError(f"members: {name} has {counted(len(finished), 'finished run')}, but {count} must be drawn")
    return random.Random(config.seed).sample(finished, count)


def _reproduce(path: Path, config: ReproduceConfig, interruption: Interruption) -> str:
    run = read_recorded(path)
    launch = run.launches[-1]
    if run.folder.read_result() is None:
        raise ValueError(f"{path}: has not finished; finish it first: {launch['command']}")
    if changed := pairs(launch["packages"], launch_record("", "")["packages"]):
        print(f"warning: packages have changed since: {', '.join(changed)}", flush=True)
    if len(codes := {launch["code_id"] for launch in run.launches}) > 1:
        print(
            f"warning: {len(codes)} versions of the code have trained it, and now the last one alone does", flush=True
        )
    target = Path(config.reproduced_dir).absolute() / path.absolute().parent.name / path.name
    others = (target.with_name(f"{path.name}-{n}") for n in itertools.count(2))
    while target.exists():
        target = next(others)
    with folder_beside(target) as new:
        (new / "code").mkdir()
        restore_code(path, launch, new / "code")
        _prepare(run, new, config)
        _train(run, new, interruption)
        (result,) = (new / "runs").glob(f"*/*/{RESULT}")
        result.parent.rename(target)
    again = read_recorded(target)
    name, where = verdict(run, again, config.rounding)
    changed = changes(run, again)
    unknown = ["nothing that a run records has changed: something in it is random that no seed decides"]
    said = [*where, *(changed or unknown * (name == DIFFERENT)), f"trained again in {target}"]
    print(f"{path}: {name}", *said, sep="\n  ", flush=True)
    write_json(target / VERDICT, {"format": 1, "run": str(path), "verdict": name, "where": where, "changed": changed})
    return name


def _prepare(run: Recorded, new: Path, config: ReproduceConfig) -> None:
    """Beside the code: the run's configuration in place of what the code would compose, its data, and its origin."""
    system = {"runs_dir": str(new / "runs"), "datasets_dir": str(Path(config.datasets_dir).absolute()), "tracker": None}
    saved = run.folder.read_config()
    saved |= {"system": saved["system"] | system, **HYDRA}
    (new / "code" / "config").mkdir(exist_ok=True)
    (new / "code" / "config" / "train.yaml").write_text(yaml.safe_dump(saved), encoding="utf-8")
    files = (run.folder.read_result() or {})["data"].get("files", {})
    for name in {Path(file).parts[0] for file in files if not os.path.isabs(file)} - {"..", "config", *CODE}:
        place = new / "code" / name
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)  # as data/, where git has a README
        place.symlink_to(ROOT / name)
    launch = run.launches[-1]
    diff = run.folder.path / str(launch["diff"])
    text = diff.read_text(encoding="utf-8", errors="surrogateescape") if diff.is_file() else None
    # As for a Slurm job, of whose code git knows nothing.
    about = {"argv": sys.argv, "git": launch["git"], "diff": text}
    about |= {"study_files": {run.config["study"]: launch.get("study_file")}}
    (new / "submitted.json").write_text(json.dumps(about), encoding="utf-8")


def _train(run: Recorded, new: Path, interruption: Interruption) -> None:
    processes = run.launches[-1].get("processes", 1)
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    words = [sys.executable, *several, str(new / "code" / "runs" / "train.py")]
    variables = os.environ | {"SUBMITTED_AS": str(new / "submitted.json")}
    with (new / "errors").open("wb") as errors, subprocess.Popen(words, env=variables, stderr=errors) as child:
        while child.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(0.5)
            if interruption.received:
                child.terminate()
    interruption.check()
    said = (new / "errors").read_text(encoding="utf-8", errors="replace")
    if child.returncode:
        reason = re.search(r"^(?:process \d+: )?error: (.+)$", said, flags=re.MULTILINE)
        print("" if reason else said, end="", file=sys.stderr)
        why = reason[1] if reason else f"it ended with status {child.returncode}"
        raise ValueError(f"{run.folder.path}: could not be trained again: {why}")
