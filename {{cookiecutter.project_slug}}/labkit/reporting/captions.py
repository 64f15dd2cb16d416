"""The sentences that the captions of figures and tables share.

Names stand in a caption as the runs wrote them: each page and table cleans and escapes what it writes.
"""

from collections.abc import Iterable

from labkit.reporting.collect import Results
from labkit.reporting.statistics import CONFIDENCE, INTERVAL_FROM

MEAN_INTERVAL = f"{100 * CONFIDENCE:g} % t interval of the mean (from {INTERVAL_FROM} seeds)"
NO_TESTS = "No tests, hence no correction."


def selection_rule(results: Results) -> str:
    """The sentence on which evaluation of a run counts."""
    end = {"max": "highest", "min": "lowest"}[results.monitor["direction"]]
    return f"Of each run, the evaluation with the {end} {results.monitor['metric']} counts."


def counted(count: int, noun: str) -> str:
    """1 seed, 3 seeds."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def from_to(counts: Iterable[int]) -> str:
    """5, or 3 to 5: the smallest and the largest."""
    first, *others = sorted(set(counts))
    return f"{first} to {others[-1]}" if others else str(first)


def seeds_per_setting(counts: Iterable[int]) -> str:
    """n = 5 seeds per setting."""
    number = from_to(counts)
    return "one seed per setting" if number == "1" else f"n = {number} seeds per setting"
