"""The JSON files of a run folder, read whole or not at all: each must have the shape that a report counts on."""

import json
import os
import sys
from types import NoneType
from typing import Any, TypeGuard

NUMBER = (int, float)
EVALUATION = {"step": NUMBER, "epoch": NUMBER, "metrics": dict}
LAUNCH = {"code_id": str, "host": str, "git": {"commit": (str, NoneType), "missing": (str, NoneType), "dirty": object}}
RECORD = {  # what a report reads of run.json
    "run_id": str,
    "config": {"seed": int},
    "monitor": {"metric": str, "direction": str},
    "best": EVALUATION,
    "last": EVALUATION,
    "cost": {"wall_s": NUMBER},
    "data": {"name": str, "fingerprint": str, "split_fingerprint": str, "examples": dict},
    "finished": str,
    "launches": [LAUNCH],
}
STATE = {"status": str, "host": str, "pid": int, "heartbeat": NUMBER}
TEST = {"run_id": str, "step": NUMBER, "metrics": dict}


class Unreadable(Exception):
    """Its text is the sentence that says what is wrong with a file."""


def read_record(path: str, shape: dict[str, Any]) -> dict[str, Any]:
    """The content of the file, which has that shape. `Unreadable`, with a sentence, if it has not."""
    name = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read())
    except OSError as error:
        raise Unreadable(f"{name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{name} is half-written or damaged") from error
    if not isinstance(content, dict) or content.get("format", 1) != 1:
        raise Unreadable(f"{name} was not written by this version of the project")
    if place := _misshapen(content, shape):
        raise Unreadable(f"{name} lacks {place[1:]}, or holds something else there")
    return content


def _misshapen(content: Any, shape: Any) -> str:
    """The first place, as ".best.step", where the content is not of that shape; empty if it is."""
    if isinstance(shape, dict):
        if not isinstance(content, dict):
            return "."
        for key, part in shape.items():
            place = _misshapen(content[key], part) if key in content else "."
            if place:
                return f".{key}{place.rstrip('.')}"
        return ""
    if isinstance(shape, list):
        fine = isinstance(content, list) and content and not any(_misshapen(one, shape[0]) for one in content)
        return "" if fine else "."
    return "" if isinstance(content, shape) and (type(content) is not bool or shape is object) else "."


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of JSON is a finite number; true is none, and neither is one with 400 digits."""
    return isinstance(value, NUMBER) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
