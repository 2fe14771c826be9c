"""Whether the satellite notices our beam crossing it: chord, detector frames and jitter.

A beam of capture radius a that passes at distance x with speed v lights the satellite for 2 sqrt(a^2 - x^2) / v. Its
detector integrates in frames that know nothing of us: one whole frame fits for certain into a crossing of two frames, and
with probability c - 1 into one of c frames. Jitter shifts each track at right angles to itself; it is slow against a
crossing and fast against a turn, so it is the same within a crossing and independent between tracks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Midpoint nodes for the expectation over a unit normal: the integrand has kinks, which a Gauss rule resents.
_NODES = (np.arange(72) + 0.5) / 8 - 4.5
_WEIGHTS = np.exp(-(_NODES**2) / 2) / np.exp(-(_NODES**2) / 2).sum()


@dataclass(frozen=True, slots=True)
class Detector:
    """The satellite's side of an acquisition: capture radius of our beam, and the frame time of its detector."""

    capture_rad: float
    frame_s: float

    def seen(self, offset_rad: Array, speed_rad_s: float, jitter_rad: float) -> Array:
        """Probability that a track at `offset_rad` (any shape) is noticed, jitter averaged; speed 0 is a stare."""
        moved = offset_rad[..., None] + jitter_rad * _NODES
        chord = 2 * np.sqrt(np.maximum(self.capture_rad**2 - moved**2, 0.0))
        frames = chord / max(speed_rad_s * self.frame_s, 1e-3 * self.capture_rad)
        result: Array = np.clip(frames - 1, 0.0, 1.0) @ _WEIGHTS
        return result

    def steadied(self, jitter_rad: float, corner_hz: float) -> Detector:
        """As if jitter stood still during a frame: the capture radius less what it moves between middle and ends.

        First-order jitter of one axis changes in half a frame T by sigma sqrt(2 - 2 exp(-pi fc T)) rms; the larger of the
        two ends exceeds zero by 1/sqrt(pi) of that on average.
        """
        moved = jitter_rad * math.sqrt(2 - 2 * math.exp(-math.pi * corner_hz * self.frame_s))
        return Detector(self.capture_rad - moved / math.sqrt(math.pi), self.frame_s)


def miss_probability(
    flattening: float, pitch: float, area_rate: float, detector: Detector, jitter: float, angles: int = 5
) -> float:
    """Probability that no track of a stretched spiral is noticed by a target inside it; lengths in capture radii.

    `pitch` is the widest track spacing (major axis), `flattening` = s2/s1; the spacing shrinks and the speed grows
    towards the minor axis, their product `area_rate` is the same everywhere. Averaged over angle and over offset.
    """
    unit = Detector(1.0, detector.frame_s)
    total = 0.0
    for angle in (np.arange(angles) + 0.5) * (np.pi / 2 / angles):
        spacing = pitch * flattening / np.hypot(np.sin(angle), flattening * np.cos(angle))
        total += float(unseen(spacing, area_rate / spacing, unit, jitter))
    return total / angles


def unseen(spacing: float, speed: float, detector: Detector, jitter: float) -> float:
    """Probability that every one of many parallel tracks misses, averaged over the target's place between two."""
    offset = _offsets(spacing, detector.capture_rad + 4 * jitter, 24)
    return float(np.prod(1 - detector.seen(offset, speed, jitter), axis=1).mean())


def unlit(spacing: float, capture_rad: float, jitter_rad: float) -> float:
    """As `unseen` for a detector that needs no time: only whether some track comes within `capture_rad`. Closed form."""
    offset = _offsets(spacing, capture_rad + 9 * jitter_rad, 400)
    root = np.sqrt(2.0) * jitter_rad
    # Two complementary error functions keep their digits where 1 - erf would have lost them.
    out = np.vectorize(math.erfc)((capture_rad - offset) / root) + np.vectorize(math.erfc)(
        (capture_rad + offset) / root
    )
    return float(np.prod(out / 2, axis=1).mean())


def _offsets(spacing: float, reach: float, places: int) -> Array:
    """Distance from each place between two tracks (rows) to every track within reach (columns)."""
    tracks = np.arange(-np.ceil(reach / spacing) - 1, np.ceil(reach / spacing) + 2) * spacing
    inside = (np.arange(places) + 0.5) / places * spacing
    return inside[:, None] - tracks[None, :]
