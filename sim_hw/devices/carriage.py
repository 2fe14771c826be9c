"""The carriage of a motorised stage: one axis between two ends, moved along ramps, and a home switch at its low end.

Its motion is known in closed form, so that it costs no events: a position is computed when somebody asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sim_hw.timeline import NS, Timeline
from sim_hw.wires.contract import Condition

Leg = tuple[float, float]  # how long (s), and with which acceleration (mm/s2)


def ramps(velocity: float, way: float, speed: float, acceleration: float) -> list[Leg]:
    """The quickest way over `way` mm to rest, from `velocity` (mm/s), at most at `speed`: up, level, down."""
    braking = velocity * abs(velocity) / (2 * acceleration)
    sign = math.copysign(1.0, way - braking)
    start = sign * velocity
    top = min(math.sqrt(max(0.0, acceleration * sign * way + start * start / 2)), speed)
    up = (top - start) / acceleration
    level_way = sign * way - (top + start) / 2 * abs(up) - top * top / (2 * acceleration)
    level = max(0.0, level_way / top) if top > 0 else 0.0
    return [(abs(up), math.copysign(acceleration, sign * up)), (level, 0.0), (top / acceleration, -sign * acceleration)]


class Carriage:
    """Where it is, in mm from its home switch, and where its controller believes it is."""

    def __init__(
        self, timeline: Timeline, *, length_mm: float = 50.0, position_mm: float = 12.5, speed_mm_s: float = 10.0,
        acceleration_mm_s2: float = 100.0, play_mm: float = 0.0,
    ) -> None:  # fmt: skip
        self.length_mm = length_mm
        self.speed_mm_s, self.acceleration_mm_s2 = speed_mm_s, acceleration_mm_s2
        self.interrupted = False  # the latest motion was ended by another command
        self.stalled = False  # it was sent and did not move
        self._timeline = timeline
        self._begun_ns, self._start_mm, self._velocity = 0, position_mm, 0.0
        self._legs: list[Leg] = []
        self._homing = self._referenced = False
        self._power_on_mm = position_mm  # what its controller calls zero until it has been home
        self._offset_mm, self._stuck = 0.0, False  # faults
        self._play_mm, self._load_mm = play_mm, position_mm  # of its screw; what hangs on it, when its motion began

    @property
    def ends_ns(self) -> int:
        """When it stands still."""
        return self._begun_ns + round(sum(leg[0] for leg in self._legs) * NS)

    @property
    def moving(self) -> bool:
        """It is under way."""
        return self._timeline.now_ns < self.ends_ns

    @property
    def homing(self) -> bool:
        """It is under way to its switch."""
        self._arrive()
        return self._homing

    @property
    def velocity_mm_s(self) -> float:
        """How fast it moves, away from its switch."""
        return self._state()[1]

    @property
    def referenced(self) -> bool:
        """It has been at its switch since its power came, and knows where it is."""
        self._arrive()
        return self._referenced

    @property
    def true_mm(self) -> float:
        """From the home switch, whatever the controller believes."""
        return self._state()[0]

    @property
    def load_mm(self) -> float:
        """Where what hangs on it is: behind by the play of its screw, on the side that it comes from."""
        passed_s = (self._timeline.now_ns - self._begun_ns) / NS
        turns_s, since_s, velocity = [], 0.0, self._velocity
        for duration, acceleration in self._legs:
            if velocity * (velocity + acceleration * duration) < 0:
                turns_s.append(since_s - velocity / acceleration)
            since_s, velocity = since_s + duration, velocity + acceleration * duration
        load, half = self._load_mm, self._play_mm / 2
        for at_s in (*(turn for turn in turns_s if turn < passed_s), passed_s):
            screw = self._at(at_s)[0]
            load = min(screw + half, max(screw - half, load))
        return load

    @property
    def shown_mm(self) -> float:
        """What the controller believes: counted from where it was switched on, until it has been home."""
        return self.true_mm - (0.0 if self.referenced else self._power_on_mm) + self._offset_mm

    def go(self, goal_mm: float, speed_mm_s: float = math.inf) -> None:
        """Be on the way to a place that the controller believes in; at an end of the rail it stays there."""
        self._go(goal_mm - self._offset_mm + (0.0 if self.referenced else self._power_on_mm), speed_mm_s)

    def home(self) -> None:
        """Be on the way to the switch; there it knows where it is."""
        self._go(0.0, math.inf)
        self._homing = True

    def stop(self) -> None:
        """Come to rest as fast as it may."""
        at, velocity = self._state()
        self.interrupted, self._homing = self.moving, False
        self._begin(at, velocity, [(abs(velocity) / self.acceleration_mm_s2, -math.copysign(1.0, velocity) *
                                    self.acceleration_mm_s2)] if velocity else [])  # fmt: skip

    def lose(self) -> None:
        """Its power was off: it stands, and does not know where."""
        self.stop()
        self._referenced, self._power_on_mm = False, self.true_mm

    def conditions(self) -> dict[str, Condition]:
        """The faults `stuck` (it takes commands and stands still) and `wrong` (an offset)."""

        def stuck(settings: Mapping[str, float] | None) -> None:
            self._begin(self.true_mm, 0.0, [])
            self._stuck = settings is not None

        def wrong(settings: Mapping[str, float] | None) -> None:
            self._offset_mm = 0.0 if settings is None else settings["offset_mm"]

        return {"stuck": stuck, "wrong": wrong}

    def _go(self, goal_mm: float, speed_mm_s: float) -> None:
        at, velocity = self._state()
        self.interrupted, self._homing = self.moving, False
        goal_mm = min(self.length_mm, max(0.0, goal_mm))
        speed = min(speed_mm_s, self.speed_mm_s)
        self.stalled = self._stuck
        self._begin(at, velocity, [] if self._stuck else ramps(velocity, goal_mm - at, speed, self.acceleration_mm_s2))

    def _begin(self, at_mm: float, velocity: float, legs: list[Leg]) -> None:
        self._load_mm = self.load_mm
        self._begun_ns, self._start_mm, self._velocity, self._legs = self._timeline.now_ns, at_mm, velocity, legs

    def _arrive(self) -> None:
        """At its switch it learns where it is."""
        if self._homing and not self.moving:
            self._homing = False
            self._referenced = self._referenced or not self._stuck

    def _state(self) -> tuple[float, float]:
        """Position (mm from the switch) and velocity now."""
        at, velocity = self._at((self._timeline.now_ns - self._begun_ns) / NS)
        return at, velocity if self.moving else 0.0

    def _at(self, passed_s: float) -> tuple[float, float]:
        """The same, so long after its motion began."""
        at, velocity = self._start_mm, self._velocity
        for duration, acceleration in self._legs:
            passed = min(duration, passed_s)
            at += velocity * passed + acceleration * passed * passed / 2
            velocity += acceleration * passed
            passed_s -= passed
            if passed_s <= 0:
                break
        return min(self.length_mm, max(0.0, at)), velocity
