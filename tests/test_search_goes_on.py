"""A search as a user starts it: killed, started twice, given a larger budget; what it leaves behind."""

import json
import re
from collections import Counter
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from faults import Project
from outcomes import state

pytest_plugins = ["fault_fixtures"]
SPACE = ("model=linear,net2", "optimizer.lr=tag(log,interval(0.0001,0.1))")
SEARCH = (
    *("+sweeper=search", *SPACE, "study=search", "data=synthetic", "data.examples=200", "training.epochs=3"),
    *("system.device=cpu", "+launcher=joblib", "hydra.launcher.n_jobs=2"),
)


def trials(runs_dir: Path) -> list[dict[str, Any]]:
    (path,) = (runs_dir / "search" / ".sweeps").glob("search-*.json")
    return json.loads(path.read_bytes())["members"]


def launches(runs_dir: Path) -> dict[str, int]:
    return {path.parent.name: len(json.loads(path.read_bytes())) for path in runs_dir.glob("search/*/provenance.json")}


def became(run: Path) -> str:
    return "finished" if (run / "run.json").exists() else state(run)["status"]


@pytest.mark.skipif("sys.platform == 'win32'", reason="kills processes")
def test_a_search_goes_on_after_a_kill_and_is_shared(project: Project, tmp_path: Path) -> None:
    words = (*SEARCH, f"system.runs_dir={tmp_path}", "hydra.sweeper.search.trials=9")
    with project.start(*words) as killed:
        killed.wait_until(lambda: len(list(tmp_path.glob("search/*/run.json"))) >= 2)
        killed.send(SIGKILL)
    before = [trial["name"] for trial in trials(tmp_path)]
    with project.start(*words) as one, project.start(*words) as other:
        both = [one.ended(), other.ended()]
    assert [(ended.status, ended.err) for ended in both] == [(0, "")] * 2, both
    names = [trial["name"] for trial in trials(tmp_path)]
    assert names[: len(before)] == before
    assert len(set(names)) == len(names) == 9
    there = {name: became(tmp_path / "search" / name) for name in names}
    assert set(there.values()) <= {"finished", "pruned"}
    done = launches(tmp_path)
    assert set(done) == set(names)
    assert max(done.values()) <= 2  # only what the kill has met began again

    again = project.run(*words)
    counts = ", ".join(f"{n} {status}" for status, n in Counter(there.values()).items())
    assert f"\n9 trials: {counts}\n" in f"\n{again.out}"
    assert launches(tmp_path) == done
    more = project.run(*words[:-1], "hydra.sweeper.search.trials=10")
    assert (more.status, len(trials(tmp_path))) == (0, 10), more
    assert "\n10 trials: " in f"\n{more.out}"

    best = re.findall(r"^best: validation/accuracy (\S+): (.*)$", more.out, re.MULTILINE)
    values = [json.loads(path.read_bytes())["best"]["metrics"] for path in tmp_path.glob("search/*/run.json")]
    assert [value for value, _ in best] == [f"{max(row['validation/accuracy'] for row in values):.4f}"]
    file = project.root / "config" / "experiment" / "best_of_search.yaml"
    assert "The best of 10 trials, chosen for validation/accuracy " in file.read_text(encoding="utf-8")
    fresh = project.run("+experiment=best_of_search", "+launcher=joblib")
    assert (fresh.status, fresh.err) == (0, ""), fresh
    chosen = [json.loads(path.read_bytes())["config"] for path in tmp_path.glob("best_of_search/*/run.json")]
    assert sorted(config["seed"] for config in chosen) == [1, 2, 3, 4, 5]
    settings = {f"model={config['model']['name']} optimizer.lr={config['optimizer']['lr']}" for config in chosen}
    assert settings == {settings for _, settings in best}

    file.write_text("study: mine\n", encoding="utf-8")
    kept = project.run(*words[:-1], "hydra.sweeper.search.trials=10")
    assert kept.out.rstrip().endswith("was not written by a search, and stays as it is; rename it to get another")
    assert file.read_text(encoding="utf-8") == "study: mine\n"

    report = project.run("study=search", f"runs_dir={tmp_path}", f"reports_dir={tmp_path / 'reports'}", script="report")
    assert (report.status, report.err) == (0, "")
    assert "warning: a search chose these settings in 10 trials (" in report.out
    assert (tmp_path / "reports" / "search" / "figures" / "search_history.pdf").stat().st_size > 5000
    status = project.run("study=search", f"runs_dir={tmp_path}", script="status")
    assert status.out.count(" pruned ") == list(there.values()).count("pruned") + ("pruned" in more.out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("optimizer.lr=0.1",), "hydra.sweeper.search: has nothing to search; "),
        (("seed=0,1",), "seed: a search over seeds finds luck; "),
        ((*SPACE, "restart=true"), "restart: a search goes on from its trials; "),
        ((*SPACE, "hydra.sweeper.search.sampler=bayes"), 'hydra.sweeper.search.sampler: "bayes" is not one of tpe, '),
        (("--multirun", *SPACE, "hydra.sweeper.search.trial=5"), "hydra.sweeper.search"),
        ((*SPACE, "hydra.sweeper.combinations=[{seed: 1}]"), "hydra.sweeper.combinations: a search takes its values "),
        ((*SPACE, "training.epoch=1"), "model=linear optimizer.lr=0.0001: training.epoch: nothing reads this key; "),
        ((*SPACE, "debug=overfit"), "debug: takes one run; leave out --multirun"),
        ((*SPACE, "+launcher=slurm"), "hydra.launcher.wait: a search chooses a trial when others have ended; "),
    ],
)
def test_a_search_that_cannot_be_is_said(words: tuple[str, ...], said: str, project: Project, tmp_path: Path) -> None:
    ended = project.run("+sweeper=search", *words, f"system.runs_dir={tmp_path}")
    assert ended.sentence.startswith(said)
    assert not list(tmp_path.iterdir())


def test_a_trial_that_is_refused_takes_no_other_with_it(project: Project, tmp_path: Path) -> None:
    words = ("+sweeper=search", "hydra.sweeper.search.sampler=grid", "training.clip_norm=1.0,-1.0,2.0", *SEARCH[3:])
    ended = project.run(*words, f"system.runs_dir={tmp_path}")
    assert ended.status == 1
    assert "\n3 trials: 2 finished, 1 refused\n" in ended.out
    refused = "  refused: training.clip_norm=-1.0: training.clip_norm: must be a number above 0, not -1.0"
    assert ended.err.splitlines() == ["error: 1 of 3 trials did not finish:", refused]
    assert project.run(*words, f"system.runs_dir={tmp_path}").status == 0  # they are known, and nothing is left to do


def test_without_optuna_a_search_says_how_to_install_it(project: Project, tmp_path: Path) -> None:
    (tmp_path / "optuna.py").write_text("raise ImportError")
    ended = project.run("+sweeper=search", *SPACE, f"system.runs_dir={tmp_path / 'runs'}", PYTHONPATH=str(tmp_path))
    assert ended.sentence == "hydra.sweeper.search: needs Optuna; run pip install -r env_setup/requirements-search.txt"
    assert not (tmp_path / "runs").exists()
