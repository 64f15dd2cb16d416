"""Labelled lines of text: a file with a label and a text in each line."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modules.data.base import ArrayData, Batch, Loaded
from modules.data.checks import fingerprint_of
from modules.data.splits import stable_random

PADDING, UNKNOWN = 0, 1  # tokens; the vocabulary follows


def trimmed(batch: Batch) -> Batch:
    """As long as its longest text."""
    longest = max(1, int(batch["mask"].sum(1).max()))  # waits for the device: shorter batches are worth it
    return {**batch, "input": batch["input"][:, :longest], "mask": batch["mask"][:, :longest]}


@dataclass(kw_only=True)
class Text(ArrayData):
    """Words or characters, as the numbers that the training part gives them. Batches hold "input" (batch, length),
    "mask" (batch, length), False where it is padding, and "target" (batch,)."""

    file: str | None
    separator: str
    characters: bool
    length: int
    rare: int

    change = staticmethod(trimmed)

    def load(self) -> Loaded:
        lines = _example(2000) if self.file is None else _read(Path(self.file), self.separator)
        self.texts = [list(text) if self.characters else text.lower().split() for _, text in lines]
        names = sorted({label for label, _ in lines})
        target = np.array([names.index(label) for label, _ in lines], np.int64)
        content = np.frombuffer("\n".join(f"{label}\t{text}" for label, text in lines).encode(), np.uint8)
        return Loaded({"target": target}, {"class_names": names}, fingerprint_of(content))

    def fit(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self.length < 1:
            raise ValueError(f"data.length: must be at least 1 token, not {self.length}")
        counts: dict[str, int] = {}
        for number in self.split.train:
            for token in self.texts[number]:
                counts[token] = counts.get(token, 0) + 1
        known = sorted(token for token, count in counts.items() if count >= self.rare)
        numbers = {token: number for number, token in enumerate(known, start=UNKNOWN + 1)}
        length = min(self.length, max(len(text) for text in self.texts))
        inputs = np.full((len(self.texts), length), PADDING, np.int64)
        for row, text in zip(inputs, self.texts, strict=True):
            tokens = [numbers.get(token, UNKNOWN) for token in text[:length]]
            row[: len(tokens)] = tokens
        self.facts |= {"input_shape": (length,), "vocabulary": len(numbers) + 2, "tokens": ["", "?", *known]}
        return {"input": inputs, "mask": inputs != PADDING, "target": arrays["target"]}


def _read(path: Path, separator: str) -> list[tuple[str, str]]:
    """(label, text) of each line. ValueError, naming the line, for one that has no label or no text."""
    if not path.is_file():
        raise ValueError(f'data.file: there is no file "{path}" in {Path.cwd()}; correct the path')
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"data.file: {path} is not UTF-8 ({error}); save it as UTF-8") from error
    lines = []
    for number, line in enumerate(content.splitlines(), start=1):
        label, _, text = line.partition(separator)
        if not label.strip() or not text.strip():
            shown = "a tab" if separator == "\t" else separator
            raise ValueError(f"data.file: line {number} of {path} has no label, {shown} and text; correct it")
        lines.append((label.strip(), text.strip()))
    if not lines:
        raise ValueError(f"data.file: {path} has no lines; choose another file")
    return lines


def _example(examples: int) -> list[tuple[str, str]]:
    """Short reviews, no two alike: "not" turns what follows into its opposite, so that single words do not do."""
    openings = ("I think", "we all found that", "they say", "to be honest,", "as my sister says,", "in short,")
    subjects = ("the film", "this old book", "a song we heard", "the first act", "his new play", "that long story")
    degrees = ("", "very ", "really ", "quite ", "rather ", "truly ")
    words = ("good", "great", "fine", "lovely", "bad", "awful", "poor", "dull")  # the first half are positive
    reviews = list(itertools.product(openings, subjects, ("", "not "), degrees, words))
    lines = []
    for number in stable_random("generation_seed", 0).permutation(len(reviews))[:examples]:
        opening, subject, turn, degree, word = reviews[number]
        positive = (word in words[:4]) != bool(turn)
        lines.append(("positive" if positive else "negative", f"{opening} {subject} was {turn}{degree}{word}"))
    return lines
