"""What Slurm says, or does not: nothing is submitted twice, and nothing is called over that is not."""

import os
import re
from pathlib import Path
from signal import SIGINT

import pytest
from faults import Disk
from slurm_project import HELD, SMALL_JOB, TINY, SlurmProject, ahead, job_log, runs, submitted, variables

pytest_plugins = ["slurm_fixtures"]
pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="the cluster of the tests needs Linux")
TWO = ("+launcher=slurm", "seed=0,1", *TINY, *SMALL_JOB)
# What a shell may say that is meant for other jobs.
OF_THE_SHELL = {
    **{"SBATCH_EXPORT": "NONE", "SBATCH_TIMELIMIT": "0:01", "SBATCH_OUTPUT": "/dev/null", "SBATCH_PARTITION": "low"},
    **{"SQUEUE_USERS": "nobody", "SQUEUE_STATES": "RUNNING", "SQUEUE_FORMAT": "%T", "SLURM_EXPORT_ENV": "NONE"},
}
POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
BANNER = 'echo "Welcome | to the | cluster"; exec REAL "$@"'
LOST = """REAL "$@" > /dev/null
echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2
exit 1"""


@pytest.fixture
def project(slurm_project: SlurmProject) -> SlurmProject:
    return slurm_project


def jobs_of(project: SlurmProject, array: str) -> dict[str, str]:
    return {job: state for job, state in project.cluster.jobs().items() if job.partition("_")[0] == array}


def test_the_users_shell_changes_nothing_and_banners_are_no_jobs(project: SlurmProject, tmp_path: Path) -> None:
    shell = {
        **OF_THE_SHELL,
        **ahead(project.cluster, tmp_path / "bin", squeue=BANNER, sbatch=BANNER, scontrol=BANNER),
    }
    job = submitted(project.sweep(tmp_path, *TWO, HELD, "hydra.launcher.partition=main", **shell))
    again = project.sweep(tmp_path, *TWO, **shell)
    assert (again.status, again.err) == (0, "")
    assert "2 of them are in Slurm's queue already" in again.out
    shown = project.cluster.show(f"{job}_0")
    assert (shown["Partition"], shown["TimeLimit"]) == ("main", "01:00:00")
    project.cluster.command("scontrol", "release", job)
    assert set(project.cluster.wait_ended(job).values()) == {"COMPLETED"}, job_log(tmp_path, f"{job}_0")


def test_an_answer_of_sbatch_that_is_lost_is_found_in_the_queue(project: SlurmProject, tmp_path: Path) -> None:
    known = project.cluster.jobs().keys()
    ended = project.sweep(
        tmp_path,
        *TWO,
        HELD,
        **ahead(
            project.cluster,
            tmp_path / "bin",
            sbatch=f"""case "$*" in
    *--test-only*) exec REAL "$@";; esac
    {LOST}""",
        ),
    )
    assert (ended.status, ended.err) == (0, "")
    job = submitted(ended)
    assert project.cluster.jobs().keys() - known == {f"{job}_0", f"{job}_1"}
    again = project.sweep(tmp_path, *TWO)
    project.cluster.command("scancel", job)
    assert "2 of them are in Slurm's queue already" in again.out


@pytest.mark.parametrize("squeue", ["exit 1", "kill -9 $$"])
def test_a_queue_that_does_not_answer_is_not_empty(squeue: str, project: SlurmProject, tmp_path: Path) -> None:
    job = submitted(project.sweep(tmp_path, *TWO, HELD))
    silent = ahead(project.cluster, tmp_path / "bin", squeue=squeue)
    again = project.sweep(tmp_path, *TWO, **silent)
    said = project.status(tmp_path, "study=default", **silent)
    jobs = jobs_of(project, job)
    cancelled = project.run("study=default", "cancel=true", f"runs_dir={tmp_path}", script="status")
    assert (cancelled.out, set(jobs_of(project, job).values())) == ("default: 2 jobs cancelled\n", {"CANCELLED"})
    assert again.sentence == "hydra/launcher: squeue does not answer, and has jobs of this sweep; try again later"
    assert len(jobs) == 2
    assert len(re.findall(rf" submitted +submitted as job {job}_[01]; Slurm does not answer\n", said)) == 2, said


@pytest.mark.skipif("os.geteuid() != 0", reason="only root can give a folder to another user")
def test_another_user_of_the_same_folder_sees_these_jobs_and_can_submit(project: SlurmProject, tmp_path: Path) -> None:
    first = submitted(project.sweep(tmp_path, *TWO, HELD))
    for name in (".slurm", ".code"):
        os.chown(tmp_path / name, 12345, 12345)  # as if somebody else had submitted them
    known = project.cluster.jobs()
    again = project.sweep(tmp_path, *TWO)
    assert "2 of them are in Slurm's queue already" in again.out
    assert project.cluster.jobs() == known
    second = project.submit(tmp_path, *TINY, *SMALL_JOB, "study=other")
    said = project.status(tmp_path, "study=default")
    assert said.count(" queued ") == 2
    assert set(project.cluster.wait_ended(second).values()) == {"COMPLETED"}, job_log(tmp_path, second)
    project.cluster.command("scancel", first)
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".code", ".code-0", ".slurm", ".slurm-0"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob(".*")} == {0o700}


def test_ctrl_c_while_sbatch_works_loses_no_job(project: SlurmProject, tmp_path: Path) -> None:
    """The terminal sends it to sbatch as well, if it can."""
    slow = ahead(
        project.cluster,
        tmp_path / "bin",
        sbatch=f"""case "$*" in *--test-only*) exec REAL "$@";; esac
    touch {tmp_path}/asked
    until [ -e {tmp_path}/go ]; do sleep 0.1; done
    exec REAL "$@" """,
    )
    words = (*TWO, HELD, f"system.runs_dir={tmp_path / 'runs'}")
    with project.start("--multirun", *words, **slow) as sweep:
        sweep.wait_until((tmp_path / "asked").exists)
        sweep.send(SIGINT, everywhere=True)
        (tmp_path / "go").touch()
        ended = sweep.ended()
    assert (ended.status, ended.err) == (130, "")
    job = submitted(ended)
    assert "interrupted: 0 of 2 members are finished, 0 were interrupted, 2 are with Slurm, 0 not started" in ended.out
    again = project.sweep(tmp_path / "runs", *TWO)
    project.cluster.command("scancel", job)
    assert "2 of them are in Slurm's queue already" in again.out


def test_a_sweep_that_fits_no_array_becomes_several(project: SlurmProject, tmp_path: Path) -> None:
    """The cluster's MaxArraySize is 12."""
    words = ("+launcher=slurm", *TINY, *SMALL_JOB, "hydra.launcher.n_jobs=10", HELD)
    ended = project.sweep(tmp_path, *words, "seed=range(13)", "study=many")
    arrays = re.findall(r"^submitted: job (\d+), (.*)$", ended.out, flags=re.MULTILINE)
    jobs = [len(jobs_of(project, array)) for array, _ in arrays]
    project.cluster.command("scancel", *(array for array, _ in arrays))
    assert (ended.status, ended.err) == (0, "")
    assert [how for _, how in arrays] == ["an array of 12 jobs, at most 5 at a time", "one job"]
    assert jobs == [12, 1]
    assert f"  cancel:  scancel {arrays[0][0]} {arrays[1][0]}\n" in ended.out


def test_runs_take_turns_in_a_job(project: SlurmProject, tmp_path: Path) -> None:
    ended = project.sweep(tmp_path, *TWO, "hydra.launcher.in_turn=2", "seed=0,1,2")
    array = submitted(ended)
    assert f"submitted: job {array}, an array of 2 jobs of up to 2 runs, at most 100 at a time\n" in ended.out
    assert set(project.cluster.wait_ended(array).values()) == {"COMPLETED"}, job_log(tmp_path, f"{array}_0")
    ran_in = [variables(folder)[0]["SLURM_ARRAY_TASK_ID"] for folder in runs(tmp_path).values()]
    assert sorted(ran_in) == ["0", "0", "1"]


LIMITED = f"""case "$*" in *--test-only*) exec REAL "$@";; esac
more=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "${{@: -1}}")
[ $((${{more:-0}} + 1 + $(squeue --noheader --array --name=limited | wc -l))) -gt 2 ] || exec REAL "$@"
echo "sbatch: error: {POLICY}" >&2
echo "sbatch: error: Batch job submission failed: {POLICY}" >&2
exit 1"""


def test_what_a_limit_of_jobs_does_not_allow_now_follows_later(project: SlurmProject, tmp_path: Path) -> None:
    """By the same command, or by one that waits."""
    limited = ahead(project.cluster, tmp_path / "bin", sbatch=LIMITED)
    words = ("+launcher=slurm", "seed=range(4)", *TINY, *SMALL_JOB, "study=limited")
    ended = project.sweep(tmp_path, *words, HELD, **limited)
    assert ended.sentence == (
        "hydra/launcher: 2 of 4 jobs are submitted, and Slurm takes no more of yours now (Batch job submission failed: "
        f"{POLICY}); the same command submits the rest later, by itself with hydra.launcher.wait=true"
    )
    project.cluster.command("scancel", "--name=limited")
    ended = project.sweep(tmp_path, *words, "hydra.launcher.wait=true", **limited)
    assert (ended.status, ended.err) == (0, "")
    assert "\n2 jobs follow when Slurm takes more of yours (Batch job submission failed: " in ended.out
    assert "\nall 4 members are finished\n" in ended.out
    assert len([folder for folder in runs(tmp_path, "limited").values() if (folder / "run.json").exists()]) == 4


def test_a_full_disk_is_said_in_a_sentence(project: SlurmProject, tmp_path: Path) -> None:
    """That has no room for a plan, or none for the copy of the code; nothing is submitted."""
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk", "400k")
    try:
        known = project.cluster.jobs().keys()
        no_copy = project.sweep(disk.path, *TWO)
        disk.fill()
        no_plan = project.sweep(disk.path, *TWO, "study=other")
    finally:
        disk.close()
    assert re.search(r": No space left on device; make room there, or choose another place$", no_copy.sentence)
    assert re.search(r": No space left on device; make room there, or choose another place$", no_plan.sentence)
    assert project.cluster.jobs().keys() == known


def test_all_nodes_drained_is_no_reason_to_refuse(project: SlurmProject, tmp_path: Path) -> None:
    nodes = "NodeName=ALL"
    project.cluster.command("scontrol", "update", nodes, "State=DRAIN", "Reason=test")
    try:
        job = submitted(project.sweep(tmp_path, *TWO))
        refused = project.sweep(tmp_path, "+launcher=slurm", *TINY, "study=large", "hydra.launcher.mem_gb=500")
        queued = project.status(tmp_path, "study=default")
    finally:
        project.cluster.command("scontrol", "update", nodes, "State=RESUME")
    project.cluster.command("scancel", job)
    assert queued.count(" queued ") == 2
    assert refused.sentence.startswith("hydra/launcher: sbatch refuses such a job: Memory specification can not be ")
    assert not runs(tmp_path, "large")
