"""What may import what, and that no command waits for torch that starts no run; for sweeps see test_sweep.py."""

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import ROOT, run_command

ALLOWED = {  # which other packages of modules/ each one imports
    "data": {"utils"},
    "models": set(),
    "training": {"utils"},
    "utils": set(),
    "reporting": set(),
}
TOUCH_HYDRA = ("hydra_plugins", "labkit/launching/main.py")


@functools.cache
def imports(path: Path) -> set[str]:
    """The full names of the modules that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def sources() -> Iterator[tuple[str, Path]]:
    for folder in ("runs", "modules", "hydra_plugins"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path


@pytest.mark.parametrize(
    "package", sorted(path.name for path in (ROOT / "modules").iterdir() if any(path.glob("*.py")))
)
def test_packages_import_only_what_they_may(package: str) -> None:
    may = ALLOWED[package] | {package}
    for path in (ROOT / "modules" / package).rglob("*.py"):
        own = {name.split(".")[1] for name in imports(path) if name.startswith("modules.")}
        assert own <= may, path.name


def test_models_import_nothing_but_torch_and_the_standard_library() -> None:
    for path in (ROOT / "modules" / "models").rglob("*.py"):
        roots = {name.partition(".")[0] for name in imports(path)}
        assert roots - set(sys.stdlib_module_names) <= {"torch"}


def test_reporting_needs_no_torch() -> None:
    for path in (ROOT / "modules" / "reporting").rglob("*.py"):
        assert "torch" not in {name.partition(".")[0] for name in imports(path)}


def test_only_launching_and_the_plugins_touch_hydra() -> None:
    touching = {name for name, path in sources() if {n.partition(".")[0] for n in imports(path)} & {"hydra"}}
    assert "labkit/launching/main.py" in touching
    assert {name for name in touching if not name.startswith(TOUCH_HYDRA)} == set()


def test_nothing_in_modules_imports_an_entry_point() -> None:
    for name, path in sources():
        assert "runs" not in {n.partition(".")[0] for n in imports(path)}, name


@pytest.mark.parametrize(
    "words",
    [
        ("runs/train.py", "--help"),
        ("runs/train.py", "--cfg", "job"),
        ("runs/status.py",),
        ("runs/report.py", "--help"),
        ("runs/prepare.py", "--cfg", "job"),
        ("runs/evaluate.py", "study=nothing"),
        ("runs/train.py", "modle=net2"),
    ],
    ids=" ".join,
)
def test_a_command_that_starts_no_run_imports_no_torch(words: tuple[str, ...], tmp_path: Path) -> None:
    dirs = () if words[0] in ("runs/train.py", "runs/prepare.py") else (f"runs_dir={tmp_path}",)
    assert "torch" not in imported_by(*words, *dirs)


def imported_by(*words: str) -> set[str]:
    """The packages that this process imports, not those that it starts."""
    result = run_command("-X", "importtime", *words)
    names = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time:")}
    assert "hydra" in names
    return {name.partition(".")[0] for name in names}
