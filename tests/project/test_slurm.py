"""What can be said of Slurm jobs without a Slurm: the copy of the code that they run, the script that Slurm gets, and
what is answered where something is wrong."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from hydra.errors import HydraException
from labkit.launching import sbatch
from labkit.launching.errors import sentence
from labkit.launching.slurm_job import MemberJob
from labkit.launching.snapshot import freeze
from labkit.launching.sweeper import make_launcher
from labkit.runs import provenance, slurm_queue
from labkit.runs.folder import RunFolder
from labkit.runs.slurm_queue import Job, Queue, how_it_ended, planned_jobs
from labkit.runs.study import read_study
from run_folders import add_plan, add_unfinished, change_state
from small_runs import ROOT, compose, train_command_here

posix = pytest.mark.skipif(sys.platform == "win32", reason="pretends commands by shell scripts")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH; empty."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def pretend(tools: Path, name: str, script: str) -> None:
    (tools / name).write_text(f"#!/bin/sh\n{script}\n")
    (tools / name).chmod(0o755)


def pretend_a_cluster(tools: Path) -> None:
    """One that accepts everything and starts nothing."""
    for name in ("squeue", "srun"):
        pretend(tools, name, "exit 0")
    pretend(tools, "scontrol", 'echo "MaxArraySize            = 2"')
    pretend(tools, "sbatch", "echo Submitted batch job 7")


def submit(runs_dir: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    given = ("data=synthetic", "+launcher=slurmgpu", "system.device=cpu", f"system.runs_dir={runs_dir}")
    return train_command_here("--multirun", *given, *words)


def launcher(*overrides: str) -> Any:
    """What submits a sweep, made from config/launcher/ and these."""
    return make_launcher(compose("+launcher=slurmgpu", *overrides).hydra.launcher)


def test_frozen_code_is_a_copy_that_sweeps_share(runs_dir: Path) -> None:
    submitted_as = freeze(runs_dir)
    code = submitted_as.parent
    assert code == runs_dir / ".code" / provenance.code_id()
    assert provenance.id_of(code) == provenance.code_id()
    about = json.loads(submitted_as.read_text(encoding="utf-8"))
    assert about["git"] == provenance.git_state()
    assert about["argv"] == sys.argv
    assert not list(code.rglob("__pycache__"))
    assert sum(path.stat().st_size for path in code.rglob("*")) < 1_500_000

    train = (code / "runs" / "train.py").stat()
    assert freeze(runs_dir) == submitted_as
    assert (code / "runs" / "train.py").stat().st_ino == train.st_ino
    assert list(code.parent.iterdir()) == [code]  # nothing half copied


@posix
def test_only_its_owner_reads_what_git_said(runs_dir: Path) -> None:
    """The code and its changes may not be meant for all."""
    assert freeze(runs_dir).parents[1].stat().st_mode & 0o077 == 0


def test_code_that_changes_while_it_is_copied_is_not_frozen(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "code_id", lambda: "0123456789ab")
    with pytest.raises(ValueError, match=r": the code was changed while it was copied for the jobs; submit again$"):
        freeze(runs_dir)
    assert list((runs_dir / ".code").iterdir()) == []


@posix
def test_the_script_of_the_jobs(runs_dir: Path, tools: Path) -> None:
    pretend_a_cluster(tools)
    image = tools / "mine.sif"
    image.touch()
    words = ("hydra.launcher.setup=[module load cuda]", f"hydra.launcher.container={image}", "seed=0,1")
    answer = submit(runs_dir, *words, "hydra.launcher.mem_gb=null", "hydra.launcher.gpus_per_node=a100:2")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "submitted: job 7, an array of 2 jobs" in answer.stdout

    (script,) = runs_dir.glob(".slurm/*/job.sh")
    lines = script.read_text(encoding="utf-8").splitlines()
    asked = [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH ")]
    assert {"array=0-1%2", "gpus-per-node=a100:2", "cpus-per-task=2", "time=60", "signal=B:USR2@60"} <= set(asked)
    assert "job-name=default" in asked
    assert not [line for line in asked if line.startswith("mem")]
    assert lines[0] == "#!/bin/bash"
    assert lines.index("set -e") < lines.index("module load cuda") < lines.index("set +e")
    assert "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK" in lines
    (code,) = (runs_dir / ".code").iterdir()
    (submitted_as,) = code.glob("submitted-*.json")
    assert f"cd {shlex.quote(str(code))}" in lines
    assert f"export SUBMITTED_FROM={shlex.quote(str(ROOT))} SUBMITTED_AS={shlex.quote(str(submitted_as))}" in lines
    (srun,) = (number for number, line in enumerate(lines) if line.startswith("srun "))
    assert "apptainer exec --nv --bind " in lines[srun]
    assert f" {image} python " in lines[srun]
    assert lines[srun].endswith(f" -m labkit.launching.slurm_job {script.parent} &")
    assert lines[srun + 1 :][-1] == "exit $status"
    assert (script.parent / "job.txt").read_text(encoding="ascii") == "7"
    assert script.parents[1].stat().st_mode & 0o077 == 0  # what is pickled there is run
    pickled = (script.parent / "0.pkl").read_bytes()
    assert b"slurm_job.py" not in pickled  # no code, which the Python of a container might not read


@posix
def test_a_late_refusal_harms_no_other_sweep_and_the_sites_own_defaults_count(
    runs_dir: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked and then refused, as where a limit of the account was reached meanwhile."""
    pretend_a_cluster(tools)
    refused = 'echo "sbatch: error: limit of $SBATCH_ACCOUNT$SBATCH_EXPORT" >&2; exit 1'
    pretend(tools, "sbatch", f'case "$*" in *--test-only*) exit 0;; esac; {refused}')
    monkeypatch.setenv("SBATCH_ACCOUNT", "phd_smith")
    monkeypatch.setenv("SBATCH_EXPORT", "NONE")
    of_another = runs_dir / ".slurm" / "0123abcd" / "0.pkl"
    of_another.parent.mkdir(parents=True)
    of_another.touch()
    answer = submit(runs_dir)
    said = "error: hydra/launcher: sbatch refuses the jobs: limit of phd_smith; see docs/cluster.md"
    assert (answer.returncode, answer.stderr.splitlines()[-1]) == (1, said)
    assert list(of_another.parents[1].rglob("*")) == [of_another.parent, of_another]


@posix
def test_an_answer_of_sbatch_that_nobody_can_give_is_no_refusal(runs_dir: Path, tools: Path) -> None:
    """The jobs may be queued: what they run stays."""
    pretend_a_cluster(tools)
    pretend(tools, "squeue", "exit 1")
    lost = 'echo "sbatch: error: Socket timed out on send/recv operation" >&2; exit 1'
    pretend(tools, "sbatch", f'case "$*" in *--test-only*) exit 0;; esac; {lost}')
    answer = submit(runs_dir)
    assert (answer.returncode, answer.stderr) == (
        1,
        "error: hydra/launcher: sbatch says only 'Socket timed out on send/recv operation', and squeue does not "
        "answer: the jobs may be queued or not; look for them with squeue --me before you submit again\n",
    )
    assert len(list(runs_dir.glob(".slurm/*/0.pkl"))) == 1


@posix
def test_a_job_gives_up_after_two_slots_in_which_nothing_new_was_saved(tmp_path: Path) -> None:
    """Its script says by a file that a slot was used up; a preemption is none."""
    folder = RunFolder(add_unfinished(tmp_path / "depth", "interrupted", step=8))
    notes, over = tmp_path / "0.json", tmp_path / "0.over"
    member: Any = SimpleNamespace(name="seed=0", folder=folder)
    job = MemberJob([], task=cast(Any, None), settings=launcher().settings)

    def saves(step: int) -> None:
        folder.checkpoints.mkdir(exist_ok=True)
        folder.last.write_bytes(b"")
        os.utime(folder.last, ns=(step, step))
        change_state(folder.path, step=step)

    job.check_progress([member], notes)
    for step, used_up in ((9, True), (9, True), (9, False), (10, True), (10, True)):
        saves(step)
        over.touch() if used_up else None
        job.check_progress([member], notes)
        assert not over.exists()
    over.touch()
    with pytest.raises(SystemExit, match=r"^error: its time was over 2 times in a row and nothing new was saved: "):
        job.check_progress([member], notes)
    assert folder.read_state()["status"] == "failed"
    assert folder.read_state()["reason"].endswith("timeout_min=60 allows; the same command goes on")


@posix
def test_without_slurm_or_its_answer_nothing_is_made(runs_dir: Path, tools: Path) -> None:
    def answered() -> str:
        answer = submit(runs_dir)
        assert (answer.returncode, runs_dir.exists()) == (1, False), answer
        (line,) = answer.stderr.splitlines()
        return line

    missing = "error: hydra/launcher: sbatch was not found; submit from a login node of the cluster"
    assert answered() == missing
    pretend_a_cluster(tools)
    pretend(tools, "scontrol", 'echo "slurm_load_ctl_conf error: Connection refused" >&2; exit 1')
    assert answered() == (
        "error: hydra/launcher: Slurm does not answer (slurm_load_ctl_conf error: Connection refused); try again later"
    )


@posix
def test_a_torch_that_knows_no_gpu_is_noticed_before_the_jobs_ask_for_some(runs_dir: Path, tools: Path) -> None:
    pretend_a_cluster(tools)
    answer = submit(runs_dir, "system.device=auto")
    if torch.version.cuda or torch.version.hip:
        assert (answer.returncode, answer.stderr) == (0, "")
        return
    said = "error: hydra.launcher.gpus_per_node: torch in this environment is a build for CPUs only; run make install "
    assert (answer.returncode, answer.stderr) == (1, f"{said}TORCH=cuda, or use +launcher=slurm\n")
    assert not runs_dir.exists()


LIMITS = {"240": 240, "'4:00:00'": 240, "'1-12'": 2160, "'0:00:30'": 1, "'1-00:30'": 1470, "'2-01:00:00'": 2940}


@pytest.mark.parametrize("written", LIMITS)
def test_a_time_limit_is_read_as_sbatch_does(written: str) -> None:
    assert launcher(f"hydra.launcher.timeout_min={written}").params["timeout_min"] == LIMITS[written]


def test_a_time_limit_that_yaml_reads_to_the_base_of_60_is_refused(tmp_path: Path) -> None:
    root = shutil.copytree(ROOT / "config", tmp_path / "config")
    (root / "local").mkdir(exist_ok=True)
    (root / "local" / "slurm.yaml").write_text("timeout_min: 4:00:00\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sbatch, "CONFIG", root)
        with pytest.raises(
            ValueError, match=r"^hydra\.launcher\.timeout_min: YAML reads 4:00:00 in config/local/slurm"
        ):
            launcher("hydra.launcher.timeout_min=14400")
        assert launcher("hydra.launcher.timeout_min=240")


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("timeout_min=soon", "timeout_min: must be a number of minutes, "),
        ("timeout_min=1.5", "timeout_min: Value '1.5"),
        ("mem_gb=4G", "mem_gb: Value '4G"),
        ("nodes=0", "nodes: must be at least 1, not 0"),
        ("nodes=null", "nodes: Incompatible value 'None'"),
        ("runs_per_job=two", "runs_per_job: Value 'two"),
        ("n_jobs=-1", "n_jobs: must be at least 1, not -1"),
        ("n_jobs=true", "n_jobs: Value 'True"),
        ("max_requeues=-1", "max_requeues: "),
        ("signal_delay_s=soon", "signal_delay_s: "),
        ("wait=maybe", "wait: "),
        ("gpus_per_node=a100", "gpus_per_node: "),
        ("gpus_per_node=-1", "gpus_per_node: "),
        ("setup=module load cuda", "setup: "),
        ("container=[a]", "container: "),
        ("additional_parameters=hold", "additional_parameters: "),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(mistake: str, answer: str) -> None:
    with pytest.raises((ValueError, HydraException)) as error:
        launcher(f"hydra.launcher.{mistake}")
    assert (sentence(error.value) or "").startswith(f"hydra.launcher.{answer}")


def test_a_run_on_several_tasks_has_its_job_for_itself() -> None:
    with pytest.raises(ValueError, match=r"^hydra\.launcher\.runs_per_job: one run on several tasks has its job for "):
        launcher("hydra.launcher.runs_per_job=2", "hydra.launcher.nodes=2")
    with pytest.raises(ValueError, match=r"^hydra\.launcher\.in_turn: one run on several tasks has its job for "):
        launcher("hydra.launcher.in_turn=2", "hydra.launcher.nodes=2")


def test_without_slurm_nobody_knows_a_job(tools: Path) -> None:
    assert os.listdir(tools) == []
    assert Queue().look(["12_3"]) is None
    assert Queue().look([]) == {}


QUEUES = {
    "exit 1": None,
    "sleep 60": None,
    "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1": {},
    "echo 'Welcome | to | the cluster'; echo; echo '12_3|PENDING|Priority'": {"12_3": Job("PENDING", "Priority")},
    'echo "12_3|PENDING|$SQUEUE_USERS$SQUEUE_STATES"': {"12_3": Job("PENDING", "")},
    'case "$*" in *--jobs=12*) echo "12_3|TIMEOUT|TimeLimit";; esac': {"12_3": Job("TIMEOUT", "TimeLimit")},
}


@posix
@pytest.mark.parametrize("script", QUEUES)
def test_the_queue(script: str, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by job, whoever is its owner, and whatever the shell of this user says."""
    monkeypatch.setattr(slurm_queue, "ANSWER_S", 2.0)
    monkeypatch.setenv("SQUEUE_USERS", "root")
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    pretend(tools, "squeue", script.replace("sleep", shutil.which("sleep", path=os.defpath) or ""))
    assert Queue().look(["12_3"]) == QUEUES[script]


@posix
def test_slurm_is_asked_again_after_a_while_only(tools: Path, tmp_path: Path) -> None:
    pretend(tools, "squeue", f"echo asked >> {tmp_path}/asked; echo '12|RUNNING|None'")
    queue = Queue(fresh_s=1000)
    answers = [queue.look(jobs) for jobs in (["12", "13_4"], ["12"], ["13_5"])]
    assert answers == [{"12": Job("RUNNING", "None")}] * 3
    assert (tmp_path / "asked").read_text() == "asked\n"
    queue.look(["12", "14"])
    assert (tmp_path / "asked").read_text() == "asked\n" * 2


@posix
def test_status_knows_what_waits_and_what_ended_without_a_run_folder(tmp_path: Path, tools: Path) -> None:
    study = tmp_path / "depth"
    names = [f"net2-digits-s{seed}-0123456789ab" for seed in range(3)]
    add_plan(study, *({"name": name, "job": f"12_{number}"} for number, name in enumerate(names)))
    stopped = add_unfinished(study, "interrupted", "net5", 0)
    again = add_unfinished(study, "failed", "net5", 1, reason="RuntimeError: CUDA error")
    add_plan(study, {"name": stopped.name, "job": "13"}, {"name": again.name, "job": "14"})
    log = add_log(tmp_path, "12_1", "begun on n1\nmodule: command not found\nsrun: error: x\n")
    pretend(tools, "squeue", "echo '12_0|PENDING|Priority'; echo '13|RUNNING|None'; echo '14|PENDING|None'")
    said = {run.name: (run.status, run.reason) for run in read_study(study).runs}
    assert said == {
        names[0]: ("queued", "job 12_0 is pending (Priority)"),
        names[1]: ("failed", f"job 12_1: module: command not found; see {log}"),
        names[2]: ("failed", "job 12_2 ended, and left no log"),
        stopped.name: ("queued", "job 13 is running"),
        again.name: ("queued", "job 14 is pending"),
    }


def add_log(runs_dir: Path, job: str, text: str) -> Path:
    log = runs_dir / ".slurm-1234" / f"{job}_0_log.out"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text, encoding="utf-8")
    return log


@posix
@pytest.mark.parametrize("script", ["exit 1", None])
def test_what_slurm_says_nothing_about_is_not_missing(script: str | None, tmp_path: Path, tools: Path) -> None:
    study = tmp_path / "depth"
    add_plan(study, {"name": "net2-digits-s0-0123456789ab", "job": "12_0"})
    if script:
        pretend(tools, "squeue", script)
    (run,) = read_study(study).runs
    assert (run.status, run.reason) == ("submitted", "submitted as job 12_0; Slurm does not answer")


AT = "ON n1 CANCELLED AT 2026-11-26T13:30:43"
OVER = "error: *** JOB 12"
ENDS = {  # {what the log of a job holds: how it ended, and what is said of it}
    "begun on n1\nerror: first\nerror: second\nmore\n": ("failed", "second"),
    "begun on n1\n": ("failed", "ended without a word"),
    f"begun on n1\nslurmstepd-n1: {OVER} {AT} ***\nsrun: error: x\n": ("cancelled", f"*** JOB 12 {AT} ***"),
    f"begun on n1\nslurmstepd-n1: error: *** STEP 12.0 {AT} ***\nlast\n": ("failed", "last"),
    f"begun on n1\nslurmstepd: {OVER} {AT} DUE TO PREEMPTION ***\nlast\n": ("failed", "last"),
    f"begun on n1\nslurmstepd: {OVER} {AT} DUE TO TIME LIMIT ***\n": (
        "out of time",
        f"*** JOB 12 {AT} DUE TO TIME LIMIT ***",
    ),
    f"begun on n1\nslurmstepd: {OVER} {AT} ***\nbegun on n2\nlast\n": ("failed", "last"),
    "begun on n1\nslurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.0.\n": (
        "out of memory",
        "Detected 1 oom-kill event(s) in StepId=12.0.; ask for more hydra.launcher.mem_gb",
    ),
    "begun on n1\nsrun: error: n1: task 0: Out Of Memory\n": (
        "out of memory",
        "n1: task 0: Out Of Memory; ask for more hydra.launcher.mem_gb",
    ),
}


@pytest.mark.parametrize("text", ENDS)
def test_how_a_job_ended_stands_in_its_log(text: str, tmp_path: Path) -> None:
    log = add_log(tmp_path, "12", text)
    how, words = ENDS[text]
    assert how_it_ended(tmp_path, "12", None) == (how, f"job 12: {words}; see {log}")


def test_a_job_without_a_log_ended_as_slurm_says(tmp_path: Path) -> None:
    assert how_it_ended(tmp_path, "12", Job("CANCELLED", "None")) == ("cancelled", "job 12 ended, and left no log")
    assert how_it_ended(tmp_path, "12", None) == ("failed", "job 12 ended, and left no log")


@posix
def test_the_end_of_a_job_is_that_of_its_run(tmp_path: Path, tools: Path) -> None:
    study = tmp_path / "depth"
    stopped = add_unfinished(study, "interrupted", "net5", 0, job="12_0")
    later = add_unfinished(study, "interrupted", "net5", 1, job=None)  # by hand, after the job
    killed = add_unfinished(study, "running", "net5", 2, job="12_2", heartbeat=time.time() - 3600, host="node7")
    for number, folder in enumerate((stopped, later, killed)):
        add_plan(study, {"name": folder.name, "job": f"12_{number}"})
    add_log(tmp_path, "12_0", f"begun on n1\nslurmstepd: {OVER} {AT} ***\n")
    add_log(tmp_path, "12_1", f"begun on n1\nslurmstepd: {OVER} {AT} ***\n")
    add_log(tmp_path, "12_2", "begun on n1\nslurmstepd: error: Detected 1 oom_kill event in StepId=12.0\n")
    pretend(tools, "squeue", "echo '12_2|OUT_OF_MEMORY|OutOfMemory'")
    said = {run.name: run.status for run in read_study(study).runs}
    assert said == {stopped.name: "cancelled", later.name: "interrupted", killed.name: "out of memory"}


def test_a_damaged_plan_hides_no_job_of_another(tmp_path: Path) -> None:
    add_plan(tmp_path, {"name": "net2-digits-s0-0123456789ab", "job": "5_0"})
    (tmp_path / ".sweeps" / "0.json").write_text("{")
    assert planned_jobs(tmp_path) == {"net2-digits-s0-0123456789ab": "5_0"}
