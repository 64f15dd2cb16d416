"""What can be said of Slurm jobs without a Slurm: the copy of the code that they run, the script that Slurm gets, and
what is answered where something is wrong."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException
from labkit.launching.errors import sentence
from labkit.launching.snapshot import freeze
from labkit.launching.sweeper import make_launcher
from labkit.runs import provenance
from labkit.runs.slurm_queue import jobs_in_queue, last_words, planned_jobs
from labkit.runs.study import read_study
from run_folders import add_plan, add_unfinished
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
    return train_command_here(
        "--multirun", "data=synthetic", "+launcher=slurmgpu", *words, f"system.runs_dir={runs_dir}"
    )


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
    assert sum(path.stat().st_size for path in code.rglob("*")) < 1_000_000

    train = (code / "runs" / "train.py").stat()
    assert freeze(runs_dir) == submitted_as
    assert (code / "runs" / "train.py").stat().st_ino == train.st_ino
    assert list(code.parent.iterdir()) == [code]  # nothing half copied


@posix
def test_only_its_owner_reads_what_git_said(runs_dir: Path) -> None:
    """It may hold a secret that is taken out of what runs keep."""
    assert freeze(runs_dir).stat().st_mode & 0o077 == 0


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

    folder = runs_dir / ".slurm"
    lines = (folder / "7_submission.sh").read_text(encoding="utf-8").splitlines()
    asked = [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH ")]
    assert {"array=0-1%2", "gpus-per-node=a100:2", "cpus-per-task=2", "time=60", "signal=USR2@60"} <= set(asked)
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
    after = [line for line in lines[srun + 1 :] if line and not line.startswith("#")]
    assert after[0] == "status=$?"
    assert after[-1] == "exit $status"
    assert any(f"rm {folder}/$SLURM_JOB_ID.requeue" in line and "scontrol requeue" in line for line in after)
    assert folder.stat().st_mode & 0o077 == 0
    pickled = (folder / "7_0_submitted.pkl").read_bytes()
    assert b"slurm_job.py" not in pickled  # no code, which the Python of a container might not read


@posix
def test_a_late_refusal_harms_no_other_sweep_and_the_sites_own_defaults_count(
    runs_dir: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked and then refused, as where a limit of the account was reached meanwhile."""
    pretend_a_cluster(tools)
    refused = 'echo "sbatch: error: limit of $SBATCH_ACCOUNT" >&2; exit 1'
    pretend(tools, "sbatch", f'case "$1" in --test-only) exit 0;; esac; {refused}')
    monkeypatch.setenv("SBATCH_ACCOUNT", "phd_smith")
    of_another = runs_dir / ".slurm" / "6_0_submitted.pkl"
    of_another.parent.mkdir(parents=True)
    of_another.touch()
    answer = submit(runs_dir)
    said = "error: hydra/launcher: sbatch refuses the jobs: limit of phd_smith; see docs/cluster.md"
    assert (answer.returncode, answer.stderr.splitlines()[-1]) == (1, said)
    assert of_another.exists()


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


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
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


def test_without_slurm_nobody_is_in_the_queue(tools: Path) -> None:
    assert os.listdir(tools) == []
    assert jobs_in_queue() is None


@posix
@pytest.mark.parametrize(
    ("script", "jobs"), [("exit 1", None), ("echo '12_3|PENDING|Priority'", {"12_3": "pending (Priority)"})]
)
def test_the_queue(script: str, jobs: dict[str, str] | None, tools: Path) -> None:
    pretend(tools, "squeue", script)
    assert jobs_in_queue() == jobs


@posix
def test_status_knows_what_waits_and_what_ended_without_a_run_folder(tmp_path: Path, tools: Path) -> None:
    study = tmp_path / "depth"
    names = [f"net2-digits-s{seed}-0123456789ab" for seed in range(3)]
    add_plan(study, *({"name": name, "job": f"12_{number}"} for number, name in enumerate(names)))
    stopped = add_unfinished(study, "interrupted", "net5", 0)
    again = add_unfinished(study, "failed", "net5", 1, reason="RuntimeError: CUDA error")
    add_plan(study, {"name": stopped.name, "job": "13"}, {"name": again.name, "job": "14"})
    (tmp_path / ".slurm").mkdir()
    (tmp_path / ".slurm" / "12_1_0_log.out").write_text("submitit INFO\nmodule: command not found\nsrun: error: x\n")
    pretend(tools, "squeue", "echo '12_0|PENDING|Priority'; echo '13|RUNNING|None'; echo '14|PENDING|None'")
    said = {run.name: (run.status, run.reason) for run in read_study(study).runs}
    assert said == {
        names[0]: ("queued", "job 12_0 is pending (Priority)"),
        names[1]: ("failed", f"job 12_1: module: command not found; see {tmp_path / '.slurm' / '12_1_0_log.out'}"),
        names[2]: ("failed", "job 12_2 ended, and left no log"),
        stopped.name: ("queued", "job 13 is running"),
        again.name: ("queued", "job 14 is pending"),
    }


def test_the_last_words_of_a_job_are_its_last_error(tmp_path: Path) -> None:
    log = tmp_path / ".slurm" / "5_0_log.out"
    log.parent.mkdir()
    log.write_text("error: first\nerror: second\nmore\n", encoding="utf-8")
    assert last_words(tmp_path, "5") == f"job 5: second; see {log}"
    log.write_text("submitit INFO: started\n", encoding="utf-8")
    assert last_words(tmp_path, "5") == f"job 5: ended without a word; see {log}"


def test_a_damaged_plan_hides_no_job_of_another(tmp_path: Path) -> None:
    add_plan(tmp_path, {"name": "net2-digits-s0-0123456789ab", "job": "5_0"})
    (tmp_path / ".sweeps" / "0.json").write_text("{")
    assert planned_jobs(tmp_path) == {"net2-digits-s0-0123456789ab": "5_0"}
