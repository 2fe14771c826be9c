"""A tip/tilt platform on piezo actuators under its controller's servo: two axes, each of second order, in closed form.

A step goes the way of a damped oscillator to its goal, with an overshoot that the stroke may cut; without servo the
actuators keep their voltage and the platform stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sim_hw.timeline import NS, Timeline
from sim_hw.wires.contract import Condition

AXES = 0, 1
Leg = tuple[int, float, float, float]  # since when (ns), from where (rad), how fast (rad/s), to where (rad)


class Platform:
    """Angles in radians from one end of the stroke; the controller's servo has this bandwidth and damping."""

    def __init__(
        self, timeline: Timeline, *, stroke_rad: float = 2e-3, bandwidth_hz: float = 200.0, damping: float = 0.5,
        tolerance_rad: float = 0.5e-6,
    ) -> None:  # fmt: skip
        self.stroke_rad, self.tolerance_rad = stroke_rad, tolerance_rad
        self.servo = [False, False]
        self._timeline = timeline
        self._omega, self._damping = math.tau * bandwidth_hz, damping
        self._legs: list[Leg] = [(0, stroke_rad / 2, 0.0, stroke_rad / 2)] * 2
        self._stuck, self._offset_rad = False, 0.0  # faults

    def goal_rad(self, axis: int) -> float:
        """Where it was sent, as its controller shows it."""
        return self._legs[axis][3] + self._offset_rad

    def shown_rad(self, axis: int) -> float:
        """Where its sensors say that it is."""
        return self._state(axis)[0] + self._offset_rad

    def true_rad(self, axis: int) -> float:
        """Where it is."""
        return self._state(axis)[0]

    def on_target(self, axis: int) -> bool:
        """It stands where it was sent."""
        at, rate = self._state(axis)
        goal = self._legs[axis][3]
        near = abs(at - goal) <= self.tolerance_rad and abs(rate) <= self._omega * self.tolerance_rad
        return self.servo[axis] and near

    def go(self, axis: int, angle_rad: float) -> None:
        """To an angle that its sensors believe in, at most to an end of its stroke. Its servo is on."""
        goal = min(self.stroke_rad, max(0.0, angle_rad - self._offset_rad))
        at, rate = self._state(axis)
        self._legs[axis] = (self._timeline.now_ns, at, rate, goal)

    def stop(self, axis: int) -> None:
        """Stay where it is now."""
        at, _ = self._state(axis)
        self._legs[axis] = (self._timeline.now_ns, at, 0.0, at)

    def switch(self, axis: int, on: bool) -> None:
        """Its servo: it stays where it is, either way."""
        self.stop(axis)
        self.servo[axis] = on

    def conditions(self) -> dict[str, Condition]:
        """The faults `stuck` (it takes commands and stands still) and `wrong` (an offset of its sensors)."""

        def stuck(settings: Mapping[str, float] | None) -> None:
            for axis in AXES:
                self.stop(axis)
            self._stuck = settings is not None

        def wrong(settings: Mapping[str, float] | None) -> None:
            self._offset_rad = 0.0 if settings is None else settings["offset_rad"]

        return {"stuck": stuck, "wrong": wrong}

    def _state(self, axis: int) -> tuple[float, float]:
        """Angle and rate now."""
        since_ns, start, rate, goal = self._legs[axis]
        if self._stuck or not self.servo[axis]:
            return start, 0.0
        t = (self._timeline.now_ns - since_ns) / NS
        decay = self._damping * self._omega
        ringing = self._omega * math.sqrt(1.0 - self._damping**2)
        away = start - goal
        sine = (rate + decay * away) / ringing
        left = math.exp(-decay * t)
        cos, sin = math.cos(ringing * t), math.sin(ringing * t)
        at = goal + left * (away * cos + sine * sin)
        speed = left * ((ringing * sine - decay * away) * cos - (ringing * away + decay * sine) * sin)
        return min(self.stroke_rad, max(0.0, at)), speed
