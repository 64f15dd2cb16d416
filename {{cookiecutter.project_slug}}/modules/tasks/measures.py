"""Measures that several tasks share, of counts and of scores."""

import numpy as np
import torch
from torch import Tensor

from modules.shapes import Int, Shaped


def confusion_matrix(
    predicted: Int[Tensor, "*examples"], target: Int[Tensor, "*examples"], classes: int
) -> Int[Tensor, "classes classes"]:
    """Counts: the row is the true class."""
    return torch.bincount(target.flatten() * classes + predicted.flatten(), minlength=classes**2).view(classes, classes)


def auc(scores: Shaped[np.ndarray, " n"], positive: Shaped[np.ndarray, " n"]) -> float:
    """The area under the ROC curve: how often a positive example scores higher than another; a tie counts half.

    `positive`: 0 or 1. NaN where one of the two does not occur.
    """
    positives = float(positive.sum())
    pairs = positives * (len(positive) - positives)
    _, level, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[level]  # from 1; tied scores share the mean of theirs
    above = ranks[positive == 1].sum() - positives * (positives + 1) / 2
    return float(above / pairs) if pairs else float("nan")
