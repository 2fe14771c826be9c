"""The invariants of a station, asked with every message: of a running station, and of a recording.

Truth (`sim/truth/line_of_sight`) says what the devices do, the station's own topics what it believes and allows. Times
are UTC nanoseconds of the messages.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.soak.passes import Cause, Change

NS = 1_000_000_000
OFF_NS = NS // 10  # emission after a no: the bound of a process death, which is more than a vote's
SILENT_NS = 3 * NS // 10  # emission after the safety service's last word: the board's watchdog and one heartbeat
STILL_NS = 11 * NS // 20  # motion after a stop: the bound of 0.5 s and a sample of the truth
MODE_SILENT_NS = NS  # motion after the station's last word: pointing waits 0.35 s, then 0.5 s to come to rest
UNREACHED_NS = 3 * NS  # after its cable is back a mount may need so long to be told to stop
CUT = ("gimbal off ", "gimbal hang_up ", "gimbal replug ")  # no stop reaches it; other words spoil what it answers:
SPOILT_NS = 3 * NS // 2  # and who waits for such an answer says stop late, by so much
RUNAWAY_NS = 25 * NS  # the longest fault, and the time to be reached again: no cut wire excuses motion for longer
DARK_NS = NS  # without any truth nothing is known
RATE_MARGIN, RATE_TOLERANCE_RAD_S = 1.02, 1e-3
CONE_TOLERANCE_RAD = math.radians(0.7)  # an encoder that is wrong by 0.01 rad is not seen to be
STALL = "the bench's machine stood still"  # real time: it hears late what it was told in time, as no device does
STALLED_NS = NS // 2
RESTING = frozenset({"OFF", "STOWED", "HOLD", "SAFE", "FAULT"})
STILL = frozenset({"HOLD", "SAFE", "FAULT"})
Pointed = Callable[[int], tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of the rig; `sun(t_utc_ns)` is a unit vector (north, east, up)."""

    rate_max_rad_s: float
    elevation_rad: tuple[float, float]
    sun_cone_rad: float
    sun: Pointed


@dataclass
class Watch:
    """Feed it with `hear`, and with what the operator and the one who breaks things did."""

    bounds: Bounds
    changes: list[Change] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    unsafe: dict[int, str] = field(default_factory=dict)  # second -> the first sentence about it
    blind: dict[int, str] = field(default_factory=dict)  # the same, while the bench itself stood still
    problems: list[str] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)  # by topic, from sequence numbers
    heard: Counter[tuple[str, str]] = field(default_factory=Counter)  # messages by topic and source
    trips: list[str] = field(default_factory=list)
    seconds: int = 0  # that were looked at
    emitting_s: float = 0.0
    runaway_s: float = 0.0  # moved on while nobody could tell the mount to stop
    mode: str = ""
    _last: dict[tuple[str, str], tuple[bytes, int]] = field(default_factory=dict)
    _mode_ns: int = 0
    _mode_said_ns: int = 0
    _no_since_ns: int | None = None
    _safety_ns: int = 0
    _why_not: str = "nothing was said yet"
    _consent_ns: int | None = None
    _no_consent_ns: int = 0
    _second: int = 0
    _truth_ns: int = 0
    _sun_rad: float = math.pi
    _nearing: bool = False

    def hear(self, topic: str, source: str, boot: bytes, seq: int, t_ns: int, body: Any) -> None:
        """Take one message; `body` has the topic's fields as attributes, or as keys."""
        self._count(topic, source, boot, seq)
        if topic == "sim/truth/line_of_sight":
            self._truth(_fields(body))
        elif topic == "safety/state":
            self._safety(t_ns, _fields(body))
        elif topic == "station/mode":
            self._station(t_ns, _fields(body))
        elif topic == "safety/trip":
            self.trips.append(str(_fields(body)("cause")))

    def consent(self, t_ns: int) -> None:
        """The operator has armed and confirmed, and both were obeyed."""
        self._consent_ns = t_ns

    def cause(self, what: str, start_ns: int, end_ns: int) -> None:
        """Something was done to the station."""
        self.causes.append(Cause(what, start_ns, end_ns))

    def boresight(self, t_ns: int, azimuth_rad: float, elevation_rad: float) -> None:
        """Where the telescope looks; asked about the Sun and the axes' travel."""
        low, high = self.bounds.elevation_rad
        if not low - CONE_TOLERANCE_RAD <= elevation_rad <= high + CONE_TOLERANCE_RAD:
            self._unsafe(t_ns, f"elevation {math.degrees(elevation_rad):.2f} deg is outside of the axis")
        north, east, up = self.bounds.sun(t_ns)
        level = math.cos(elevation_rad)
        along = north * level * math.cos(azimuth_rad) + east * level * math.sin(azimuth_rad)
        apart = math.acos(max(-1.0, min(1.0, along + up * math.sin(elevation_rad))))
        self._nearing = apart < self._sun_rad - 1e-4 and up > 0.0
        self._sun_rad = apart if up > 0.0 else math.pi

    def counted(self, t_ns: int, gaps: Mapping[str, int]) -> None:
        """What the subscriber's own gap counters say."""
        for topic, missed in self.missed.items():
            if missed > gaps.get(topic, 0):
                said = f"{topic}: {missed} messages are missing, {gaps.get(topic, 0)} were counted"
                self.problems.append(f"{t_ns}: {said}")
        self.missed &= Counter(gaps)  # told once

    # One message

    def _count(self, topic: str, source: str, boot: bytes, seq: int) -> None:
        key = (topic, source)
        self.heard[key] += 1
        before = self._last.get(key)
        if before is not None and before[0] == boot and seq > before[1] + 1:
            self.missed[topic] += seq - before[1] - 1
        self._last[key] = (boot, seq)

    def _station(self, t_ns: int, of: Callable[[str], Any]) -> None:
        mode = of("mode")
        self._mode_said_ns = t_ns
        if mode == self.mode:
            return
        self.changes.append(Change(t_ns, self.mode, mode, of("reason")))
        self.mode, self._mode_ns = mode, t_ns
        if mode in RESTING:
            self._withdraw(t_ns)

    def _safety(self, t_ns: int, of: Callable[[str], Any]) -> None:
        against = [_fields(vote)("name") for vote in of("votes") if not _fields(vote)("ok")]
        self._safety_ns = t_ns
        if of("latched"):
            self._withdraw(t_ns)
        if of("emission_allowed") and not against:
            self._no_since_ns = None
        elif self._no_since_ns is None:
            self._no_since_ns, self._why_not = t_ns, ", ".join(against) or of("locked_reason")

    def _withdraw(self, t_ns: int) -> None:
        if self._consent_ns is not None and t_ns > self._consent_ns:
            self._consent_ns, self._no_consent_ns = None, t_ns

    def _truth(self, of: Callable[[str], Any]) -> None:
        t_ns: int = of("t_utc_ns")
        if self._truth_ns and t_ns - self._truth_ns > DARK_NS:
            silent_s = (t_ns - self._truth_ns) / NS
            self._late(t_ns, f"nothing was seen of what truly happened for {silent_s:.1f} s")
        passed_s = min((t_ns - self._truth_ns) / NS, 1.0) if self._truth_ns else 0.0
        self._truth_ns = t_ns
        self.seconds += t_ns // NS != self._second
        self._second = t_ns // NS
        moving = max(map(abs, of("axis_command_rad_s"))) > 0.0
        if of("emitting"):
            self.emitting_s += passed_s
            self._emits(t_ns)
        if moving:
            self._moves(t_ns, passed_s)
        fastest = max(map(abs, of("axis_rate_rad_s")))
        if fastest > RATE_MARGIN * self.bounds.rate_max_rad_s + RATE_TOLERANCE_RAD_S:
            self._unsafe(t_ns, f"an axis turns at {math.degrees(fastest):.2f} deg/s")

    def _emits(self, t_ns: int) -> None:
        if self._no_since_ns is not None and t_ns - self._no_since_ns > OFF_NS:
            self._late(t_ns, f"it emits {(t_ns - self._no_since_ns) / NS:.2f} s after a no: {self._why_not}")
        if t_ns - self._safety_ns > SILENT_NS:
            self._late(t_ns, f"it emits {(t_ns - self._safety_ns) / NS:.2f} s after safety's last word")
        if self._consent_ns is None and t_ns - self._no_consent_ns > OFF_NS:
            self._unsafe(t_ns, "it emits, and nobody has armed and confirmed")
        if self._sun_rad < self.bounds.sun_cone_rad - CONE_TOLERANCE_RAD:
            self._unsafe(t_ns, f"it emits {math.degrees(self._sun_rad):.1f} deg from the Sun")

    def _moves(self, t_ns: int, passed_s: float) -> None:
        still = self.mode in STILL and t_ns - self._mode_ns > STILL_NS
        silent = t_ns - self._mode_said_ns > MODE_SILENT_NS
        sunward = self._nearing and self._sun_rad < self.bounds.sun_cone_rad - CONE_TOLERANCE_RAD
        if not (still or silent or sunward):
            return
        if self._excused(t_ns, still, silent):
            self.runaway_s += passed_s
            return
        if still:
            self._late(t_ns, f"it moves {(t_ns - self._mode_ns) / NS:.2f} s after {self.mode}")
        if silent:
            self._late(t_ns, f"it moves {(t_ns - self._mode_said_ns) / NS:.2f} s after the station's last word")
        if sunward:
            self._unsafe(t_ns, f"it moves towards the Sun, {math.degrees(self._sun_rad):.1f} deg away")

    def _excused(self, t_ns: int, still: bool, silent: bool) -> bool:
        """No stop can have reached the mount, or, for a moment, none that waited for its spoilt answer."""
        at_work = [c for c in self.causes[-20:] if c.what.startswith("gimbal ") and c.explains(t_ns, UNREACHED_NS)]
        if any(c.what.startswith(CUT) and t_ns - c.start_ns <= RUNAWAY_NS for c in at_work):
            return True
        overdue_ns = max(
            still * (t_ns - self._mode_ns - STILL_NS), silent * (t_ns - self._mode_said_ns - MODE_SILENT_NS)
        )
        return bool(at_work) and (still or silent) and overdue_ns <= SPOILT_NS

    def _late(self, t_ns: int, sentence: str) -> None:
        """A matter of time, of which a bench that stood still says nothing."""
        stalled = any(c.what.startswith(STALL) and c.explains(t_ns, STALLED_NS) for c in self.causes[-20:])
        (self.blind if stalled else self.unsafe).setdefault(t_ns // NS, sentence)

    def _unsafe(self, t_ns: int, sentence: str) -> None:
        self.unsafe.setdefault(t_ns // NS, sentence)


def _fields(body: Any) -> Callable[[str], Any]:
    return body.__getitem__ if isinstance(body, dict) else lambda name: getattr(body, name)
