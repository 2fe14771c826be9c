"""The loop for a gimbal that is sent to directions and knows steps of them only: most rotators, in whole degrees.

Where a rate loop follows, this one keeps the target inside the nearest step: it sends the next step so early that the
axis is half-way there when the target is. Between two steps nothing is sent; motors do not chatter, and no controller
is disturbed on its way. Going back a step takes more than going on (`DEAD_BAND`), so that neither a correction's noise
nor a target that turns round makes an axis go to and fro.
"""

from __future__ import annotations

import math

from controller.bus.topics import Correction, Pair
from controller.pointing.axis import NS
from controller.pointing.ground import OPEN, Ground
from controller.pointing.loop import GimbalLoop
from controller.pointing.mount import MountModel
from controller.pointing.targets import Target
from hal.traits import GimbalCapabilities

DEAD_BAND = 0.15  # of a step, beyond the half
AGAIN_S = 2.0  # an axis that does not move for so long, and is not there, is sent again
TURN_MAX_S = 1.0  # of the loop, on the slowest line
LATE_MAX_S = 1.0  # that an axis may be beyond what is known; more is a swing, or a rotator too slow
LEARNS_PER_S = 0.2  # of what it was late, each second
SLOW_STEP_S = 2.0  # where a step takes longer than this, one look says little about lateness
FINEST_STEP_RAD = 1e-6  # where the gimbal names none


def next_step(wanted: float, now: float, forward: float, step: float, dead_band: float = 0.0) -> float:
    """The multiple of `step` for `wanted`, of an axis sent to `now` that came there in the direction of `forward`.

    It stays while it is no further off than `dead_band`.
    """
    away = wanted - now
    band = 0.0 if away * forward >= 0.0 else DEAD_BAND
    return now if abs(away) <= max((0.5 + band) * step, dead_band) else round(wanted / step) * step


def lead_s(capabilities: GimbalCapabilities, step: float) -> float:
    """From when a command is given to half-way of a step: it is on its line, heard, and turned for."""
    heard_s = capabilities.command_line_s + capabilities.command_latency_s
    return heard_s + 0.5 * step / capabilities.rate_max_rad_s


class StepLoop(GimbalLoop):
    """A GimbalLoop whose `step` gives encoder angles to go to, and whose `due` says whether to send them."""

    def __init__(
        self, capabilities: GimbalCapabilities, model: MountModel | None = None, ground: Ground = OPEN
    ) -> None:
        super().__init__(capabilities, model, ground=ground)
        self.due = False
        self._step_rad = max(capabilities.position_step_rad, FINEST_STEP_RAD)
        self._lead_s = lead_s(capabilities, self._step_rad)
        self._settled_rad = max(self._settled_rad, 1.2 * self._step_rad)
        self._grain_rad = max(self._grain_rad, self._step_rad)
        self._turn_max_s = TURN_MAX_S
        self._still_rad = -1.0  # an axis that has arrived rests by itself
        self._late_s = [0.0, 0.0]  # each axis, beyond what is known of it
        self._told: Pair | None = None  # where both axes were sent last
        self._forward = [0.0, 0.0]
        self._moved: tuple[int, Pair] = (0, (math.inf, math.inf))  # when the axes were last seen to move, and where

    @property
    def at_rest(self) -> bool:
        """It was sent nowhere since it was stopped."""
        return self._told is None and not self._doubtful

    def sent(self, azimuth_rad_s: float, elevation_rad_s: float, step_ns: int, begin_ns: int, end_ns: int) -> None:
        """Remember where it was sent: the first two are angles here."""
        self._doubtful = False
        before = self._told or (azimuth_rad_s, elevation_rad_s)
        self._told = (azimuth_rad_s, elevation_rad_s)
        for axis in (0, 1):
            if self._told[axis] != before[axis]:
                self._forward[axis] = self._told[axis] - before[axis]
        self._moved = (end_ns, self._moved[1])

    def stopped(self, now_ns: int) -> None:
        """It goes nowhere now."""
        super().stopped(now_ns)
        self._told, self._forward = None, [0.0, 0.0]

    def _rates(
        self,
        target: Target,
        now_ns: int,
        utc_offset_ns: int,
        sample_ns: int,
        encoder: Pair,
        correction: Correction | None,
        age_s: float,
    ) -> Pair:
        def at(t_ns: int) -> Pair:
            return self._wanted(target, t_ns, utc_offset_ns, correction, age_s)

        step, band = self._step_rad, self.capabilities.dead_band_rad
        lead_s = self._lead_s + 0.5 * self._turn_s  # what is not due now waits for a whole turn of the loop
        then = at(sample_ns)
        ahead_ns = [now_ns + round((lead_s + late_s) * NS) for late_s in self._late_s]
        wanted = at(ahead_ns[0])[0], at(ahead_ns[1])[1]
        if self._arrived and band <= 0.5 * step:  # else it is behind because it was left there
            for axis in (0, 1):
                speed = (wanted[axis] - then[axis]) * NS / (ahead_ns[axis] - sample_ns)
                self._learn(axis, then[axis] - encoder[axis], speed)
        if self._told is None:
            self.due = True
            elevation = round(wanted[1] / step) * step if self.capabilities.has_elevation else encoder[1]
            return round(wanted[0] / step) * step, elevation
        azimuth, elevation = (next_step(wanted[i], self._told[i], self._forward[i], step, band) for i in (0, 1))
        if not self.capabilities.has_elevation:
            elevation = encoder[1]
        if max(abs(a - b) for a, b in zip(encoder, self._moved[1], strict=True)) > 0.5 * step:
            self._moved = (now_ns, encoder)
        there = max(abs(a - b) for a, b in zip(encoder, self._told, strict=True)) <= step
        lost = not there and now_ns - self._moved[0] > AGAIN_S * NS
        self.due = (azimuth, elevation) != self._told or lost
        return azimuth, elevation

    def _learn(self, axis: int, behind_rad: float, speed_rad_s: float) -> None:
        """How late the axis is on average, for which nobody states a figure: how it speeds up, brakes and creeps in."""
        step = self._step_rad
        known = abs(speed_rad_s) * SLOW_STEP_S > step and abs(behind_rad) < 2 * step + abs(speed_rad_s) * LATE_MAX_S
        if known:
            late_s = self._late_s[axis] + LEARNS_PER_S * self._turn_s * behind_rad / speed_rad_s
            self._late_s[axis] = min(LATE_MAX_S, max(0.0, late_s))
