"""debug=: planted faults are found and named, and nothing is kept."""

import io
import math
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from labkit.config import DEBUG
from labkit.debugging.finite import NotFinite, finite_only
from modules import debug
from modules.check import check
from modules.data import sources
from modules.data.base import Loaded
from modules.models import networks
from small_runs import ROOT, SMALL, SMALL_LINEAR, compose, config_of, train_command_here, train_composed
from test_check import install
from torch import Tensor, nn

Debugged = Callable[..., str]
EASY = ("data.examples=400", "data.noise=0.1")


@pytest.fixture
def debugged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Debugged:
    """Calls runs/train.py in this process, which must keep no run; returns what it printed."""

    def call(kind: str, *words: str, base: tuple[str, ...] = SMALL) -> str:
        train_composed(compose(*base, f"system.runs_dir={tmp_path}/data/runs", f"debug={kind}", *words))
        assert not (tmp_path / "data" / "runs").exists()
        return capsys.readouterr().out

    return call


class Planted(nn.Module):
    """Two layers on the pixels, and a fault."""

    fault: ClassVar[str] = ""

    def __init__(self, *, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        pixels = input_shape[1] * input_shape[2]
        self.first = nn.Linear(pixels, 8)
        self.middle = Middle()
        self.side = nn.Linear(pixels, 8)
        self.last = nn.Linear(8, outputs)
        if self.fault == "frozen":
            self.first.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        images = images.flatten(1)
        side = self.side(images)
        hidden = self.middle(self.first(images)) + (side.detach() if self.fault == "detached" else side)
        if self.fault == "code":
            hidden = (hidden - hidden).log() - (hidden - hidden).log()
        return self.last(hidden * (1e-6 if self.fault == "vanishing" else 1))


class Middle(nn.Module):
    steps = 0

    def forward(self, values: Tensor) -> Tensor:
        if Planted.fault == "forward" and self.training:
            self.steps += 1
            return values / (0 if self.steps > 4 else 1)
        if Planted.fault == "backward":
            return values.clamp(max=0).sub(values.clamp(max=0)).sqrt()
        return values.relu()


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[str, ...]]:
    """The words that choose a model with this fault."""

    def plant(fault: str) -> tuple[str, ...]:
        monkeypatch.setattr(Planted, "fault", fault)
        return ("model=linear", f"model._target_={install(monkeypatch, networks, Planted)}")

    return plant


def verdict(printed: str) -> str:
    return printed.splitlines()[-1]


def test_the_module_in_which_numbers_go_wrong_is_named(debugged: Debugged, planted: Any) -> None:
    words = (*SMALL_LINEAR[4:], "training.batch_size=8")
    found = {
        fault: verdict(debugged("nans", *planted(fault), base=(*SMALL[:4], *words)))
        for fault in ("", "forward", "backward", "code")
    }
    assert found[""] == "nans: no NaN and no Inf in 14 steps, forward or backward"
    given = r"it was given \(8, 8\) from -\d\.\d+ to \d\.\d+"
    assert re.fullmatch(rf"nans: in step 5, forward: middle gives (NaN|Inf); {given}", found["forward"])
    assert re.match(
        r"nans: in step 1, backward: middle gives NaN as the gradient of what it was given, ", found["backward"]
    )
    assert re.match(r"nans: forward: the code of Planted gives NaN to last; Planted was given \(", found["code"])


def test_weights_and_batches_that_hold_no_numbers_and_losses_that_give_none_are_named(
    debugged: Debugged, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = changed_data(monkeypatch, lambda inputs, targets: (1_000 * inputs, targets))
    found = verdict(debugged("nans", "optimizer.lr=1e37", *words, base=SMALL_LINEAR))
    assert found.startswith("nans: in step 2, forward: classifier gives NaN; it was given (8, 16) from ")
    assert found.endswith("; its weight broke in the step before: lower optimizer.lr")
    with finite_only(backward=True):
        with pytest.raises(NotFinite, match=r"^the batch holds NaN before Linear sees it: look at the data$"):
            nn.Linear(2, 2)(torch.tensor([math.nan, 1]))
        with pytest.raises(NotFinite, match=r"^backward: what comes after Linear gives NaN as the gradient"):
            nn.Linear(2, 2)(torch.ones(2)).mul(0).sqrt().sum().backward()


def test_layers_that_do_not_learn_are_named(debugged: Debugged, planted: Any) -> None:
    found = {
        fault: debugged("gradients", *planted(fault), base=(*SMALL[:4], *SMALL_LINEAR[5:]))
        for fault in ("", "frozen", "detached", "vanishing")
    }
    assert verdict(found[""]) == "gradients: every module learns: no gradient vanishes or explodes"
    assert verdict(found["frozen"]) == "gradients: first cannot learn: requires_grad is False"
    assert verdict(found["detached"]).startswith("gradients: no gradient reaches side: look for detach()")
    assert verdict(found["vanishing"]).startswith("gradients: the gradient of first, side")
    assert re.search(r"^first +Linear +136 +\d\.\d+ +\d\.\d+$", found[""], flags=re.MULTILINE)


def test_an_exploding_gradient_is_named(debugged: Debugged, monkeypatch: pytest.MonkeyPatch) -> None:
    words = changed_data(monkeypatch, lambda inputs, targets: (inputs * 255_000, targets))
    assert "the gradient of classifier explodes" in debugged("gradients", *words, base=SMALL_LINEAR)


def changed_data(
    patch: pytest.MonkeyPatch, change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> tuple[str, ...]:
    """The words that choose the synthetic data, its rows in a random order, with a change to inputs and targets."""

    class Changed(sources.Synthetic):
        def load(self) -> Loaded:
            loaded = super().load()
            order = np.random.default_rng(0).permutation(self.examples)
            inputs, targets = change(loaded.arrays["input"][order], loaded.arrays["target"][order])
            return Loaded({"input": inputs.astype(np.float32), "target": targets}, loaded.facts)

    return (f"data._target_={install(patch, sources, Changed)}",)


def test_why_a_batch_is_not_learnt_is_named(debugged: Debugged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modules.check.FEW_SECONDS", 300.0)
    found = debugged("overfit", *EASY, base=(*SMALL_LINEAR, "optimizer.lr=0.1"))
    assert re.fullmatch(r"overfit: the loss of 8 .* in \d+ steps: they are learnt by heart", verdict(found))
    words = changed_data(monkeypatch, lambda inputs, targets: (inputs, np.roll(targets, 1)))
    found = verdict(debugged("overfit", *EASY, *words, base=(*SMALL_LINEAR, "optimizer.lr=0.1")))
    assert "; the labels are shifted by one row: of the examples that are most alike " in found
    assert found.endswith(" and 100% where each has that of the row after")
    words = changed_data(monkeypatch, lambda inputs, targets: (inputs * 100 + 300, targets))
    found = verdict(debugged("overfit", *EASY, *words, base=(*SMALL_LINEAR, "optimizer.lr=0.1")))
    assert "networks learn best from inputs with mean 0 and standard deviation 1: scale them" in found
    monkeypatch.setattr("modules.check.FEW_STEPS", 200)
    found = verdict(debugged("overfit", "optimizer=sgd", "optimizer.lr=10"))  # a hundred times what sgd.yaml has
    assert found.endswith(" in 200 steps; optimizer.lr is too large: 0.1 learns the batch")


def test_shapes_come_from_the_meta_device_and_draw_nothing(debugged: Debugged, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_rng_state()
    drawn: list[Tensor] = []
    shapes = debug.shapes
    monkeypatch.setattr(debug, "_room", lambda device: 10 * 2**20)

    def watched(network: nn.Module, forward: Callable[[], Any]) -> Any:
        drawn.append(torch.get_rng_state())
        assert {p.device.type for p in network.parameters()} == {"meta"}
        result = shapes(network, forward)
        assert torch.equal(torch.get_rng_state(), drawn[0])
        return result

    monkeypatch.setattr(debug, "shapes", watched)
    found = debugged("shapes", "model.dropout=0.5")
    torch.set_rng_state(before)
    assert drawn
    assert re.search(r"^layers.0 +Conv2d +\(8, 1, 4, 4\) +\(8, 2, 4, 4\) +20 +0.005 +0.001$", found, re.MULTILINE)
    assert re.search(r"^all +244 +0.011 +0.005$", found, flags=re.MULTILINE)
    assert re.search(r"for 8 examples, and 0.0 GiB have room for training.batch_size=7989$", verdict(found))


def test_the_time_of_a_step_is_divided_and_traced(debugged: Debugged, tmp_path: Path) -> None:
    found = debugged("profile")
    shares = re.findall(r"^(data|forward|backward|optimizer) .* ms a step +(\d+)%$", found, flags=re.MULTILINE)
    assert [name for name, _ in shares] == ["data", "forward", "backward", "optimizer"]
    assert 98 <= sum(int(share) for _, share in shares) <= 102
    most = max(shares, key=lambda share: int(share[1]))
    assert re.match(rf"profile: \w+ takes most of the time, {most[1]}%: ", verdict(found))
    (trace,) = (tmp_path / "data" / "checks").iterdir()
    assert trace.stat().st_size > 10_000


def test_fast_goes_through_everything(debugged: Debugged) -> None:
    found = debugged("fast")
    assert "step 2 | train/loss" in found
    assert "test/accuracy" in found
    assert verdict(found) == "fast: two batches went through training, validation, checkpoint, loading and test"


def test_pdb_opens_at_the_line_that_fails(
    debugged: Debugged, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Mistaken(networks.Linear):
        def forward(self, images: Tensor) -> Tensor:
            width = 3
            return self.classifier(images.flatten(1)[:, :width])

    target = install(monkeypatch, networks, Mistaken)
    monkeypatch.setattr(
        Mistaken.forward, "__code__", Mistaken.forward.__code__.replace(co_filename=f"{ROOT}/modules/x.py")
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO("p width * 14\nq\n"))
    found = debugged("pdb", f"model._target_={target}", base=SMALL_LINEAR)
    assert "(Pdb) 42" in found
    assert verdict(found).endswith("pdb: it failed, and nothing was kept")


def test_debugging_is_for_one_run_in_one_process(
    monkeypatch: pytest.MonkeyPatch, debugged: Debugged, tmp_path: Path
) -> None:
    assert {path.stem for path in (ROOT / "config" / "debug").glob("*.yaml")} == {"none", *DEBUG}
    with pytest.raises(ValueError, match=r"^debug: is for runs/train.py; leave it out$"):
        check(config_of(*SMALL, "debug=fast"))
    with pytest.raises(ValueError, match=r'^system.debug: "fats" is not one of .* did you mean "fast"'):
        config_of(*SMALL, "system.debug=fats")
    answer = train_command_here(
        "--multirun", "debug=shapes", *SMALL, "seed=0,1", f"system.runs_dir={tmp_path}/data/runs"
    )
    assert answer.returncode == 1
    assert answer.stderr == "error: debug: takes one run; leave out --multirun\n"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"^debug: takes one process; start it without torchrun$"):
        debugged("shapes")
