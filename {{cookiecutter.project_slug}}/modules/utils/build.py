"""Makes the object that a `_target_` node of the configuration describes.

A saved configuration is data: a `_target_` can only name a class of this project or a part of torch that is listed here.
"""

import importlib
import inspect
import typing
from collections.abc import Mapping
from dataclasses import make_dataclass
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from modules.utils.config import nearest

ALLOWED = ("modules.", "torch.optim.", "torch.nn.")


def build(key: str, node: Mapping[str, Any], **given: Any) -> Any:
    """The object of `node["_target_"]`, called with the node's other keys (less `name`, the label) and `given`.

    ValueError, naming `key`, where the target is unknown or not allowed, or a key or type does not fit its signature.
    """
    target = locate(key, node["_target_"])
    options = {name: value for name, value in node.items() if name not in ("_target_", "name")}
    return target(**given, **_checked(key, target, options, given))


def locate(key: str, path: str) -> Any:
    """The class that `path` names. ValueError where there is none, or it is not allowed."""
    module, _, name = path.rpartition(".")
    if not path.startswith(ALLOWED):
        raise ValueError(f'{key}._target_: "{path}" is not allowed; it must begin with {" or ".join(ALLOWED)}')
    try:
        target = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f'{key}._target_: there is no "{path}" ({error}); correct the path') from error
    # A module of ours also holds what it imports: `modules.x.os` must not reach the operating system.
    if not inspect.isclass(target) or not f"{target.__module__}.".startswith(ALLOWED):
        raise ValueError(f'{key}._target_: "{path}" is not a class of this project or of torch; correct the path')
    return target


def _checked(key: str, target: type, options: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    parameters = dict(inspect.signature(target).parameters)
    for name in options:
        if name not in parameters or name in given:
            raise ValueError(f"{key}.{name}: {target.__name__} has no such setting{nearest(name, parameters)}")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in options and name not in given:
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or key == "optimizer":
                continue
            raise ValueError(f"{key}.{name}: {target.__name__} needs this setting; add it to config/{key}/")
    if not target.__module__.startswith("modules."):  # torch's signatures are not made of plain types
        return options
    hints = typing.get_type_hints(target.__init__)
    schema = make_dataclass(target.__name__, [(name, hints[name]) for name in options])
    try:
        typed = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(schema), options))
    except OmegaConfBaseException as error:
        raise ValueError(f"{key}.{error.full_key}: {str(error).splitlines()[0].rstrip('.')}; correct it") from error
    return typing.cast(dict[str, Any], typed)
