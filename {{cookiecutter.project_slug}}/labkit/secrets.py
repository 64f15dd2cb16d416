"""Keeps passwords, keys and tokens out of run folders, logs and reports, which people share."""

import functools
import os
import re
from collections.abc import Mapping
from typing import Any

_NAME = r"(?:passw(?:or)?d|secret|credential|(?:api|access|private|signing)_?key|(?:auth|access|bearer)_?token)"
_KEY = re.compile(rf"{_NAME}(?!\w*_(?:file|path|dir)$)", re.IGNORECASE)
_TOKEN = re.compile(r"(?:^|\.)token$", re.IGNORECASE)  # language models have tokens too: only a long one is a secret
_INSIDE = re.compile(rf"\w*{_NAME}\w*['\"]?\s*[:=]\s*['\"]?(?!null\b|None\b)[\w-]", re.IGNORECASE)
_VARIABLE = re.compile(r"passw(or)?d|secret|credential|token|key", re.IGNORECASE)
_URL = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
_ISSUED = re.compile(
    r"\b(?:gh[pousr]_[a-zA-Z0-9]{30,}|github_pat_\w{22,}|glpat-[\w-]{20,}|hf_[a-zA-Z0-9]{30,}|AKIA[A-Z0-9]{16}|"
    r"sk-[\w-]{40,}|xox[bp]-\d[\w-]{20,})"
)
SHORTEST = 8  # characters of a variable's value: a shorter one would turn up everywhere


def refuse_secrets(values: Mapping[str, Any]) -> None:
    """ValueError naming the first dotted key that looks like a secret, or whose value does."""
    for key, value in values.items():
        text = str(value)
        given = isinstance(value, str | int) and not isinstance(value, bool) and text not in ("", "null")
        named = given and (_KEY.search(key) or (_TOKEN.search(key) and len(text) >= 16))
        if named or _INSIDE.search(text) or redact(text) != text:
            raise ValueError(
                f"{key}: looks like a secret, which would be stored with every run; put it into an environment "
                "variable, and read it only in the code that needs it"
            )


def redact(text: str) -> str:
    """`text` without passwords in URLs, tokens of well-known services, and values of variables with a secret's name."""
    for secret in _values_of_variables():
        text = text.replace(secret, "***")
    return _ISSUED.sub("***", _URL.sub("***", text))


def redact_leaves(value: Any) -> Any:
    """The same for every string in nested lists and mappings; a number stays, whatever its digits."""
    if isinstance(value, Mapping):
        return {key: redact_leaves(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [redact_leaves(child) for child in value]
    return redact(value) if isinstance(value, str) else value


@functools.cache
def _values_of_variables() -> list[str]:
    values = [v for name, v in os.environ.items() if _VARIABLE.search(name) and len(v) >= SHORTEST]
    # A path says where a secret is, and is not one itself: GOOGLE_APPLICATION_CREDENTIALS and the like.
    return sorted((value for value in values if not os.path.exists(value)), key=len, reverse=True)
