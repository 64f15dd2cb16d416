"""Sweeps on a real Slurm: submitted as one array and frozen, with the results of a sweep that was made without it; what
fails looks failed, and the same command submits what is missing."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import Any

import pytest
from baking import commit, succeed
from faults import Ended, plant_faulty_model
from outcomes import differences
from slurm_cluster import CPU1, GPU1, GPU2, Cluster
from slurm_project import HELD, SMALL_JOB, TINY, SlurmProject, job_log, planted, result, runs, submitted, variables

pytest_plugins = ["slurm_fixtures"]
pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="the cluster of the tests needs Linux")
CODE_AND_COMMIT = """
import json
from labkit.runs import provenance
print(json.dumps({"code_id": provenance.code_id()} | provenance.git_state()))
"""
SIX = ("model=net2,net5", "seed=0,1,2")  # as in the project's README
# A cluster that ends the jobs that take more memory than they asked for; it looks every second.
STRICT = """JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill"""
FOUR = (*TINY, *SMALL_JOB, "model=faulty", "model.how=raises,killed,segfaults,works")
APPTAINER = """#!/bin/sh
echo "$*" >> {log}
while [ "$1" != python ]; do shift; done
shift
exec env $HIDE {python} "$@"
"""


@pytest.fixture(scope="module")
def project(slurm_project: SlurmProject) -> SlurmProject:
    """With a model that fails as `model.how` says."""
    plant_faulty_model(slurm_project.root, "too hot to handle")
    return slurm_project


@pytest.fixture(scope="module")
def swept(project: SlurmProject, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Ended, str, Path]]:
    """Sweeps whose jobs have ended: what was printed, the job, and the runs."""
    kinds = {
        "cpu": ("+launcher=slurm", *SIX),
        "gpu": ("+launcher=slurmgpu", "seed=0,1", "system.device=cpu"),
        "h100": ("+launcher=slurmgpu", *TINY, "hydra.launcher.gpus_per_node=h100:1"),
        "a100": ("+launcher=slurmgpu", *TINY, "hydra.launcher.gpus_per_node=a100:2", "system.threads=null"),
    }
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in kinds} | {"cpu": project.root / "data" / "runs"}
    ended = {kind: project.sweep(folders[kind], *words) for kind, words in kinds.items() if kind != "cpu"}
    ended["cpu"] = project.run("--multirun", *kinds["cpu"])  # as it is written there
    jobs = {kind: submitted(ended[kind]) for kind in kinds}
    project.cluster.wait_ended(jobs.values())
    return {kind: (ended[kind], jobs[kind], folders[kind]) for kind in kinds}


@pytest.fixture(scope="module")
def failed(project: SlurmProject, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The array and the runs of a sweep of which only the last of four members finished."""
    runs_dir = tmp_path_factory.mktemp("failed")
    job = project.submit(runs_dir, *FOUR)
    project.cluster.wait_ended(job)
    return job, runs_dir


def tree(folder: Path) -> dict[Path, int]:
    """When each file was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def visible(runs_dir: Path) -> list[str]:
    """The GPUs of each run."""
    return [variables(folder)[-1].get("CUDA_VISIBLE_DEVICES", "") for folder in runs(runs_dir).values()]


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_a_sweep_on_slurm_equals_one_without_it(
    kind: str,
    swept: dict[str, tuple[Ended, str, Path]],
    project: SlurmProject,
    without_slurm: Callable[..., dict[str, Path]],
) -> None:
    ended, job, runs_dir = swept[kind]
    assert (ended.status, ended.err) == (0, "")
    n = {"cpu": 6, "gpu": 2}[kind]
    assert project.cluster.wait_ended(job) == {f"{job}_{number}": "COMPLETED" for number in range(n)}
    first, array, watch, logs, cancel = ended.out.splitlines()
    assert first == f"{n} members: 0 finished already, 0 refused, {n} to run"
    assert array == f"submitted: job {job}, an array of {n} jobs, at most 100 at a time"
    assert watch == "  watch:   python runs/status.py study=default watch=true"
    assert cancel == f"  cancel:  scancel {job}"
    pattern = logs.removeprefix("  logs:    ").partition(",")[0]
    assert len(list(project.root.glob(pattern))) == n
    assert not fnmatch(f"{job}1_0_log.out", Path(pattern).name)  # those of another job
    alone = without_slurm(*SIX)
    assert runs(runs_dir).keys() <= alone.keys()
    assert [differences(folder, alone[name]) for name, folder in runs(runs_dir).items()] == [[]] * n


def test_jobs_get_the_gpus_and_threads_that_they_asked_for(
    swept: dict[str, tuple[Ended, str, Path]], project: SlurmProject
) -> None:
    gpus = {kind: visible(runs_dir) for kind, (_, _, runs_dir) in swept.items()}
    assert gpus["cpu"] == [""] * 6
    assert set(gpus["gpu"]) <= {"0", "1"}
    assert gpus["h100"] in (["0"], ["1"])
    assert gpus["a100"] == ["0,1"]
    (on_two,) = runs(swept["a100"][2]).values()
    assert (variables(on_two)[0]["OMP_NUM_THREADS"], result(on_two)["launches"][0]["threads"]) == ("2", 2)
    assert project.cluster.show(swept["h100"][1])["NodeList"] == GPU2
    assert project.cluster.show(swept["a100"][1])["NodeList"] == GPU1


def test_the_same_command_submits_only_what_is_missing(project: SlurmProject, tmp_path: Path) -> None:
    words = ("+launcher=slurm", "seed=0,1", *TINY, *SMALL_JOB)
    first = submitted(project.sweep(tmp_path, *words, HELD))
    known = project.cluster.jobs()
    assert {known[f"{first}_{n}"] for n in range(2)} == {"PENDING"}  # it did not wait for them
    queued = project.sweep(tmp_path, *words)
    assert (queued.status, queued.err) == (0, "")
    assert "2 of them are in Slurm's queue already" in queued.out
    assert project.cluster.jobs() == known
    project.cluster.command("scontrol", "release", first)
    project.cluster.wait_ended(first)
    before = tree(tmp_path)
    done = project.sweep(tmp_path, *words)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "2 members: 2 finished already, 0 refused, 0 to run",
        "all 2 members are finished",
    ]
    assert project.cluster.jobs().keys() == known.keys()
    *_, lost = runs(tmp_path).values()
    shutil.rmtree(lost)
    third = project.sweep(tmp_path, *words)
    assert "2 members: 1 finished already, 0 refused, 1 to run" in third.out
    assert f"submitted: job {submitted(third)}, one job\n" in third.out
    assert project.cluster.wait_ended(submitted(third)) == {submitted(third): "COMPLETED"}
    assert {path for path in runs(tmp_path).values() if tree(path).items() - before.items()} == {lost}


READS = """from pathlib import Path

SCALE = float(Path(__file__).with_name("scale.txt").read_text())
"""


def test_what_is_edited_while_jobs_wait_changes_nothing_for_them(
    project: SlurmProject, bake: Callable[..., Path], tmp_path: Path, without_slurm: Callable[..., dict[str, Path]]
) -> None:
    root = bake()
    commit(root, "everything")
    (root / "modules" / "mine.py").write_text("# not in git yet\n")
    (root / "mylib").mkdir()  # a package of one's own, and a file that it reads
    (root / "mylib" / "scale.txt").write_text("1.0")
    (root / "mylib" / "__init__.py").write_text(READS)
    network = root / "modules" / "models" / "networks.py"
    network.write_text(f"{network.read_text()}\n\nfrom mylib import SCALE\n\nassert SCALE == 1.0\n")
    (tmp_path / "processes").mkdir()
    frozen = SlurmProject(root, tmp_path / "processes", project.cluster)
    runs_dir = tmp_path / "runs"
    jobs = [frozen.submit(runs_dir, f"study={study}", *TINY, *SMALL_JOB, HELD) for study in ("default", "other")]
    (code,) = (runs_dir / ".code").iterdir()  # one for both
    assert sum(path.stat().st_size for path in code.rglob("*")) < 1_500_000
    said = json.loads(succeed("python", "-c", CODE_AND_COMMIT, cwd=root))
    assert code.name == said["code_id"]

    edited = root / "modules" / "tasks" / "classification.py"
    edited.write_text("this is no Python\n" + edited.read_text())
    network.write_text(network.read_text().replace("nn.ReLU()", "nn.Tanh()"))
    (root / "mylib" / "scale.txt").write_text("2.0")
    for name in ("modules/mine.py", "config/training/default.yaml", "config/optimizer/adamw.yaml"):
        (root / name).write_text("lr: 7\n")
    commit(root, "a mistake")
    project.cluster.command("scontrol", "release", *jobs)
    assert set(project.cluster.wait_ended(jobs).values()) == {"COMPLETED"}
    ((name, alone),) = without_slurm(*TINY).items()
    for study in ("default", "other"):
        folder = runs(runs_dir, study)[name]
        assert differences(folder, alone) == []
        (launch,) = result(folder)["launches"]
        assert launch["code_id"] == said["code_id"]
        assert (launch["git"]["commit"], launch["git"]["dirty"]) == (said["commit"], True)
        assert "+# not in git yet" in (folder / launch["diff"]).read_text()


def test_a_failed_member_looks_failed_to_slurm(failed: tuple[str, Path], project: SlurmProject) -> None:
    job, _ = failed
    states = project.cluster.wait_ended(job)
    assert states == {f"{job}_0": "FAILED", f"{job}_1": "FAILED", f"{job}_2": "FAILED", f"{job}_3": "COMPLETED"}
    statuses = [project.cluster.show(f"{job}_{n}")["ExitCode"] for n in range(4)]
    assert [status == "0:0" for status in statuses] == [False, False, False, True], statuses
    if_failed = project.cluster.submit(f"--dependency=afternotok:{job}", "--output=/dev/null", "--wrap=true")
    if_fine = project.cluster.submit(f"--dependency=afterok:{job}", "--output=/dev/null", "--wrap=true")
    assert project.cluster.wait_ended(if_failed) == {if_failed: "COMPLETED"}
    assert project.cluster.show(if_fine)["Reason"] == "DependencyNeverSatisfied"
    project.cluster.command("scancel", if_fine)


def test_a_failed_member_looks_failed_in_status(failed: tuple[str, Path], project: SlurmProject) -> None:
    _, runs_dir = failed
    said = project.status(runs_dir, "study=default")
    found = {how(folder): line for line in said.splitlines() for name, folder in runs(runs_dir).items() if name in line}
    assert re.search(r" failed .*RuntimeError: too hot to handle", found["raises"]), said
    assert re.search(r" dead .*its process \d+ is gone", found["killed"]), said
    assert re.search(r" dead .*its process \d+ is gone", found["segfaults"]), said
    assert " finished " in found["works"]
    assert said.endswith("default: 1 of 4 finished, 2 dead, 1 failed\n")


def how(folder: Path) -> str:
    """model.how of a run."""
    return re.findall(r"^  how: (\w+)$", (folder / "config.yaml").read_text(), flags=re.MULTILINE)[0]


def test_the_same_command_submits_what_failed(failed: tuple[str, Path], project: SlurmProject) -> None:
    _, runs_dir = failed
    ended = project.sweep(runs_dir, "+launcher=slurm", *FOUR, HELD)
    assert (ended.status, ended.err) == (0, "")
    assert "4 members: 1 finished already, 0 refused, 3 to run" in ended.out
    again = submitted(ended)
    assert len([job for job in project.cluster.jobs() if job.startswith(f"{again}_")]) == 3
    said = project.status(runs_dir)
    project.cluster.command("scancel", again)
    assert said.count(f"job {again}_") == 3, said


@pytest.mark.parametrize("words", [(), ("restart=true",)], ids=["plain", "restart"])
def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    words: tuple[str, ...], failed: tuple[str, Path], project: SlurmProject
) -> None:
    _, runs_dir = failed
    before, known = tree(runs_dir), project.cluster.jobs().keys()
    ended = project.sweep(runs_dir, "+launcher=slurmgpu", *FOUR, "hydra.launcher.dry_run=true", *words)
    assert (ended.status, ended.err) == (0, "")
    n = 4 if words else 3
    assert f"would submit: an array of {n} jobs, at most 100 at a time" in ended.out
    (each,) = re.findall(r"^  each job: (.*)$", ended.out, flags=re.MULTILINE)
    assert {"gpus_per_node=1", "timeout_min=60", "cpus_per_task=1", "mem_gb=1"} <= set(each.split(", "))
    assert re.search(r"^  expected: about \S+ GPU-hours, from 1 run", ended.out, re.MULTILINE), ended.out
    done = "to do    " if words else "finished "
    assert re.search(r"^  to do +model\.how=raises +\(failed before, at step 0\)$", ended.out, re.MULTILINE), ended.out
    assert re.search(r"^  to do +model\.how=killed +\((dead|killed)", ended.out, re.MULTILINE), ended.out
    assert re.search(rf"^  {done} +model\.how=works", ended.out, re.MULTILINE), ended.out
    assert project.cluster.jobs().keys() == known
    assert tree(runs_dir) == before


MISTAKES = [
    ("hydra.launcher.partition=nope", r"hydra/launcher: sbatch refuses such a job: .*invalid partition.*"),
    (
        "hydra.launcher.mem_gb=500",
        r"hydra/launcher: sbatch refuses such a job: Memory specification can not be satisfied; see docs/cluster\.md",
    ),
    (
        "hydra.launcher.partitoin=main",
        r'hydra\.launcher\.partitoin: nothing reads this key; did you mean "hydra\.launcher\.partition"\?',
    ),
    (
        "hydra.launcher.mem_gb=4G",
        r"hydra\.launcher\.mem_gb: Value '4G' of type 'str' could not be converted to Integer; correct the value",
    ),
    ("+hydra.launcher.x=1", r"hydra\.launcher[.:].{,150}"),
]


@pytest.mark.parametrize(("mistake", "sentence"), MISTAKES)
def test_what_cannot_be_submitted_is_answered_in_a_sentence(
    mistake: str, sentence: str, project: SlurmProject, tmp_path: Path
) -> None:
    ended = project.sweep(tmp_path, "+launcher=slurm", *TINY, "study=refused", mistake)
    assert re.fullmatch(sentence, ended.sentence), ended.sentence
    assert "refused" not in project.cluster.command("squeue", "--noheader", "--format=%j")
    assert list(tmp_path.iterdir()) == []


def test_a_restart_that_cannot_be_submitted_deletes_nothing(failed: tuple[str, Path], project: SlurmProject) -> None:
    _, runs_dir = failed
    before = {folder: tree(folder) for folder in runs(runs_dir).values()}
    ended = project.sweep(runs_dir, "+launcher=slurm", *FOUR, "restart=true", "hydra.launcher.partition=nope")
    assert ended.status == 1
    assert {folder: tree(folder) for folder in runs(runs_dir).values()} == before


def test_without_prepared_data_nothing_is_submitted(project: SlurmProject, tmp_path: Path) -> None:
    known = project.cluster.jobs()
    ended = project.sweep(tmp_path / "runs", "+launcher=slurm", "seed=0,1", f"system.datasets_dir={tmp_path}")
    assert ended.sentence.startswith(f"{tmp_path}/digits: is not prepared, ")
    assert ended.sentence.endswith("run python runs/prepare.py")
    assert project.cluster.jobs() == known
    assert list(tmp_path.iterdir()) == []


def test_waiting_shows_progress_and_ends_as_the_jobs_do(project: SlurmProject, tmp_path: Path) -> None:
    """With a report, which is made although a member failed."""
    words = (*TINY, *SMALL_JOB, "study=awaited", "hydra.launcher.wait=true")
    asked = ("model=faulty", "model.how=raises,works", "hydra.launcher.report=true")
    ended = project.sweep(tmp_path, "+launcher=slurm", *words, *asked)
    assert ended.status == 1
    assert re.search(r"^\[1/2, [01] failed, .* left\] model.how=(raises|works): ", ended.out, re.MULTILINE), ended
    assert re.search(r"^\[2/2, 1 failed, .* left\] model.how=(raises|works): ", ended.out, re.MULTILINE), ended
    first, row, log = ended.err.splitlines()
    assert first == "error: 1 of 2 members did not finish:"
    assert re.match(r"  failed  model.how=raises  RuntimeError: too hot to handle", row)
    assert log.strip().endswith("train.log")
    (report,) = re.findall(r"^  report:  job (\d+), after them$", ended.out, flags=re.MULTILINE)
    assert project.cluster.wait_ended(report) == {report: "COMPLETED"}, job_log(tmp_path, report)
    assert (project.root / "data" / "reports" / "awaited" / "report.pdf").exists()

    fine = project.sweep(tmp_path, "+launcher=slurm", *words, "model=faulty", "model.how=works", "seed=1")
    assert (fine.status, fine.err) == (0, "")
    assert "all 1 members are finished" in fine.out
    shutil.rmtree(project.root / "data" / "reports" / "awaited")
    reported = project.sweep(
        tmp_path, "+launcher=slurm", *words, "model=faulty", "model.how=works", "hydra.launcher.report=true"
    )
    (report,) = re.findall(r"^  report:  job (\d+)$", reported.out, flags=re.MULTILINE)
    assert project.cluster.wait_ended(report) == {report: "COMPLETED"}, job_log(tmp_path, report)
    assert (project.root / "data" / "reports" / "awaited" / "report.pdf").exists()


def test_jobs_are_known_while_a_sweep_waits_and_ctrl_c_leaves_them_alone(project: SlurmProject, tmp_path: Path) -> None:
    sweep_words = ("seed=0,1", "+launcher=slurm", *TINY, *SMALL_JOB, "study=waits")
    words = (*sweep_words, "hydra.launcher.wait=true", HELD, f"system.runs_dir={tmp_path}")
    with project.start("--multirun", *words) as sweep:
        sweep.wait_for("cancel:")
        known = project.cluster.jobs()
        again = project.sweep(tmp_path, *sweep_words)  # in a second terminal
        sweep.send(SIGINT, everywhere=True)
        ended = sweep.ended()
    assert (again.status, again.err) == (0, "")
    assert "2 of them are in Slurm's queue already" in again.out
    assert (ended.status, ended.err) == (130, "")
    (job,) = re.findall(r"^the jobs go on; to end them: scancel (\d+)$", ended.out, flags=re.MULTILINE)
    states = project.cluster.jobs()
    project.cluster.command("scancel", job)
    assert states == known
    assert [states[f"{job}_{n}"] for n in range(2)] == ["PENDING"] * 2
    assert project.cluster.show(f"{job}_0")["JobName"] == "waits"
    said = project.status(tmp_path, "study=waits")
    assert len(re.findall(rf" cancelled +job {job}_[01] ended, and left no log", said)) == 2, said


def test_a_job_that_takes_too_much_memory_is_out_of_memory(
    project: SlurmProject, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Cluster(tmp_path, more=STRICT) as strict:
        mine = SlurmProject(project.root, tmp_path_factory.mktemp("processes"), strict)
        job = mine.submit(tmp_path, *TINY, *SMALL_JOB, "model=faulty", "model.how=hungry")
        strict.wait_ended(job)
        said = mine.status(tmp_path)
    asks = r"step 0 of 14: job \d+: Exceeded job memory limit; ask for more hydra\.launcher\.mem_gb; see "
    assert re.search(rf" out of memory +{asks}", said), said + job_log(tmp_path, job)


def test_runs_share_a_job_and_its_gpus(project: SlurmProject, tmp_path: Path) -> None:
    """A GPU each where there are two, and one that fails takes nobody with it."""
    packed = (*TINY, "hydra.launcher.runs_per_job=2", "hydra.launcher.mem_gb=2")
    two = ("hydra.launcher.gpus_per_node=a100:2", "model=faulty", "model.how=raises,works", "study=two")
    jobs = {
        "one": project.submit(tmp_path, *packed, "seed=0,1", "study=one", launcher="slurmgpu"),
        "two": project.submit(tmp_path, *packed, *two, launcher="slurmgpu"),
    }
    states = project.cluster.wait_ended(jobs.values())
    assert states == {jobs["one"]: "COMPLETED", jobs["two"]: "FAILED"}
    each = {
        study: [variables(folder)[0]["CUDA_VISIBLE_DEVICES"] for folder in runs(tmp_path, study).values()]
        for study in jobs
    }
    assert each["one"] in (["0"] * 2, ["1"] * 2)
    assert sorted(each["two"]) == ["0", "1"]
    finished = {how(folder): (folder / "run.json").exists() for folder in runs(tmp_path, "two").values()}
    assert finished == {"raises": False, "works": True}


def test_data_is_staged_once_per_node(project: SlurmProject, tmp_path: Path) -> None:
    """Where a cluster refuses --mem as well."""
    runs_dir, scratch = tmp_path / "runs", tmp_path / "scratch"
    scratch.mkdir()
    place = (f"+hydra.launcher.nodelist={CPU1}", "hydra.launcher.mem_gb=null")
    words = ("seed=0,1", "training.epochs=1", "hydra.launcher.cpus_per_task=1", *place)
    job = project.submit(runs_dir, *words, "hydra.launcher.scratch=$PLACE", PLACE=str(scratch))
    absent = project.submit(runs_dir, *words, "study=absent", "hydra.launcher.scratch=$NOWHERE", "seed=0")
    states = project.cluster.wait_ended((job, absent))
    assert states == {f"{job}_0": "COMPLETED", f"{job}_1": "COMPLETED", absent: "FAILED"}
    assert len(list(scratch.glob("datasets-*/digits"))) == 1
    assert not list(scratch.rglob("*.part"))
    said = f"hydra.launcher.scratch: $NOWHERE is no folder on {CPU1}; see docs/cluster.md"
    assert f"error: {said}\n" in job_log(runs_dir, absent)
    assert said in project.status(runs_dir, "study=absent")


def test_a_module_that_is_missing_ends_the_job_and_status_says_it(project: SlurmProject, tmp_path: Path) -> None:
    words = ("study=one,two", "hydra.launcher.setup=[module load nope]")
    job = project.submit(tmp_path, *TINY, *SMALL_JOB, *words)
    assert project.cluster.wait_ended(job) == {f"{job}_0": "FAILED", f"{job}_1": "FAILED"}
    for number, study in enumerate(("one", "two")):
        said = project.status(tmp_path, f"study={study}")
        log = rf"{job}_{number}_0_log\.out"
        assert re.search(rf" failed +job {job}_{number}: .*module: .*not found; see .*{log}\n", said), said
        assert not runs(tmp_path, study)


def test_a_container_is_what_python_runs_in(project: SlurmProject, tmp_path: Path) -> None:
    tools, log, runs_dir, image = (tmp_path / name for name in ("bin", "log", "runs", "mine.sif"))
    image.touch()
    tools.mkdir()
    (tools / "apptainer").write_text(APPTAINER.format(log=log, python=sys.executable))
    (tools / "apptainer").chmod(0o755)
    path = f"{tools}:{project.cluster.environment['PATH']}"
    words = (*TINY, *SMALL_JOB, f"hydra.launcher.container={image}")
    job = project.submit(runs_dir, *words, launcher="slurmgpu", PATH=path)
    without = project.submit(
        runs_dir, *words, "study=other", launcher="slurmgpu", PATH=path, HIDE="-u CUDA_VISIBLE_DEVICES"
    )
    assert project.cluster.wait_ended((job, without)) == {job: "COMPLETED", without: "FAILED"}
    line, _ = sorted(log.read_text().splitlines())
    bound = [project.root, project.root / "data" / "datasets", runs_dir, runs_dir / ".slurm"]
    assert line.startswith(
        f"exec --nv --bind {','.join(sorted(map(str, bound)))} {image} python -u -m labkit.launching.slurm_job "
    )
    said = "hydra.launcher.gpus_per_node: 1 were asked for and 0 are there on 127.0.0.2"
    assert f"error: {said}" in job_log(runs_dir, without)
    assert said in project.status(runs_dir, "study=other")


def test_personal_defaults_yield_to_the_command_line(project: SlurmProject, tmp_path: Path) -> None:
    local = project.root / "config" / "local"
    local.mkdir()
    (local / "slurm.yaml").write_text("partition: low\nsetup: [echo mine]\n")
    (local / "slurmgpu.yaml").write_text("partition: abrupt\n")
    asked = {
        "low": ("+launcher=slurm",),
        "abrupt": ("+launcher=slurmgpu",),
        "main": ("+launcher=slurmgpu", "hydra.launcher.partition=main"),
    }
    try:
        for partition, words in asked.items():
            job = submitted(project.sweep(tmp_path, *words, *TINY, f"study={partition}", HELD))
            shown = project.cluster.show(job)
            project.cluster.command("scancel", job)
            assert shown["Partition"] == partition
            script = Path(shown["Command"])
            assert "echo mine" in script.read_text()
    finally:
        shutil.rmtree(local)


def test_evaluation_on_slurm_is_the_same_as_without(
    swept: dict[str, tuple[Ended, str, Path]],
    project: SlurmProject,
    without_slurm: Callable[..., dict[str, Path]],
) -> None:
    """Several runs in turn in each job."""
    _, _, runs_dir = swept["gpu"]
    words = ("study=default", "+launcher=slurm", "hydra.launcher.in_turn=4", "hydra.launcher.wait=true")
    ended = project.run(*words, "device=cpu", f"runs_dir={runs_dir}", script="evaluate")
    assert (ended.status, ended.err) == (0, "")
    first, array = ended.out.splitlines()
    assert first == "2 runs to evaluate"
    assert array.endswith(", one job of up to 4 runs")
    alone = without_slurm(*SIX)
    local = next(iter(alone.values())).parents[1]
    ended = project.run("+launcher=joblib", "device=cpu", f"runs_dir={local}", script="evaluate")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("6 runs to evaluate\n")
    for name, folder in runs(runs_dir).items():
        assert (folder / "test.json").read_bytes() == (alone[name] / "test.json").read_bytes()


def test_the_other_command_of_the_projects_readme(
    swept: dict[str, tuple[Ended, str, Path]], project: SlurmProject
) -> None:
    """The same runs, which need not be made again with GPUs."""
    ended = project.run("--multirun", *SIX, "+launcher=slurmgpu")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.endswith("all 6 members are finished\n")


def test_status_shows_where_each_member_is(project: SlurmProject, tmp_path: Path) -> None:
    words = (*TINY, *SMALL_JOB, "training.epochs=1,20", "hydra.launcher.n_jobs=1", "system.log_every_steps=5")
    (fault := tmp_path / "fault").mkdir()
    runs_dir = tmp_path / "runs"
    job = project.submit(runs_dir, *words, HELD, planted(fault, "hold", [("said", r"step 5/\d{3}", 1)]))
    queued = project.status(runs_dir, "study=default")
    assert queued.count(" queued ") == 2
    assert f"job {job}_0 is pending" in queued
    assert f"job {job}_1 is pending" in queued
    watched = ("study=default", "watch=true", f"runs_dir={runs_dir}")
    with project.start(*watched, script="status") as watch:
        watch.wait_for("default: 0 of 2 finished, 2 queued")
        project.cluster.command("scontrol", "release", job)
        watch.wait_for("1 running")
        project.cluster.wait((fault / "held").exists)
        running = project.status(runs_dir, "study=default")
        (fault / "go").touch()
        project.cluster.wait_ended(job)
        ended = watch.ended()
    assert re.search(rf" running .*\(job {job}_[01]\)", running), running
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[-1].endswith("default: 2 of 2 finished")


def trials(runs_dir: Path) -> list[dict[str, Any]]:
    (path,) = runs_dir.glob("searched/.sweeps/search-*.json")
    return json.loads(path.read_bytes())["members"]


def test_a_search_chooses_its_trials_while_jobs_run(project: SlurmProject, tmp_path: Path) -> None:
    """Two at a time; one that is killed in between goes on with the jobs that are there."""
    space = ("+sweeper=search", "hydra.sweeper.search.trials=4", "optimizer.lr=interval(0.001,0.1)", "study=searched")
    words = ("+launcher=slurm", *space, *TINY, *SMALL_JOB, "hydra.launcher.n_jobs=2", "hydra.launcher.wait=true")
    with project.start(*words, HELD, f"system.runs_dir={tmp_path}") as killed:
        killed.wait_for("submitted: ")
        killed.send(SIGKILL)
    (job,) = [trial["job"] for trial in trials(tmp_path)]
    project.cluster.command("scontrol", "release", job)
    ended = project.run(*words, f"system.runs_dir={tmp_path}")
    assert (ended.status, ended.err) == (0, ""), ended
    assert "\n4 trials: 4 finished\n" in ended.out
    jobs = [trial["job"] for trial in trials(tmp_path)]
    assert jobs[0] == job
    assert len({*jobs}) == 4
    assert {project.cluster.show(each)["JobName"] for each in jobs} == {"searched"}
