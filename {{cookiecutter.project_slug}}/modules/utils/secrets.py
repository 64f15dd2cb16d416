"""Keeps passwords, keys and tokens out of run folders, logs and reports, which people share."""

import functools
import json
import os
import re
from collections.abc import Mapping
from typing import Any

_NAME = r"(?:passw(?:or)?d|secret|credential|(?:api|access|private|signing)_?key|(?:auth|access|bearer)_?token)"
_KEY = re.compile(rf"{_NAME}|(?:^|\.)token$", re.IGNORECASE)
_INSIDE = re.compile(rf"\w*{_NAME}\w*['\"]?\s*[:=]\s*['\"]?(?!null\b|None\b)[\w-]", re.IGNORECASE)
_VARIABLE = re.compile(r"passw(or)?d|secret|credential|token|key", re.IGNORECASE)
_URL = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
_ISSUED = re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|sk-|xox[bp]-|AKIA)[\w-]{16,}")
SHORTEST = 8  # characters of a variable's value: shorter ones would be found everywhere


def refuse_secrets(values: Mapping[str, Any]) -> None:
    """ValueError naming the first key that looks like a secret or whose value does: a dotted key and its value each."""
    for key, value in values.items():
        text = str(value)
        named = _KEY.search(key) and isinstance(value, str) and value not in ("", "null")
        if named or _INSIDE.search(text) or redact(text) != text:
            raise ValueError(
                f"{key}: looks like a secret, which would be stored with every run; put it into an environment "
                "variable that only the code that needs it reads"
            )


def redact(text: str) -> str:
    """`text` without passwords in URLs, tokens of well-known services, and values of variables with a secret's name."""
    for secret in _values_of_variables():
        text = text.replace(secret, "***")
    return _ISSUED.sub("***", _URL.sub("***", text))


@functools.cache
def _values_of_variables() -> list[str]:
    values = [v for name, v in os.environ.items() if _VARIABLE.search(name) and len(v) >= SHORTEST]
    # A path is where a secret lies, not the secret: SSH_AUTH_SOCK's kin, GOOGLE_APPLICATION_CREDENTIALS, ...
    secrets = [value for value in values if not os.path.exists(value)]
    return sorted({form for value in secrets for form in (value, json.dumps(value)[1:-1])}, key=len, reverse=True)
