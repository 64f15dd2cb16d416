"""debug=shapes and debug=gradients: a line for each module of a network, and a verdict."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

VANISHING = 1e-4  # of the largest gradient of a module
EXPLODING = 1e3


def shapes(network: nn.Module, forward: Callable[[], Any]) -> tuple[list[str], int]:
    """Runs `forward` once, in which the network is called; it may be on the meta device. Also returns the bytes of all
    outputs."""
    rows: list[tuple[str, ...]] = [("module", "", "input", "output", "weights", "MFLOP", "MB")]
    activation_bytes = 0

    def note(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal activation_bytes
        size = output.numel() * output.element_size() if isinstance(output, Tensor) else 0
        activation_bytes += size
        weights = sum(p.numel() for p in module.parameters())
        flops = sum(counter.get_flop_counts().get(f"{type(network).__name__}.{name}", {}).values()) / 1e6
        shown = [_shape(inputs[0] if inputs else None), _shape(output)]
        rows.append((name, type(module).__name__, *shown, f"{weights:,}", f"{flops:,.3f}", f"{size / 1e6:,.3f}"))

    leaves = {name: module for name, module in network.named_modules() if name and not any(module.children())}
    handles = [
        module.register_forward_hook(lambda module, inputs, output, name=name: note(name, module, inputs, output))
        for name, module in leaves.items()
    ]
    with FlopCounterMode(display=False) as counter:
        forward()
    for handle in handles:
        handle.remove()
    weights = sum(p.numel() for p in network.parameters())
    flops = counter.get_total_flops() / 1e6
    rows.append(("all", "", "", "", f"{weights:,}", f"{flops:,.3f}", f"{activation_bytes / 1e6:,.3f}"))
    return list(_table(rows)), activation_bytes


def gradients(network: nn.Module, take_steps: Callable[[], Any]) -> tuple[list[str], str]:
    """The mean norm of each module's gradient over the steps, and what is wrong with them."""
    norms: dict[Tensor, list[Tensor]] = defaultdict(list)
    learning = [p for p in network.parameters() if p.requires_grad]
    handles = [p.register_post_accumulate_grad_hook(lambda p: norms[p].append(p.grad.norm())) for p in learning]
    take_steps()
    for handle in handles:
        handle.remove()
    rows: list[tuple[str, ...]] = [("module", "", "weights", "norm of them", "of the gradient", "")]
    wrong: dict[str, list[str]] = defaultdict(list)
    found: dict[str, float] = {}  # by module, for each weight
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        if not own:
            continue
        size = sum(p.numel() for p in own)
        weight = float(sum(p.detach().square().sum() for p in own) ** 0.5)
        gradient = float(sum(torch.stack(norms[p]).mean() ** 2 for p in own if p in norms) ** 0.5)
        if not any(p.requires_grad for p in own):
            said = "frozen"
        elif not any(p in norms for p in own):
            said = "none"
        elif gradient == 0:
            said = "zero"
        else:
            said = "" if gradient < EXPLODING else "exploding"  # NaN as well
            found[name] = gradient / size**0.5
        wrong[said].append(name or type(network).__name__)
        rows.append((wrong[said][-1], type(module).__name__, f"{size:,}", f"{weight:.3g}", f"{gradient:.3g}", said))
    vanishing = [name for name, value in found.items() if value < VANISHING * max(found.values())]
    advice = {
        "none": "no gradient reaches {}: look for detach(), no_grad() or an output that the loss does not use",
        "zero": "the gradient of {} is zero: look for saturated or dead activations",
        "frozen": "{} cannot learn: requires_grad is False",
        "exploding": "the gradient of {} explodes: scale the inputs, lower optimizer.lr, or set training.clip_norm",
    }
    said = [text.format(", ".join(wrong[kind])) for kind, text in advice.items() if wrong[kind]]
    if vanishing:
        said.append(f"the gradient of {', '.join(vanishing)} vanishes: add normalisation or residual connections")
    return list(_table(rows)), "; ".join(said) or "every module learns: no gradient vanishes or explodes"


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
