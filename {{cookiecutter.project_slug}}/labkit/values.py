"""Settings as values: how nested ones become dotted keys, and which ones are the same."""

import unicodedata
from typing import Any


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """{"training": {"epochs": 5}} as {"training.epochs": 5}; lists are kept whole."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():  # no generators, no abstract classes: a report calls this for every run
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def canonical(value: Any) -> Any:
    """Equal for settings that mean the same, even inside lists and mappings.

    1 and 1.0 are one number, true is not 1, and an accented letter is one letter however it was typed.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if kind is float:
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {str(key): canonical(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(child) for child in value]
    return value
