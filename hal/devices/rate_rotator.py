"""What drivers share of rotators and mounts that take rates, too: no rate carries an axis out of its soft travel."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from functools import cached_property

from hal.devices.rotator import Rotator
from hal.devices.soft_travel import SoftTravel
from hal.traits import AxisPosition, GimbalCapabilities, Pair


class RateRotator(Rotator):
    """A Rotator that turns at any rate; it keeps its last one."""

    @cached_property
    def _soft_travel(self) -> SoftTravel:
        azimuth, elevation = (
            (math.radians(low), math.radians(high)) for low, high in zip(self._low_deg, self._high_deg, strict=True)
        )
        return SoftTravel(self._clock, (azimuth, elevation))

    def position(self) -> AxisPosition:
        """Both angles; `set_rate` looks at the last of them for the end of travel."""
        return self._soft_travel.saw(super().position())

    def go_to(self, azimuth_rad: float, elevation_rad: float) -> None:
        """Send it to these angles, cut to its travel. Raises ValueError when one is not finite."""
        super().go_to(azimuth_rad, elevation_rad)
        self._soft_travel.rests()

    def set_rate(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """Turn at these rates, not out of its travel. Raises ValueError, and sends nothing, when one is not finite."""
        self._finite("rates", azimuth_rad_s, elevation_rad_s)
        if any((azimuth_rad_s, elevation_rad_s)):
            self._watch.moves(self.drives, by_rate=True)
        else:
            self._watch.rests()
        rates = self._within(azimuth_rad_s, elevation_rad_s)
        self._turn(*rates)
        self._soft_travel.sent(*rates)

    def stop(self) -> None:
        """Both axes at rest: says so, then sees that the rotator answers."""
        self._soft_travel.rests()
        super().stop()

    def _within(self, azimuth_rad_s: float, elevation_rad_s: float) -> Pair:
        """The rates, or slower ones from which the axes stop before the end of their travel."""
        return self._soft_travel.allowed(azimuth_rad_s, elevation_rad_s, self.capabilities, self.position)

    @abstractmethod
    def _turn(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """Give both axes a rate, which is inside what they can do."""

    def _able(self, rate_max_rad_s: float, acceleration_max_rad_s2: float, latency_s: float) -> GimbalCapabilities:
        return replace(super()._able(rate_max_rad_s, acceleration_max_rad_s2, latency_s), rates_rad_s=())
