"""What the coarse loop adds to the predicted direction, and what is left of it when the coarse loop falls silent."""

from __future__ import annotations

import math

from controller.bus.topics import ZERO, Correction, Pair
from controller.errors import BoresightError

REACH_S = 0.3  # a correction grows by its rate for no longer than this: the topic's stale-after
COAST_S = 3.0  # then it is held
FADE_S = 3.0  # then it goes to zero, at a pace that a fine loop or a camera follows


def correction_at(correction: Correction | None, age_s: float, t_utc_ns: int) -> Pair:
    """The correction (cross-elevation, elevation) at a time, from the newest that was received `age_s` ago.

    Raises BoresightError when it is no number.
    """
    if correction is None or correction.source == "none":
        return ZERO
    reach_s = min(REACH_S, max(-REACH_S, (t_utc_ns - correction.t_utc_ns) * 1e-9))
    left = min(1.0, max(0.0, 1.0 - (age_s - COAST_S) / FADE_S))
    x, y = (left * (o + r * reach_s) for o, r in zip(correction.offset_rad, correction.rate_rad_s, strict=True))
    if not math.isfinite(x + y):
        raise BoresightError("The correction of the coarse loop is no number.")
    return x, y
