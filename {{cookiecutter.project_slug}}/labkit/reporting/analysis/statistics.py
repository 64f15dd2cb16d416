"""Means over seeds and differences between settings, and how far they can be trusted.

The t interval covers what it claims from three seeds on; percentile bootstrap intervals cover .75 at n = 3.
"""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special  # scipy.stats says the same, and takes a second to import

CONFIDENCE = 0.95
INTERVAL_FROM = 3  # fewer seeds: blank
TEST_FROM = 5
SIGN_FLIP_FROM = 6  # with fewer the smallest p there is exceeds 0.05
EXACT_UP_TO = 13  # pairs: 8192 sign patterns; beyond, 9999 of them are drawn

Array = npt.NDArray[np.float64]
NAN = float("nan")


@dataclass
class Estimate:
    """One metric over the seeds of one setting; NaN stands for what so few seeds do not tell."""

    n: int
    mean: float
    sd: float  # ddof 1, from two seeds
    low: float  # ends of the 95 % t interval of the mean, from three seeds
    high: float


@dataclass
class Difference:
    """A mean difference b - a; NaN stands for what so few seeds do not tell, or equal differences."""

    mean: float
    sd: float  # of the differences of pairs; where there are none, of a single difference
    low: float  # ends of the t interval, from three seeds
    high: float
    p: float  # two-sided t test, from five seeds
    error: float = NAN  # standard error of the mean difference
    freedom: float = NAN  # degrees of freedom of its t distribution

    def p_above(self, value: float) -> float:
        """Of the one-sided t test of "the difference is at most `value`", from five seeds."""
        tested = np.isfinite(self.p) and self.error > 0
        return float(special.stdtr(self.freedom, (value - self.mean) / self.error)) if tested else NAN

    def p_below(self, value: float) -> float:
        """Of the one-sided t test of "the difference is at least `value`", from five seeds."""
        return 1 - self.p_above(value)

    def half(self, confidence: float) -> float:
        """Half the width of the t interval at another level."""
        return float(special.stdtrit(self.freedom, (1 + confidence) / 2)) * self.error


def describe(values: Array, test_per_train: Array | float = 0.0) -> tuple[Array, Array, Array, Array]:
    """n, mean, SD and half of the t interval of each row of `values` (rows, seeds); NaN and infinity are left out.

    `test_per_train`: of each row, for folds or splits of one data set; see `paired_difference`.
    """
    scale = _scale(values)
    values = values / scale
    finite = np.isfinite(values)
    n = finite.sum(1).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is the NaN that we want
        # Counted from one of the values, so that equal values have a SD of exactly 0.
        origin = np.where(finite, values, np.inf).min(1)
        mean = origin + np.where(finite, values - origin[:, None], 0).sum(1) / n
        squares = np.where(finite, values - mean[:, None], 0) ** 2
        sd = np.sqrt(squares.sum(1) / np.where(n > 1, n - 1, 0))
        enough = np.where(n >= INTERVAL_FROM, n, np.nan)
        half = (
            special.stdtrit(enough - 1, (1 + CONFIDENCE) / 2) * sd / np.sqrt(enough) * np.sqrt(1 + n * test_per_train)
        )
    return n, mean * scale, sd * scale, half * scale


def paired_difference(b: Array, a: Array, confidence: float, test_per_train: float = 0.0) -> Difference:
    """b (n,) against a (n,), pair by pair: Student's paired t test.

    `test_per_train` is n_test / n_train where the pairs are folds or splits of one data set: they share examples, and
    the variance of their mean is corrected for it (Nadeau and Bengio 2003, Inference for the generalization error,
    section 3).
    """
    n, scale = len(b), _scale(b, a)
    d = b / scale - a / scale
    mean, sd = float(d.mean()) if n else NAN, float(d.std(ddof=1)) if n > 1 and np.ptp(_counted(b, a)) else 0.0
    if n < 2:
        return Difference(mean * scale, NAN, NAN, NAN, NAN)
    error = sd * np.sqrt(1 / n + test_per_train)
    return _difference(mean, sd, error, n - 1, n, confidence, scale)


def unpaired_difference(b: Array, a: Array, confidence: float) -> Difference:
    """b (n,) against a (m,) on other seeds: Welch's t test."""
    least, scale = min(len(b), len(a)), _scale(b, a)
    b, a = b / scale, a / scale
    mean = float(b.mean() - a.mean()) if least else NAN
    if least < 2:
        return Difference(mean * scale, NAN, NAN, NAN, NAN)
    variances = [float(x.var(ddof=1)) / len(x) if np.ptp(x) else 0.0 for x in (b, a)]
    error = np.sqrt(sum(variances))
    freedom = error**4 / sum(v * v / (len(x) - 1) for v, x in zip(variances, (b, a), strict=True)) if error else 1.0
    sd = np.sqrt(variances[0] * len(b) + variances[1] * len(a))
    return _difference(mean, float(sd), error, freedom, least, confidence, scale)


def _difference(
    mean: float, sd: float, error: float, freedom: float, n: int, confidence: float, scale: float
) -> Difference:
    half = special.stdtrit(freedom, (1 + confidence) / 2) * error if n >= INTERVAL_FROM else NAN
    p = 2 * special.stdtr(freedom, -abs(mean) / error) if n >= TEST_FROM and error else NAN
    ends = float(mean - half) * scale, float(mean + half) * scale
    return Difference(mean * scale, sd * scale, *ends, float(p), float(error) * scale, float(freedom))


def sign_flip_p(b: Array, a: Array) -> float:
    """Two-sided p of the paired differences, had each sign been drawn by chance: exact up to 13 pairs, then from 9999
    draws, always the same ones."""
    n = len(b)
    if n < SIGN_FLIP_FROM:
        return NAN
    differences = _counted(b, a)
    signs = _signs(n)
    as_far = int((np.abs(signs @ differences) >= abs(differences.sum())).sum())
    return as_far / len(signs) if n <= EXACT_UP_TO else (as_far + 1) / (len(signs) + 1)


@functools.cache
def _signs(n: int) -> Array:
    """All patterns of n signs, or 9999 that were drawn, always the same ones: (patterns, n)."""
    if n > EXACT_UP_TO:
        return np.random.default_rng(0).choice([-1.0, 1.0], (9999, n))
    return 1.0 - 2.0 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)


def probability_of_improvement(b: Array, a: Array, direction: str) -> float:
    """That a seed of b is better than one of a, ties counted half; from three seeds."""
    if min(len(b), len(a)) < INTERVAL_FROM:
        return NAN
    twice = np.greater.outer(b, a).sum() + np.greater_equal.outer(b, a).sum()
    better = twice / (2 * len(b) * len(a))
    return float(better if direction == "max" else 1 - better)


def holm(p: list[float]) -> list[float]:
    """Adjusted for as many tests as there are (Holm 1979); NaN is no test."""
    order = sorted((i for i in range(len(p)) if np.isfinite(p[i])), key=p.__getitem__)
    adjusted, largest = [NAN] * len(p), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[i]))
        adjusted[i] = largest
    return adjusted


def _scale(*values: Array) -> float:
    """A power of two near the largest number: divided by it no square overflows or vanishes, and no bit changes."""
    largest = max(float(np.abs(x[np.isfinite(x)]).max(initial=0.0)) for x in values)
    return 2.0 ** (int(np.frexp(largest)[1]) - 1) if largest else 1.0


def _counted(b: Array, a: Array) -> Array:
    """The differences in whole units of the twelfth digit: 0.3 - 0.2 and 0.2 - 0.1 are one and the same, and sums of
    them are exact."""
    largest = max(float(np.abs(b).max()), float(np.abs(a).max()))
    return np.round((b - a) / 10.0 ** np.ceil(np.log10(largest)) * 1e12) if largest else b - a
