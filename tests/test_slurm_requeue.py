"""The fault table on a real Slurm, F7 to F10: a job that comes back, whatever the reason, goes on in the same folder
and ends with the bits of a run that was left alone.

Slurm takes its time: it looks at time limits every 30 seconds only. So all rows of TABLE happen at once, each in a
thread and to jobs of its own.
"""

import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM
from threading import Barrier, Event, Lock

import pytest
import torch
from faults import LONGEST_S, SETTING, assert_gone
from outcomes import differences, resumed_at, rows, state
from slurm_cluster import CPU1, CPU2, ENDED, GPU1, GPU2, GPU_TYPES
from slurm_project import SMALL_JOB, TINY, SlurmProject, job_log, planted, result, runs

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="the cluster of the tests needs Linux")
pytest_plugins = ["slurm_fixtures"]

# The network of SETTING, which takes its time for a batch as long as there is a file BRAKE.
SLOW = """import os
import time

from modules.models.networks import ConvNet


class Slow(ConvNet):
    def forward(self, images):
        brake = os.environ.get("BRAKE", "")
        if os.path.exists(brake):
            time.sleep(0.5)
        stop = f"{brake}.step" if self.training else f"{brake}.evaluation"
        if os.path.exists(stop):
            with open(f"{brake}.stopped", "a") as file:
                file.write("x")
        while os.path.exists(stop):
            time.sleep(0.1)
        return super().forward(images)
"""
CHANGED = ("model=", "training.steps=", "training.evaluate_every_steps=", "system.log_every_steps=")
STEPS = ("training.steps=120", "training.evaluate_every_steps=8", "system.log_every_steps=1")
LONG = (*(word for word in SETTING if not word.startswith(CHANGED)), "model=slow", *STEPS)
FETCHED = ("data.in_memory=false", "system.loader_workers=2")
EVERY_STEP = "system.checkpoint_minutes=0"
FOUR = ("hydra.launcher.nodes=2", "hydra.launcher.tasks_per_node=2")
# One node for jobs that are preempted, one for those that it dies under.
ELSEWHERE = f"hydra.launcher.exclude='{CPU2},{GPU2}'"
PREEMPTED, DYING = CPU2, GPU2
OR_DYING = f"hydra.launcher.exclude='{CPU2}'"  # in main, no job may take the node from those in low


class Place:
    """What all the jobs share: the project, the cluster, and runs that nothing has happened to."""

    def __init__(self, project: SlurmProject, folder: Path, threads: ThreadPoolExecutor) -> None:
        self.project, self.cluster = project, project.cluster
        self.login_node, self.all_ready = Lock(), Barrier(3, self._take_the_node, timeout=LONGEST_S)
        self.node_is_back = Event()
        self._folder, self._threads, self._asking = folder, threads, Lock()
        self._undisturbed: dict[tuple[str, ...], Future[Path]] = {}

    def folder(self, name: str) -> Path:
        (self._folder / name).mkdir()
        return self._folder / name

    def undisturbed(self, *words: str) -> Path:
        """Made without Slurm, or by one job if `words` ask for several tasks; not to be changed."""
        with self._asking:
            if words not in self._undisturbed:
                runs_dir = self.folder(f"undisturbed{len(self._undisturbed)}")
                self._undisturbed[words] = self._threads.submit(self._leave_alone, runs_dir, *words)
        return self._undisturbed[words].result()

    def _leave_alone(self, runs_dir: Path, *words: str) -> Path:
        if FOUR[0] in words:
            with self.login_node:
                job = self.project.submit(runs_dir, *words, *SMALL_JOB, OR_DYING)
            assert self.cluster.wait_ended(job) == {job: "COMPLETED"}
        else:
            with self.login_node:
                ended = self.project.sweep(runs_dir, *words)
            assert ended.status == 0, ended
        (folder,) = runs(runs_dir).values()
        return folder

    def _take_the_node(self) -> None:
        """From all jobs there whose partition has a lower priority."""
        self.cluster.submit(
            "--partition=main", f"--nodelist={PREEMPTED}", "--cpus-per-task=4", "--output=/dev/null", "--wrap=true"
        )


class Job:
    """A sweep of one job whose runs are slowed down until `let_go`."""

    def __init__(self, place: Place, name: str, *words: str, where: str = ELSEWHERE) -> None:
        self.place, self.cluster, self.runs_dir = place, place.cluster, place.folder(name)
        self._words = (*words, *SMALL_JOB, where)
        self._brake = self.runs_dir / "brake"
        self._brake.touch()
        self.submit()

    def submit(self) -> None:
        """What is missing; the same command each time."""
        with self.place.login_node:
            self.id = self.place.project.submit(self.runs_dir, *self._words, BRAKE=str(self._brake))

    def let_go(self) -> None:
        self._brake.unlink()

    def stop_in(self, what: str) -> Path:
        """A "step" or an "evaluation" takes for ever, until this file is gone."""
        stopped = self.runs_dir / f"brake.{what}"
        stopped.touch()
        return stopped

    def wait_until_stopped(self, times: int) -> None:
        stopped = self.runs_dir / "brake.stopped"
        self.cluster.wait(lambda: stopped.exists() and len(stopped.read_text()) == times)

    def line_of_status(self) -> str:
        with self.place.login_node:
            lines = self.place.project.status(self.runs_dir).splitlines()
        return next(line for line in lines if self.folder.name in line)

    def is_requeued(self, times: int = 1) -> None:
        """It would have the time that `end_its_time` left to it: it gets more."""
        self.cluster.wait(lambda: self.requeues == times)
        self.cluster.command("scontrol", "update", f"JobId={self.id}", "TimeLimit=30")

    @property
    def folder(self) -> Path:
        """Of the only run."""
        (folder,) = runs(self.runs_dir).values()
        return folder

    @property
    def said(self) -> str:
        return job_log(self.runs_dir, self.id)

    @property
    def show(self) -> dict[str, str]:
        return self.cluster.show(self.id)

    @property
    def requeues(self) -> int:
        return int(self.show["Restarts"])

    def wait_until_it_trains(self, launch: int = 1) -> None:
        """Until what has not finished has made some steps in this launch, counted from 1."""
        self.cluster.wait(lambda: max(steps_of_launches(self.runs_dir)[launch - 1 :], default=0) > 2)

    def end_its_time(self) -> None:
        """It is told within 30 seconds, and ended 30 seconds later."""
        self.cluster.set_time_limit(self.id, 32)

    def ends_as(self, status: str) -> None:
        assert self.cluster.wait_ended(self.id) == {self.id: status}, self.said

    def goes_on_undisturbed(self) -> None:
        self.let_go()
        self.cluster.wait(lambda: list(self.runs_dir.glob("default/*/run.json")))
        self.ends_as("COMPLETED")


def steps_of_launches(runs_dir: Path) -> list[int]:
    """How many steps each launch of what has not finished has made."""
    logs = [path for path in runs_dir.glob("default/*/train.log") if not path.with_name("run.json").exists()]
    launches = [launch for log in logs for launch in log.read_text(encoding="utf-8").split(" an epoch, on ")[1:]]
    return [len(re.findall(r" step \d+/", launch)) for launch in launches]


def saved_at(folder: Path) -> list[int]:
    """The steps at which a signal was obeyed."""
    log = (folder / "train.log").read_text(encoding="utf-8")
    return [int(step) for step in re.findall(r"interrupted by SIG\w+ at step (\d+)", log)]


def processes_of(job: str) -> dict[int, int]:
    """Of the tasks of a job that runs, by their ranks."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            entries = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            variables = dict(entry.split("=", 1) for entry in entries if "=" in entry)
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if variables.get("SLURM_JOB_ID") == job and b"labkit.launching.slurm_job" in words and words[0] != b"srun":
                found[int(variables["SLURM_PROCID"])] = int(folder.name)
    return found


def time_is_over_twice(place: Place) -> None:
    """F7 the time limit, again and again: saved, requeued, and on in the same folder."""
    job = Job(place, "time_limit", *LONG)
    for launch in (1, 2):
        job.wait_until_it_trains(launch)
        job.end_its_time()
        job.is_requeued(launch)
    job.wait_until_it_trains(3)
    assert "saved; the job is queued again (2 of at most 20 times)" in job.said
    job.goes_on_undisturbed()
    assert job.requeues == 2
    assert len(saved_at(job.folder)) == 2
    assert resumed_at(job.folder) == saved_at(job.folder)
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def time_is_over_too_often(place: Place) -> None:
    """F7 more time limits than hydra.launcher.max_requeues: failed, and the same command goes on."""
    job = Job(place, "max_requeues", *LONG, "hydra.launcher.max_requeues=1")
    job.wait_until_it_trains()
    job.end_its_time()
    job.is_requeued()
    job.wait_until_it_trains(2)
    job.end_its_time()
    job.ends_as("FAILED")
    line = job.line_of_status()
    assert " failed " in line
    assert "queued again 1 times, which hydra.launcher.max_requeues allows; the same command goes on" in line
    assert job.requeues == 1
    job.submit()
    job.goes_on_undisturbed()
    assert resumed_at(job.folder) == saved_at(job.folder)
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def time_is_over_for_two_runs(place: Place) -> None:
    """F7 with two runs in a job, of which one has finished: the other one goes on."""
    others = (word for word in LONG if word not in STEPS)
    job = Job(place, "two_runs", *others, *STEPS[1:], "training.steps=120,5", "hydra.launcher.runs_per_job=2")

    def folders() -> list[Path]:
        return [path.parent for path in job.runs_dir.glob("default/*/run.json")]

    # Its process lets go of the lock last, when all else of the run is written.
    (finished,) = job.cluster.wait(lambda: [f for f in folders() if not (f / ".lock").exists()])
    before = files(finished)
    job.wait_until_it_trains()
    job.end_its_time()
    job.is_requeued()
    job.wait_until_it_trains(2)
    (goes_on,) = (folder for folder in runs(job.runs_dir).values() if folder != finished)
    job.let_go()
    job.ends_as("COMPLETED")
    assert job.requeues == 1
    assert files(finished) == before
    assert resumed_at(goes_on) == saved_at(goes_on)
    assert differences(goes_on, place.undisturbed(*LONG)) == []


def time_is_over_with_workers(place: Place) -> None:
    """F7 with loader workers, which get the signal too: one requeue, and no worker stays behind."""
    job = Job(place, "workers", *LONG, *FETCHED)
    job.wait_until_it_trains()
    trains = state(job.folder)["pid"]
    workers = children(trains)
    job.end_its_time()
    job.is_requeued()
    job.wait_until_it_trains(2)
    assert len(workers) == 2
    assert_gone([trains, *workers])
    job.goes_on_undisturbed()
    assert job.requeues == 1
    assert resumed_at(job.folder) == saved_at(job.folder)
    assert differences(job.folder, place.undisturbed(*LONG, *FETCHED)) == []


def a_step_takes_longer_than_the_notice(place: Place) -> None:
    """F7 the run does not hear that its time is over: its script queues the job again."""
    job = Job(place, "step", *LONG, EVERY_STEP, "hydra.launcher.signal_delay_s=8")
    job.wait_until_it_trains()
    stopped = job.stop_in("step")
    job.wait_until_stopped(1)
    job.end_its_time()
    job.is_requeued()
    stopped.unlink()
    job.goes_on_undisturbed()
    assert job.requeues == 1
    assert len(resumed_at(job.folder)) == 1
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def its_time_is_up(place: Place) -> None:
    """F7 where the job may not be queued again, status says what ended it."""
    job = Job(place, "up", *LONG, "hydra.launcher.signal_delay_s=8", "hydra.launcher.max_requeues=0")
    job.wait_until_it_trains()
    stopped = job.stop_in("step")
    job.wait_until_stopped(1)
    job.end_its_time()
    job.ends_as("TIMEOUT")
    assert re.search(rf" out of time .*job {job.id}: .* DUE TO TIME LIMIT ", job.line_of_status())
    stopped.unlink()
    job.submit()
    job.goes_on_undisturbed()


def an_evaluation_never_fits(place: Place) -> None:
    """F7 a job that makes no progress in two slots ends, and says why; with more time the same command goes on."""
    job = Job(place, "evaluation", *LONG, EVERY_STEP, "hydra.launcher.signal_delay_s=4")
    job.wait_until_it_trains()
    stopped = job.stop_in("evaluation")
    for times in (1, 2, 3):
        job.wait_until_stopped(times)
        job.cluster.command("scancel", "--batch", "--signal=USR2", job.id)
        job.is_requeued(times)
    job.ends_as("FAILED")
    line = job.line_of_status()
    assert re.search(r" failed .*its time was over 2 times in a row and nothing new was saved: .*timeout_min=60", line)
    stopped.unlink()
    job.submit()
    job.goes_on_undisturbed()
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def a_sigterm_of_somebody_else(place: Place) -> None:
    """The job neither waits for an end that does not come nor looks finished."""
    job = Job(place, "sigterm", *LONG)
    job.wait_until_it_trains()
    os.kill(state(job.folder)["pid"], SIGTERM)
    job.ends_as("FAILED")
    assert " interrupted " in job.line_of_status()
    job.submit()
    job.goes_on_undisturbed()
    assert resumed_at(job.folder) == saved_at(job.folder)
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def preempted_with_grace(place: Place) -> None:
    """F8 preempted: saved within the grace, requeued, and on from there."""
    job = Job(place, "grace", *LONG, "hydra.launcher.partition=low", where=only_on(PREEMPTED))
    job.wait_until_it_trains()
    place.all_ready.wait()
    job.wait_until_it_trains(2)
    job.goes_on_undisturbed()
    assert job.requeues == 1
    assert len(saved_at(job.folder)) == 1
    assert resumed_at(job.folder) == saved_at(job.folder)
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def preempted_without_grace(place: Place) -> None:
    """F8 preempted without grace, killed KillWait seconds later: requeued, and on from the last checkpoint."""
    job = Job(place, "abrupt", *LONG, EVERY_STEP, "hydra.launcher.partition=abrupt", where=only_on(PREEMPTED))
    job.wait_until_it_trains()
    place.all_ready.wait()
    job.wait_until_it_trains(2)
    job.goes_on_undisturbed()
    assert job.requeues == 1
    assert len(resumed_at(job.folder)) == 1
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def preempted_while_it_starts(place: Place) -> None:
    """F8 preempted with grace while the job still imports its modules, and nobody has a handler: requeued."""
    fault, setup = held_at(place, "starting_fault", "read", r"/slurm_job\.")
    job = Job(place, "starting", *LONG, setup, "hydra.launcher.partition=low", where=only_on(PREEMPTED))
    job.cluster.wait((fault / "held").exists)
    place.all_ready.wait()
    job.cluster.wait(lambda: job.requeues or job.show["JobState"] in ENDED)
    assert job.requeues == 1, job.show["JobState"]
    (fault / "go").touch()
    job.goes_on_undisturbed()
    assert job.requeues == 1
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def its_node_dies(place: Place) -> None:
    """F8 a power cut: nobody is told; requeued on another node, and on from the last checkpoint."""
    job = Job(place, "node", *LONG, EVERY_STEP, where=only_on(DYING))
    job.wait_until_it_trains()
    killed = state(job.folder)["pid"]
    assert job.show["NodeList"] == DYING
    job.cluster.kill_node(DYING)
    assert_gone([killed])
    job.cluster.wait(lambda: job.show["JobState"] == "PENDING")
    job.cluster.command("scontrol", "update", f"JobId={job.id}", f"ExcNodeList={CPU2},{DYING}")
    job.wait_until_it_trains(2)
    assert job.show["NodeList"] in (CPU1, GPU1)
    job.cluster.start_node(DYING)
    place.node_is_back.set()
    job.goes_on_undisturbed()
    assert job.requeues == 1
    assert len(resumed_at(job.folder)) == 1
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def requeued_by_hand(place: Place) -> None:
    """F8 `scontrol requeue`, twice."""
    assert place.node_is_back.wait(LONGEST_S)
    job = Job(place, "by_hand", *LONG, where=OR_DYING)
    for launch in (1, 2):
        job.wait_until_it_trains(launch)
        job.cluster.command("scontrol", "requeue", job.id)
    job.wait_until_it_trains(3)
    job.goes_on_undisturbed()
    assert job.requeues == 2
    assert len(saved_at(job.folder)) == 2
    assert resumed_at(job.folder) == saved_at(job.folder)
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def cancelled(place: Place) -> None:
    """F9 `scancel` of one of two: the same command submits only that one, which goes on."""
    assert place.node_is_back.wait(LONGEST_S)
    job = Job(place, "cancelled", *LONG, "seed=0,1", where=OR_DYING)
    array = job.id
    job.cluster.wait(lambda: len(trained := steps_of_launches(job.runs_dir)) == 2 and min(trained) > 2)
    job.cluster.command("scancel", f"{array}_0")
    assert job.cluster.wait_ended(f"{array}_0") == {f"{array}_0": "CANCELLED"}
    with place.login_node:
        assert len(re.findall(rf" cancelled .*job {array}_0: ", place.project.status(job.runs_dir))) == 1
    job.let_go()
    assert job.cluster.wait_ended(f"{array}_1") == {f"{array}_1": "COMPLETED"}
    (finished,) = (path.parent for path in job.runs_dir.glob("default/*/run.json"))
    before = files(finished)
    job.submit()
    assert "ArrayJobId" not in job.show
    job.ends_as("COMPLETED")
    assert files(finished) == before
    (goes_on,) = (folder for folder in runs(job.runs_dir).values() if folder != finished)
    assert len(saved_at(goes_on)) == 1
    assert resumed_at(goes_on) == saved_at(goes_on)
    assert differences(goes_on, place.undisturbed(*LONG)) == []


def cancelled_while_it_saves(place: Place) -> None:
    """F9 `scancel` just after the time was over, while the run still saves: the job does not queue itself again."""
    fault, setup = held_at(place, "saving_fault", "rename", r"/last\.pt$")
    job = Job(place, "saving", *LONG, setup)
    job.wait_until_it_trains()
    job.cluster.command("scancel", "--signal=USR2", job.id)
    job.cluster.wait((fault / "held").exists)
    job.cluster.command("scancel", job.id)
    (fault / "go").touch()
    job.ends_as("CANCELLED")
    job.submit()
    job.goes_on_undisturbed()
    assert resumed_at(job.folder) == saved_at(job.folder)
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def requeued_when_finished(place: Place) -> None:
    """F10 requeue of a job whose run had finished: skipped, and nothing in its folder is touched."""
    assert place.node_is_back.wait(LONGEST_S)
    job = Job(place, "finished", *LONG, where=OR_DYING)
    job.goes_on_undisturbed()
    before = files(job.folder)
    job.cluster.command("scontrol", "requeue", job.id)
    job.ends_as("COMPLETED")
    assert job.requeues == 1
    assert files(job.folder) == before
    assert differences(job.folder, place.undisturbed(*LONG)) == []


def four_processes_train_as_one(place: Place) -> None:
    """Two nodes x two tasks are one run, of one folder, with the results of one process and batches of four times the
    size, but for the order in which numbers are added."""
    words = (*TINY, "training.evaluation_batch_size=8")
    alone = place.undisturbed(*words, "training.batch_size=16")
    assert place.node_is_back.wait(LONGEST_S)
    together = place.undisturbed(*words, "training.batch_size=4", *FOUR)
    assert [launch["processes"] for launch in result(together)["launches"]] == [4]
    assert {path.name for path in together.iterdir()} == {path.name for path in alone.iterdir()}
    for name in ("train/loss", "train/accuracy", "validation/loss", "validation/accuracy"):
        assert column(together, name) == pytest.approx(column(alone, name), rel=1e-4)
    for name, weight in weights(alone).items():
        torch.testing.assert_close(weights(together)[name], weight, rtol=1e-3, atol=1e-5)


def time_is_over_for_four_processes(place: Place) -> None:
    """F7 on two nodes x two tasks: all of them save at the same step."""
    job = Job(place, "four", *LONG, *FOUR)
    job.wait_until_it_trains()
    job.end_its_time()
    job.is_requeued()
    job.wait_until_it_trains(2)
    job.goes_on_undisturbed()
    assert job.requeues == 1
    assert resumed_at(job.folder) == saved_at(job.folder)
    assert not list(job.folder.glob("train-rank*"))
    assert differences(job.folder, place.undisturbed(*LONG, *FOUR)) == []


def one_of_four_processes_is_killed(place: Place) -> None:
    """The job fails within a minute, no process stays behind, and the same command goes on."""
    assert place.node_is_back.wait(LONGEST_S)
    job = Job(place, "killed", *LONG, EVERY_STEP, *FOUR, where=OR_DYING)
    job.wait_until_it_trains()
    processes = processes_of(job.id)
    assert sorted(processes) == [0, 1, 2, 3]
    os.kill(processes[3], SIGKILL)
    job.ends_as("FAILED")
    assert_gone(list(processes.values()))
    assert state(job.folder)["status"] == "failed"
    job.submit()
    job.goes_on_undisturbed()
    assert len(resumed_at(job.folder)) == 1
    assert differences(job.folder, place.undisturbed(*LONG, *FOUR)) == []


def held_at(place: Place, name: str, *event: str) -> tuple[Path, str]:
    """The folder of a fault that holds the first launch of a run at this event, and what plants it in a job."""
    folder = place.folder(name)
    return folder, planted(folder, "hold", [(*event, 1)])


def only_on(node: str) -> str:
    return f"hydra.launcher.exclude='{','.join(other for other in GPU_TYPES if other != node)}'"


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """When each file of a run was written, and what it holds."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def column(folder: Path, name: str) -> list[float]:
    return [float(row[name]) for row in rows(folder) if row[name]]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.pt", weights_only=True)["network"]


# The longest first, and that for which others wait.
TABLE = {
    "F8d its node dies": its_node_dies,
    "F7a the time limit, twice": time_is_over_twice,
    "F7b the time limit, once too often": time_is_over_too_often,
    "F7f a step longer than the notice": a_step_takes_longer_than_the_notice,
    "F7g the time limit, and no requeue": its_time_is_up,
    "F7h an evaluation longer than the slot": an_evaluation_never_fits,
    "a SIGTERM that is not Slurm's": a_sigterm_of_somebody_else,
    "F8a preempted with grace": preempted_with_grace,
    "F8b preempted without grace": preempted_without_grace,
    "F8c preempted while it starts": preempted_while_it_starts,
    "F7c the time limit with loader workers": time_is_over_with_workers,
    "F7d the time limit of two runs, one of them finished": time_is_over_for_two_runs,
    "F7e the time limit of four processes": time_is_over_for_four_processes,
    "one of four processes is killed": one_of_four_processes_is_killed,
    "four processes train as one": four_processes_train_as_one,
    "F8e scontrol requeue, twice": requeued_by_hand,
    "F9a scancel of one of two": cancelled,
    "F9b scancel while it saves": cancelled_while_it_saves,
    "F10 requeue of a finished one": requeued_when_finished,
}


@pytest.fixture(scope="module")
def table(slurm_project: SlurmProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """What becomes of each row."""
    root = slurm_project.root
    (root / "modules" / "models" / "slow.py").write_text(SLOW)
    model = (root / "config" / "model" / "net_bn.yaml").read_text().replace("networks.ConvNet", "slow.Slow")
    (root / "config" / "model" / "slow.yaml").write_text(model.replace("name: net_bn", "name: slow"))
    with ThreadPoolExecutor(2 * len(TABLE)) as threads:
        place = Place(slurm_project, tmp_path_factory.mktemp("table"), threads)
        yield {row: threads.submit(happens, place) for row, happens in TABLE.items()}


@pytest.mark.parametrize("row", TABLE)
def test_goes_on(row: str, table: dict[str, Future[None]]) -> None:
    table[row].result()
