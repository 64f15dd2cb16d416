"""uv reads pyproject.toml, pip and conda read env_setup/requirements*.txt: both list the same."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def listed(name: str) -> list[str]:
    lines = (ROOT / "env_setup" / name).read_text(encoding="utf-8").splitlines()
    return sorted(line.split(" #")[0].strip() for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("torch", ["cpu", "cuda"])
def test_uv_installs_what_pip_installs(torch: str) -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extra = told["project"]["optional-dependencies"][torch]
    assert sorted(told["project"]["dependencies"] + extra) == listed("requirements.txt")
    assert sorted(told["dependency-groups"]["dev"]) == listed("requirements-dev.txt")
