"""Status says what every member of a study is doing, and says it at once."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from labkit.runs import liveness
from labkit.runs.status import StatusConfig, describe, seconds_left, status
from labkit.runs.study import Run, read_study
from run_folders import add_plan, add_run, add_unfinished, change_record, change_state

ROOT = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}"
MISSING = {"name": "net7-digits-s0-0123456789ab"}
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot ask for a process without harming it")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return tmp_path / "depth"


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def show(study: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    status(StatusConfig(study.name, watch=False, logs=False, cancel=False, runs_dir=str(study.parent)))
    return capsys.readouterr().out.splitlines()


def only(study: Path) -> Run:
    (run,) = read_study(study).runs
    return run


def test_every_member_has_its_line(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_run(study, "net2", 0, 0.9512)
    running = add_unfinished(study, "running", "net5", 0, host="node7", job="4711")
    add_unfinished(study, "running", "net5", 1, heartbeat=time.time() - 3600, host="node7")
    add_unfinished(study, "failed", "net5", 2, reason="RuntimeError: CUDA error")
    add_unfinished(study, "interrupted", "net5", 3)
    add_unfinished(study, "diverged", "net5", 4, reason="the loss became nan between steps 1 and 36")
    add_plan(study, {"name": running.name}, MISSING, {"name": "bad", "error": "no net9"})
    heading, *lines, total = [" ".join(line.split()) for line in show(study, capsys)]
    assert heading == "depth"
    said = [line.split(" ", 1)[1] for line in lines]
    assert said.pop(4).startswith("dead step 36 of 90: no sign of life on node7 since ")
    assert said == [
        "finished validation/accuracy 0.9512 at epoch 4, took 12 s",
        "missing",
        "running step 36 of 90, 2 min left, loss 0.4321, 5000 examples/s, on node7 (job 4711)",
        "interrupted step 36 of 90",
        "diverged step 36 of 90: the loss became nan between steps 1 and 36",
        "failed step 36 of 90: RuntimeError: CUDA error",
        "refused no net9",
    ]
    counts = "1 of 8 finished, 1 dead, 1 diverged, 1 failed, 1 interrupted, 1 missing, 1 refused, 1 running"
    assert total == f"depth: {counts}; 5000 examples/s, about 2 min left"


def test_logs_are_those_of_the_run_and_of_its_job(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = add_unfinished(study, "failed", "net5", 2, reason="RuntimeError: CUDA error")
    add_plan(study, {"name": failed.name, "job": "12_3"}, MISSING)
    logs = [failed / "train.log", study.parent / ".slurm" / "12_3_0_log.out"]
    for log in logs:
        log.parent.mkdir(exist_ok=True)
        log.touch()
    config = StatusConfig(study.name, watch=False, logs=True, cancel=False, runs_dir=str(study.parent))
    status(config)
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if failed.name in line)
    assert lines[at + 1 : at + 3] == [f"    {log}" for log in logs]
    with pytest.raises(ValueError, match=r"^cancel: ends the jobs of one study; add study=<its name>$"):
        status(StatusConfig(None, watch=False, logs=False, cancel=True, runs_dir=str(study.parent)))


@posix
def test_run_whose_process_is_gone_is_dead_before_its_heartbeat_is_old(study: Path, gone: int) -> None:
    add_unfinished(study, "running", pid=gone)
    assert only(study).status == "dead"
    assert only(study).reason.startswith(f"its process {gone} is gone, last sign of life ")


@posix
def test_process_that_was_given_the_number_of_a_dead_one_is_no_run(study: Path) -> None:
    add_unfinished(study, "running", heartbeat=time.time() - 2 * 24 * 3600)  # this process has not run for two days
    assert only(study).status == "dead"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_killed_process_that_its_parent_has_not_looked_after_is_dead(study: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    add_unfinished(study, "running", pid=process.pid)
    assert only(study).status == "running"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and stays in the list of processes
    assert only(study).status == "dead"
    process.communicate()


@posix
def test_run_whose_process_lives_is_running_though_it_is_silent(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "HEARTBEAT_TIMEOUT_S", 0.01)
    folder = add_unfinished(study, "running", heartbeat=time.time() - 0.1)
    assert only(study).status == "running"
    change_state(folder, host="node7")
    time.sleep(0.02)
    assert only(study).status == "dead"


@pytest.mark.parametrize(
    ("heartbeat_s", "file_s", "expected"),
    [
        (-30, -30, "running"),
        (-90, -90, "dead"),
        (-3600, -5, "running"),  # the clock of that host is slow
        (3600, -5, "running"),  # ... is fast
        (3600, -90, "dead"),
        (3600, 3600, "running"),  # the clock here is slow
        (-5, -3600, "running"),  # the file server's clock is slow
    ],
)
def test_clock_that_is_off_on_another_host_kills_no_run(
    study: Path, heartbeat_s: float, file_s: float, expected: str
) -> None:
    now = time.time()
    folder = add_unfinished(study, "running", host="node7", heartbeat=now + heartbeat_s)
    os.utime(folder / "state.json", (now + file_s, now + file_s))
    assert only(study).status == expected


@posix
@pytest.mark.parametrize("status", ["running", "finished"])
def test_run_that_ends_while_it_is_looked_at_is_finished(study: Path, gone: int, status: str) -> None:
    record = (add_run(study.parent / "other") / "run.json").read_bytes()
    folder = add_unfinished(study, status, pid=gone)
    state = (folder / "state.json").rename(folder / "ready")
    os.mkfifo(folder / "state.json")  # whoever reads it waits for what is written

    def end() -> None:
        with (folder / "state.json").open("wb") as pipe:
            (folder / "run.json").write_bytes(record)
            pipe.write(state.read_bytes())
            state.replace(folder / "state.json")

    thread = threading.Thread(target=end)
    thread.start()
    assert only(study).status == "finished"
    thread.join()


def test_run_that_was_stopped_because_it_diverged_has_no_result(study: Path) -> None:
    add_run(study)
    add_run(study, seed=1, accuracy=None)  # went through, with a metric that is no number
    add_unfinished(study, "diverged", seed=2, reason="the loss became nan")
    runs = read_study(study).runs
    assert [(run.status, run.ended) for run in sorted(runs, key=lambda run: run.name[:14])] == [
        ("finished", True),
        ("diverged", True),
        ("diverged", False),
    ]


def test_member_refused_once_and_planned_again_is_missing(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_plan(study, {"name": "a", "error": "batch too large"})
    add_plan(study, {"name": "a"})
    assert show(study, capsys) == ["depth", "  a  missing", "depth: 0 of 1 finished, 1 missing"]


def test_run_that_was_killed_at_its_very_end_is_no_finished_run(study: Path) -> None:
    add_unfinished(study, "finished")
    assert only(study).status == "interrupted"
    assert only(study).reason == "ended, but run.json is missing; the same command completes it"


def test_run_without_state_has_not_begun(study: Path) -> None:
    (add_unfinished(study, "running") / "state.json").unlink()
    assert (only(study).status, only(study).reason) == ("interrupted", "stopped before its first step")


def test_run_that_has_not_reported_yet_is_starting(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unknown = dict.fromkeys(("step", "total_steps", "loss", "examples_per_s", "seconds_left"))
    add_unfinished(study, "running", host="node7", **unknown)
    assert show(study, capsys)[1].endswith("running  starting, on node7")


def test_time_left_is_that_of_what_runs_and_of_what_is_missing(study: Path) -> None:
    for seed, took_s in enumerate((100.0, 300.0)):
        change_record(add_run(study, seed=seed), cost={"wall_s": took_s})
    add_unfinished(study, "running", "net5", 0, seconds_left=40.0)
    add_unfinished(study, "running", "net5", 1, seconds_left=60.0)
    assert seconds_left(read_study(study)) == 60  # the longest
    add_plan(study, {"name": "a"}, {"name": "b"}, {"name": "c"})
    assert seconds_left(read_study(study)) == (40 + 60 + 3 * 200) / 2  # two at a time


def test_time_left_is_not_guessed(study: Path) -> None:
    add_plan(study, MISSING)
    add_unfinished(study, "running")
    assert seconds_left(read_study(study)) is None  # how long a member takes is not known
    add_run(study, "net5")
    assert seconds_left(read_study(study)) is not None
    add_unfinished(study, "running", seed=1, seconds_left=None)
    assert seconds_left(read_study(study)) is None
    assert "left" not in describe(read_study(study))[-1].text


def test_unknown_study_is_answered_with_the_nearest(study: Path) -> None:
    add_run(study)
    with pytest.raises(ValueError, match=r"no study 'dept' in .*; there are: depth; did you mean \"depth\"\?"):
        status(StatusConfig("dept", watch=False, logs=False, cancel=False, runs_dir=str(study.parent)))


def test_status_imports_nothing_slow() -> None:
    slow = {"torch", "pandas", "numpy", "matplotlib", "rich"}
    code = f"import sys, labkit.runs.status; print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_each_run_costs_one_listing_and_one_file(study: Path) -> None:
    """Thousands of runs are read in a second, also from a file server, only if little is asked of each."""
    for seed in range(10):
        add_run(study, seed=seed)
        add_unfinished(study, "running", "net5", seed, host="node7")
        add_unfinished(study, "failed", "net6", seed)
    code = f"""if True:
        import sys
        from collections import Counter
        from pathlib import Path
        from labkit.runs.study import read_study
        asked = Counter()
        sys.addaudithook(lambda event, arguments: asked.update([event]))
        assert len(read_study(Path({str(study)!r})).runs) == 30
        print(asked["os.listdir"], asked["open"], asked["os.scandir"])"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    listings, files, scans = map(int, done.stdout.split())
    assert (listings, files) == (30, 30)
    # The study, and its plans; Python 3.13 looks twice for each pattern of a plan's name.
    assert scans <= (4 if sys.version_info >= (3, 13) else 2)
