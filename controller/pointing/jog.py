"""Jogging by hand with a dead-man: an axis turns while its key is held, and for no more than HOLD_S after that.

A terminal tells of keys pressed, never of keys let go; a held key comes again and again. So a press moves the axis for
HOLD_S, and the repetitions of a held key keep it moving. Nothing here reads a clock, a key or a wire.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from controller.pointing.axis import NS
from hal.traits import AxisPosition, GimbalCapabilities, Pair

HOLD_S = 0.25  # terminals repeat a held key every 30 to 50 ms, after a first pause of 250 to 600 ms
TURN_S = 0.15  # from one look at the encoders to the next, at most, with a slow mount


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far the axes may be jogged: elevation as the encoder has it, azimuth from where the jog began."""

    elevation_min_rad: float
    elevation_max_rad: float
    azimuth_reach_rad: float = math.pi  # half a turn to either side: no cable is wound up unseen


class Jog:
    """State of a jog; `speed_rad_s` may be changed at any time and is cut to what the gimbal can do."""

    def __init__(self, capabilities: GimbalCapabilities, bounds: Bounds, speed_rad_s: float) -> None:
        self.speed_rad_s = speed_rad_s
        self._capabilities = capabilities
        self._bounds = bounds
        self._wanted = (0, 0)
        self._pressed_ns = 0
        self._azimuth_rad: float | None = None  # unwrapped, from where the jog began
        self._before_rad = 0.0

    def press(self, azimuth: int, elevation: int, now_ns: int) -> None:
        """A key is down: -1, 0 or 1 for each axis."""
        self._wanted, self._pressed_ns = (azimuth, elevation), now_ns

    def release(self) -> None:
        """Any other key."""
        self._wanted = (0, 0)

    def step(self, now_ns: int, position: AxisPosition) -> tuple[Pair, str]:
        """Rates (azimuth, elevation) in rad/s for this moment, and why an axis that is wanted stands still."""
        turned_rad = self._unwrap(position.azimuth_rad)
        if now_ns - self._pressed_ns > HOLD_S * NS:
            self._wanted = (0, 0)
        speed = min(self.speed_rad_s, self._capabilities.rate_max_rad_s)
        elevation_rad = math.remainder(position.elevation_rad, math.tau)
        bounds = self._bounds
        room = (
            (bounds.azimuth_reach_rad - turned_rad, turned_rad + bounds.azimuth_reach_rad),
            (bounds.elevation_max_rad - elevation_rad, elevation_rad - bounds.elevation_min_rad),
        )
        rates, why = [0.0, 0.0], ""
        for axis, name in enumerate(("azimuth", "elevation")):
            sign = self._wanted[axis]
            if not sign:
                continue
            if room[axis][sign < 0] > self._stopping_rad(speed):
                rates[axis] = sign * speed
            else:
                why = f"{name} is at its limit"
        return (rates[0], rates[1]), why

    def _stopping_rad(self, speed_rad_s: float) -> float:
        """What an axis turns at most from now until it stands."""
        limits = self._capabilities
        late_s = TURN_S + limits.command_latency_s
        return speed_rad_s * late_s + speed_rad_s**2 / (2 * limits.acceleration_max_rad_s2)

    def _unwrap(self, azimuth_rad: float) -> float:
        if self._azimuth_rad is None:
            self._azimuth_rad = 0.0
        else:
            self._azimuth_rad += math.remainder(azimuth_rad - self._before_rad, math.tau)
        self._before_rad = azimuth_rad
        return self._azimuth_rad
