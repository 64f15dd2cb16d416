"""What may import what: the student's modules stand on labkit, and labkit stands on nothing of theirs."""

import ast
import functools
from pathlib import Path

import pytest
from small_runs import ROOT


@functools.cache
def imports(path: Path, anywhere: bool = True) -> set[str]:
    """The full names of what a file imports, at its top or anywhere in it."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if anywhere else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            beginning = path.relative_to(ROOT).parts[: -node.level] if node.level else ()  # of a relative import
            module = ".".join([*beginning, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def importers(folder: str, *wanted: str, anywhere: bool = True) -> list[str]:
    """The files below a folder that import one of the wanted packages."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        if any(f"{name}.".startswith(f"{want}.") for name in imports(path, anywhere) for want in wanted):
            found.append(path.relative_to(ROOT).as_posix())
    return found


NEVER = {
    "labkit": ("modules", "config", "runs"),  # the machine: a newer one can take its place
    "labkit/runs": ("labkit.launching", "labkit.reporting"),
    "labkit/reporting": ("torch", "hydra", "labkit.launching"),
    "modules": ("runs", "hydra"),
    "modules/models": ("labkit", "omegaconf", "modules.data", "modules.training"),  # they go into any project
    "modules/figures": ("torch", "modules.loading", "modules.training"),  # at their top: most reports need no torch
}


@pytest.mark.parametrize("folder", NEVER)
def test_imports_go_one_way(folder: str) -> None:
    assert list((ROOT / folder).rglob("*.py"))
    assert importers(folder, *NEVER[folder], anywhere=folder != "modules/figures") == []


def test_only_launching_and_the_plugins_know_hydra() -> None:
    assert {name.rpartition("/")[0] for name in importers("labkit", "hydra")} == {"labkit/launching"}
