"""The fault table, F5, F6, F16, F19, F20, F21: a sweep whose members or launchers die, are stopped or are started twice
goes on with the same command, trains nothing twice, and says what did not finish."""

import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any

import pytest
from baking import Bake
from faults import Ended, Process, Project, assert_gone, lives, plant_faulty_model
from outcomes import differences, state

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="looks for processes in /proc")
SHORT = ("--multirun", "data=synthetic", "data.examples=200", "model=linear", "training.epochs=1")
# A member saves after every step, and where there is a brake it waits in its fourth.
LONG = (
    *("data.examples=2000", "training.epochs=5", "model=faulty", "model.how=waits"),
    "system.checkpoint_minutes=0",
)
TWO_AT_A_TIME = ("+launcher=joblib", "hydra.launcher.n_jobs=2")


@pytest.fixture(scope="module")
def project(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = bake()
    plant_faulty_model(root, "too hot\\nto handle")
    return Project(root, tmp_path_factory.mktemp("processes"))


def results(runs_dir: Path) -> list[dict[str, Any]]:
    """run.json of every run that has finished."""
    return [json.loads(path.read_bytes()) for path in runs_dir.glob("*/*/run.json")]


def running(runs_dir: Path) -> list[int]:
    """The processes that are training members, by what these say."""
    states = [path.parent for path in runs_dir.glob("*/*/checkpoints/last.pt")]
    found = [state(path.parent) for path in states]
    return [s["pid"] for s in found if s["status"] == "running" and lives(s["pid"])]


def everyone_in(session: int) -> list[int]:
    """The launcher and all processes that come from it."""
    stats = {path.parent.name: read(path) for path in Path("/proc").glob("[0-9]*/stat")}
    return [int(pid) for pid, stat in stats.items() if stat and int(stat.rpartition(")")[2].split()[3]) == session]


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def brake(runs_dir: Path) -> Path:
    return runs_dir / "brake"


@contextmanager
def start_two(project: Project, runs_dir: Path, *words: str, **environment: Any) -> Iterator[Process]:
    """A sweep on two cores, whose members wait until the brake is gone."""
    runs_dir.mkdir(exist_ok=True)
    brake(runs_dir).touch()
    command = (*SHORT, *LONG, *TWO_AT_A_TIME, f"system.runs_dir={runs_dir}", *words)
    with project.start(*command, BRAKE=str(brake(runs_dir)), **environment) as sweep:
        yield sweep


def wait_for_members(sweep: Process, runs_dir: Path, n: int) -> list[int]:
    sweep.wait_until(lambda: len(running(runs_dir)) >= n)
    return running(runs_dir)


def assert_finishes(project: Project, runs_dir: Path, n: int, *words: str) -> Ended:
    """The same command again ends with all of them finished, and without one that was trained twice."""
    ended = project.run(*SHORT, *LONG, *TWO_AT_A_TIME, f"system.runs_dir={runs_dir}", *words)
    assert (ended.status, ended.err) == (0, "")
    assert f"all {n} members are finished" in ended.out
    assert len(results(runs_dir)) == n
    return ended


def test_f19_members_that_raise_die_or_diverge_take_nobody_with_them(project: Project, tmp_path: Path) -> None:
    how = ["raises", "SIGSEGV", "SIGKILL", "exits", "diverges", "SIGTERM", "works"]
    words = (*SHORT, "model=faulty", f"model.how={','.join(how)}", "training.epochs=2", *TWO_AT_A_TIME)
    ended = project.run(*words, f"system.runs_dir={tmp_path}")
    assert ended.status == 1
    assert [r["config"]["model"]["how"] for r in results(tmp_path)] == ["works"]
    first, *table = ended.err.splitlines()
    assert first == "error: 6 of 7 members did not finish:"
    told = {line.split()[1].removeprefix("model.how="): line for line in table if "model.how=" in line}
    assert {name: line.split()[0] for name, line in told.items()} == {
        **dict.fromkeys(["SIGSEGV", "SIGKILL", "exits"], "killed"),
        **{"raises": "failed", "diverges": "diverged", "SIGTERM": "interrupted"},
    }
    assert re.search(r"RuntimeError: too hot to handle \(modules/models/faulty.py:\d+\)$", told["raises"])
    assert told["SIGSEGV"].endswith("was killed (SIGSEGV)")
    assert told["SIGKILL"].endswith("was killed (SIGKILL), as by a lack of memory; lower hydra.launcher.n_jobs")
    assert told["exits"].endswith("ended with status 3 without a word")
    assert "diverged" in told["diverges"] or "became nan" in told["diverges"]
    assert told["SIGTERM"].endswith("interrupted by SIGTERM; the same command resumes it")
    assert len({line.index(line.split(maxsplit=2)[2]) for line in told.values()}) == 1  # one column
    logs = [project.root / line.strip() for line in table if line.endswith("train.log")]
    assert len(logs) == 6
    assert "too hot" in logs[0].read_text(encoding="utf-8")
    starts = Counter(re.findall(r"model.how=(\w+): .* starts again", ended.out))
    assert starts == {"SIGSEGV": 2, "SIGKILL": 2, "exits": 2}

    again = project.run(*words, f"system.runs_dir={tmp_path}")
    assert "7 members: 1 finished already, 0 refused, 6 to run" in again.out
    assert re.search(r"diverged +model.how=diverges +.*restart=true", again.err)


def test_f20_a_killed_member_goes_on_from_its_checkpoint(project: Project, tmp_path: Path) -> None:
    with start_two(project, tmp_path, "seed=0,1,2") as sweep:
        member = wait_for_members(sweep, tmp_path, 1)[0]
        os.kill(member, SIGKILL)
        brake(tmp_path).unlink()
        ended = sweep.ended()
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.count("was killed (SIGKILL), as by a lack of memory") == 1
    assert sorted(len(result["launches"]) for result in results(tmp_path)) == [1, 1, 2]
    logs = [path.read_text(encoding="utf-8") for path in tmp_path.glob("*/*/train.log")]
    assert sum("resumed at step" in log for log in logs) == 1


@pytest.mark.parametrize("path", [(), ("data.in_memory=false", "system.loader_workers=2")], ids=["held", "fetched"])
def test_f20_a_killed_launcher_leaves_nobody_behind(path: tuple[str, ...], project: Project, tmp_path: Path) -> None:
    with start_two(project, tmp_path, "seed=0,1,2", *path) as sweep:
        wait_for_members(sweep, tmp_path, 2)
        session = everyone_in(sweep.pid)
        assert len(session) >= 4  # the launcher, two members, and what they were forked from
        sweep.send(SIGKILL)
        assert_gone(session)
    ended = assert_finishes(project, tmp_path, 3, "seed=0,1,2", *path)
    assert "3 members: 0 finished already, 0 refused, 3 to run" in ended.out
    assert sorted(len(result["launches"]) for result in results(tmp_path)) == [1, 2, 2]


@pytest.mark.parametrize(
    ("number", "everywhere", "status"),
    [(SIGTERM, False, 143), (SIGTERM, True, 143), (SIGINT, False, 130), (SIGINT, True, 130)],
    ids=["F5 SIGTERM", "F5 SIGTERM to everyone", "F6 Ctrl-C", "F6 Ctrl-C in a terminal"],
)
def test_f5_f6_an_interrupted_sweep_saves(
    number: Any, everywhere: bool, status: int, project: Project, tmp_path: Path
) -> None:
    """From a terminal and from some schedulers everyone gets the signal."""
    with start_two(project, tmp_path, "seed=0,1,2") as sweep:
        wait_for_members(sweep, tmp_path, 2)
        session = everyone_in(sweep.pid)
        sweep.send(number, everywhere)
        sweep.wait_for("interrupted: waiting for 2 members to save; Ctrl-C again leaves at once")
        brake(tmp_path).unlink()
        ended = sweep.ended()
        assert_gone(session)
    assert ended.status == status
    assert ended.err == ""
    assert "interrupted: 0 of 3 members are finished, 2 were interrupted, 1 not started" in ended.out
    folders = [path.parent for path in tmp_path.glob("*/*/state.json")]
    assert [state(folder)["status"] for folder in folders] == ["interrupted"] * 2
    steps = {str(folder): state(folder)["step"] for folder in folders}
    assert_finishes(project, tmp_path, 3, "seed=0,1,2")
    for folder in folders:
        assert f"resumed at step {steps[str(folder)]}/" in (folder / "train.log").read_text(encoding="utf-8")


def test_f6_a_second_ctrl_c_leaves_at_once(project: Project, tmp_path: Path) -> None:
    with start_two(project, tmp_path, "seed=0,1,2") as sweep:
        for member in wait_for_members(sweep, tmp_path, 2):
            os.kill(member, SIGSTOP)  # so that it cannot save
        session = everyone_in(sweep.pid)
        sweep.send(SIGINT, everywhere=True)
        sweep.wait_for("Ctrl-C again leaves at once")
        sweep.send(SIGINT, everywhere=True)
        ended = sweep.ended()
        assert (ended.status, ended.err) == (130, "")
        assert_gone(session)
    assert_finishes(project, tmp_path, 3, "seed=0,1,2")


def test_a_sweep_can_be_interrupted_before_its_first_member_runs(project: Project, tmp_path: Path) -> None:
    with start_two(project, tmp_path, "seed=0,1,2") as sweep:
        sweep.wait_for("3 to run")
        brake(tmp_path).unlink()
        time.sleep(0.5)  # members wait for torch now
        sweep.send(SIGINT, everywhere=True)
        ended = sweep.ended()
    assert (ended.status, ended.err) == (130, "")
    assert "the same command goes on" in ended.out


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_two_launches_of_a_sweep_share_the_work(n_jobs: int, project: Project, tmp_path: Path) -> None:
    rounds, n = 5, 4  # for each number of jobs
    for number in range(rounds):
        runs_dir = tmp_path / str(number)
        words = (*SHORT, "seed=range(4)", "training.epochs=3", f"system.runs_dir={runs_dir}", "+launcher=joblib")
        words = (*words, f"hydra.launcher.n_jobs={n_jobs}")
        with project.start(*words) as one, project.start(*words) as other:
            both = [one.ended(), other.ended()]
        for ended in both:
            assert (ended.status, ended.err) == (0, ""), both
            assert f"all {n} members are finished" in ended.out
        assert [len(result["launches"]) for result in results(runs_dir)] == [1] * n, both
        assert all("resumed" not in path.read_text() for path in runs_dir.glob("*/*/train.log"))


def test_f16_what_a_dead_launch_was_running_is_taken_over(project: Project, tmp_path: Path) -> None:
    with start_two(project, tmp_path, "seed=0,1") as one:
        wait_for_members(one, tmp_path, 2)
        with start_two(project, tmp_path, "seed=0,1") as other:
            other.wait_for("another process is running: seed=0; seed=1")
            one.send(SIGKILL)
            brake(tmp_path).unlink()
            ended = other.ended()
    assert (ended.status, ended.err) == (0, "")
    assert "all 2 members are finished" in ended.out
    assert [len(result["launches"]) for result in results(tmp_path)] == [2, 2]


def test_what_another_launch_finishes_is_said(project: Project, tmp_path: Path) -> None:
    with start_two(project, tmp_path, "seed=0,1") as one:
        wait_for_members(one, tmp_path, 2)
        with project.start(*SHORT, *LONG, "seed=0", f"system.runs_dir={tmp_path}") as other:
            other.wait_for("another process is running: ")
            brake(tmp_path).unlink()
            ended = other.ended()
        assert one.ended().status == 0
    assert (ended.status, ended.err) == (0, "")
    assert "finished by another process" in ended.out
    assert [len(result["launches"]) for result in results(tmp_path)] == [1, 1]


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["hydra.launcher.n_jobs=3"], {"5": 1, "GPU-7": 2}),
        (["hydra.launcher.n_jobs=2"], {"5": 1, "GPU-7": 1}),
        (["hydra.launcher.n_jobs=2", "system.device=cpu"], {"5": 1, "GPU-7": 1}),
    ],
)
def test_members_share_the_gpus_evenly(
    words: list[str], given: dict[str, int], project: Project, tmp_path: Path
) -> None:
    n = sum(given.values())
    with start_two(project, tmp_path, "seed=0,1,2,3", *words, CUDA_VISIBLE_DEVICES="5,GPU-7") as sweep:
        wait_for_members(sweep, tmp_path, n)
        launches = [json.loads(path.read_bytes()) for path in tmp_path.glob("*/*/provenance.json")]
    seen = Counter(launch[-1]["variables"]["CUDA_VISIBLE_DEVICES"] for launch in launches)
    assert sorted(seen.values()) == sorted(given.values())
    assert seen.keys() == given.keys()


def test_f23_a_setting_given_twice_is_one_run_and_other_code_is_never_silent(project: Project, tmp_path: Path) -> None:
    words = (*SHORT, "seed=0,1,1", f"system.runs_dir={tmp_path}")
    assert project.run(*words).out.startswith("2 members: 0 finished already, 0 refused, 2 to run\n")
    one, _ = tmp_path.glob("default/*/run.json")
    result = json.loads(one.read_bytes())
    result["launches"][-1]["code_id"] = "0" * 12
    one.write_text(json.dumps(result), encoding="utf-8")
    again = project.run(*words)
    assert (again.status, again.err) == (0, "")
    assert "2 members: 2 finished already, 0 refused, 0 to run" in again.out
    assert "warning: 1 finished with other code than there is now" in again.out


def test_a_disturbed_sweep_has_the_bits_of_an_undisturbed_one(project: Project, tmp_path: Path) -> None:
    left_alone, disturbed = tmp_path / "left_alone", tmp_path / "disturbed"
    assert_finishes(project, left_alone, 2, "seed=0,1")
    with start_two(project, disturbed, "seed=0,1") as sweep:
        os.kill(wait_for_members(sweep, disturbed, 1)[0], SIGKILL)
        wait_for_members(sweep, disturbed, 2)
        sweep.send(SIGTERM)
        sweep.wait_for("waiting for 2 members to save")
        brake(disturbed).unlink()
        assert sweep.ended().status == 143
    assert_finishes(project, disturbed, 2, "seed=0,1")
    for folder in left_alone.glob("default/*-*"):
        assert differences(folder, disturbed / "default" / folder.name) == []
