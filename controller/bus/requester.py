"""Commands under way from one sender: sent when the server's present start is known, answered, or given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq

from controller.bus.envelope import BusError, Envelope, Lease, encode
from controller.bus.inbox import Writer, reply_of
from controller.bus.port import Reply
from controller.bus.roles import STOPS
from controller.bus.sockets import Dialler
from hal.clock import NS

GRACE_NS = NS // 20  # an answer that says DEADLINE may still be on its way


@dataclass(slots=True)
class _Call:
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


class Requester:
    """Sends commands without blocking and keeps their answers.

    `boot_of` tells the present boot id of a service from its telemetry: until it is known there is nobody to send to,
    and what cannot be sent by its deadline is reported as not executed. `utc_apart_ns` is our UTC minus that of a
    service, where that is another one (a bench of another epoch): a deadline is written in the UTC of its reader.
    """

    def __init__(
        self,
        dialler: Dialler,
        writer: Writer,
        boot_of: Callable[[str], bytes],
        utc_apart_ns: Callable[[str], int] = lambda service: 0,
    ) -> None:
        self._dialler = dialler
        self._writer = writer
        self._boot_of = boot_of
        self._utc_apart_ns = utc_apart_ns
        self._calls: dict[bytes, _Call] = {}

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
            self._dialler.socket(service, control)
        except BusError as error:
            call.reply = Reply("TRANSPORT", str(error))
        self.turn()
        return call.request_id

    def result(self, request_id: bytes) -> Reply | None:
        """The answer, once; None while there is none (or there never was such a command)."""
        self.turn()
        call = self._calls.get(request_id)
        if call is None or call.reply is None:
            return None
        del self._calls[request_id]
        return call.reply

    def turn(self) -> None:
        """Send what can be sent, take what has come, give up what is over."""
        for answer in self._dialler.answers():
            self._take(answer)
        for call in self._calls.values():
            if call.reply is None and not call.sent:
                self._try(call)
            if call.reply is None and self._writer.clock.now_ns() >= call.deadline_ns + (GRACE_NS if call.sent else 0):
                call.reply = self._given_up(call)

    def _try(self, call: _Call) -> None:
        any_start = call.control and call.method in STOPS | {"ping"}
        boot = b"" if any_start else self._boot_of(call.service)
        if not boot and not any_start:
            return
        request = self._writer.write(
            "req",
            call.method,
            call.body,
            id=call.request_id,
            dst=call.service,
            dst_boot=boot,
            dl=call.deadline_utc_ns - self._utc_apart_ns(call.service),
            ls=call.lease,
        )
        try:
            self._dialler.socket(call.service, call.control).send(encode(request), zmq.NOBLOCK)
            call.sent = True
        except zmq.Again:
            return  # not connected yet

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
                call.reply = reply_of(answer)
            except BusError as error:
                call.reply = Reply("INTERNAL", str(error))

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
