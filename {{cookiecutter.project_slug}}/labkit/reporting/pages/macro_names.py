"""Names of LaTeX macros, which may hold letters only."""

import functools
import hashlib
import json
import re
from collections import Counter

Name = tuple[tuple[str, str], ...]  # (key, value) of a setting; the key of all else is empty
DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
MOST_LETTERS = 100  # of a part of a name: TeX has room for so many letters in all names together
PLAIN = re.compile(r"[A-Za-z0-9 _./,=+-]*")  # loses its separators only


def macro_names(full_names: list[Name]) -> dict[Name, str]:
    """A macro for each: letters of a hash of the full name tell apart what lost characters, or would be one macro."""
    short = {name: "".join(_spoken(*part) for part in name) for name in full_names}
    uses = Counter(short.values())
    return {name: text + _hash(name) if uses[text] > 1 or _lost(name) else text for name, text in short.items()}


@functools.lru_cache(10_000)  # a study has few words, in very many names
def _spoken(key: str, value: str) -> str:
    """As in a group's label: net2 -> NetTwo, optimizer.lr 0.001 -> LrZeroPointZeroZeroOne."""
    if not value:
        return ""
    return to_letters(key.rsplit(".", 1)[-1] if "." in key else "") + to_letters(value)[:MOST_LETTERS]


def to_letters(text: str) -> str:
    """validation/accuracy -> ValidationAccuracy, 1e-05 -> OneEMinusZeroFive."""
    text = re.sub(r"(?<![A-Za-z0-9])-(?=\d)|(?<=\de)-(?=\d)", " minus ", text)
    text = re.sub(r"(?<=\d)\.(?=\d)", " point ", text)
    text = re.sub(r"[0-9]", lambda digit: f" {DIGITS[int(digit[0])]} ", text)
    return "".join(word[0].upper() + word[1:] for word in re.findall("[A-Za-z]+", text))


def _lost(name: Name) -> bool:
    return not all(map(_is_plain, name))


@functools.lru_cache(10_000)
def _is_plain(part: tuple[str, str]) -> bool:
    return all(map(PLAIN.fullmatch, part)) and len(to_letters(part[1])) <= MOST_LETTERS


def _hash(name: Name) -> str:
    digest = hashlib.sha256(json.dumps(name).encode()).digest()
    return "X" + "".join(chr(ord("a") + byte % 26) for byte in digest[:6])
