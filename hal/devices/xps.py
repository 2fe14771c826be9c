"""Newport XPS controllers (C8, Q8, D, RL) with a single-axis group, TCP.

Source: XPS Programmer's Manual: calls as text, `Name(arguments)`, without any end of line; answers
`code,values,EndOfAPI`. Numbers of group states and errors are those of its tables.

A call that moves is answered when the motion has ended, and until then its connection hears nothing. So there are
two: one that moves, one that asks and stops. That a motion is refused is known by an answer that comes at once. No
answer says which call it is of: after a time-out the name of the firmware, which looks like no other, finds the
step. A stage that nobody talks to goes to where it was sent and stops there.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from hal.clock import NS, Deadline
from hal.devices.stage import LinearStage
from hal.errors import DeviceError, HalError, ProtocolError, WireTimeout
from hal.traits import Identity, Pair, StageStatus
from hal.wires.opening import open_stream
from hal.wires.stream import StreamWire
from hal.wires.wirelog import SUFFIX, is_replay

REPLY_TIMEOUT_S: Final = 0.3
REFUSAL_S: Final = 0.05  # within which a call that is refused is answered
REST_S: Final = 3.0  # until a motion that is aborted has ended
TURN_NS: Final = NS // 100
QUIET_S: Final = 0.02
END: Final = b",EndOfAPI"
LONGEST_REPLY: Final = 4096
FIRMWARE: Final = "FirmwareVersionGet(char *)"
NOT_ALLOWED: Final = -22
HOMING: Final = 43
MOVING: Final = {HOMING, 44, 45, 46, 47, 48}  # homing, moving, trajectory, slave, jogging, tracking
READY, DISABLED, UNREFERENCED = range(10, 20), range(20, 40), 42
UNDERSTOOD: Final = {*range(10), *READY, *DISABLED, UNREFERENCED, *MOVING}
ERRORS: Final = {
    -9: "the number of its arguments is wrong",
    -17: "that is outside its limits",
    -18: "it has no such positioner; correct the rig file, [stage] axis",
    -19: "it has no such group, or does not know that call; correct the rig file, [stage] axis",
    NOT_ALLOWED: "its group is not in a state for that",
    -25: "it could not follow, and is switched off",
    -26: "its emergency stop is pressed",
    -27: "the motion was aborted",
}


class Calls:
    """One connection: calls out, answers in."""

    def __init__(self, wire: StreamWire) -> None:
        self.asked_ns = 0
        self.wire = wire
        self.in_step = False

    def answer(self, timeout_s: float) -> tuple[int, str]:
        """Code and values of the next answer. Raises WireTimeout, WireError, ProtocolError."""
        reply = self.wire.read_until(END, timeout_s, LONGEST_REPLY).removesuffix(END)
        code, comma, values = reply.partition(b",")
        if not comma or not re.fullmatch(rb"-?\d{1,4}", code):
            raise ProtocolError(f"{self.wire.name}: sent {reply[:64]!r}, which is no answer; check what listens there.")
        return int(code), values.decode("latin-1")

    def call(self, call: str, now_ns: int) -> tuple[int, str]:
        """Code and values that answer a call. Raises WireTimeout, WireError, ProtocolError."""
        if self.wire.drain() or not self.in_step:
            self._find_step()
        self.in_step = False
        self.asked_ns = now_ns
        self.wire.write(call.encode("ascii"))
        answer = self.answer(REPLY_TIMEOUT_S)
        self.in_step = True
        return answer

    def _find_step(self) -> None:
        self.wire.drain(QUIET_S)
        self.wire.write(b")" + FIRMWARE.encode())  # which ends half a call that may stand there
        for _ in range(3):
            with suppress(ProtocolError, WireTimeout):
                if "XPS" in self.answer(REPLY_TIMEOUT_S / 3)[1]:
                    self.wire.drain(QUIET_S)
                    return
        raise WireTimeout(f"{self.wire.name}: nothing answers {FIRMWARE!r} as an XPS does; check address and power.")


class Xps(LinearStage):
    """One positioner; `axis` is "GROUP.POSITIONER"."""

    axis = "Group1.Pos"
    _moves: Calls | None = None

    def _status(self) -> StageStatus:
        """Where it is now and whether it moves. Raises WireError, ProtocolError."""
        state = self._state()  # first: where it stands then is where it came to rest
        position_mm = self._numbers(f"GroupPositionCurrentGet({self.axis},double *)", 1)[0]
        referenced = state in READY or state in DISABLED or (state in MOVING and state != HOMING)
        powered = state in READY or state in MOVING or state == UNREFERENCED
        return StageStatus(self._calls.asked_ns, position_mm, state in MOVING, referenced, powered)

    def _home(self) -> None:
        """Be on the way to its reference. One that knows where it is forgets it first, as the controller wants."""
        state = self._state()
        if state in DISABLED:
            raise DeviceError(f"{self._name}: its motor is switched off; switch it on first.")
        if state in READY or state in MOVING:
            self._tell(f"GroupKill({self._group})")
            state = 0
        if state != UNREFERENCED:
            self._tell(f"GroupInitialize({self._group})")
        self._move(f"GroupHomeSearch({self._group})")

    def _stop(self) -> None:
        """At rest. On the way home it cannot be stopped but by switching its motor off."""
        if self._state() == HOMING:
            self._tell(f"GroupKill({self._group})")
        else:
            self._tell(f"GroupMoveAbort({self._group})", but=NOT_ALLOWED)  # it is at rest

    def _power(self, on: bool) -> None:
        """Its motor holds it, or lets go of it; one that was never referenced has to be initialised for that."""
        state = self._state()
        if state in MOVING:
            self._stop()
            state = self._rests()
        if on and state in DISABLED:
            self._tell(f"GroupMotionEnable({self._group})")
        elif on and state not in READY and state != UNREFERENCED:
            self._tell(f"GroupInitialize({self._group})")
        elif not on and state in READY:
            self._tell(f"GroupMotionDisable({self._group})")
        elif not on and state == UNREFERENCED:
            self._tell(f"GroupKill({self._group})")

    def close(self) -> None:
        """Close both connections. Does not stop the stage: `stop` does."""
        super().close()
        if self._moves is not None:
            self._moves.wire.close()

    def _begin(self) -> Identity:
        if not re.fullmatch(r"\w{1,80}\.\w{1,80}", self.axis, re.ASCII):
            raise DeviceError(f'{self._name}: axis = "{self.axis}" is no positioner; write "GROUP.POSITIONER".')
        self._group = self.axis.partition(".")[0]
        self._calls = Calls(self._wire)
        firmware = self._ask(FIRMWARE)
        beside = self._wire.resource
        if is_replay(beside):  # each connection has a log of its own
            beside = beside.removesuffix(SUFFIX) + "_moves" + SUFFIX
        self._moves = Calls(open_stream(beside, self._clock, f"{self._name}_moves", baud=self._wire.baud))
        return {"model": firmware.partition(" ")[0], "firmware": firmware}

    def _limits_mm(self) -> Pair:
        low, high = self._numbers(f"PositionerUserTravelLimitsGet({self.axis},double *,double *)", 2)
        return low, high

    def _set_speed(self, speed_mm_s: float) -> None:
        asked = f"PositionerSGammaParametersGet({self.axis},double *,double *,double *,double *)"
        _, acceleration, jerk_min_s, jerk_max_s = self._numbers(asked, 4)
        given = f"{speed_mm_s:.6f},{acceleration:.6f},{jerk_min_s:.6f},{jerk_max_s:.6f}"
        self._tell(f"PositionerSGammaParametersSet({self.axis},{given})")

    def _go(self, position_mm: float) -> None:
        if self._state() in MOVING:  # which it would not interrupt for another
            self._stop()
            self._rests()
        self._move(f"GroupMoveAbsolute({self.axis},{position_mm:.7f})")

    def _move(self, call: str) -> None:
        """Begin a motion. Raises DeviceError when it is refused at once."""
        if self._moves is None:
            raise DeviceError(f"{self._name}: it is closed.")
        self._moves.wire.drain()  # what became of the motions before
        self._moves.wire.write(call.encode("ascii"))
        try:
            code, _ = self._moves.answer(REFUSAL_S)
        except WireTimeout:
            return  # it is under way
        self._judge(call, code)

    def _rests(self) -> int:
        """The state in which a motion that was aborted has ended."""
        deadline = Deadline(self._clock, REST_S)
        while (state := self._state()) in MOVING:
            if deadline.expired:
                raise DeviceError(f"{self._name}: it moves still, {REST_S:g} s after it was told to stop.")
            self._clock.sleep_until(self._clock.now_ns() + TURN_NS)
        return state

    def _state(self) -> int:
        told = self._ask(f"GroupStatusGet({self._group},int *)")
        state = int(told) if re.fullmatch(r"\d{1,3}", told) else -1
        if state not in UNDERSTOOD and not 49 <= state < 120:
            raise self._nonsense("the number of a state", told)
        return state

    def _numbers(self, call: str, count: int) -> list[float]:
        told = self._ask(call)
        parts = told.split(",")
        if len(parts) != count or not all(re.fullmatch(r"-?\d{1,9}(\.\d{1,15})?(e-?\d{1,2})?", part) for part in parts):
            raise self._nonsense(f"{count} numbers", told)
        return [float(part) for part in parts]

    def _ask(self, call: str) -> str:
        code, values = self._calls.call(call, self._clock.now_ns())
        self._judge(call, code)
        return values

    def _tell(self, call: str, but: int = 0) -> None:
        code, _ = self._calls.call(call, self._clock.now_ns())
        if code != but:
            self._judge(call, code)

    def _judge(self, call: str, code: int) -> None:
        if code:
            why = ERRORS.get(code, "see the error list of its manual")
            raise DeviceError(f"{self._name}: {call!r} is refused with error {code}: {why}.", code)

    def _nonsense(self, wanted: str, got: str) -> HalError:
        self._calls.in_step = False
        return ProtocolError(f"{self._name}: sent {got[:64]!r} instead of {wanted}; check what listens there.")
