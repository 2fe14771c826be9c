"""The catalogue of what can go wrong with a running station: what is done, how it must end, and within which time.

A row is a fault, played on a station in LINK that emits and moves. `boresight faults run` plays the table;
docs/fault-campaign.md is what came of it. The bounds are those of docs/safety.md, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from controller.errors import BoresightError

Kind = Literal["device", "kill", "suspend", "starve", "utc", "disk", "guest"]
Place = Literal["lockstep", "realtime"]


@dataclass(frozen=True, slots=True)
class Bound:
    """How soon emission must be off after the fault, and why no sooner."""

    ms: float
    reason: str


# Emission. What a vote rests on may be as old as controller/safety/limits.py says.
AT_ONCE = Bound(30, "the next reading or frame shows it (20 ms)")
SHUTTER = Bound(450, "a lost answer is waited for 0.25 s; a reading may be 0.35 s old")
LASER = Bound(130, "the laser is read ten times a second")
DEATH = Bound(100, "the supervisor sees a death within 20 ms; the enable word is stale after 80 ms")
WATCHDOG = Bound(330, "the beam board's watchdog: 250 ms from its last heartbeat, which came up to 80 ms before")
STALE = Bound(600, "pointing, frames, modes and heartbeats may be 0.5 s old, and come every 0.1 s at the slowest")
DEAF_LASER = Bound(330, "the laser's answer is waited for 0.25 s, meanwhile the enable word is stale after 80 ms")
CONE = Bound(2000, "the beam leaves the cone of 5 mrad as fast as the target moves")
STARVED = Bound(1000, "its words still come now and then, and grow too old in the end")
STILL = Bound(500, "zero motion commanded within 0.5 s of the end of emission")


@dataclass(frozen=True, slots=True)
class Cause:
    """What is done, and to whom."""

    kind: Kind
    target: str
    word: str = ""  # of sim_hw/faults, or what a guest of the bus does
    numbers: Mapping[str, float] = field(default_factory=dict)
    for_s: float | None = None  # None: until the row has been judged


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. `ends` are the modes in which the station may be `after_s` later."""

    name: str
    done: str
    cause: Cause
    ends: tuple[str, ...]
    off: Bound | None = None  # None: emission goes on
    stops: bool = True  # where emission ends: whether motion ends, too, or the wire that could end it is gone
    told: str = ""  # is among what somebody is told
    after_s: float = 1.5
    linked: bool = True  # begins in LINK; else as soon as the beacon is seen: emission and motion are the same
    places: tuple[Place, ...] = ("lockstep",)


class NoSuchRowError(BoresightError):
    """A name that is none; the message names the nearest."""


def rows(names: Iterable[str] = (), place: Place | None = None) -> list[Row]:
    """The rows of these names (none: all) that are played there. Raises NoSuchRowError."""
    known = {row.name: row for row in TABLE}
    wanted = list(names)
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise NoSuchRowError(f"there is no row {name!r}{meant}; `boresight faults list` shows them.")
    return [known[name] for name in wanted or known if place is None or place in known[name].places]


LINK, BACK, LOST, SAFE = ("LINK",), ("LINK", "FINE", "COARSE"), ("SAFE", "FAULT"), ("SAFE",)
BOTH: tuple[Place, ...] = ("lockstep", "realtime")
_Outcome = tuple[str, tuple[str, ...], Bound | None, bool]  # word, modes, emission off, motion stops

# What each word of sim_hw/faults does to each device.
_DEVICES: dict[str, tuple[_Outcome, ...]] = {
    "gimbal": (
        ("power cycle", LOST, STALE, False),
        ("stuck", SAFE, CONE, True),
        ("slow", LOST, STARVED, False),
        ("wrong", SAFE, Bound(250, "the next angles, which the mount gives seven times a second"), True),
        ("garbage", LOST, STALE, False),
        ("intermittent", LOST, STALE, False),
        ("delayed", LINK, None, True),
        ("late_reply", LOST, STALE, False),
        ("split", LINK, None, True),
        ("duplicated", LOST, STALE, True),
        ("hang_up", LOST, AT_ONCE, False),
        ("replug", (*LINK, *LOST), STALE, True),
    ),
    "camera": (
        ("power cycle", LOST, STALE, True),
        ("stuck", SAFE, AT_ONCE, True),
        ("slow", SAFE, STALE, True),
        ("wrong", SAFE, AT_ONCE, True),
        ("garbage", SAFE, AT_ONCE, True),
        ("intermittent", SAFE, STALE, True),
        ("delayed", SAFE, Bound(80, "the frames that were on their way"), True),
        ("late_reply", SAFE, AT_ONCE, True),
        ("split", SAFE, AT_ONCE, True),
        ("duplicated", SAFE, AT_ONCE, True),
        ("hang_up", SAFE, AT_ONCE, True),
        ("replug", SAFE, AT_ONCE, True),
        ("saturated", LINK, None, True),
    ),
    "beam_board": (
        ("power cycle", SAFE, WATCHDOG, True),
        ("stuck", BACK, None, True),
        ("slow", SAFE, WATCHDOG, True),
        ("wrong", BACK, None, True),
        ("garbage", SAFE, WATCHDOG, True),
        ("intermittent", (*SAFE, *LINK), Bound(1500, "as soon as so many answers in a row are lost"), True),
        ("delayed", LINK, None, True),
        ("late_reply", LINK, None, True),
        ("split", LINK, None, True),
        ("duplicated", LINK, None, True),
        ("hang_up", SAFE, WATCHDOG, True),
        ("replug", LINK, None, True),
    ),
    "laser": (
        ("power cycle", SAFE, DEAF_LASER, True),
        ("stuck", LINK, None, True),
        ("slow", SAFE, DEAF_LASER, True),
        ("wrong", SAFE, LASER, True),
        ("garbage", SAFE, LASER, True),
        ("intermittent", SAFE, Bound(1000, "as soon as an answer is lost"), True),
        ("delayed", LINK, None, True),
        ("late_reply", SAFE, DEAF_LASER, True),
        ("split", LINK, None, True),
        ("duplicated", LINK, None, True),
        ("hang_up", SAFE, LASER, True),
        ("replug", SAFE, LASER, True),
        ("over_temperature", SAFE, LASER, True),
    ),
    "power_meter": (
        ("power cycle", BACK, None, True),
        ("stuck", LINK, None, True),
        ("slow", BACK, None, True),
        ("wrong", LINK, None, True),
        ("garbage", BACK, None, True),
        ("intermittent", BACK, None, True),
        ("delayed", LINK, None, True),
        ("late_reply", BACK, None, True),
        ("split", LINK, None, True),
        ("duplicated", BACK, None, True),
        ("hang_up", BACK, None, True),
        ("replug", BACK, None, True),
        ("saturated", BACK, None, True),
    ),
    "shutter": (
        ("power cycle", SAFE, SHUTTER, True),
        ("stuck", LINK, None, True),
        ("slow", SAFE, SHUTTER, True),
        ("wrong", SAFE, SHUTTER, True),
        ("garbage", SAFE, SHUTTER, True),
        ("intermittent", SAFE, Bound(1000, "as soon as an answer is lost"), True),
        ("delayed", LINK, None, True),
        ("late_reply", SAFE, SHUTTER, True),
        ("split", LINK, None, True),
        ("duplicated", LINK, None, True),
        ("hang_up", SAFE, AT_ONCE, True),
        ("replug", (*LINK, *SAFE), SHUTTER, True),  # whether a byte was on the line
    ),
}  # fmt: skip


def _device(device: str, outcome: _Outcome) -> Row:
    word, ends, off, stops = outcome
    cycled = word == "power cycle"
    cause = Cause("device", device, "off" if cycled else word, for_s=1.0 if cycled else None)
    done = f"{device} without power for a second" if cycled else f"{device}: `{word}` of docs/faults.md"
    watched_s = max(1.5, (off.ms / 1000 if off is not None else 0.0) + 0.8)
    linked = off is None or device in {"camera", "beam_board"} or "LINK" in ends
    return Row(f"{device} {word}", done, cause, ends, off, stops, after_s=watched_s, linked=linked)


def _process(kind: Kind, service: str, done: str, ends: tuple[str, ...], off: Bound | None, told: str = "") -> Row:
    numbers = {"pause_s": 0.3} if kind == "starve" else {}
    cause = Cause(kind, service, numbers=numbers, for_s=None if kind == "kill" else 1.0)
    name = {"kill": "killed", "suspend": "suspended", "starve": "slowed"}[kind]
    stops = service != "pointing"
    return Row(f"{service} {name}", done, cause, ends, off, stops, told, 1.5, off is None or "LINK" in ends, BOTH)


def _utc(name: str, done: str, step_s: float) -> Row:
    told, cause = f"UTC was stepped by {step_s:+.3f} s", Cause("utc", "", numbers={"step_s": step_s})
    return Row(name, done, cause, SAFE, AT_ONCE, told=told, linked=False)


def _guest(name: str, done: str, who: str, told: str = "", places: tuple[Place, ...] = BOTH) -> Row:
    return Row(name, done, Cause("guest", "", who), LINK, told=told, places=places)


_KILLED, _STOPPED = "the process is ended by SIGKILL", "the process has no turn for a second (SIGSTOP)"
_STARVED = "the process waits 0.3 s after each of its turns"

TABLE: tuple[Row, ...] = (
    _process("kill", "safety", _KILLED, SAFE, DEATH, "safety was killed"),
    _process("kill", "station", _KILLED, ("",), DEATH, "station was killed"),
    _process("kill", "pointing", _KILLED, LOST, DEATH, "pointing was killed"),
    _process("kill", "tracking", _KILLED, LOST, WATCHDOG, "tracking was killed"),
    _process("kill", "link", _KILLED, BACK, None, "link was killed"),
    _process("suspend", "safety", _STOPPED, SAFE, DEATH),
    _process("suspend", "station", _STOPPED, LOST, STALE),
    _process("suspend", "pointing", _STOPPED, LOST, STALE),
    _process("suspend", "tracking", _STOPPED, LOST, WATCHDOG),
    _process("suspend", "link", _STOPPED, BACK, None),
    _process("starve", "safety", _STARVED, SAFE, DEATH),
    _process("starve", "station", _STARVED, (*LINK, *LOST), STARVED),
    _process("starve", "pointing", _STARVED, LOST, STARVED),
    _process("starve", "tracking", _STARVED, LOST, WATCHDOG),
    _process("starve", "link", _STARVED, BACK, None),
    *(_device(device, outcome) for device, outcomes in _DEVICES.items() for outcome in outcomes),
    _utc("clock set forward", "UTC is set 2 s ahead", 2.0),
    _utc("clock set back", "UTC is set 2 s back", -2.0),
    _utc("leap second", "UTC repeats a second, as POSIX time does", -1.0),
    Row("disk full", "no file grows; somebody says safe", Cause("disk", ""), SAFE, AT_ONCE, told="operator said safe"),
    _guest("two operators", "a second operator wants lease and gimbal", "operator", "NO_LEASE"),
    _guest("flood", "a client sends 2000 commands, as fast as it can", "flood"),
    _guest("slow subscriber", "somebody subscribes to everything and reads nothing", "deaf"),
    _guest("bad client", "unknown methods, bodies that fit nothing, commands that are late", "bad", "SCHEMA"),
    _guest("malformed frame", "bytes that are no message, on every channel", "garbage", "refused"),
    _guest("stolen key", "the key of an observer, and another's name with it", "thief", "AUTH", ("lockstep",)),
)  # fmt: skip
