"""How much Python a student has to read, and how much there is to trust. A line too many has to replace another."""

import pytest
from baking import PROJECT, TEMPLATE

BUDGETS = {
    "modules": 2_100,
    "labkit": 7_800,  # the aim is 4,800: lower this with every change that gets nearer to it
    "tests": 900,
    "runs": 130,
    "hydra_plugins": 40,
}


@pytest.mark.parametrize("folder", BUDGETS)
def test_lines_of_python_stay_within_their_budget(folder: str) -> None:
    lines = {
        path.relative_to(TEMPLATE / PROJECT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (TEMPLATE / PROJECT / folder).rglob("*.py")
    }
    assert lines
    assert sum(lines.values()) <= BUDGETS[folder], sorted(lines.items(), key=lambda item: -item[1])[:10]
