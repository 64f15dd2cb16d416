"""The keys of config/data/*.yaml that say how a data set is split."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from modules.data.other_splits import block_split, fold_split, given_split, group_split, time_split
from modules.data.splits import Split, random_split, stratified_split


@dataclass(kw_only=True)
class SplitSettings:
    """Is inherited by `ArrayData`; config/data/_shared.yaml explains each key."""

    split_kind: str
    split_seed: int
    validation_fraction: float
    test_fraction: float
    fraction: float
    folds: int | None
    fold: int

    def make_split(self, targets: np.ndarray, column: Any) -> Split:
        """By the targets (n, ...), or by a `column` (n,) that holds groups, moments or parts."""
        fractions = (self.validation_fraction, self.test_fraction)
        kinds = {
            "stratified": lambda: stratified_split(targets, self.split_seed, *fractions),
            "random": lambda: random_split(len(targets), self.split_seed, *fractions),
            "blocks": lambda: block_split(len(targets), self.split_seed, *fractions),
            "groups": lambda: group_split(column, self.split_seed, *fractions),
            "time": lambda: time_split(np.asarray(column), *fractions),
            "given": lambda: given_split(column, targets, self.split_seed, self.validation_fraction),
        }
        if self.split_kind not in kinds:
            raise ValueError(f'data.split_kind: "{self.split_kind}" is none of {", ".join(kinds)}')
        if column is None and self.split_kind in ("groups", "time", "given"):
            raise ValueError(f"data.split_kind: {self.split_kind} needs a column of the data set; this one names none")
        split = kinds[self.split_kind]()
        if self.folds is not None:
            split = fold_split(split, self.fold, self.folds, self.split_seed)
        return split.with_fraction(self.fraction, self.split_seed)
