"""How names, times and suggestions are read and written in every message and report."""

import difflib
import re
from collections.abc import Iterable

BETTER = {"max": "higher", "min": "lower"}  # what a direction is in a sentence


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean "x"?' or '': the end of a sentence about an unknown name."""
    close = difflib.get_close_matches(name, set(known) - {name}, n=1)
    return f'; did you mean "{one_line(close[0])}"?' if close else ""


def alternatives(name: str, known: Iterable[str]) -> str:
    """'there are: x, y; did you mean "x"?': the same, after naming everything that there is."""
    return f"there are: {', '.join(map(one_line, known))}{nearest(name, known)}"


def one_line(text: str) -> str:
    """The text with line breaks, control characters and undecodable bytes written as escapes."""
    if text.isprintable():  # nearly every text is, and asking takes a tenth of the time
        return text
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda match: repr(match[0])[1:-1], text)


def shortened(text: str, letters: int) -> str:
    """So many letters of a longer text: its beginning, three dots, its end."""
    if len(text) <= letters:
        return text
    end = letters // 4
    return f"{text[: letters - end - 1]}\N{HORIZONTAL ELLIPSIS}{text[-end:]}" if end else text[:letters]


def counted(n: int, what: str) -> str:
    """'1 run', '3 runs'."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def duration(seconds: float) -> str:
    """At most two units: 4.5 s, 45 s, 12 min, 3 h 05 min, 2 d 4 h."""
    minutes = round(seconds / 60)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    if minutes < 1e9:
        return f"{minutes // 1440} d {minutes % 1440 // 60} h"
    return f"{minutes / 1440:.3g} d"


def split_of(metric: str) -> str:
    """The part of the data that a metric was measured on: "validation" of "validation/accuracy"."""
    return metric.split("/", 1)[0]


def quantity_of(metric: str) -> str:
    """What a metric measures: "accuracy" of "validation/accuracy"."""
    return metric.split("/", 1)[-1]


def file_word(text: str) -> str:
    """The text in letters that every file system and LaTeX take: optimizer_lr."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
