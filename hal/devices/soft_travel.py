"""Soft limits for gimbals that are turned by rates: no rate carries an axis out of its travel."""

from __future__ import annotations

import math
from collections.abc import Callable

from hal.clock import NS, Clock
from hal.errors import DeviceError
from hal.traits import AxisPosition, GimbalCapabilities, Pair

FRESH_NS = NS // 2
BRAKING_S = 0.1  # beyond the command's latency, for what the axis does until it hears of the end of its travel
ENDLESS = (-math.inf, math.inf)


def sector(name: str, ends_rad: Pair) -> Pair:
    """Soft limits of an azimuth that is told without its turns: they hold where they leave less than one.

    Raises DeviceError when they leave nothing.
    """
    if ends_rad[0] >= ends_rad[1]:
        raise DeviceError(f"{name}: azimuth_min_deg is not below azimuth_max_deg; correct the rig file, [{name}].")
    return ends_rad if ends_rad[1] - ends_rad[0] < math.tau else ENDLESS


def shown(azimuth_rad: float, ends_rad: Pair) -> float:
    """An azimuth by the turn that is nearest to the middle of its soft limits, where it has some."""
    if ends_rad == ENDLESS:
        return azimuth_rad
    middle_rad = (ends_rad[0] + ends_rad[1]) / 2
    return middle_rad + math.remainder(azimuth_rad - middle_rad, math.tau)


class SoftTravel:
    """Knows where the axes are from the last reading and the rates since.

    `ends_rad` is (lowest, highest) of azimuth and of elevation.
    """

    def __init__(self, clock: Clock, ends_rad: tuple[Pair, Pair]) -> None:
        self._clock, self._ends_rad = clock, ends_rad
        self.here: AxisPosition | None = None  # read, or carried on by the rates since; None: not known
        self.rates: Pair = (0.0, 0.0)  # the last that were sent
        self._fresh_ns = 0  # until when `here` is good enough

    def saw(self, here: AxisPosition) -> AxisPosition:
        """Remember a reading, and give it back."""
        self.here, self._fresh_ns = here, here.t_ns + FRESH_NS
        return here

    def sent(self, azimuth_rad_s: float, elevation_rad_s: float) -> None:
        """Both axes turn at these rates from now on."""
        if self.here is not None:
            self.here = self._carried(self.here)  # it turned at the old rates until now
        self.rates = azimuth_rad_s, elevation_rad_s

    def rests(self) -> None:
        """Both axes are told to stop, or go where their device takes them."""
        self.rates = (0.0, 0.0)

    def allowed(
        self,
        azimuth_rad_s: float,
        elevation_rad_s: float,
        able: GimbalCapabilities,
        read: Callable[[], AxisPosition],
    ) -> Pair:
        """The rates, or slower ones from which the axes stop before the end of their travel.

        `read` gives another reading where the last is old; raises what it raises.
        """
        rates = azimuth_rad_s, elevation_rad_s
        if self._ends_rad == (ENDLESS, ENDLESS):
            here: Pair = (0.0, 0.0)
        else:
            now = self._now(read)
            here = now.azimuth_rad, now.elevation_rad
        azimuth, elevation = (
            _inside(rate, angle, ends, able) for rate, angle, ends in zip(rates, here, self._ends_rad, strict=True)
        )
        return azimuth, elevation

    def _now(self, read: Callable[[], AxisPosition]) -> AxisPosition:
        """Where it is, from a reading that is not old and the rates since."""
        if self.here is None or self._clock.now_ns() > self._fresh_ns:
            return self.saw(read())
        return self._carried(self.here)

    def _carried(self, here: AxisPosition) -> AxisPosition:
        """Where the rates have brought it from there."""
        now_ns = self._clock.now_ns()
        azimuth, elevation = (rate * (now_ns - here.t_ns) / NS for rate in self.rates)
        return AxisPosition(now_ns, here.azimuth_rad + azimuth, here.elevation_rad + elevation)


def _inside(rate_rad_s: float, angle_rad: float, ends_rad: Pair, able: GimbalCapabilities) -> float:
    room = max(0.0, (ends_rad[1] - angle_rad) if rate_rad_s > 0 else (angle_rad - ends_rad[0]))
    coasts_s = able.command_latency_s + BRAKING_S
    a = able.acceleration_max_rad_s2
    brakes = math.sqrt((a * coasts_s) ** 2 + 2 * a * room) - a * coasts_s  # v of v t + v^2 / 2a = room
    return math.copysign(min(abs(rate_rad_s), able.rate_max_rad_s, brakes), rate_rad_s)
