"""Commands under way from one sender: sent when the server's present start is known, answered, or given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import zmq

from controller.bus.envelope import VERSION, BusError, Envelope, Lease, decode, encode, pack
from controller.bus.inbox import Writer, reply_of
from controller.bus.port import Reply
from controller.bus.roles import STOPS
from controller.bus.sockets import Dialler
from controller.bus.watch import Channel, Received
from hal.clock import NS

GRACE_NS: Final = NS // 20  # an answer that says DEADLINE may still be on its way
LOOK_S: Final = 0.02  # who waits for an answer looks at telemetry and deadlines this often
ANY_START: Final = STOPS | {"ping"}


class _Call(msgspec.Struct):
    service: str
    method: str
    body: dict[str, Any]
    control: bool
    request_id: bytes
    deadline_utc_ns: int
    deadline_ns: int
    timeout_s: float
    lease: Lease | None = None
    sent: bool = False
    accepted: bool = False
    reply: Reply | None = None
    channel: Channel | None = None


class Requester:
    """Sends commands without blocking and keeps their answers.

    `boot_of` tells the present boot id of a service from its telemetry: until it is known there is nobody to send to,
    and what cannot be sent by its deadline is reported as not executed. `utc_apart_ns` is our UTC minus that of a
    service, where that is another one (a bench of another epoch): a deadline is written in the UTC of its reader.
    `answered` is called with the id of a command when its answer is there.
    """

    def __init__(
        self,
        dialler: Dialler,
        writer: Writer,
        boot_of: Callable[[str], bytes],
        utc_apart_ns: Callable[[str], int] = lambda service: 0,
        answered: Callable[[bytes], object] = lambda request_id: None,
    ) -> None:
        self._dialler = dialler
        self._writer = writer
        self._boot_of = boot_of
        self._utc_apart_ns = utc_apart_ns
        self._answered = answered
        self._calls: dict[bytes, _Call] = {}

    @property
    def waiting(self) -> bool:
        """Whether a command is under way that has no answer yet."""
        return any(call.reply is None for call in self._calls.values())

    def send(
        self, service: str, method: str, body: dict[str, Any], timeout_s: float, control: bool, lease: Lease | None
    ) -> bytes:
        """Start a command; returns its id."""
        clock = self._writer.clock
        wait_ns = round(timeout_s * NS)
        call = _Call(
            service,
            method,
            body,
            control,
            self._writer.ids.message(),
            clock.utc_ns() + wait_ns,
            clock.now_ns() + wait_ns,
            timeout_s,
            lease,
        )
        self._calls[call.request_id] = call
        try:
            call.channel = self._dialler.channel(service, control)
        except BusError as error:
            self._finish(call, Reply("TRANSPORT", str(error)))
            return call.request_id
        self._try(call)
        return call.request_id

    def result(self, request_id: bytes) -> Reply | None:
        """The answer, once; None while there is none (or there never was such a command)."""
        self.turn()
        return self.taken(request_id)

    def forget(self, request_id: bytes) -> None:
        """Nobody will ask for this answer any more."""
        self._calls.pop(request_id, None)

    def taken(self, request_id: bytes) -> Reply | None:
        """As `result`, of what has been received already."""
        call = self._calls.get(request_id)
        if call is None or call.reply is None:
            return None
        del self._calls[request_id]
        return call.reply

    def wait(self, request_id: bytes, between: Callable[[], object]) -> Reply:
        """Block until there is an answer, by the time-out at the latest; `between` is called 50 times a second."""
        call = self._calls[request_id]
        while call.reply is None:
            if call.sent and call.channel is not None:
                received = call.channel.wait(LOOK_S)
                if received is not None:
                    self._read(received)
                    continue
            else:
                self._dialler.wait(LOOK_S)
            between()
            self.turn()
        del self._calls[request_id]
        return call.reply

    def read(self) -> None:
        """Take what has come."""
        for received in self._dialler.received():
            self._read(received)

    def turn(self) -> None:
        """Send what can be sent, take what has come, give up what is over."""
        self.read()
        now_ns = self._writer.clock.now_ns()
        for call in list(self._calls.values()):
            if call.reply is None and not call.sent:
                self._try(call)
            if call.reply is None and now_ns >= call.deadline_ns + (GRACE_NS if call.sent else 0):
                self._finish(call, self._given_up(call))

    def _try(self, call: _Call) -> None:
        any_start = call.control and call.method in ANY_START
        boot = b"" if any_start else self._boot_of(call.service)
        if call.channel is None or not (boot or any_start):
            return
        writer = self._writer
        request = Envelope(
            v=VERSION,
            k="req",
            m=call.method,
            src=writer.service,
            boot=writer.boot,
            t=writer.clock.utc_ns(),
            clk=writer.time_base,
            id=call.request_id,
            dst=call.service,
            dst_boot=boot,
            dl=call.deadline_utc_ns - self._utc_apart_ns(call.service),
            ls=call.lease,
            sim=writer.simulated,
            b=pack(call.body),
        )
        try:
            call.channel.send(encode(request))
            call.sent = True
        except zmq.Again:
            return  # not connected yet

    def _read(self, received: Received) -> None:
        try:
            answer = decode(received.frame.bytes)
        except BusError:
            return  # an unreadable answer is none: the command then times out
        self._take(answer)

    def _take(self, answer: Envelope) -> None:
        call = self._calls.get(answer.re)
        if call is None and not answer.re and answer.k == "err":  # the server could not read us at all
            call = next((call for call in self._calls.values() if call.service == answer.src and call.sent), None)
        if call is None:
            return
        if answer.k == "ack":
            call.accepted = True
        elif answer.k in {"rep", "err"}:
            try:
                self._finish(call, reply_of(answer))
            except BusError as error:
                self._finish(call, Reply("INTERNAL", str(error)))

    def _finish(self, call: _Call, reply: Reply) -> None:
        call.reply = reply
        self._answered(call.request_id)

    def _given_up(self, call: _Call) -> Reply:
        if not call.sent:
            return Reply(
                "TRANSPORT",
                f"no {call.service} answers within {call.timeout_s:g} s; {call.method} was not executed",
                "start a station with `boresight run`, or check [bus] in the rig file",
            )
        accepted = "accepted" if call.accepted else "did not acknowledge"
        return Reply(
            "TIMEOUT_UNKNOWN",
            f"{call.service} {accepted} {call.method} and did not finish it within {call.timeout_s:g} s; whether it "
            "was executed is unknown",
            "look at the station's state before sending it again",
        )
