"""A target whose states come one by one, while it flies: what is taken, what is refused, where it is between and after.

Between two states the cubic through both, after the newest a parabola by the acceleration of the last few: gravity,
thrust and a frame that turns are all in it, and nobody has to name them. What it cannot know is the next change of
thrust. So the uncertainty grows: by the velocity's as the state came with it, and by half of an acceleration that
whoever opens the stream states, times the square of the age. Beyond the stated greatest age nothing is said.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from controller.geometry.frames import EARTH_RATE_RAD_S
from controller.geometry.solar_system import SolarSystem
from controller.geometry.timescales import TT_MINUS_TAI_NS, Floats, Times, tai_minus_utc_s
from controller.pointing.ephemeris.ephemeris import NS, EphemerisError, Flags, Frame, between, iso
from controller.pointing.ephemeris.interpolation import JUMP_MAX_M, JUMP_MAX_RAD

KEPT = 16
SLOPE_STATES = 3  # whose velocities give the acceleration
SLOPE_NS = 3 * NS  # and no older than that: thrust changes
AHEAD_MAX_S = 0.5  # that a state may be of a later time than our clock shows
AGE_LIMITS_S = (0.2, 30.0)
ACCELERATION_LIMITS_M_S2 = (0.0, 1000.0)
RADIUS_LIMITS_M = (6.2e6, 2e9)
SPEED_MAX_M_S = 20_000.0
COVARIANCE_MAX = 1e20  # m2 and m2/s2: whoever knows so little knows nothing
GPS_MINUS_TAI_S = -19.0
SCALE_S = 1.0  # as near as a clock's error comes to the difference of a time scale, and still is taken for it


class State(NamedTuple):
    """Position (3) in metres, velocity (3) in m/s, and the covariance (6, 6) of both in SI units, if known."""

    t_utc_ns: int
    position_m: Floats
    velocity_m_s: Floats
    covariance: Floats | None = None


@dataclass
class Live:
    """An Ephemeris of the states so far, the newest KEPT of them.

    `age_max_s` is how old the newest may be; `acceleration_sigma_m_s2` one sigma, each way, of what the target may do
    between two states. Raises EphemerisError where either is outside its limits.
    """

    name: str
    axes: Frame
    age_max_s: float
    acceleration_sigma_m_s2: float
    states: deque[State] = field(default_factory=lambda: deque(maxlen=KEPT), repr=False)

    source = "the bus"
    format = "live stream of states"
    age_max_days = math.inf
    notes: tuple[str, ...] = ()
    solar_system: SolarSystem | None = None

    def __post_init__(self) -> None:
        for what, value, (low, high) in (
            ("age_max_s", self.age_max_s, AGE_LIMITS_S),
            ("acceleration_sigma_m_s2", self.acceleration_sigma_m_s2, ACCELERATION_LIMITS_M_S2),
        ):
            if not low <= value <= high:
                raise EphemerisError(f"{self.name}: {what} is {value:g}, and should be from {low:g} to {high:g}.")

    @property
    def frame(self) -> Frame:
        """As the stream states it."""
        return self.axes

    @property
    def start_utc_ns(self) -> int:
        """Of the oldest state that is kept."""
        return self.states[0].t_utc_ns

    @property
    def epoch_utc_ns(self) -> int:
        """Of the newest state."""
        return self.states[-1].t_utc_ns

    @property
    def end_utc_ns(self) -> int:
        """When the newest state has its greatest age."""
        return self.epoch_utc_ns + round(self.age_max_s * NS)

    def take(self, state: State, now_utc_ns: int) -> None:
        """Go on with a state. Raises EphemerisError with what is wrong with it; it is then left out."""
        where = f"{self.name} at {iso(state.t_utc_ns)}"
        _check(state, where, self.axes)
        if why := clock_mistake((state.t_utc_ns - now_utc_ns) / NS, now_utc_ns, self.age_max_s):
            raise EphemerisError(f"{where}: {why}")
        if self.states:
            newest = self.states[-1]
            if state.t_utc_ns <= newest.t_utc_ns:
                raise EphemerisError(
                    f"{where}: this state is not later than the newest, of {iso(newest.t_utc_ns)}; it is out of order, "
                    "or sent twice."
                )
            miss_m, allowed_m = self._jump_m(newest, state)
            if miss_m > allowed_m:
                raise EphemerisError(
                    f"{where}: this position is {miss_m / 1e3:.3f} km from where the velocities lead; nothing is "
                    "followed across a jump."
                )
        self.states.append(state)

    def known(self, t_utc_ns: Times) -> Flags:
        """Whether each time, of (n,), is covered."""
        return between(t_utc_ns, self.start_utc_ns, self.end_utc_ns)

    def position_m(self, t_utc_ns: Times) -> Floats:
        """Positions (n, 3) in `frame`; who asks for light that is on its way asks a little beyond the end."""
        t = np.atleast_1d(np.asarray(t_utc_ns, dtype=np.int64))
        newest = self.states[-1]
        after = ((t - newest.t_utc_ns) / NS)[:, None]
        acceleration = self._acceleration_m_s2()
        beyond: Floats = newest.position_m + after * newest.velocity_m_s + after**2 / 2 * acceleration
        if len(self.states) < 2 or (after >= 0).all():
            return beyond
        times = np.array([s.t_utc_ns for s in self.states], dtype=np.int64)
        first = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2)
        begin, end = ([self.states[i + k] for i in first] for k in (0, 1))
        step = np.array([(b.t_utc_ns - a.t_utc_ns) / NS for a, b in zip(begin, end, strict=True)])[:, None]
        x = ((t - times[first]) / NS)[:, None] / step
        p, v = ([np.array([getattr(s, n) for s in side]) for side in (begin, end)] for n in State._fields[1:3])
        cubic = (
            (1 + 2 * x) * (1 - x) ** 2 * p[0]
            + x**2 * (3 - 2 * x) * p[1]
            + step * x * (1 - x) * ((1 - x) * v[0] - x * v[1])
        )
        return np.where(after > 0, beyond, cubic)

    def covariance_m2(self, t_utc_ns: int) -> Floats | None:
        """Of the position (3, 3): the newest state's, carried on, and what the target may have done since."""
        newest = self.states[-1]
        age_s = max(0.0, (t_utc_ns - newest.t_utc_ns) / NS)
        grown: Floats = np.eye(3) * (self.acceleration_sigma_m_s2 * age_s**2 / 2) ** 2
        if newest.covariance is None:
            return grown
        carry = np.hstack([np.eye(3), age_s * np.eye(3)])
        result: Floats = carry @ newest.covariance @ carry.T + grown
        return result

    def _acceleration_m_s2(self) -> Floats:
        """The slope of the velocities of the last few states; none where there is one."""
        newest = self.states[-1].t_utc_ns
        last = [s for s in list(self.states)[-SLOPE_STATES:] if newest - s.t_utc_ns <= SLOPE_NS]
        if len(last) < 2:
            return np.zeros(3)
        t = np.array([(s.t_utc_ns - newest) / NS for s in last])
        t -= t.mean()
        result: Floats = t @ np.array([s.velocity_m_s for s in last]) / (t @ t)
        return result

    def _jump_m(self, before: State, after: State) -> tuple[float, float]:
        """How far a position is from where the velocities of both lead, and how far it may be."""
        step_s = (after.t_utc_ns - before.t_utc_ns) / NS
        led = before.position_m + step_s / 2 * (before.velocity_m_s + after.velocity_m_s)
        said = [s.covariance for s in (before, after) if s.covariance is not None]
        sigma2 = sum(float(np.trace(c[:3, :3]) + step_s**2 / 4 * np.trace(c[3:, 3:])) for c in said)
        radius = float(min(np.linalg.norm(s.position_m) for s in (before, after)))
        thrust_m = self.acceleration_sigma_m_s2 * step_s**2 / 8
        allowed = min(JUMP_MAX_M, JUMP_MAX_RAD * radius) + 5 * math.sqrt(sigma2) + 3 * thrust_m
        return float(np.linalg.norm(after.position_m - led)), allowed


def clock_mistake(ahead_s: float, now_utc_ns: int, age_max_s: float) -> str:
    """What is wrong with a state of `ahead_s` from now, as a sentence; nothing when it is in time."""
    if -age_max_s <= ahead_s <= AHEAD_MAX_S:
        return ""
    tai_s = float(tai_minus_utc_s(np.array([now_utc_ns]))[0])
    scales = {"TAI": tai_s, "GPS time": tai_s + GPS_MINUS_TAI_S, "TT": tai_s + TT_MINUS_TAI_NS / NS}
    meant = [
        name for name, off_s in scales.items() if -age_max_s <= ahead_s - off_s <= max(AHEAD_MAX_S, SCALE_S)
    ]  # the state is some time old besides
    hours = round(ahead_s / 3600)
    hint = "the sender's clock is wrong" if ahead_s > 0 else f"older than the {age_max_s:g} s that are allowed"
    if meant:
        hint = f"it seems to be in {' or '.join(meant)}; send UTC"
    elif hours and abs(ahead_s - 3600 * hours) < max(age_max_s, SCALE_S):
        hint = f"it seems to be in local time ({hours:+d} h); send UTC"
    side = "from now" if ahead_s > 0 else "ago"
    return f"this state is of {abs(ahead_s):.1f} s {side}: {hint}."


def _check(state: State, where: str, axes: Frame) -> None:
    if not (np.isfinite(state.position_m).all() and np.isfinite(state.velocity_m_s).all()):
        raise EphemerisError(f"{where}: a coordinate is no finite number.")
    low, high = RADIUS_LIMITS_M
    radius, speed = math.hypot(*state.position_m.tolist()), math.hypot(*state.velocity_m_s.tolist())
    if not low <= radius <= high:
        raise EphemerisError(
            f"{where}: the position is {radius:,.0f} m from the Earth's centre, and should be {low:,.0f} to "
            f"{high:,.0f}; metres from the geocentre are meant."
        )
    fastest = SPEED_MAX_M_S + (EARTH_RATE_RAD_S * radius if axes is Frame.ITRF else 0.0)  # the Moon: 28 km/s
    if speed > fastest:
        raise EphemerisError(f"{where}: {speed:,.0f} m/s is more than {fastest:,.0f}; m/s are meant.")
    if state.covariance is not None:
        c = state.covariance
        whole = np.isfinite(c).all() and np.allclose(c, c.T, rtol=1e-6)
        if whole and float(np.abs(c).max()) > COVARIANCE_MAX:
            raise EphemerisError(f"{where}: the covariance has {np.abs(c).max():.3g}; m2 and m2/s2 are meant.")
        # A sender's rounding may make an eigenvalue a little negative; a variance is a sender's mistake.
        if not whole or np.diag(c).min() < 0 or np.linalg.eigvalsh(c).min() < -1e-6 * np.abs(c).max():
            raise EphemerisError(f"{where}: the covariance is not symmetric and positive.")
