"""Passes without cleverness: elevation every ten seconds, then bisection. Shares only the frames with the finder."""

from __future__ import annotations

import numpy as np

from controller.pointing.prediction import geometric_enu_m

NS = 1_000_000_000
STEP_NS = 10 * NS


def sine(elements, t, site, earth):
    enu = geometric_enu_m(elements, t, site, earth)
    return enu[:, 2] / np.linalg.norm(enu, axis=1)


def _bisect(elements, site, earth, sin_mask, a, b):
    """Crossings between times `a` (n), on one side of the mask, and `b`, on the other: to a nanosecond."""
    above_a = sine(elements, a, site, earth) > sin_mask
    while np.any(b - a > 1):
        middle = (a + b) // 2
        same = (sine(elements, middle, site, earth) > sin_mask) == above_a
        a, b = np.where(same, middle, a), np.where(same, b, middle)
    return b


def crossings(elements, site, earth, start_utc_ns, end_utc_ns, mask_rad):
    """(rise, set, culmination's sine) of passes whose rise and set both lie within a span, by brute force."""
    sin_mask = np.sin(mask_rad)
    t = np.arange(start_utc_ns, end_utc_ns, STEP_NS, dtype=np.int64)
    s = sine(elements, t, site, earth)
    # A pass between two points of the grid: look closer at every maximum that is not far below the mask.
    peak = np.nonzero((s[1:-1] >= s[:-2]) & (s[1:-1] > s[2:]) & (s[1:-1] <= sin_mask) & (s[1:-1] > sin_mask - 0.02))[0]
    for k in peak + 1:
        close = t[k] + np.arange(-STEP_NS, STEP_NS, NS // 50, dtype=np.int64)
        s_close = sine(elements, close, site, earth)
        best = int(np.argmax(s_close))
        if s_close[best] > sin_mask:
            t, s = np.append(t, close[best]), np.append(s, s_close[best])
    order = np.argsort(t)
    t, s = t[order], s[order]
    up = s > sin_mask
    rises = np.nonzero(~up[:-1] & up[1:])[0]
    sets = np.nonzero(up[:-1] & ~up[1:])[0]
    sets = sets[sets > rises[0]] if len(rises) else sets[:0]
    rises = rises[: len(sets)]
    if not len(rises):
        return []
    rise = _bisect(elements, site, earth, sin_mask, t[rises], t[rises + 1])
    fall = _bisect(elements, site, earth, sin_mask, t[sets], t[sets + 1])
    tops = [float(s[a + 1 : b + 1].max()) for a, b in zip(rises, sets, strict=True)]
    return list(zip(rise.tolist(), fall.tolist(), tops, strict=True))
