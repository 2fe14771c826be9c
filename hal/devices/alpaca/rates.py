"""At which speeds the axes of an Alpaca telescope can be moved: ranges, single speeds, and the gaps between them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from hal.devices.alpaca.server import as_number
from hal.traits import Pair

MOST_RANGES = 64
ROUNDING = 1e-9
DIGITS = 9


def ranges_of(told: object) -> list[Pair] | None:
    """(lowest, highest) degrees a second of the member AxisRates, in order and apart; None for what is no such list."""
    if not isinstance(told, list) or len(told) > MOST_RANGES:
        return None
    ranges: list[Pair] = []
    for row in told:
        ends = [as_number(row.get(key)) for key in ("Minimum", "Maximum")] if isinstance(row, dict) else []
        low, high = ends if len(ends) == 2 else (None, None)
        if low is None or high is None or not 0.0 <= low <= high:
            return None
        ranges.append((low, high))
    return _apart(ranges)


def in_both(one: list[Pair], other: list[Pair], highest: float) -> list[Pair]:
    """The speeds above rest, up to `highest`, that two axes have in common."""
    common = [(max(a[0], b[0]), min(a[1], b[1], highest)) for a in one for b in other]
    return _apart((low, high) for low, high in common if low <= high and high > 0.0)


def gaps_of(ranges: list[Pair]) -> list[Pair]:
    """The speeds between rest and the highest that it has not."""
    edges = [0.0, *(edge for pair in ranges for edge in pair)]
    return [(low, high) for low, high in zip(edges[::2], edges[1::2], strict=False) if high > low]


def at_most(ranges: list[Pair], speed: float) -> float:
    """The greatest speed that it has and that is not above this one; rest where there is none."""
    return max((min(high, speed) for low, high in ranges if low <= speed * (1 + ROUNDING)), default=0.0)


def as_told(ranges: list[Pair], rate_deg_s: float) -> str:
    """A rate in digits; one that rounding puts beside its range is the end that the telescope itself told."""
    speed = round(abs(rate_deg_s), DIGITS)
    if rate_deg_s and not any(low <= speed <= high for low, high in ranges):
        speed = min((edge for pair in ranges for edge in pair), key=lambda edge: abs(edge - speed))
    return f"{'-' if rate_deg_s < 0 and speed else ''}{Decimal(repr(speed)):f}"


def _apart(ranges: Iterable[Pair]) -> list[Pair]:
    merged: list[Pair] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged
