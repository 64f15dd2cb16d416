"""What the tests of Slurm share: a generated project on the login node of a cluster, and what its runs have left."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faults import Ended, Process, Project, met_by
from slurm_cluster import Cluster

# All jobs of a test are to begin at once, on nodes of four CPUs.
SMALL_JOB = ("hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1")
HELD = "+hydra.launcher.additional_parameters.hold=true"
TINY = (
    *("data=synthetic", "data.examples=100", "data.classes=4", "data.input_shape=[1,4,4]", "training.batch_size=8"),
    *("training.epochs=2", "system.device=cpu", "system.threads=1"),
)


class SlurmProject(Project):
    """A generated project with prepared data, whose commands run on the login node of the cluster."""

    def __init__(self, root: Path, scratch: Path, cluster: Cluster) -> None:
        super().__init__(root, scratch)
        self.cluster = cluster

    @contextmanager
    def start(self, *words: str | Path, **how: Any) -> Iterator[Process]:
        with super().start(*words, **{**self.cluster.environment, **how}) as process:
            yield process

    def sweep(self, runs_dir: Path, *words: str, **how: Any) -> Ended:
        """`python runs/train.py --multirun <words>`, with the runs in this folder."""
        return self.run("--multirun", *words, f"system.runs_dir={runs_dir}", **how)

    def submit(self, runs_dir: Path, *words: str, launcher: str = "slurm", **how: Any) -> str:
        """A sweep that must be accepted; the id of its array, or of its one job."""
        ended = self.sweep(runs_dir, f"+launcher={launcher}", *words, **how)
        assert (ended.status, ended.err) == (0, ""), ended
        return submitted(ended)

    def status(self, runs_dir: Path, *words: str, **how: Any) -> str:
        """What `python runs/status.py` prints."""
        ended = self.run(*words, f"runs_dir={runs_dir}", script="status", **how)
        assert (ended.status, ended.err) == (0, ""), ended
        return ended.out


def submitted(ended: Ended) -> str:
    """The job id that a sweep has printed."""
    found = re.search(r"^submitted: job (\d+), ", ended.out, flags=re.MULTILINE)
    assert found, ended
    return found[1]


def runs(runs_dir: Path, study: str = "default") -> dict[str, Path]:
    """The folders of a study's runs, by name; those of the launcher begin with a dot."""
    return {path.name: path for path in sorted((runs_dir / study).glob("[!.]*"))}


def result(folder: Path) -> dict[str, Any]:
    """run.json"""
    return json.loads((folder / "run.json").read_bytes())


def variables(folder: Path) -> list[dict[str, str]]:
    """What each launch of a run found in its environment, such as CUDA_VISIBLE_DEVICES."""
    return [launch["variables"] for launch in json.loads((folder / "provenance.json").read_bytes())]


def job_log(runs_dir: Path, job: str) -> str:
    """All that the job of a run has written, outside of the run's own folder."""
    (log,) = runs_dir.glob(f".slurm*/{job}_0_log.out")
    return log.read_text(encoding="utf-8", errors="replace")


def planted(folder: Path, *fault: Any) -> str:
    """What meets the runs of a job with a fault; see `faults.met_by`."""
    variables = (f"{name}={shlex.quote(value)}" for name, value in met_by(folder, *fault).items())
    (folder / "setup").write_text(f"export {' '.join(variables)}")
    return f"hydra.launcher.setup=['. {folder / 'setup'}']"


def ahead(cluster: Cluster, folder: Path, **scripts: str) -> dict[str, str]:
    """The environment in which commands of Slurm are these scripts, which may end in the real one: `exec REAL "$@"`."""
    folder.mkdir()
    for name, script in scripts.items():
        real = shutil.which(name, path=cluster.environment["PATH"]) or ""
        (folder / name).write_text(f"#!/bin/bash\n{script.replace('REAL', real)}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{cluster.environment['PATH']}"}
