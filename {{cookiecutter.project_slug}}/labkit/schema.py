"""JSON schemas of contracts, by which an editor completes and checks the files of config/ and studies/."""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

KINDS = {
    **{str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"},
    **{dict: "object", list: "array"},
}
LATER = r"^(\$\{.*\}|\?\?\?)$"  # what Hydra fills in, in place of a value that is no text


def schema(contract: type, choices: Mapping[str, Collection[str]]) -> dict[str, Any]:
    """Of a file that sets some keys of a dataclass and no others; `choices`: what a key may be, where they are few."""
    hints = get_type_hints(contract)
    keys = {field.name: _of(field.name, hints[field.name], choices) for field in fields(contract)}
    return {"type": "object", "properties": keys, "additionalProperties": False}


def _of(name: str, hint: Any, choices: Mapping[str, Collection[str]]) -> dict[str, Any]:
    if is_dataclass(hint) and isinstance(hint, type):
        return schema(hint, choices)
    hints = get_args(hint) if isinstance(hint, UnionType) else [hint]
    kinds = [KINDS[get_origin(one) or one] for one in hints]
    if name in choices:
        return {"enum": [*choices[name], *([None] if "null" in kinds else [])]}
    about: dict[str, Any] = {"type": kinds}
    if "string" not in kinds:
        about = {"type": [*kinds, "string"], "pattern": LATER}
    if get_origin(hints[0]) is list:
        about["items"] = _of("", get_args(hints[0])[0], {})
    return about
