"""debug=nans: the first module, forward or backward, in which NaN or Inf appears."""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook


class NotFinite(Exception):
    """Says where, and what went in."""


@contextlib.contextmanager
def finite_only(*, backward: bool) -> Iterator[None]:
    """In here whatever network runs raises `NotFinite`, in the module where the numbers go wrong."""
    watch = _Watch(backward)
    handles = [register_module_forward_pre_hook(watch.enter), register_module_forward_hook(watch.leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Watch:
    def __init__(self, backward: bool) -> None:
        self._backward = backward
        self._inside: list[tuple[str, str]] = []  # the modules that are at work, and the ranges of their inputs
        self._names: dict[nn.Module, str] = {}

    def enter(self, module: nn.Module, inputs: Any) -> None:
        if not self._inside:
            self._names = {part: name or type(module).__name__ for name, part in module.named_modules()}
        name, entering = self._names.get(module, type(module).__name__), _floats(inputs)
        if wrong := _wrong(entering):
            if not self._inside:
                raise NotFinite(f"the batch holds {wrong} before {name} sees it: look at the data")
            outer, ranges = self._inside[-1]
            raise NotFinite(f"forward: the code of {outer} gives {wrong} to {name}; {outer} was given {ranges}")
        self._inside.append((name, _ranges(entering)))
        for tensor in entering:
            self._follow(tensor, through=self._inside[-1])

    def leave(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
        name, ranges = self._inside.pop()
        leaving = _floats(outputs)
        if wrong := _wrong(leaving):
            bad = [key for key, weight in module.named_parameters() if not weight.isfinite().all()]
            cause = f"; its {', '.join(bad)} broke in the step before: lower optimizer.lr" if bad else ""
            raise NotFinite(f"forward: {name} gives {wrong}; it was given {ranges}{cause}")
        for tensor in leaving:
            self._follow(tensor, after=(name, _ranges(leaving)))

    def _follow(self, tensor: Tensor, **seen: tuple[str, str]) -> None:
        """Its gradient comes from the module that it goes `through`, or from what is done with it `after` one."""
        if self._backward and tensor.requires_grad:
            version, known = getattr(tensor, "_followed", (None, {}))
            if version != tensor._version:  # a new one, or changed in place
                known = {}
                tensor._followed = (tensor._version, known)  # pyright: ignore[reportAttributeAccessIssue]
                tensor.register_hook(partial(self._check, known))
            known.update(seen)

    def _check(self, seen: dict[str, tuple[str, str]], gradient: Tensor) -> None:
        if wrong := _wrong([gradient]):
            name, ranges = seen.get("through") or seen["after"]
            what = name if "through" in seen else f"what comes after {name}"
            raise NotFinite(f"backward: {what} gives {wrong} as the gradient of what it was given, {ranges}")


def _floats(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values] if values.is_floating_point() else []
    values = list(values.values()) if isinstance(values, dict) else values
    parts = values if isinstance(values, list | tuple) else ()
    return [tensor for part in parts for tensor in _floats(part)]


def _wrong(tensors: list[Tensor]) -> str:
    if all(tensor.isfinite().all() for tensor in tensors):
        return ""
    return "NaN" if any(tensor.isnan().any() for tensor in tensors) else "Inf"


def _ranges(tensors: list[Tensor]) -> str:
    with torch.no_grad():
        each = [f"{tuple(t.shape)} from {t.min():.3g} to {t.max():.3g}" for t in tensors if t.numel()]
    return ", ".join(each) or "no numbers"
