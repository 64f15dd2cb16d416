"""The fault table, F28 to F33: what a command runs in. Nobody reads what it says, its streams are closed, its processes
cannot talk to each other: it works or says why, and never waits for ever."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest
from faults import FETCHED, LONGEST_S, SETTING, Project, assert_gone, unshared
from outcomes import state, the_run

pytestmark = pytest.mark.skipif("sys.platform == 'win32'", reason="Windows has no such streams and sockets")
pytest_plugins = ["fault_fixtures"]

ONE = ("training.steps=8", "data.examples=40")
SWEEP = ("--multirun", "seed=0,1", "+launcher=joblib")


def shell(project: Project, text: str) -> subprocess.CompletedProcess[str]:
    """`text` in a shell, where $train is the command that trains."""
    train = shlex.join([sys.executable, "runs/train.py", *SETTING, *ONE])
    script = f"set -o pipefail; train='{train}'; {text}"
    return subprocess.run(["bash", "-c", script], cwd=project.root, capture_output=True, text=True, timeout=LONGEST_S)


def statuses(runs_dir: Path) -> list[str]:
    return [state(path)["status"] for path in sorted(runs_dir.glob("*/net_bn-*"))]


@pytest.mark.parametrize("sweep", [(), SWEEP], ids=["a run", "a sweep"])
def test_f28_nobody_reads_on(sweep: tuple[str, ...], project: Project, tmp_path: Path) -> None:
    """F28 the output goes into `head -1`: the run goes on to its end."""
    ended = shell(project, f"eval $train {' '.join(sweep)} system.runs_dir={tmp_path} | head -1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(ended.stdout.splitlines()) == 1
    assert statuses(tmp_path) == ["finished"] * (2 if sweep else 1)


def test_f28_watching_ends_with_its_reader(project: Project, tmp_path: Path) -> None:
    """F28 `status.py watch=true | head -1` ends once there is more to say."""
    assert project.run(*SETTING, *ONE, f"system.runs_dir={tmp_path}").status == 0
    folder = the_run(tmp_path)
    (folder / "run.json").unlink()

    def become(status: str) -> None:
        about = {"status": status, "host": "elsewhere", "pid": 1, "heartbeat": 4e9}
        (folder / "state.json").write_text(json.dumps(about))

    become("running")
    watch = [sys.executable, "runs/status.py", "watch=true", f"runs_dir={tmp_path}"]
    with subprocess.Popen(watch, cwd=project.root, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert b"0 of 1 finished, 1 running" in process.stdout.readline()
        process.stdout.close()
        become("interrupted")
        assert process.wait(LONGEST_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize("sweep", [(), SWEEP], ids=["a run", "a sweep"])
def test_f29_closed_streams(sweep: tuple[str, ...], project: Project, tmp_path: Path) -> None:
    """F29 standard input, output and error are closed, as under cron: works, and a mistake ends with status 1."""
    closed = ">&- 2>&- <&-"
    ended = shell(project, f"eval $train {' '.join(sweep)} system.runs_dir={tmp_path} {closed}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert statuses(tmp_path) == ["finished"] * (2 if sweep else 1)
    assert shell(project, f"eval $train {' '.join(sweep)} seed=-1 system.runs_dir={tmp_path} {closed}").returncode == 1


@pytest.mark.parametrize("words", [FETCHED, (*SETTING, *SWEEP)], ids=["loader workers", "a sweep"])
def test_f30_a_temporary_folder_with_a_long_name(words: tuple[str, ...], project: Project, tmp_path: Path) -> None:
    """F30 TMPDIR is too long for the names of sockets: refused in a sentence."""
    long = tmp_path / ("x" * 110)
    long.mkdir()
    refused = project.run(*words, f"system.runs_dir={tmp_path / 'runs'}", TMPDIR=str(long))
    assert refused.sentence == f"TMPDIR: {long} is too long for the sockets that processes need; set a shorter one"
    assert list(long.iterdir()) == []


def test_f31_shared_memory_that_is_too_small(project: Project, tmp_path: Path) -> None:
    """F31 /dev/shm is smaller than a batch, as in a container: failed with the reason, and no process is left."""
    words = ("data.input_shape=[1,64,64]", "training.accumulation=1", "data.max_shift=0", f"system.runs_dir={tmp_path}")
    train = shlex.join([sys.executable, "runs/train.py", *FETCHED, *words])
    small = ["sh", "-c", f"mount -t tmpfs -o size=100k none /dev/shm && exec {train}"]
    process = subprocess.run(
        [*unshared("-m"), *small], cwd=project.root, capture_output=True, text=True, timeout=LONGEST_S
    )
    assert process.returncode == 1
    (line,) = process.stderr.splitlines()
    assert line.startswith("error: system.loader_workers: the batches do not fit into /dev/shm")


LATE = """
import multiprocessing, os, signal, sys
from labkit.workers import begin_worker

def work(trainer):
    print(os.getpid(), flush=True)
    while os.getppid() == trainer:
        pass
    begin_worker(0)
    signal.pause()

multiprocessing.get_context("fork").Process(target=work, args=(os.getpid(),)).start()
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_f32_a_worker_whose_trainer_is_killed_before_it_begins(project: Project) -> None:
    """F32 the process that trains is killed between the start of a loader worker and the worker's first look."""
    given = {"stdin": PIPE, "stdout": PIPE, "cwd": project.root}
    trainer = subprocess.Popen([sys.executable, "-c", LATE], **given)
    assert trainer.stdin is not None
    assert trainer.stdout is not None
    worker = int(trainer.stdout.readline())
    trainer.stdin.write(b"now\n")
    trainer.stdin.close()
    assert trainer.wait(LONGEST_S) == -signal.SIGKILL
    assert_gone([worker])
    trainer.stdout.close()


HUGE = {
    "F33a more examples than fit": ("data.examples=1000000000000", "data: the examples take "),
    "F33b larger inputs than fit": ("data.input_shape=[1,1000000,1000000]", "data: the examples take "),
    "F33c more workers than a machine has": ("system.loader_workers=5000", "system.loader_workers: must be at most "),
    "F33d a path of 2,000 dots": ("model._target_=modules" + ".a" * 2000, 'model._target_: there is no "modules.a.a'),
}


@pytest.mark.parametrize("row", HUGE)
def test_huge_settings(row: str, project: Project, tmp_path: Path) -> None:
    word, answer = HUGE[row]
    refused = project.run(*SETTING, word, f"system.runs_dir={tmp_path}")
    assert refused.sentence.startswith(answer)
    assert len(refused.sentence) < 400
    assert list(tmp_path.iterdir()) == []


def test_f33e_a_number_of_twenty_digits(project: Project, tmp_path: Path) -> None:
    """F33e evaluation batches of 12345678901234567890 examples: all examples in one."""
    words = ("training.evaluation_batch_size=12345678901234567890", f"system.runs_dir={tmp_path}")
    assert project.run(*FETCHED, *ONE, *words).status == 0
    assert project.run(f"runs_dir={tmp_path}", script="evaluate").status == 0
    assert (the_run(tmp_path) / "test.json").exists()


def test_f34_multirun_after_overrides(project: Project, tmp_path: Path) -> None:
    """F34 --multirun between overrides means what it means before them."""
    ended = project.run("seed=0,1", *SETTING, "--multirun", *ONE, f"system.runs_dir={tmp_path}")
    assert (ended.status, ended.err) == (0, "")
    assert statuses(tmp_path) == ["finished"] * 2
