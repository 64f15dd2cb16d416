"""What runs on a server uses actions by their commit, may only read, and does what `make` does here."""

import re
from typing import Any

import pytest
import yaml
from baking import PROJECT, TEMPLATE

STUDY = TEMPLATE / PROJECT
WORKFLOWS = [TEMPLATE / ".github/workflows/test.yml", STUDY / ".github/workflows/tests.yml"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=["template", "project"])
def test_a_workflow_may_only_read_and_its_actions_cannot_change(file: Any) -> None:
    text = file.read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert len(used) >= 2
    assert [one for one in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert "permissions" not in job
        assert job["steps"][0]["with"] == {"persist-credentials": False}
    kept_new = yaml.safe_load((file.parents[1] / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    assert [one["package-ecosystem"] for one in kept_new] == ["github-actions", "pip"]


def test_the_next_hydra_may_fail() -> None:
    jobs = yaml.safe_load(WORKFLOWS[0].read_text(encoding="utf-8"))["jobs"]
    assert {name: job.get("continue-on-error", False) for name, job in jobs.items()} == {
        "test": False,
        "next-hydra": True,
    }


def test_github_and_gitlab_run_the_same() -> None:
    job = yaml.safe_load(WORKFLOWS[1].read_text(encoding="utf-8"))["jobs"]["tests"]
    pipeline = yaml.safe_load((STUDY / ".gitlab-ci.yml").read_text(encoding="utf-8"))["tests"]
    assert [step["run"] for step in job["steps"] if "run" in step] == pipeline["script"]
    assert pipeline["parallel"]["matrix"] == [{"PYTHON": job["strategy"]["matrix"]["python"]}]
    targets = re.findall(r"^\.PHONY: (.*)$", (STUDY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[0].split()
    assert {"lint", "test"} <= set(targets)
