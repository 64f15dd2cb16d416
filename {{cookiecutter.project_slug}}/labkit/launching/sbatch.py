"""How jobs get into Slurm's queue: what config/launcher/slurm.yaml asks for, the script that they run in, and what the
cluster would refuse."""

import pickle
import re
import secrets
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from labkit.config import SystemConfig, typed
from labkit.launching.entry_point import CONFIG
from labkit.runs.files import JOB, SCRIPT, SLURM, naming, own_place, private_folder
from labkit.runs.slurm_queue import BEGUN, ask, job_of_script

OURS = ("dry_run", "wait", "report", "runs_per_job", "in_turn", "n_jobs", "max_requeues", "container", "scratch")
SUBMIT_S = 120.0  # sbatch itself tries for a while to reach a busy controller
FULL = "job submit limit|submit.*limit|temporarily unable to accept"  # sbatch: no more jobs of this user for now
# Before srun. The job is named as a part of its array: the plain number of an array's last job stands for all of them.
# Slurm tells the script, and not the runs, that the time is nearly over, because only the script can still act when
# they do not: it passes the signal on, and queues the job again before Slurm ends it. It does so in the script because
# a container has no scontrol.
BEFORE = f"""job=${{SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}}${{SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}}
echo "{BEGUN}$SLURMD_NODENAME"
runs= fallback=
requeue() {{ [ ${{SLURM_RESTART_COUNT:-0}} -lt MOST ] && scontrol requeue $job && sleep 600; }}
time_is_over() {{
  touch NOTES/${{SLURM_ARRAY_TASK_ID:-0}}.over
  [ -z "$runs" ] || kill -USR2 $runs
  (sleep LATEST; requeue) & fallback=$!
}}
trap time_is_over USR2"""
# After it: 140 is a SIGUSR2, obeyed or met by a Python that was only starting. 143 is a SIGTERM: a job that ends before
# Slurm ends it is not queued again after a preemption.
AFTER = """runs=$!
while wait $runs; status=$?; [ $status -gt 128 ] && kill -0 $runs 2> /dev/null; do :; done
[ -z "$fallback" ] || kill $fallback
if [ $status = 140 ]; then requeue; fi
preempted() { scontrol show job $job 2> /dev/null | grep -q ' PreemptTime=[0-9]'; }
if [ $status = 143 ]; then while preempted; do sleep 5; done; fi
exit $status"""


class Full(ValueError):
    """The cluster takes no more jobs of this user for now."""


class Unknown(ValueError):
    """Nobody says whether the cluster has taken the jobs."""


@dataclass
class SlurmSettings:
    """config/launcher/slurm.yaml, explained there; other keys go to submitit as they are."""

    dry_run: bool
    wait: bool
    report: bool
    timeout_min: int | str
    cpus_per_task: int
    mem_gb: int | None
    gpus_per_node: int | str | None
    nodes: int
    tasks_per_node: int
    runs_per_job: int
    in_turn: int
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
    def members(self) -> int:
        """In each job."""
        return self.runs_per_job * self.in_turn

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
    settings.timeout_min = _minutes(settings.timeout_min)
    for key, value in asdict(settings).items():
        least = 0 if key in ("max_requeues", "signal_delay_s", "gpus_per_node") else 1
        if type(value) is int and value < least:  # and no bool
            raise ValueError(f"hydra.launcher.{key}: must be at least {least}, not {value}")
    if not re.fullmatch(r"([\w.-]+:)?\d+", str(settings.gpus_per_node or 0)):
        raise ValueError(
            f"hydra.launcher.gpus_per_node: must be a number, or a type and a number as in a100:1, "
            f"not {settings.gpus_per_node}"
        )
    for key in ("runs_per_job", "in_turn"):
        if getattr(settings, key) > 1 and settings.tasks > 1:
            raise ValueError(f"hydra.launcher.{key}: one run on several tasks has its job for itself; use 1")
    return settings


class Sbatch:
    """Submits scripts that submitit writes, with its parameters `params`. What they need and print is in `folder`."""

    def __init__(self, settings: SlurmSettings, params: dict[str, Any], system: SystemConfig) -> None:
        self.folder = own_place(Path(system.runs_dir, SLURM).absolute())
        self._settings, self._params, self._system = settings, params, system
        # Also here, because a site's SBATCH_PARTITION would win over the script's.
        self._sbatch = ["sbatch", *(f"--{key}={params[key]}" for key in ("account", "partition", "qos") if params[key])]

    def check(self) -> None:
        """ValueError where the cluster would refuse such a job, in the words of sbatch."""
        for command in ("sbatch", "scontrol", "srun"):
            if not shutil.which(command):
                raise ValueError(f"hydra/launcher: {command} was not found; submit from a login node of the cluster")
        image = self._settings.container
        if image and "://" not in image and not Path(image).exists():
            raise ValueError(
                f"hydra.launcher.container: {image} is not there; apptainer build makes it from env_setup/apptainer.def"
            )
        longest_array()
        script = self._script(Path.cwd() / "not yet", Path.cwd() / "not yet", jobs=1)
        tried = ask([*self._sbatch, "--test-only"], script)
        if "node configuration is not available" in tried.stderr:
            # So it says, too, while all such nodes are drained, and jobs are queued until they are back.
            tried = ask([*self._sbatch, "--begin=now+1hour"], script)
            if submitted := re.search(r"Submitted batch job (\d+)", tried.stdout):
                ask(["scancel", submitted[1]])
        if tried.returncode != 0 and not re.search(FULL, tried.stderr):
            lines = (
                [line for line in tried.stderr.splitlines() if "error:" in line] or tried.stderr.splitlines() or [""]
            )
            reason = lines[0].partition("error: ")[2] or lines[0]
            raise ValueError(f"hydra/launcher: sbatch refuses such a job: {reason}; see docs/cluster.md")

    def submit(self, jobs: Sequence[Any], submitted_as: Path, **changed: Any) -> list[str]:
        """The ids of the jobs, one for each of `jobs`, which run the code beside `submitted_as`. `changed`: parameters
        of submitit. `Full` where the cluster takes no more of this user's."""
        folder = private_folder(self.folder) / secrets.token_hex(4)  # what is pickled there is run
        folder.mkdir()
        try:
            for number, job in enumerate(jobs):
                with naming(folder):
                    (folder / f"{number}.pkl").write_bytes(pickle.dumps(job))
            script = folder / SCRIPT
            with naming(script):
                script.write_text(self._script(folder, submitted_as, len(jobs), **changed), encoding="utf-8")
            job = self._submitted(script)
        except Unknown:
            raise  # what may run is left to it
        except (ValueError, OSError):
            shutil.rmtree(folder)
            raise
        (folder / JOB).write_text(job, encoding="ascii")
        return [f"{job}_{number}" for number in range(len(jobs))] if len(jobs) > 1 else [job]

    def _script(self, folder: Path, submitted_as: Path, jobs: int, **changed: Any) -> str:
        import submitit

        settings = self._settings
        here, about, code = (shlex.quote(str(path)) for path in (Path.cwd(), submitted_as, submitted_as.parent))
        values = {"MOST": settings.max_requeues, "NOTES": shlex.quote(str(folder))}
        values["LATEST"] = settings.signal_delay_s * 3 // 4
        setup = [
            *re.sub("|".join(values), lambda name: str(values[name[0]]), BEFORE).splitlines(),
            *("set -e", *settings.setup, "set +e"),  # a module that cannot be loaded is to end the job
            "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK",  # srun does not ask for them by itself
            f"export SUBMITTED_FROM={here} SUBMITTED_AS={about}",
            f"cd {code}",  # Python imports from there
        ]
        params = self._params | {"setup": setup, "teardown": [AFTER]}
        params["srun_args"] = ["--wait=300"]  # when one task has ended, the others end soon, or hang
        params["additional_parameters"] = {
            **{"requeue": True, "signal": f"B:USR2@{settings.signal_delay_s}"},
            **(settings.additional_parameters or {}),
        }
        params = {key: value for key, value in (params | changed).items() if key not in OURS and value is not None}
        executor = submitit.SlurmExecutor(self.folder)
        try:
            executor.update_parameters(**executor._convert_parameters(params))
        except (ValueError, TypeError, AssertionError) as error:
            raise ValueError(f"hydra.launcher: {str(error).splitlines()[0]}; see sbatch's manual") from error
        if jobs > 1:
            executor.parameters["map_count"] = jobs
        command = f"{self._python()} -u -m labkit.launching.slurm_job {shlex.quote(str(folder))} &"
        return executor._make_submission_file_text(command, "")

    def _submitted(self, script: Path) -> str:
        """The id of the job that runs it. ValueError if sbatch refuses it."""
        answer = ask([*self._sbatch, script], timeout_s=SUBMIT_S)
        if found := re.search(r"Submitted batch job (\d+)", answer.stdout):
            return found[1]
        said = _last_line(answer.stderr or answer.stdout).removeprefix("sbatch: error: ")
        for wait_s in (0, 3, 7):  # its answer may have been lost, and not the job
            time.sleep(wait_s)
            if job := job_of_script(script):
                return job
            if job == "":
                break
        else:
            raise Unknown(
                f"hydra/launcher: sbatch says only {said!r}, and squeue does not answer: the jobs may be queued or "
                "not; look for them with squeue --me before you submit again"
            )
        if re.search(FULL, said):
            raise Full(said)
        raise ValueError(f"hydra/launcher: sbatch refuses the jobs: {said}; see docs/cluster.md")

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


def longest_array() -> int:
    """How many jobs the cluster takes in one. ValueError if it does not answer."""
    limits = ask(["scontrol", "show", "config"])
    if limits.returncode != 0:
        raise ValueError(f"hydra/launcher: Slurm does not answer ({_last_line(limits.stderr)}); try again later")
    found = re.search(r"^MaxArraySize *= (\d+)", limits.stdout, flags=re.MULTILINE)
    return int(found[1]) if found else sys.maxsize


def _minutes(time_limit: int | str) -> int:
    """As sbatch reads it: a number, hours:minutes:seconds, or days-hours and what may follow. ValueError if neither."""
    if isinstance(time_limit, int):
        _check_as_written(time_limit)
        return time_limit
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)|(\d+)-(\d+)(?::(\d+))?", time_limit)
    if not found:
        raise ValueError(
            "hydra.launcher.timeout_min: must be a number of minutes, hours:minutes:seconds or days-hours, "
            f"not {time_limit}"
        )
    days, hours, minutes, seconds, days_only, its_hours, its_minutes = (int(part or 0) for part in found.groups())
    return (days + days_only) * 1440 + (hours + its_hours) * 60 + minutes + its_minutes + (seconds > 0)


def _check_as_written(minutes: int) -> None:
    """ValueError where a file says 4:00:00, which YAML reads as a number to the base of 60: as 14400."""
    for path in CONFIG.rglob("[!.]*.yaml"):
        for text in re.findall(r"\btimeout_min: *(\d+(?::\d+)+)\b", path.read_text(encoding="utf-8")):
            if yaml.safe_load(text) == minutes:
                raise ValueError(
                    f"hydra.launcher.timeout_min: YAML reads {text} in config/{path.relative_to(CONFIG).as_posix()} as "
                    f'{minutes}; write a number of minutes, or "{text}" in quotes'
                )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]
