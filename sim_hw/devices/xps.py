"""A Newport XPS-C8 with one single-axis group and a stage of 50 mm.

Source: XPS-C8 Programmer's Manual: calls as text without an end of line, answers `code,values,EndOfAPI`, states of a
group and numbers of errors from its tables. A call that moves is answered when its motion has ended; until then its
connection hears nothing, and others do. The library newportxps drives this emulator in tests/strangers.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Final

from sim_hw.devices.carriage import Carriage
from sim_hw.devices.refused import Refused, as_number
from sim_hw.timeline import Timeline

GROUP, POSITIONER = "Group1", "Group1.Pos"
FIRMWARE: Final = "XPS-C8 Firmware V2.6.0"
LENGTH_MM: Final = 50.0
REPLY_DELAY_S: Final = 0.0005
LONGEST_CALL: Final = 1024
CALL: Final = re.compile(r"\s*([A-Za-z]+)\s*\(([^()]*)\)\s*")
NOT_INITIALISED, KILLED, ABORTED, HOMED, MOVED, ENABLED, DISABLED, UNREFERENCED, HOMING, MOVING = (
    0, 7, 10, 11, 12, 13, 20, 42, 43, 44,
)  # fmt: skip
STATES: Final = {
    NOT_INITIALISED: "Not initialized state",
    KILLED: "Not initialized state due to a GroupKill or KillAll command",
    ABORTED: "Ready state due to an AbortMove command",
    HOMED: "Ready state from homing",
    MOVED: "Ready state from motion",
    ENABLED: "Ready State due to a MotionEnable command",
    DISABLED: "Disabled state",
    UNREFERENCED: "Not referenced state",
    HOMING: "Homing state",
    MOVING: "Moving state",
}
READY: Final = {ABORTED, HOMED, MOVED, ENABLED}
FORMAT, COUNT, RANGE, NO_POSITIONER, NO_GROUP, NOT_ALLOWED, ABORT = -7, -9, -17, -18, -19, -22, -27
ERRORS: Final = {
    FORMAT: "Wrong format in the command string",
    COUNT: "Wrong number of parameters in the command",
    RANGE: "Parameter out of range or incorrect",
    NO_POSITIONER: "Positioner name doesn't exist or unknown command",
    NO_GROUP: "Group name doesn't exist or unknown command",
    NOT_ALLOWED: "Not allowed action",
    ABORT: "Move aborted",
}
Answer = Callable[[int], None]  # called with the code of a motion that has ended


def _number(word: str) -> float:
    return as_number(word, FORMAT, RANGE)


class Group:
    """The group: what state it is in, and its one positioner."""

    def __init__(self, timeline: Timeline, carriage: Carriage) -> None:
        self.carriage = carriage
        self.profile = [carriage.speed_mm_s, carriage.acceleration_mm_s2, 0.02, 0.02]
        self._timeline = timeline
        self._state = NOT_INITIALISED
        self._ended: Answer | None = None
        self._motions = 0

    @property
    def state(self) -> int:
        """Of STATES."""
        return self._state

    def begin(self, moving: int, then: int, ended: Answer) -> None:
        """The carriage was sent: call back when it stands."""
        self._state, self._ended = moving, ended
        self._motions += 1
        number = self._motions
        self._timeline.schedule(self.carriage.ends_ns, lambda: self._stands(number, then, 0))

    def abort(self) -> None:
        """Stop; whoever began the motion hears of it when the carriage stands."""
        if self._state != MOVING:
            raise Refused(NOT_ALLOWED)
        self.carriage.stop()
        self._motions += 1
        number = self._motions
        self._timeline.schedule(self.carriage.ends_ns, lambda: self._stands(number, ABORTED, ABORT))

    def kill(self) -> None:
        """Motor off, reference lost."""
        ended, self._ended = self._ended, None
        self._motions += 1
        self.carriage.lose()
        self._state = KILLED
        if ended is not None:
            ended(ABORT)

    def pass_from(self, allowed: set[int], to: int) -> None:
        """Into another state. Raises Refused unless it is in one of those."""
        if self._state not in allowed:
            raise Refused(NOT_ALLOWED)
        self._state = to

    def _stands(self, number: int, state: int, code: int) -> None:
        if number != self._motions:
            return
        ended, self._ended = self._ended, None
        if state == HOMED and not self.carriage.referenced:  # it never came to its switch
            state, code = NOT_INITIALISED, -28
        self._state = state
        if ended is not None:
            ended(code)


class Xps:
    """One connection to the controller; a SerialDevice. `another` is a further one."""

    def __init__(self, timeline: Timeline, group: Group | None = None) -> None:
        self._timeline = timeline
        self.group = group or Group(timeline, Carriage(timeline, length_mm=LENGTH_MM))
        self.carriage = self.group.carriage
        self.conditions = self.carriage.conditions
        self._send: Callable[[bytes], None] = lambda data: None
        self._half = ""
        self._calls: deque[str] = deque()
        self._blocked = False

    def another(self) -> Xps:
        """A further connection to the same controller."""
        return Xps(self._timeline, self.group)

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host."""
        self._send = send

    def receive(self, data: bytes) -> None:
        """Carry out every call that is complete, in order; a call that moves holds up those behind it."""
        *calls, self._half = (self._half + data.decode("latin-1")).split(")")
        self._half = self._half[-LONGEST_CALL:]
        self._calls += [f"{call})" for call in calls if call.strip()]
        self._next()

    def _next(self) -> None:
        while self._calls and not self._blocked:
            try:
                self._say(0, self._run(self._calls.popleft()))
            except Refused as refused:
                self._say(refused.code)

    def _say(self, code: int, values: str | None = "") -> None:
        if values is not None:  # else the motion's end is the answer
            said = f"{code},{values},EndOfAPI".encode("latin-1")
            self._timeline.after(REPLY_DELAY_S, lambda: self._send(said))

    def _ended(self, code: int) -> None:
        self._blocked = False
        self._say(code)
        self._next()

    def _run(self, call: str) -> str | None:
        """The values of the answer; None where it comes later. Raises Refused."""
        found = CALL.fullmatch(call)
        if found is None:
            raise Refused(FORMAT)
        name, arguments = found[1], [part.strip() for part in found[2].split(",")]
        match name, arguments:
            case "FirmwareVersionGet", ["char *"]:
                return FIRMWARE
            case "Login", [_, _]:
                return ""
            case "ElapsedTimeGet", [_]:
                return f"{self._timeline.now_ns * 1e-9:.3f}"
            case "ErrorListGet", [_]:
                return ";".join(f"Error {code}: {text}" for code, text in ERRORS.items())
            case "ErrorStringGet", [code, _]:
                return ERRORS.get(int(_number(code)), "")
            case "GroupStatusStringGet", [code, _]:
                return STATES.get(int(_number(code)), "")
            case str(), [first, *rest] if name.startswith("Positioner"):
                if first != POSITIONER:
                    raise Refused(NO_POSITIONER)
                return self._positioner(name, rest)
            case str(), [first, *rest] if name.startswith("Group"):
                if first not in (GROUP, POSITIONER):
                    raise Refused(NO_GROUP)
                return self._of_group(name, rest)
            case _:
                raise Refused(NO_GROUP)

    def _positioner(self, name: str, rest: list[str]) -> str:
        match name, rest:
            case "PositionerUserTravelLimitsGet", [_, _]:
                return f"0,{self.carriage.length_mm:g}"
            case "PositionerMaximumVelocityAndAccelerationGet", [_, _]:
                return f"{self.carriage.speed_mm_s:g},{self.carriage.acceleration_mm_s2:g}"
            case "PositionerSGammaParametersGet", [_, _, _, _]:
                return ",".join(f"{number:.6f}" for number in self.group.profile)
            case "PositionerSGammaParametersSet", [*given] if len(given) == 4:
                numbers = [_number(word) for word in given]
                limits = (self.carriage.speed_mm_s, self.carriage.acceleration_mm_s2, 1.0, 1.0)
                if not all(0 < number <= limit for number, limit in zip(numbers, limits, strict=True)):
                    raise Refused(RANGE)
                self.group.profile = numbers
                return ""
            case "PositionerErrorGet" | "PositionerHardwareStatusGet", [_]:
                return "0"
            case _:
                raise Refused(COUNT)

    def _of_group(self, name: str, rest: list[str]) -> str | None:
        group = self.group
        match name, rest:
            case "GroupStatusGet", [_]:
                return str(group.state)
            case "GroupPositionCurrentGet" | "GroupPositionSetpointGet", [_]:
                return f"{self.carriage.shown_mm:.7f}"
            case "GroupInitialize" | "GroupInitializeWithEncoderCalibration", []:
                group.pass_from({NOT_INITIALISED, KILLED}, UNREFERENCED)
            case "GroupHomeSearch", []:
                group.pass_from({UNREFERENCED}, HOMING)
                self.carriage.home()
                self._block(HOMING, HOMED)
                return None
            case "GroupMotionEnable", []:
                group.pass_from({DISABLED}, ENABLED)
            case "GroupMotionDisable", []:
                group.pass_from(READY, DISABLED)
            case "GroupKill", []:
                group.kill()
            case "GroupMoveAbort", []:
                group.abort()
            case "GroupMoveAbsolute" | "GroupMoveRelative", [where]:
                if group.state not in READY:
                    raise Refused(NOT_ALLOWED)
                goal_mm = _number(where) + (self.carriage.shown_mm if name == "GroupMoveRelative" else 0.0)
                if not 0.0 <= goal_mm <= self.carriage.length_mm:
                    raise Refused(RANGE)
                self.carriage.go(goal_mm, group.profile[0])
                self._block(MOVING, MOVED)
                return None
            case _:
                raise Refused(COUNT)
        return ""

    def _block(self, moving: int, then: int) -> None:
        self._blocked = True
        self.group.begin(moving, then, self._ended)
