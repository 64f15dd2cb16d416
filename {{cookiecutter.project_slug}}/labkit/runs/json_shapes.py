"""The JSON files of a run folder: each is read whole or not at all, and must have the shape that a report relies on.

Checked by hand, because thousands of them are read at once and a library for it takes longer to import.
"""

import json
import os
from types import NoneType
from typing import Any, TypeGuard

NUMBER = (int, float)
LARGEST = 1e300  # sums and squares of larger numbers are infinite
EVALUATION = {"step": NUMBER, "epoch": NUMBER, "metrics": dict}
LAUNCH = {"code_id": str, "host": str, "git": {"commit": (str, NoneType), "missing": (str, NoneType), "dirty": object}}
STARTED = {"code_id": str, "data_fingerprint": str, "started": str}  # what a run that goes on reads of a launch
RESULT_SHAPE = {  # what a report reads of run.json
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
STATE_SHAPE = {"status": str, "host": str, "pid": int, "heartbeat": NUMBER}
TEST_SHAPE = {"run_id": str, "step": NUMBER, "metrics": dict}
PLAN_SHAPE = {"members": list}
SEARCH_SHAPE = {"search": {"sampler": str, "seed": int, "pruning": object}, "members": [{"name": str, "values": dict}]}


class Unreadable(Exception):
    """Its text is the sentence that says what is wrong with a file."""


def read_record(path: str, shape: dict[str, Any]) -> dict[str, Any]:
    """The content of the file, which has that shape. `Unreadable`, with a sentence, if it does not."""
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
        raise Unreadable(f"{name} has no {place[1:]}, or something else in its place")
    return content


def is_number(value: object) -> TypeGuard[float]:
    """Whether a JSON value is a number to compute with: true is not one, nor what is as good as infinite."""
    return isinstance(value, NUMBER) and not isinstance(value, bool) and abs(value) <= LARGEST


def fits(content: Any, shape: Any) -> bool:
    return not _misshapen(content, shape)


def _misshapen(content: Any, shape: Any) -> str:
    """The first place, as ".best.step", where the content does not have that shape; empty if it does."""
    if isinstance(shape, dict):
        if not isinstance(content, dict):
            return "."
        for key, part in shape.items():
            place = _misshapen(content[key], part) if key in content else "."
            if place:
                return f".{key}{place.rstrip('.')}"
        return ""
    if isinstance(shape, list):
        fits = isinstance(content, list) and content and not any(_misshapen(item, shape[0]) for item in content)
    else:
        fits = isinstance(content, shape) and (type(content) is not bool or shape is object)
    return "" if fits else "."
