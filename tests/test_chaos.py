"""A short `make chaos`, and what it would not overlook."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from baking import Bake, succeed
from chaos import compare
from faults import SETTING, unshared

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="its small disk and its list of processes need Linux")
pytest_plugins = ["fault_fixtures"]


def test_a_sweep_in_chaos_equals_an_undisturbed_one(bake: Bake) -> None:
    unshared("-m")
    chaos = Path(__file__).with_name("chaos.py")
    words = ("--runs", "8", "--faults", "13", "--project", str(bake()))
    said = succeed(sys.executable, chaos, *words, cwd=chaos.parent, PYTHONDONTWRITEBYTECODE="")
    assert "all 8 runs have the weights and the rows of the undisturbed sweep, bit for bit" in said
    assert len(re.findall(r"^ +\d+ x ", said, re.MULTILINE)) == 13  # kinds of faults


def test_chaos_overlooks_nothing(undisturbed: Callable[..., Path], tmp_path: Path) -> None:
    one = undisturbed(*SETTING)
    shutil.copytree(one.parents[1], tmp_path / "same")
    other = tmp_path / "same" / one.parent.name / one.name
    assert compare(one.parents[1], tmp_path / "same") == []
    rows = (other / "metrics.csv").read_bytes()
    (other / "metrics.csv").write_bytes(rows.replace(b"\n8,", b"\n9,"))
    assert compare(one.parents[1], tmp_path / "same") == [f"{one.name}: metrics.csv"]
    (other / "metrics.csv").write_bytes(rows)
    saved = torch.load(other / "checkpoints" / "best.pt", weights_only=True)
    next(iter(saved["network"].values())).view(torch.int32).flatten()[0] ^= 1  # the last bit of one weight
    torch.save(saved, other / "checkpoints" / "best.pt")
    assert compare(one.parents[1], tmp_path / "same") == [f"{one.name}: best.pt: network"]
    (other / "run.json").unlink()
    assert compare(one.parents[1], tmp_path / "same") == [f"{one.name}: only in one of them"]
