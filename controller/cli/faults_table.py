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

Kind = Literal["device", "kill", "suspend", "starve", "utc", "disk", "vanish", "guest"]
Place = Literal["lockstep", "realtime"]


@dataclass(frozen=True, slots=True)
class Bound:
    """How soon emission must be off after the fault, and why no sooner."""

    ms: float
    reason: str


# Emission. What a vote rests on may be as old as controller/safety/limits.py says.
AT_ONCE = Bound(30, "the next reading or frame shows it (20 ms)")
SAID = Bound(80, "the station hears a word at its next turn (0.05 s), and a turn (20 ms) later safety has its mode")
SHUTTER = Bound(450, "a lost answer is waited for 0.25 s; a reading may be 0.35 s old")
LASER = Bound(130, "the laser is read ten times a second")
DEATH = Bound(100, "the supervisor sees a death within 20 ms; the enable word is stale after 80 ms")
SILENT = Bound(
    125,
    "the enable word is stale after 80 ms, tracking looks at it 20 ms later, and waking it up has taken up to 25 ms",
)
WATCHDOG = Bound(330, "the beam board's watchdog: 250 ms from its last heartbeat, which came up to 80 ms before")
STALE = Bound(600, "pointing, frames, modes and heartbeats may be 0.5 s old, and come every 0.1 s at the slowest")
DEAF_LASER = Bound(330, "the laser's answer is waited for 0.25 s, meanwhile the enable word is stale after 80 ms")
GUARD = Bound(
    600, "pointing stops at its next turn, and takes three of them (0.15 s, and 0.05 s for the stop) for a fault"
)
CONE = Bound(2000, "the beam leaves the cone of 5 mrad as fast as the target moves")
TRICKLE = Bound(750, "angles come seven times a second, 0.1 s later where answers trickle, and may be 0.5 s old")

# Motion: zero is commanded 0.5 s after emission must be off. Exceptions, each with its reason; a sentence alone is why
# motion cannot be ended at all.
STILL_MS = 500.0
HUNG = Bound(1100, "a silent service is taken for lost after 0.6 s: only then does anybody else know")
MOTION: dict[str, Bound | str] = {
    "pointing killed": "its guardian, which stops the mount, is a process: there is none in lockstep",
    "pointing suspended": Bound(1250, "who commands the mount has no turn for 1 s; after 2.5 s it is killed"),
    "pointing slowed": Bound(
        1900, "who commands the mount has a turn every 0.6 s; two may go by in giving a rate before it sees a stop"
    ),
    "gimbal hang_up": "no wire leads to the mount any more: what cuts its motion then is stated in the rig",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """What is done, and to whom."""

    kind: Kind
    target: str
    word: str = ""  # of sim_hw/faults, or what a guest of the bus does
    numbers: Mapping[str, float] = field(default_factory=dict)
    for_s: float | None = None  # None: until the row has been judged
    safe: bool = False  # somebody says safe, too


@dataclass(frozen=True, slots=True)
class Row:
    """One fault. `ends` are the modes in which the station may be `after_s` later."""

    name: str
    done: str
    cause: Cause
    ends: tuple[str, ...]
    off: Bound | None = None  # None: emission goes on
    told: tuple[str, ...] = ()  # each is among what somebody is told
    told_in_link: str = ""  # so is this, where it begins in LINK
    timed: bool = True  # a vote ends emission, and the loss of its input has a moment
    after_s: float = 1.5
    linked: bool = True  # begins in LINK; else as soon as the beacon is seen: emission and motion are the same
    places: tuple[Place, ...] = ("lockstep",)

    def still(self, place: Place) -> Bound | str | None:
        """How soon zero motion must be commanded, or why it cannot be; None where nothing ends motion."""
        if self.off is None:
            return None
        if place == "realtime" and self.cause.kind == "kill":  # there the mount has its guardian
            return Bound(self.off.ms + STILL_MS, "0.5 s after emission is off")
        silent = HUNG if self.cause.kind in {"suspend", "starve"} else None
        return MOTION.get(self.name) or silent or Bound(self.off.ms + STILL_MS, "0.5 s after emission is off")


class NoSuchRowError(BoresightError):
    """A name that is none; the message names the nearest."""


def rows(names: Iterable[str] = (), place: Place | None = None) -> list[Row]:
    """The rows of these names (none: all that are played there). Raises NoSuchRowError, for a row of elsewhere, too."""
    known = {row.name: row for row in TABLE}
    wanted = list(names)
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise NoSuchRowError(f"there is no row {name!r}{meant}; `boresight faults list` shows them.")
        if place is not None and place not in known[name].places:
            raise NoSuchRowError(
                f"the row {name!r} is not played in {place}, but in {' and '.join(known[name].places)}."
            )
    return [known[name] for name in wanted or known if place is None or place in known[name].places]


def elsewhere(place: Place, played: Iterable[str]) -> str:
    """How many of all rows these are, and which are left, as the end of a summary."""
    names = set(played)
    left = [row.name for row in TABLE if row.name not in names]
    told = f"{len(names)} of {len(TABLE)} rows"
    return f"{told}, not played in {place}: {', '.join(left)}" if left else told


LINK, BACK, LOST, SAFE = ("LINK",), ("LINK", "FINE", "COARSE"), ("SAFE", "FAULT"), ("SAFE",)
DOWN = BACK[1:]
BOTH: tuple[Place, ...] = ("lockstep", "realtime")
ONLY: tuple[Place, ...] = ("realtime",)
PAUSE_S = 0.6  # of a process that is slowed: longer than anybody waits for it (0.5 s)
LEASE_S = 1.0  # from the last renewal of who vanishes
_Outcome = tuple[str, tuple[str, ...], Bound | None]  # word, modes, emission off

# What each word of sim_hw/faults does to each device.
_DEVICES: dict[str, tuple[_Outcome, ...]] = {
    "gimbal": (
        ("power cycle", LOST, STALE),
        ("stuck", SAFE, CONE),
        ("slow", LOST, TRICKLE),
        ("wrong", SAFE, Bound(250, "the next angles, which the mount gives seven times a second")),
        ("garbage", LOST, STALE),
        ("intermittent", LOST, STALE),
        ("delayed", LINK, None),
        ("late_reply", LOST, STALE),
        ("split", LINK, None),
        ("duplicated", LOST, STALE),
        ("hang_up", LOST, AT_ONCE),
        ("replug", (*BACK, *LOST), STALE),  # found again within 0.5 s it was not missed: a matter of the moment
    ),
    "camera": (
        ("power cycle", LOST, STALE),
        ("stuck", SAFE, AT_ONCE),
        ("slow", SAFE, STALE),
        ("wrong", SAFE, AT_ONCE),
        ("garbage", SAFE, AT_ONCE),
        ("intermittent", SAFE, STALE),
        ("delayed", SAFE, Bound(80, "the frames that were on their way")),
        ("late_reply", SAFE, AT_ONCE),
        ("split", SAFE, AT_ONCE),
        ("duplicated", SAFE, AT_ONCE),
        ("hang_up", SAFE, AT_ONCE),
        ("replug", SAFE, AT_ONCE),
        ("saturated", LINK, None),
    ),
    "beam_board": (
        ("power cycle", SAFE, WATCHDOG),
        ("stuck", DOWN, None),
        ("slow", SAFE, WATCHDOG),
        ("wrong", DOWN, None),
        ("garbage", SAFE, WATCHDOG),
        ("intermittent", SAFE, Bound(1500, "as soon as enough answers in a row are lost: by chance")),
        ("delayed", LINK, None),
        ("late_reply", LINK, None),
        ("split", LINK, None),
        ("duplicated", LINK, None),
        ("hang_up", SAFE, WATCHDOG),
        ("replug", LINK, None),
    ),
    "laser": (
        ("power cycle", SAFE, DEAF_LASER),
        ("stuck", SAFE, SAID),
        ("slow", SAFE, DEAF_LASER),
        ("wrong", SAFE, LASER),
        ("garbage", SAFE, LASER),
        ("intermittent", SAFE, Bound(1000, "as soon as an answer is lost")),
        ("delayed", LINK, None),
        ("late_reply", SAFE, DEAF_LASER),
        ("split", LINK, None),
        ("duplicated", LINK, None),
        ("hang_up", SAFE, LASER),
        ("replug", SAFE, LASER),
        ("over_temperature", SAFE, LASER),
    ),
    "power_meter": (
        ("power cycle", BACK, None),
        ("stuck", LINK, None),
        ("slow", DOWN, None),
        ("wrong", LINK, None),
        ("garbage", DOWN, None),
        ("intermittent", BACK, None),
        ("delayed", LINK, None),
        ("late_reply", BACK, None),
        ("split", LINK, None),
        ("duplicated", BACK, None),
        ("hang_up", DOWN, None),
        ("replug", BACK, None),
        ("saturated", DOWN, None),
    ),
    "shutter": (
        ("power cycle", SAFE, SHUTTER),
        ("stuck", SAFE, SAID),
        ("slow", SAFE, SHUTTER),
        ("wrong", SAFE, SHUTTER),
        ("garbage", SAFE, SHUTTER),
        ("intermittent", SAFE, Bound(1000, "as soon as an answer is lost")),
        ("delayed", LINK, None),
        ("late_reply", SAFE, SHUTTER),
        ("split", LINK, None),
        ("duplicated", LINK, None),
        ("hang_up", SAFE, AT_ONCE),
        ("replug", (*BACK, *SAFE), SHUTTER),  # whether a byte was on the line
    ),
}  # fmt: skip


# Where a loss of LINK is certain: what the station says of it.
_DIM, _SILENT, _DOWN = "received power below the threshold", "link is lost", "LINK -> FINE"
_TOLD_IN_LINK = {
    "beam_board stuck": _DIM,
    "beam_board wrong": _DIM,
    "power_meter power cycle": _SILENT,
    "power_meter slow": _SILENT,
    "power_meter garbage": _DOWN,
    "power_meter intermittent": _DOWN,
    "power_meter late_reply": _SILENT,
    "power_meter hang_up": _DOWN,
    "power_meter replug": "power_meter: ",
    "power_meter saturated": _DIM,
}
_VOTED = ("wrong", "over_temperature", "stuck")  # of laser and shutter; else it is an answer that fails to come


def _device(device: str, outcome: _Outcome) -> Row:
    word, ends, off = outcome
    name = f"{device} {word}"
    cycled, disobeys = word == "power cycle", word == "stuck" and device in {"laser", "shutter"}
    cause = Cause("device", device, "off" if cycled else word, for_s=1.0 if cycled else None, safe=disobeys)
    done = f"{device} without power for a second" if cycled else f"{device}: `{word}` of docs/faults.md"
    if disobeys:  # nothing shows it before it is told to do something
        done += "; somebody says safe"
    watched_s = max(1.5, (off.ms / 1000 if off is not None else 0.0) + 0.8)
    if device == "gimbal":
        watched_s = max(watched_s, 2.0)  # a mount without power for a second is watched as it comes back
    linked = off is None or device in {"camera", "beam_board"}
    return Row(
        name,
        done,
        cause,
        ends,
        off,
        told=("operator",) if disobeys else (),
        told_in_link=_TOLD_IN_LINK.get(name, ""),
        timed=device not in {"laser", "shutter"} or word in _VOTED,
        after_s=watched_s,
        linked=linked,
    )


def _process(
    kind: Kind,
    service: str,
    done: str,
    ends: tuple[str, ...],
    off: Bound | None,
    *told: str,
    places: tuple[Place, ...] = BOTH,
) -> Row:
    numbers = {"pause_s": PAUSE_S} if kind == "starve" else {}
    cause = Cause(kind, service, numbers=numbers, for_s=None if kind == "kill" else 1.0)
    name = {"kill": "killed", "suspend": "suspended", "starve": "slowed"}[kind]
    after_s = 2.6 if kind == "starve" and service == "pointing" else 1.5
    linked, timed = off is None, kind != "kill"
    in_link = "link is lost" if service == "link" else ""
    return Row(f"{service} {name}", done, cause, ends, off, told, in_link, timed, after_s, linked, places)


def _utc(name: str, done: str, step_s: float) -> Row:
    told, cause = (f"UTC was stepped by {step_s:+.3f} s",), Cause("utc", "", numbers={"step_s": step_s})
    return Row(name, done, cause, SAFE, AT_ONCE, told=told, linked=False)


def _guest(name: str, done: str, who: str, *told: str) -> Row:
    return Row(name, done, Cause("guest", "", who), LINK, told=told, places=BOTH)


def _end_of_all(target: str, done: str, off: Bound) -> Row:
    """Who keeps the others in lockstep is the test itself: these are rows of processes only."""
    return Row(f"{target} killed", done, Cause("kill", target), ("",), off, linked=False, places=ONLY)


_KILLED, _STOPPED = "the process is ended by SIGKILL", "the process has no turn for a second (SIGSTOP)"
_STARVED = "the process waits 0.6 s after each of its turns"

TABLE: tuple[Row, ...] = (
    _process("kill", "safety", _KILLED, SAFE, DEATH, "safety was killed"),
    _process("kill", "station", _KILLED, ("",), DEATH, "station was killed"),
    _process("kill", "pointing", _KILLED, LOST, DEATH, "pointing was killed"),
    _process("kill", "tracking", _KILLED, LOST, WATCHDOG, "tracking was killed"),
    _process("kill", "link", _KILLED, BACK, None, "link was killed"),
    Row("recorder killed", _KILLED, Cause("kill", "recorder"), BACK, None, ("recorder was killed",), places=ONLY),
    Row(
        "guardian killed",
        "the process that stops the mount when pointing is gone is ended by SIGKILL",
        Cause("kill", "guardian"),
        LOST,
        GUARD,
        ("guardian",),
        linked=False,
        places=ONLY,
    ),
    _end_of_all("supervisor", _KILLED, DEATH),
    _end_of_all("everything", "all processes of the station are ended by SIGKILL at the same moment", WATCHDOG),
    _process("suspend", "safety", _STOPPED, SAFE, SILENT),
    _process("suspend", "station", _STOPPED, LOST, STALE),
    _process("suspend", "pointing", _STOPPED, LOST, STALE),
    _process("suspend", "tracking", _STOPPED, LOST, WATCHDOG),
    _process("suspend", "link", _STOPPED, BACK, None),
    _process("starve", "safety", _STARVED, SAFE, SILENT),
    _process("starve", "station", _STARVED, LOST, STALE),
    _process("starve", "pointing", _STARVED, LOST, STALE),
    _process("starve", "tracking", _STARVED, LOST, WATCHDOG),
    _process("starve", "link", _STARVED, BACK, None),
    # In lockstep the drill is the supervisor, and a recorder has no turn of its own.
    _process("suspend", "supervisor", _STOPPED, BACK, None, places=ONLY),
    _process("suspend", "recorder", _STOPPED, BACK, None, places=ONLY),
    _process("starve", "supervisor", _STARVED, BACK, None, places=ONLY),
    _process("starve", "recorder", _STARVED, BACK, None, places=ONLY),
    *(_device(device, outcome) for device, outcomes in _DEVICES.items() for outcome in outcomes),
    _utc("clock set forward", "UTC is set 2 s ahead", 2.0),
    _utc("clock set back", "UTC is set 2 s back", -2.0),
    _utc("leap second", "UTC repeats a second, as POSIX time does", -1.0),
    Row(
        "disk full",
        "no file grows; somebody says safe",
        Cause("disk", "", safe=True),
        SAFE,
        SAID,
        # Station and safety hear it each for itself, and one of them says first that somebody said safe.
        ("operator", "nothing is recorded until there is room"),
        timed=False,  # where safety is the first it is obeyed, and no vote is lost
        places=BOTH,
    ),
    Row(
        "lease holder vanishes",
        "who armed renews the lease for a second more, and never again",
        Cause("vanish", "", numbers={"ttl_s": LEASE_S}),
        SAFE,
        Bound(
            1000 * LEASE_S + 145,
            "the station takes the last renewal at a turn (50 ms), and sees it run out at another (50 ms), safety "
            "hears it 20 ms later, and waking it up has taken up to 25 ms",
        ),
        told=("that armed is over",),
        after_s=LEASE_S + 1.0,
        places=BOTH,
    ),
    _guest("two operators", "a second operator wants lease and gimbal", "operator", "NO_LEASE"),
    _guest("flood", "a client sends 2000 commands, as fast as it can", "flood"),
    _guest("slow subscriber", "somebody subscribes to everything and reads nothing", "deaf"),
    _guest("bad client", "unknown methods, bodies that fit nothing, commands that are late", "bad", "SCHEMA"),
    _guest("malformed frame", "bytes that are no message, on every channel", "garbage", "refused"),
    _guest("stolen key", "the key of an observer, and another's name with it", "thief", "AUTH"),
)  # fmt: skip
