"""How jobs get into Slurm's queue: what config/launcher/slurm.yaml asks for, the script that they run in, and what the
cluster would refuse."""

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labkit.config import SystemConfig, typed

OURS = ("dry_run", "wait", "report", "runs_per_job", "n_jobs", "max_requeues", "container", "scratch")
OF_A_JOB = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SUBMITIT_")  # variables
# What the script does after srun; in it, because a container has no scontrol. The status is that of the runs. The job
# is named as a part of its array: the plain number of an array's last job stands for all of them. 143 is a SIGTERM that
# met a Python that was only starting: a job that ends before Slurm ends it is not queued again.
REQUEUE = """status=$?
[ $status = 143 ] && sleep 600
job=${{SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}}${{SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}}
if rm {folder}/$SLURM_JOB_ID.requeue 2> /dev/null; then scontrol requeue $job && sleep 600; fi
exit $status"""


@dataclass
class SlurmSettings:
    """config/launcher/slurm.yaml, explained there; other keys go to submitit as they are."""

    dry_run: bool
    wait: bool
    report: bool
    timeout_min: int
    cpus_per_task: int
    mem_gb: int | None
    gpus_per_node: int | str | None
    nodes: int
    tasks_per_node: int
    runs_per_job: int
    n_jobs: int
    max_requeues: int
    signal_delay_s: int
    additional_parameters: dict[str, Any] | None
    setup: list[str]
    container: str | None
    scratch: str | None

    @property
    def tasks(self) -> int:
        return self.nodes * self.tasks_per_node

    @property
    def gpus(self) -> int:
        """On each node."""
        return int(str(self.gpus_per_node or 0).rpartition(":")[2])


def checked(values: dict[str, Any]) -> SlurmSettings:
    """ValueError where a key of hydra.launcher holds what submitit or Slurm would stumble over."""
    try:
        settings = typed(SlurmSettings, values)
    except ValueError as error:
        raise ValueError(f"hydra.launcher.{error}") from error
    for key, value in asdict(settings).items():
        least = 0 if key in ("max_requeues", "signal_delay_s", "gpus_per_node") else 1
        if type(value) is int and value < least:  # and no bool
            raise ValueError(f"hydra.launcher.{key}: must be at least {least}, not {value}")
    if not re.fullmatch(r"([\w.-]+:)?\d+", str(settings.gpus_per_node or 0)):
        raise ValueError(
            f"hydra.launcher.gpus_per_node: must be a number, or a type and a number as in a100:1, "
            f"not {settings.gpus_per_node}"
        )
    if settings.runs_per_job > 1 and settings.tasks > 1:
        raise ValueError("hydra.launcher.runs_per_job: one run on several tasks has its job for itself; use 1")
    return settings


class Sbatch:
    """Submits by submitit, with its parameters `params`. Logs and pickles go into `folder`."""

    def __init__(self, settings: SlurmSettings, params: dict[str, Any], system: SystemConfig) -> None:
        self.folder = Path(system.runs_dir, ".slurm").absolute()
        self._settings, self._params, self._system = settings, params, system

    def check(self, jobs: int) -> None:
        """ValueError where the cluster would refuse so many jobs of the kind, in the words of sbatch."""
        for command in ("sbatch", "scontrol", "srun"):
            if not shutil.which(command):
                raise ValueError(f"hydra/launcher: {command} was not found; submit from a login node of the cluster")
        image = self._settings.container
        if image and "://" not in image and not Path(image).exists():
            raise ValueError(
                f"hydra.launcher.container: {image} is not there; apptainer build makes it from env_setup/apptainer.def"
            )
        limits = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True)
        if limits.returncode != 0:
            raise ValueError(f"hydra/launcher: Slurm does not answer ({_last_line(limits.stderr)}); try again later")
        longest = next((int(line.split()[-1]) for line in limits.stdout.splitlines() if "MaxArraySize" in line), jobs)
        if jobs > longest:
            raise ValueError(
                f"hydra.launcher.runs_per_job: the array has {jobs} jobs and may have {longest} on this cluster; put "
                f"{math.ceil(jobs * self._settings.runs_per_job / longest)} runs into a job, or split the sweep"
            )
        executor = self._executor(Path.cwd() / "not yet")
        script = executor._make_submission_file_text(executor._submitit_command_str, "test")
        with _as_from_outside():
            tried = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True)
        if tried.returncode != 0:
            lines = [line for line in tried.stderr.splitlines() if "error:" in line] or tried.stderr.splitlines()
            reason = lines[0].partition("error: ")[2] or lines[0]
            raise ValueError(f"hydra/launcher: sbatch refuses such a job: {reason}; see docs/cluster.md")

    def submit(self, jobs: list[Any], submitted_as: Path, **changed: Any) -> list[str]:
        """The ids of the jobs, which run the code beside `submitted_as`. `changed`: parameters of submitit."""
        from submitit.core.utils import FailedJobError

        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)  # what is pickled here is run: nobody else may write it
        executor = self._executor(submitted_as, **changed)
        try:
            with _as_from_outside():
                return [job.job_id for job in executor.submit_array(jobs)]
        except FailedJobError as error:
            said = _last_line(str(error)).removeprefix("sbatch: error: ")
            raise ValueError(f"hydra/launcher: sbatch refuses the jobs: {said}; see docs/cluster.md") from error

    def _executor(self, submitted_as: Path, **changed: Any) -> Any:
        import submitit

        here, about, code = (shlex.quote(str(path)) for path in (Path.cwd(), submitted_as, submitted_as.parent))
        setup = [
            *("set -e", *self._settings.setup, "set +e"),  # a module that cannot be loaded is to end the job
            "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK",  # srun does not ask for them by itself
            f"export SUBMITTED_FROM={here} SUBMITTED_AS={about}",
            f"cd {code}",  # Python imports from there
        ]
        teardown = [REQUEUE.format(folder=shlex.quote(str(self.folder)))]
        params = self._params | {"setup": setup, "teardown": teardown}
        params["srun_args"] = ["--wait=300"]  # when one task has ended, the others end soon, or hang
        params["additional_parameters"] = {"requeue": True, **(self._settings.additional_parameters or {})}
        params = {key: value for key, value in (params | changed).items() if key not in OURS and value is not None}
        executor = submitit.SlurmExecutor(self.folder, python=self._python())
        try:
            executor.update_parameters(**executor._convert_parameters(params))
        except (ValueError, TypeError, AssertionError) as error:
            raise ValueError(f"hydra.launcher: {str(error).splitlines()[0]}; see sbatch's manual") from error
        return executor

    def _python(self) -> str:
        """The interpreter, as the script calls it."""
        image, scratch = self._settings.container, self._settings.scratch
        if not image:
            return shlex.quote(sys.executable)
        image = image if "://" in image else str(Path(image).absolute())
        seen = [Path(), self.folder, Path(self._system.runs_dir), Path(self._system.datasets_dir)]
        binds = shlex.quote(",".join(sorted({str(path.absolute()) for path in seen})))
        binds += f",{scratch}" if scratch else ""  # not quoted: a variable of the job
        gpus = " --nv" if self._settings.gpus else ""
        return f"apptainer exec{gpus} --bind {binds} {shlex.quote(image)} python"


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


@contextmanager
def _as_from_outside() -> Iterator[None]:
    """A job that is submitted from within another would inherit its size."""
    inside = "SLURM_JOB_ID" in os.environ
    of_the_job = [name for name in os.environ if inside and name.startswith(OF_A_JOB) and name != "SLURM_CONF"]
    before = {name: os.environ.pop(name) for name in of_the_job}
    try:
        yield
    finally:
        os.environ |= before
