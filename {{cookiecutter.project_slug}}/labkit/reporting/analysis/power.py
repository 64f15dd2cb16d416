"""How many seeds a study needs: from the scatter that it found, and how uncertain that scatter is itself."""

import bisect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from labkit.reporting.analysis.statistics import CONFIDENCE, TEST_FROM, Array

POWER = 0.8
MOST_SEEDS = 1000
LARGEST_SHIFT = 30.0  # of t, in SDs: the power is 1 there, and not far beyond scipy gives NaN
Power = Callable[[float, int, float], float]  # (difference / SD, pairs, alpha) -> how often the test finds it


class Needed(NamedTuple):
    """Seeds per setting; None stands for more than a thousand, or for what nothing tells."""

    seeds: int | None
    low: int | None  # if the true SD is at the lower end of its 95 % interval
    high: int | None  # ... and at the upper end


def seeds_needed(sd: float, difference: float, alpha: float, power: Power | None = None) -> int | None:
    """The least number of pairs with which 80 % of studies find a true `difference` if those of pairs scatter by `sd`.

    `power` None: that of the two-sided paired t test.
    """
    if not (sd > 0 and difference > 0):
        return None
    effect = difference / sd
    enough = power or paired_t_power
    candidates = range(TEST_FROM, MOST_SEEDS + 1)  # fewer are too few for a test
    place = bisect.bisect_left(candidates, True, key=lambda n: enough(effect, n, alpha) >= POWER)
    return candidates[place] if place < len(candidates) else None


def needed_with_range(sd: float, pairs: int, difference: float, alpha: float, power: Power | None = None) -> Needed:
    """The seeds needed, and how many they would be at both ends of the 95 % interval of an SD of so many `pairs`."""
    if not sd > 0 or pairs < 2:
        return Needed(None, None, None)
    ends = _chi_squared(np.array([(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2]), pairs - 1)
    low, high = (float(sd * np.sqrt((pairs - 1) / end)) for end in ends)
    return Needed(*(seeds_needed(value, difference, alpha, power) for value in (sd, low, high)))


def paired_t_power(effect: float, n: int, alpha: float) -> float:
    """By the noncentral F distribution of t squared: the tails of the noncentral t are NaN where they are small."""
    limit = special.stdtrit(n - 1, 1 - alpha / 2)
    shift = min(effect * np.sqrt(n), LARGEST_SHIFT)
    return float(1 - special.ncfdtr(1, n - 1, shift**2, limit**2))


def equivalence_power(effect: float, n: int, alpha: float) -> float:
    """How often two one-sided t tests show that two equal settings differ by less than `effect` SDs (Schuirmann 1987).

    Given the SD, the mean difference is normal; Gauss-Legendre quadrature over the distribution of the SD.
    """
    freedom = n - 1
    low, high = np.sqrt(_chi_squared(np.array([1e-12, 1 - 1e-12]), freedom) / freedom)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    ratio = low + (high - low) * (nodes + 1) / 2  # of the SD of a study to the true one
    squares = freedom * ratio**2  # distributed as chi squared
    density = np.exp(special.xlogy(freedom / 2 - 1, squares / 2) - squares / 2 - special.gammaln(freedom / 2))
    density *= freedom * ratio
    room = effect * np.sqrt(n) - special.stdtrit(freedom, 1 - alpha) * ratio
    inside = np.maximum(special.ndtr(room) - special.ndtr(-room), 0)
    return float((density * inside * weights).sum() * (high - low) / 2)


def _chi_squared(share: Array, freedom: int) -> Array:
    """The quantiles of its distribution."""
    return 2 * special.gammaincinv(freedom / 2, share)
