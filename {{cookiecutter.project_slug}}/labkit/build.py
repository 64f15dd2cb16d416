"""Makes the object that a `_target_` node of the configuration describes.

A saved configuration is data: a `_target_` can only name a class of this project or of the parts of torch in ALLOWED.
To allow more, add it to ALLOWED. A list that a file or a command line could extend would protect from neither.
"""

import functools
import importlib
import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import make_dataclass
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from labkit.config import check_text
from labkit.text import nearest, shortened

T = TypeVar("T")
ALLOWED = ("modules.", "labkit.runs.trackers.", "torch.optim.", "torch.nn.")


def build(
    key: str, node: Mapping[str, Any], base: type[T], offered: Mapping[str, Any] | None = None, **given: Any
) -> T:
    """An object of the class `node["_target_"]`, a subclass of `base`, made from the node's other keys and `given`.

    `name` labels the node and is not passed on. Of what is `offered` it gets the arguments that its signature names and
    the node does not set. ValueError, naming `key`, if anything does not fit.
    """
    make = checked(key, node, base, given, offered or {})
    try:
        return make(**given)
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        if isinstance(error, ValueError) and node["_target_"].startswith("modules."):
            raise  # our classes say what is wrong in a sentence
        raise ValueError(f"{key}: {node['_target_']} rejects its settings ({error}); correct them") from error


def checked(
    key: str, node: Mapping[str, Any], base: type[T], given: Collection[str], offered: Mapping[str, Any] | None = None
) -> Callable[..., T]:
    """The same, to be called later with what `given` names: every key and type is checked, but nothing is made yet."""
    target = located(key, node["_target_"], base)
    options = {name: value for name, value in node.items() if name not in ("_target_", "name")}
    parameters = inspect.signature(target).parameters
    named = {name: p for name, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    takes_others = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    facts = {name: value for name, value in (offered or {}).items() if name in named and name not in options}
    for name in options:
        if (name not in named and not takes_others) or name in given:
            raise ValueError(f"{key}.{name}: {target.__name__} has no such setting{nearest(name, named)}")
    for name, parameter in named.items():
        if parameter.default is parameter.empty and name not in {*options, *given, *facts}:
            elsewhere = ", or choose a data set that has it" if offered else ""
            raise ValueError(
                f"{key}.{name}: {target.__name__} needs this setting; add it to the file in config/{elsewhere}"
            )
    hints = typing.get_type_hints(target.__init__)
    settings = {name: _typed(key, name, hints.get(name, Any), value) for name, value in options.items()} | facts
    tuples = {name for name, hint in hints.items() if typing.get_origin(hint) is tuple}  # YAML and JSON have none
    given_as = {name: tuple(value) if name in tuples else value for name, value in settings.items()}
    return functools.partial(target, **given_as)


def takes(path: str, name: str) -> bool:
    """Whether the class of this `_target_` has a setting of this name."""
    return name in inspect.signature(located("", path, object)).parameters


def located(key: str, path: str, base: type) -> Any:
    """The class that a `_target_` names; ValueError, naming `key`, where it is no subclass of `base`."""
    module, _, name = path.rpartition(".")
    if not path.startswith(ALLOWED):
        beginnings = " or ".join(ALLOWED)
        raise ValueError(
            f'{key}._target_: "{shortened(path, 100)}" is not allowed; use {beginnings} (see labkit/build.py)'
        )
    try:
        target = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, RecursionError) as error:
        name, reason = shortened(path, 100), shortened(str(error), 200)
        raise ValueError(f'{key}._target_: there is no "{name}" ({reason}); correct the path') from error
    # The subclass check is the lock: a module of ours also holds what it imports, such as `modules.x.os`.
    if inspect.isclass(target) and issubclass(target, base) and f"{target.__module__}.".startswith(ALLOWED):
        return target
    raise ValueError(f'{key}._target_: "{path}" is not a {base.__name__} of this project or of torch; correct the path')


def _typed(key: str, name: str, hint: Any, value: Any) -> Any:
    try:
        schema = OmegaConf.structured(make_dataclass("Setting", [(name, hint)]))
    except OmegaConfBaseException:
        return value  # the type of something that YAML cannot hold, such as Tensor
    try:
        made: Any = OmegaConf.to_container(OmegaConf.merge(schema, {name: value}))
    except OmegaConfBaseException as error:
        raise ValueError(f"{key}.{name}: {str(error).splitlines()[0].rstrip('.')}; correct the value") from error
    check_text(f"{key}.{name}", value, made[name])
    return made[name]
