"""Whether the satellite notices our beam crossing it: intensity, detector frames and jitter.

The satellite's detector takes frames without a gap, which know nothing of us. A frame has seen us when its mean
intensity reaches that of the beam at the capture radius (its 1/e^2 radius): so a frame on the axis needs light for an
eighth of its length, one at the capture radius for all of it. Which part of the crossing falls into a frame is chance,
uniform. Jitter shifts each track at right angles to itself; it is slow against a crossing and fast against a turn, so
it is the same within a crossing and independent between tracks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Coarse enough that a plan takes less than the beam board's heartbeat allows, fine enough for a part in a hundred.
PHASES = 4
PLACES = 12
ANGLES = 3

_NORMAL_X = np.linspace(-9.0, 9.0, 7201)
_NORMAL = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in _NORMAL_X])


def normal(x: Array) -> Array:
    """Cumulative normal distribution by table, to 1e-7."""
    result: Array = np.interp(x, _NORMAL_X, _NORMAL)
    return result


@dataclass(frozen=True, slots=True)
class Detector:
    """The satellite's side of an acquisition: capture radius of our beam, and the frame time of its detector."""

    capture_rad: float
    frame_s: float

    def reach(self, speed_rad_s: float, phases: int = PHASES) -> Array:
        """Largest offset at which a crossing is seen, for equally likely phases of the best frame; (phases,)."""
        travel = max(speed_rad_s * self.frame_s, 1e-6 * self.capture_rad)
        middle = (np.arange(phases) + 0.5) / phases * travel / 2
        # Mean over the frame of exp(-2 u^2/a^2), u running from middle - travel/2 to middle + travel/2.
        scale = self.capture_rad / 2  # sigma of the Gaussian intensity
        share = normal((middle + travel / 2) / scale) - normal((middle - travel / 2) / scale)
        mean = share * scale * math.sqrt(2 * math.pi) / travel
        result: Array = self.capture_rad * np.sqrt(np.maximum(1 + np.log(np.maximum(mean, 1e-300)) / 2, 0.0))
        return result

    def seen(self, offset_rad: Array, speed_rad_s: float, jitter_rad: float) -> Array:
        """Probability that a track at `offset_rad` (any shape) is noticed, jitter averaged; speed 0 is a stare."""
        sigma = max(jitter_rad, 1e-6 * self.capture_rad)
        result = np.zeros_like(offset_rad)
        edges = self.reach(speed_rad_s)
        for edge in edges:
            if edge > 0.0:
                result += normal((edge - offset_rad) / sigma) - normal((-edge - offset_rad) / sigma)
        return result / len(edges)


def miss_probability(
    flattening: float, pitch: float, area_rate: float, detector: Detector, jitter: float, angles: int = ANGLES
) -> float:
    """Probability that no track of a stretched spiral is noticed by a target inside it; lengths in capture radii.

    `pitch` is the widest track spacing (major axis), `flattening` = s2/s1; the spacing shrinks and the speed grows
    towards the minor axis, their product `area_rate` is the same everywhere. Averaged over angle and over offset.
    """
    unit = Detector(1.0, detector.frame_s)
    total = 0.0
    for angle in (np.arange(angles) + 0.5) * (np.pi / 2 / angles):
        spacing = pitch * flattening / math.hypot(math.sin(angle), flattening * math.cos(angle))
        total += unseen(spacing, area_rate / spacing, unit, jitter)
    return total / angles


def unseen(spacing: float, speed: float, detector: Detector, jitter: float) -> float:
    """Probability that every one of many parallel tracks misses, averaged over the target's place between two."""
    offset = _offsets(spacing, detector.capture_rad + 4 * jitter, PLACES)
    return float(np.prod(1 - detector.seen(offset, speed, jitter), axis=1).mean())


def unlit(spacing: float, capture_rad: float, jitter_rad: float) -> float:
    """As `unseen` for a detector that needs no time: some track comes within `capture_rad` or none. Closed form."""
    offset = _offsets(spacing, capture_rad + 9 * jitter_rad, 400)
    root = np.sqrt(2.0) * jitter_rad
    # Two complementary error functions keep their digits where 1 - erf would have lost them.
    erfc = np.vectorize(math.erfc)
    missed = (erfc((capture_rad - offset) / root) + erfc((capture_rad + offset) / root)) / 2
    return float(np.prod(missed, axis=1).mean())


def _offsets(spacing: float, reach: float, places: int) -> Array:
    """Distance from each place between two tracks (rows) to every track within reach (columns)."""
    tracks = np.arange(-np.ceil(reach / spacing) - 1, np.ceil(reach / spacing) + 2) * spacing
    inside = (np.arange(places) + 0.5) / places * spacing
    result: Array = inside[:, None] - tracks[None, :]
    return result
