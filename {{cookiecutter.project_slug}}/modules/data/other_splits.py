"""Splits by blocks of rows, by groups, by time, as they were given, and into folds."""

from typing import Any

import numpy as np

from modules.data.splits import PARTS, Split, check_fractions, random_split, split_of, stable_random, stratified_split


def block_split(examples: int, seed: int, validation_fraction: float, test_fraction: float, block: int = 1000) -> Split:
    """The fractions are of blocks of consecutive examples: neighbours stay together, and ten million are soon drawn."""
    of_blocks = random_split(-(-examples // block), seed, validation_fraction, test_fraction)
    parts = {}
    for name in PARTS:
        drawn = np.zeros(-(-examples // block), bool)
        drawn[of_blocks.part(name)] = True
        parts[name] = np.flatnonzero(np.repeat(drawn, block)[:examples]).astype(np.int32 if examples < 2**31 else int)
    return split_of(parts)


def group_split(groups: Any, seed: int, validation_fraction: float, test_fraction: float) -> Split:
    """All examples of a group, such as a patient, are in one part; the fractions are of groups."""
    _, number = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if number.max() < 2:
        raise ValueError(f"data: {number.max() + 1} groups do not fill three parts; choose another split")
    of_groups = random_split(int(number.max()) + 1, seed, validation_fraction, test_fraction)
    return split_of({name: np.flatnonzero(np.isin(number, of_groups.part(name))) for name in PARTS})


def time_split(times: np.ndarray, validation_fraction: float, test_fraction: float) -> Split:
    """The newest examples are for the test, those before them for validation: nothing is learned from the future.

    Examples of one moment stay in one part.
    """
    check_fractions(validation_fraction, test_fraction)
    order = np.argsort(times, kind="stable")
    moments = np.asarray(times)[order]
    ends = [round(len(order) * share) for share in (1 - validation_fraction - test_fraction, 1 - test_fraction)]
    train, validation = (int(np.searchsorted(moments, moments[min(end, len(order) - 1)])) for end in ends)
    validation = validation if test_fraction else len(order)
    return split_of(dict(zip(PARTS, map(np.sort, np.split(order, [train, validation])), strict=True)))


def given_split(parts: Any, targets: np.ndarray, seed: int, validation_fraction: float) -> Split:
    """By a column that holds "train", "validation" or "test" for each example.

    Where it holds no "validation", that fraction of the training part is drawn for it: of each class, if there are any.
    """
    names = np.asarray(parts, dtype=str)
    if strange := sorted(set(names.tolist()) - set(PARTS)):
        raise ValueError(f"data: the split column holds {strange[0]!r}; it may hold {', '.join(PARTS)}")
    given = {name: np.flatnonzero(names == name) for name in PARTS}
    train = given["train"]
    if len(given["validation"]) or not len(train):
        return split_of(given)
    classes = targets.ndim == 1 and targets.dtype.kind in "iu"
    labels = targets[train] if classes else np.zeros(len(train), np.int64)
    drawn = stratified_split(labels, seed, validation_fraction, 0.0)
    return Split(train[drawn.train], train[drawn.validation], given["test"])


def fold_split(whole: Split, fold: int, folds: int, seed: int) -> Split:
    """Fold number `fold` of `folds`: validation is that share of what is not for the test, and train is the rest.

    The test part is the same for all folds. ValueError: no such fold, or more folds than examples.
    """
    rest = stable_random("split_seed", seed).permutation(np.concatenate([whole.train, whole.validation]))
    if folds < 2 or not 0 <= fold < folds or folds > len(rest):
        raise ValueError(f"data.fold: must be 0 to data.folds - 1, and folds 2 to {len(rest)}; not {fold} of {folds}")
    pieces = np.array_split(rest, folds)
    train = np.concatenate([piece for number, piece in enumerate(pieces) if number != fold])
    return Split(np.sort(train), np.sort(pieces[fold]), whole.test, kind="fold")
