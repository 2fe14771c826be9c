"""What drivers share of rotators and mounts that take rates, too: no rate carries an axis out of its soft travel."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace

from hal.clock import NS
from hal.devices.rotator import Rotator
from hal.traits import AxisPosition, GimbalCapabilities

FRESH_NS = NS // 2
BRAKING_S = 0.1  # beyond the command's latency, for what the axis does until it hears of the end of its travel


class RateRotator(Rotator):
    """A Rotator that turns at any rate; it keeps its last one."""

    _here: AxisPosition | None = None  # read, or carried on by the rates since; None: not known
    _fresh_ns = 0  # until when that is good enough
    _rates = (0.0, 0.0)  # the last that were sent

    def position(self) -> AxisPosition:
        """Both angles; `set_rate` looks at the last of them for the end of travel."""
        self._here = super().position()
        self._fresh_ns = self._here.t_ns + FRESH_NS
        return self._here

    def go_to(self, azimuth_rad: float, elevation_rad: float) -> None:
        """Send it to these angles, cut to its travel. Raises ValueError when one is not finite."""
        super().go_to(azimuth_rad, elevation_rad)
        self._rates = (0.0, 0.0)

    def set_rate(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """Turn at these rates, not out of its travel. Raises ValueError, and sends nothing, when one is not finite."""
        self._finite("rates", azimuth_rad_s, elevation_rad_s)
        here = self._now()
        azimuth, elevation = (
            self._inside(rate, angle_rad, (math.radians(low_deg), math.radians(high_deg)))
            for rate, angle_rad, low_deg, high_deg in zip(
                (azimuth_rad_s, elevation_rad_s),
                (here.azimuth_rad, here.elevation_rad),
                self._low_deg,
                self._high_deg,
                strict=True,
            )
        )
        self._turn(azimuth, elevation)
        if self._here is not None:
            self._here = self._carried(self._here)  # it turned at the old rates until now
        self._rates = azimuth, elevation

    def stop(self) -> None:
        """Both axes at rest: says so, then sees that the rotator answers."""
        self._rates = (0.0, 0.0)
        super().stop()

    @abstractmethod
    def _turn(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """Give both axes a rate, which is inside what they can do."""

    def _now(self) -> AxisPosition:
        """Where it is, from a reading that is not old and the rates since."""
        if self._here is None or self._clock.now_ns() > self._fresh_ns:
            return self.position()
        return self._carried(self._here)

    def _carried(self, here: AxisPosition) -> AxisPosition:
        """Where the rates have brought it from there."""
        now_ns = self._clock.now_ns()
        azimuth, elevation = (rate * (now_ns - here.t_ns) / NS for rate in self._rates)
        return AxisPosition(now_ns, here.azimuth_rad + azimuth, here.elevation_rad + elevation)

    def _inside(self, rate_rad_s: float, angle_rad: float, ends: tuple[float, float]) -> float:
        """The rate, or one from which the axis stops before the end of its travel."""
        able = self.capabilities
        room = max(0.0, (ends[1] - angle_rad) if rate_rad_s > 0 else (angle_rad - ends[0]))
        coasts_s = able.command_latency_s + BRAKING_S
        a = able.acceleration_max_rad_s2
        brakes = math.sqrt((a * coasts_s) ** 2 + 2 * a * room) - a * coasts_s  # v of v t + v^2 / 2a = room
        return math.copysign(min(abs(rate_rad_s), able.rate_max_rad_s, brakes), rate_rad_s)

    def _able(self, rate_max_rad_s: float, acceleration_max_rad_s2: float, latency_s: float) -> GimbalCapabilities:
        return replace(super()._able(rate_max_rad_s, acceleration_max_rad_s2, latency_s), rates_rad_s=())
