"""Runs in several places are one study: each run counts once, and what differs is said."""

import shutil
from pathlib import Path

import pytest
from labkit.runs.places import read_places
from labkit.runs.study import Study, find_studies
from run_folders import add_plan, add_run, add_unfinished, change_record


@pytest.fixture
def laptop(tmp_path: Path) -> Path:
    return tmp_path / "laptop" / "depth"


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    return tmp_path / "cluster" / "depth"


def read(*studies: Path) -> Study:
    places = find_studies([str(study.parent) for study in studies], "depth")
    return read_places(places["depth"])


def test_a_run_in_two_places_counts_once(laptop: Path, cluster: Path) -> None:
    run = add_run(laptop, "net2", 0)
    shutil.copytree(run, cluster / run.name)
    add_run(cluster, "net2", 1)
    study = read(laptop, cluster)
    assert study.counts() == {"finished": 2}
    assert [run.study for run in study.runs] == [laptop, cluster]
    assert study.warnings == []


def test_the_copy_that_says_most_counts(laptop: Path, cluster: Path) -> None:
    done = add_run(laptop, "net2", 0)
    begun = add_unfinished(cluster, "interrupted", "net2", 0)
    shutil.move(begun, cluster / done.name)
    further = add_unfinished(laptop, "failed", "net5", 0, step=36)
    shutil.copytree(further, cluster / further.name)
    shutil.rmtree(further)
    add_plan(laptop, {"name": further.name})
    study = read(cluster, laptop)
    assert {run.name: (run.status, run.study) for run in study.runs} == {
        done.name: ("finished", laptop),
        further.name: ("failed", cluster),
    }


def test_other_results_of_the_same_run_are_named_and_the_first_place_counts(laptop: Path, cluster: Path) -> None:
    run = add_run(laptop, "net2", 0, 0.9)
    shutil.copytree(run, cluster / run.name)
    change_record(cluster / run.name, best={"step": 72, "epoch": 4, "metrics": {"validation/accuracy": 0.8}})
    study = read(laptop, cluster)
    assert study.warnings == [f"{run.name} has other results in each place; those in {laptop} count"]
    assert study.runs[0].record["best"]["metrics"]["validation/accuracy"] == 0.9


def test_the_same_run_under_another_name_is_a_duplicate(laptop: Path, cluster: Path) -> None:
    run = add_run(laptop, "net2", 0)
    shutil.copytree(run, cluster / "copy of it")
    assert sorted(run.status for run in read(laptop, cluster).runs) == ["duplicate", "finished"]


def test_a_study_may_be_in_one_of_the_places_only(laptop: Path, cluster: Path) -> None:
    add_run(laptop, "net2", 0)
    add_run(cluster.with_name("width"), "net2", 0)
    places = [str(study.parent) for study in (laptop, cluster)]
    assert {name: len(folders) for name, folders in find_studies(places, None).items()} == {"depth": 1, "width": 1}
    assert list(find_studies(places, "width")) == ["width"]
    with pytest.raises(ValueError, match=r"study: no study 'wdith' in .*laptop, .*cluster; .*"):
        find_studies(places, "wdith")


def test_a_place_that_is_not_there_is_named(laptop: Path, tmp_path: Path) -> None:
    add_run(laptop, "net2", 0)
    with pytest.raises(ValueError, match=r"more_runs_dirs: .*from_cluster holds no study"):
        find_studies([str(laptop.parent), str(tmp_path / "from_cluster")], None)
