"""What a gimbal's own grain does to pointing, told before it begins: steps, rounding encoders, travel that ends.

For a path the axes are followed as controller/pointing/steps.py drives them, at the gimbal's rate, without latency's
jitter; what comes out is the least that is to be expected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from controller.geometry.timescales import Floats
from controller.geometry.trajectory import Trajectory
from controller.pointing.steps import FINEST_STEP_RAD, lead_s, next_step
from controller.pointing.targets import Target
from hal.traits import GimbalCapabilities

STEP_S = 0.1
SWINGS_STEPS = 2.0  # an axis that is further behind than this is swinging round, or too slow
SAID_FROM_RAD = 200e-6  # finer than this is lost in what a calibrated mount does anyway


@dataclass(frozen=True, slots=True)
class Implied:
    """Deviation on the sky: root mean square, largest, and for how long azimuth swings round or lags."""

    rms_rad: float
    max_rad: float
    swing_s: float = 0.0

    def sentence(self, capabilities: GimbalCapabilities) -> str:
        """For the operator; empty where it is too little to matter."""
        if self.max_rad < SAID_FROM_RAD:
            return ""
        if capabilities.best == "position":
            grain = f"it is sent to steps of {math.degrees(capabilities.position_step_rad):g} deg"
        else:
            grain = f"its encoders have steps of {math.degrees(capabilities.resolution_rad):g} deg"
        swing = f", and {self.swing_s:.0f} s are lost while azimuth swings round" if self.swing_s else ""
        rms, largest = math.degrees(self.rms_rad), math.degrees(self.max_rad)
        alone = "" if capabilities.has_elevation else ", elevation apart, which it does not turn"
        return f"{grain}: expect {rms:.2f} deg rms and up to {largest:.2f} deg off the target{alone}{swing}"


def implied_error(target: Target, capabilities: GimbalCapabilities) -> Implied:
    """What to expect on the way of a target."""
    if capabilities.best == "rate":
        half = 0.5 * capabilities.resolution_rad
        return Implied(half * math.sqrt(2 / 3), half * math.sqrt(2))
    if not isinstance(target, Trajectory):
        look = target.receive(0)
        step = max(capabilities.position_step_rad, FINEST_STEP_RAD)
        azimuth, elevation = (round(a / step) * step - a for a in (look.azimuth_rad, look.elevation_rad))
        away = math.hypot(azimuth * math.cos(look.elevation_rad), elevation * capabilities.has_elevation)
        return Implied(away, away)
    times = np.arange(target.start_utc_ns, target.end_utc_ns, round(STEP_S * 1e9), dtype=np.int64)
    looks = target.sample(times)
    ends = capabilities.travel_rad
    wanted = _folded(looks[:, 0], ends[0] if ends else None), looks[:, 1]
    off = [_off(axis, capabilities) for axis in wanted]
    swinging = np.abs(off[0]) > SWINGS_STEPS * max(capabilities.position_step_rad, FINEST_STEP_RAD)
    on_sky = np.hypot(off[0] * np.cos(looks[:, 1]), off[1] * capabilities.has_elevation)[~swinging]
    if not len(on_sky):
        return Implied(math.pi, math.pi, float(len(times) * STEP_S))
    # Where in its dead band each axis is left is a matter of how the pass began: both may be at the end of it.
    band = capabilities.dead_band_rad * np.hypot(np.cos(looks[:, 1]), capabilities.has_elevation)
    largest = max(float(on_sky.max()), float(band.max()))
    return Implied(float(np.sqrt(np.mean(on_sky**2))), largest, float(np.count_nonzero(swinging) * STEP_S))


def _folded(azimuth: Floats, ends: tuple[float, float] | None) -> Floats:
    """Azimuth by a turn that stays between the ends of travel as long as it can."""
    if ends is None:
        return azimuth
    turns = [azimuth + math.tau * k for k in range(-2, 3)]
    inside = [np.count_nonzero((turn >= ends[0]) & (turn <= ends[1])) for turn in turns]
    best = turns[int(np.argmax(inside))]
    best = np.where((best > ends[1]) & (best - math.tau >= ends[0]), best - math.tau, best)
    return np.where((best < ends[0]) & (best + math.tau <= ends[1]), best + math.tau, best)


def _off(wanted: Floats, capabilities: GimbalCapabilities) -> Floats:
    """How far an axis is from where it should be, each STEP_S, that is sent ahead of it from step to step."""
    step = max(capabilities.position_step_rad, FINEST_STEP_RAD)
    heard_s = capabilities.command_line_s + capabilities.command_latency_s
    ahead = round((lead_s(capabilities, step) - heard_s) / STEP_S)
    reach = capabilities.rate_max_rad_s * STEP_S
    told = position = round(float(wanted[0]) / step) * step
    forward, band = 0.0, capabilities.dead_band_rad
    off = np.zeros(len(wanted))
    for i in range(len(wanted)):
        goal = next_step(float(wanted[min(i + ahead, len(wanted) - 1)]), told, forward, step, band)
        forward = goal - told if goal != told else forward
        told = goal
        position += min(reach, max(-reach, told - position))
        off[i] = position - float(wanted[i])
    return off
