"""How much Python a student has to read, and how much there is to trust. A line too many has to replace another."""

import pytest
from baking import PROJECT, TEMPLATE

# What explains a run of the digits, from the command to its result. All else in modules/ is for other data, models and
# tasks: it is read by who uses it.
READ = (
    *("__init__.py", "train.py", "parts.py", "config.py", "loading.py", "evaluate.py", "randomness.py", "shapes.py"),
    *(f"training/{name}.py" for name in ("task", "trainer", "metrics", "monitor", "schedules")),
    *("tasks/classification.py", "models/networks.py"),
    *(f"data/{name}.py" for name in ("base", "batches", "split_settings", "splits", "checks", "sources", "prepare")),
)
READ_LINES = 2_250
SHELF = ("data", "models", "tasks", "training")
SHELF_FILE_LINES = 120
# Of the shelf, but for every kind of data, model and task.
CHECK = {"check.py": 175, "debug.py": 216}
BUDGETS = {
    "modules/figures": 300,
    "labkit": 14_534,  # the aim was 4,800: lower this with every change that gets nearer to it
    "tests": 970,
    "runs": 300,
    "hydra_plugins": 40,
}


def lines_of(folder: str, *patterns: str) -> dict[str, int]:
    """{path below the folder: its lines}; ValueError for a pattern that no file matches."""
    root = TEMPLATE / PROJECT / folder
    lines = {}
    for pattern in patterns:
        found = list(root.glob(pattern))
        if not found:
            raise ValueError(f"{folder}/{pattern}: there is no such file")
        for path in found:
            lines[path.relative_to(root).as_posix()] = len(path.read_text(encoding="utf-8").splitlines())
    return lines


def largest(lines: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(lines.items(), key=lambda item: -item[1])[:10]


def test_what_explains_a_run_can_be_read() -> None:
    lines = lines_of("modules", *READ)
    assert sum(lines.values()) <= READ_LINES, largest(lines)


def test_every_other_file_of_modules_is_short() -> None:
    read = lines_of("modules", *READ)
    shelf = {name: n for name, n in lines_of("modules", "**/*.py").items() if name not in read}
    for name, lines in CHECK.items():
        assert shelf.pop(name) <= lines
    long = {name: n for name, n in shelf.items() if n > SHELF_FILE_LINES}
    assert long == {}
    assert {name.split("/")[0] for name in shelf} == {*SHELF, "figures"}  # there is no other place to put things


@pytest.mark.parametrize("folder", BUDGETS)
def test_lines_of_python_stay_within_their_budget(folder: str) -> None:
    lines = lines_of(folder, "**/*.py")
    assert sum(lines.values()) <= BUDGETS[folder], largest(lines)
