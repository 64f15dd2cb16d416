"""What may import what, and that no command waits for torch that starts no run; for sweeps see test_sweep.py."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from labkit.runs import files
from small_runs import ROOT, SMALL, run_command

FOLDERS = ("runs", "modules", "labkit", "hydra_plugins")
SHARED = ("labkit.config", "labkit.text", "labkit.values")
MAY_IMPORT = {  # what else of the project a folder may import; the longest name that fits a file counts
    "runs": ("modules", "labkit"),
    "modules": ("labkit",),
    "modules.models": ("modules.shapes",),
    "labkit": (),
    "labkit.runs": (*SHARED, "labkit.build", "labkit.distributed", "labkit.secrets"),
    "labkit.reporting": (*SHARED, "labkit.runs"),
    "labkit.evidence": (*SHARED, "labkit.runs"),
    "labkit.launching": ("labkit", "hydra_plugins"),
    "hydra_plugins": ("labkit",),
}
TOUCH_HYDRA = ("labkit.launching.", "hydra_plugins.")
FILE_NAMES = {value for name, value in vars(files).items() if name.isupper() and name != "LOCK"}
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def names_in(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """The full names of what is imported: modules, and what is taken out of them."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(SOURCES[name].read_text(encoding="utf-8"))


@functools.cache
def imports(name: str) -> set[str]:
    """What a module of the project imports, anywhere in it."""
    return set(names_in(ast.walk(tree_of(name))))


def roots(name: str) -> set[str]:
    return {imported.partition(".")[0] for imported in imports(name)}


def within(name: str, folders: tuple[str, ...]) -> bool:
    return any(name == folder or name.startswith(f"{folder}.") for folder in folders)


def test_modules_import_only_what_their_folder_may() -> None:
    wrong = {}
    for name in SOURCES:
        folder = max((folder for folder in MAY_IMPORT if within(name, (folder,))), key=len)
        own = {imported for imported in imports(name) if imported in SOURCES}
        wrong[name] = {imported for imported in own if not within(imported, (folder, *MAY_IMPORT[folder]))}
    assert {name: imported for name, imported in wrong.items() if imported} == {}


def test_models_import_nothing_but_torch_and_the_standard_library() -> None:
    models = [name for name in SOURCES if within(name, ("modules.models",))]
    assert {root for name in models for root in roots(name)} - set(sys.stdlib_module_names) <= {"torch", "modules"}


def test_reporting_needs_no_torch() -> None:
    assert [name for name in SOURCES if within(name, ("labkit.reporting",)) and "torch" in roots(name)] == []


def test_only_launching_and_the_plugins_touch_hydra() -> None:
    touching = [name for name in SOURCES if "hydra" in roots(name)]
    assert "labkit.launching.main" in touching
    assert [name for name in touching if not name.startswith(TOUCH_HYDRA)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Computed from the imports that run when a module is imported; a circle raises graphlib.CycleError."""
    graph = {name: needed_to_import(name) for name in SOURCES}
    assert set(TopologicalSorter(graph).static_order()) == set(SOURCES)
    assert graph["modules.train"] >= {"labkit.runs.folder", "modules.config"}


def needed_to_import(name: str) -> set[str]:
    """The modules of the project that are imported with this one, and the packages around them."""
    needed = set()
    for imported in names_in(at_import(tree_of(name))):
        parts = imported.split(".")
        needed |= {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    return {other for other in needed if other in SOURCES and not within(name, (other,))}


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The statements that run when a module is imported: not those of functions, nor those for a type checker."""
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        if not for_types and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from at_import(child)


def test_the_names_of_a_runs_files_stand_in_one_place() -> None:
    for name in SOURCES:
        if name != "labkit.runs.files":
            texts = [node.value for node in ast.walk(tree_of(name)) if isinstance(node, ast.Constant)]
            names = {text.rpartition("/")[2] for text in texts if isinstance(text, str)}
            assert names & FILE_NAMES == set(), name


@pytest.mark.parametrize(
    "words",
    [
        ("runs/train.py", "--help"),
        ("runs/train.py", "--cfg", "job"),
        ("runs/status.py",),
        ("runs/report.py", "--help"),
        ("runs/prepare.py", "--cfg", "job"),
        ("runs/evaluate.py", "study=nothing"),
        ("runs/reproduce.py", "study=nothing"),
        ("runs/train.py", "modle=net2"),
    ],
    ids=" ".join,
)
def test_a_command_that_starts_no_run_imports_no_torch(words: tuple[str, ...], tmp_path: Path) -> None:
    dirs = () if words[0] in ("runs/train.py", "runs/prepare.py") else (f"runs_dir={tmp_path}",)
    assert "torch" not in imported_by(*words, *dirs)


def test_what_trains_and_evaluates_imports_torch_the_fast_way(tmp_path: Path) -> None:
    commands = (
        ("runs/train.py", *SMALL, f"system.runs_dir={tmp_path}"),
        ("runs/evaluate.py", f"runs_dir={tmp_path}"),
        ("-c", "import labkit.libraries, hydra, gc; assert gc.isenabled() and gc.get_freeze_count() > 100_000"),
    )
    for words in commands:
        result = import_times(*words)
        assert result.returncode == 0, result.stderr
        assert first_importer_of_torch(result.stderr) == "labkit.libraries"


@pytest.mark.parametrize("here", [True, False], ids=["sweep", "job of Slurm"])
def test_the_members_of_a_sweep_get_torch_the_fast_way_unless_another_copy_is_here(here: bool, tmp_path: Path) -> None:
    if not here:
        (tmp_path / "labkit").mkdir()
        (tmp_path / "labkit" / "libraries.py").write_text("import gc\ngc.freeze()\n")
    ask = f"""
import gc, os
from labkit.launching.process import start_method
os.chdir({str(ROOT if here else tmp_path)!r})
pool = start_method().Pool(1)
print(pool.apply(gc.get_freeze_count))
pool.close()  # terminate() would wait for ever: these processes block signals at first
pool.join()
"""
    result = run_command("-c", ask)
    frozen = int(result.stdout)
    assert frozen > 100_000 if here else frozen == 0, result.stderr


def first_importer_of_torch(times: str) -> str:
    """The module outside torch; `times`: a line for each module, after and below which stands what imports it."""
    names = [line.rpartition("| ")[2] for line in times.splitlines() if line.startswith("import time:")]
    inner, *after = names[[name.strip() for name in names].index("torch") :]
    for name in after:
        if len(name) - len(name.lstrip()) < len(inner) - len(inner.lstrip()):
            inner = name
            if not name.strip().startswith("torch"):
                break
    return inner.strip()


def import_times(*words: str) -> "subprocess.CompletedProcess[str]":
    return run_command("-X", "importtime", *words)


def imported_by(*words: str) -> set[str]:
    """The packages that this process imports, not those that it starts."""
    lines = import_times(*words).stderr.splitlines()
    names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "hydra" in names
    return {name.partition(".")[0] for name in names}
