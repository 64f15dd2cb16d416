"""How numbers are rounded where people read them; settings never are."""

import math
import statistics
from collections.abc import Iterable

MOST_WRITTEN_OUT = 1e12  # a larger number has an exponent


def decimals_for(sds: Iterable[float]) -> int:
    """As many that a typical SD has two digits that mean something; four where there is none."""
    there = [sd for sd in sds if sd > 0]
    return min(max(1 - math.floor(math.log10(statistics.median(there))), 0), 8) if there else 4


def rounded(value: float, decimals: int, sign: str = "") -> str:
    """Blank for a value that does not exist; a value too small for the decimals keeps two digits of its own."""
    if not math.isfinite(value):
        return ""
    if abs(value) >= MOST_WRITTEN_OUT:
        return f"{value:{sign}.4g}"
    small = 0 < abs(value) < 0.5 * 10**-decimals
    return f"{value:{sign}.2g}" if small else f"{value:{sign}.{decimals}f}"


def with_uncertainty(mean: float, sd: float, decimals: int) -> str:
    """0.974(12): behind the mean the SD, in units of its last digit."""
    if not math.isfinite(mean) or not math.isfinite(sd):
        return rounded(mean, decimals)
    if max(abs(mean), sd) >= MOST_WRITTEN_OUT:
        return f"{rounded(mean, decimals)} ({rounded(sd, decimals)})"
    if 0 < sd < 10**-decimals:
        decimals = decimals_for([sd])
    return f"{mean:.{decimals}f}({round(sd * 10**decimals)})"


def interval(low: float, high: float, decimals: int) -> str:
    ends = [rounded(end, decimals) for end in (low, high)]
    return " to ".join(ends) if all(ends) else ""


def p_value(p: float) -> str:
    if not math.isfinite(p):
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def p_equals(p: float) -> str:
    """= 0.031, or < 0.001: behind a p in a sentence."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def three_digits(value: float) -> str:
    """12.5, 310, 12345: what a cost needs, hardly ever an exponent; blank for a value that does not exist."""
    if not math.isfinite(value):
        return ""
    if abs(value) >= MOST_WRITTEN_OUT:
        return f"{value:.3g}"
    if value.is_integer() or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{min(2 - math.floor(math.log10(abs(value))), 8)}f}"


def percent(share: float) -> str:
    """95 for 0.95, and 99.9 for 0.999."""
    return f"{100 * share:.10g}"
