"""Commands under way from one sender: sent when the server's present start is known, answered, or given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import zmq

from controller.bus.envelope import (
    COMMAND_BYTES_MAX,
    NO_BODY,
    VERSION,
    BusError,
    Command,
    Envelope,
    Lease,
    answer_of,
    decode,
    pack,
)
from controller.bus.letterhead import CommandHead
from controller.bus.port import Reply
from controller.bus.roles import STOPS
from controller.bus.sockets import Dialler
from controller.bus.watch import Channel
from controller.bus.writer import Writer, reply_of
from hal.clock import NS

MS_NS: Final = NS // 1000
GRACE_NS: Final = NS // 20  # an answer that says DEADLINE may still be on its way
LOOK_MS: Final = 20  # who waits for an answer looks at telemetry and deadlines this often
LOOK_NS: Final = LOOK_MS * MS_NS
HEADS_MAX: Final = 100
ANY_START: Final = STOPS | {"ping"}
TIMEOUT_MAX_S: Final = 1e9  # more is no number of nanoseconds; the service refuses what is over a minute
UNWRITABLE: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)  # a body in msgpack


class _Call(msgspec.Struct, gc=False):
    service: str
    method: str
    body: msgspec.Raw
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


class Where(msgspec.Struct, gc=False):
    """A service as its telemetry tells it: its boot id, our UTC minus its, and until when nobody need ask again."""

    boot: bytes
    utc_apart_ns: int
    until_ns: int  # monotonic; 0 once there is other telemetry


NOWHERE: Final = Where(b"", 0, 0)


class _Way(msgspec.Struct, gc=False):
    """How the next command like one before goes out, and how long it is waited for."""

    where: Where
    channel: Channel
    head: CommandHead
    timeout_s: float
    wait_ns: int
    look_ms: int


def _packed(method: str, body: dict[str, Any]) -> msgspec.Raw:
    try:
        return pack(body)
    except UNWRITABLE as error:
        raise BusError(f"the body of {method} cannot be sent: {error}") from None


class Requester:
    """Sends commands without blocking and keeps their answers.

    `whereabouts` of a service, at a monotonic time, are its present boot id as its telemetry tells it: until it is
    known there is nobody to send to, and what cannot be sent by its deadline is reported as not executed; and our UTC
    minus the service's, where that is another one (a bench of another epoch): a deadline is written in the UTC of its
    reader. `between` is called 50 times a second while a command is waited for, `answered` with the id of a command
    when its answer is there.
    """

    def __init__(
        self,
        dialler: Dialler,
        writer: Writer,
        whereabouts: Callable[[str, int], Where],
        between: Callable[[], object],
        answered: Callable[[bytes], object] = lambda request_id: None,
    ) -> None:
        self._dialler = dialler
        self._writer = writer
        self._whereabouts = whereabouts
        self._between = between
        self._answered = answered
        self._calls: dict[bytes, _Call] = {}
        self._under_way = 0
        self._new_id, self._utc_ns, self._now_ns = writer.ids.message, writer.clock.utc_ns, writer.clock.now_ns
        self._heads: dict[tuple[str, str, bytes, Lease | None], CommandHead] = {}
        self._ways: dict[tuple[str, str, Lease | None], _Way] = {}  # of `call`

    @property
    def waiting(self) -> bool:
        """Whether a command is under way that has no answer yet."""
        return self._under_way > 0

    def send(
        self, service: str, method: str, body: dict[str, Any], timeout_s: float, control: bool, lease: Lease | None
    ) -> bytes:
        """Start a command; returns its id. Raises BusError on a body or a time-out that cannot be written."""
        if not abs(timeout_s) <= TIMEOUT_MAX_S:
            raise BusError(f"{timeout_s} s is no time-out: a command has a deadline, at most 60 s ahead")
        packed = _packed(method, body)  # before anybody waits for it
        utc_ns, now_ns, wait_ns = self._utc_ns(), self._now_ns(), round(timeout_s * NS)
        request_id = self._new_id(utc_ns)
        call = self._calls[request_id] = _Call(
            service, method, packed, control, request_id, utc_ns + wait_ns, now_ns + wait_ns, timeout_s, lease
        )
        self._under_way += 1
        try:
            call.channel = self._dialler.channel(service, control)
        except BusError as error:
            self._finish(call, Reply("TRANSPORT", str(error)))
        else:
            self._try(call, utc_ns, now_ns)
        return request_id

    def call(
        self, service: str, method: str, body: dict[str, Any], timeout_s: float, control: bool, lease: Lease | None
    ) -> Reply:
        """`send` and `wait` in one; for a command like most in one step: it is sent, and what comes next answers it."""
        now_ns = self._now_ns()
        way = None if control else self._ways.get((service, method, lease))
        if (
            way is None
            or way.timeout_s != timeout_s
            or (now_ns >= way.where.until_ns and not self._leads(way, service, now_ns))
        ):
            return self._ask(service, method, body, timeout_s, control, lease)
        utc_ns, wait_ns = self._utc_ns(), way.wait_ns
        request_id = self._new_id(utc_ns)
        try:
            message = way.head.write(utc_ns, request_id, utc_ns + wait_ns - way.where.utc_apart_ns, body)
            if len(message) > COMMAND_BYTES_MAX:
                return self._ask(service, method, body, timeout_s, control, lease)
            data = way.channel.ask(message, way.look_ms)
        except (zmq.Again, *UNWRITABLE):  # not connected, or what is wrong with the body
            return self._ask(service, method, body, timeout_s, control, lease)
        if data is not None and (answer := answer_of(data)) is not None and answer.re == request_id:
            return Reply("", answer.b.msg, "", answer.b.data or None)
        self._calls[request_id] = _Call(
            service,
            method,
            NO_BODY,  # it has been sent
            control,
            request_id,
            utc_ns + wait_ns,
            now_ns + wait_ns,
            timeout_s,
            lease,
            True,
            channel=way.channel,
        )
        self._under_way += 1
        if data is not None:
            self._read(data)
        return self.wait(request_id)

    def result(self, request_id: bytes) -> Reply | None:
        """The answer, once; None while there is none (or there never was such a command)."""
        self.turn()
        return self.taken(request_id)

    def forget(self, request_id: bytes) -> None:
        """Nobody will ask for this answer any more."""
        call = self._calls.pop(request_id, None)
        if call is not None and call.reply is None:
            self._under_way -= 1

    def refuse_unknown(self, request_id: bytes) -> None:
        """Raises BusError unless the answer of this command is there, or will come."""
        if request_id not in self._calls:
            raise BusError(f"no command {request_id.hex()} is under way: its answer was taken, or given up, before")

    def taken(self, request_id: bytes) -> Reply | None:
        """As `result`, of what has been received already."""
        call = self._calls.get(request_id)
        if call is None or call.reply is None:
            return None
        del self._calls[request_id]
        return call.reply

    def wait(self, request_id: bytes) -> Reply:
        """Block until there is an answer, by the time-out at the latest. Raises BusError where none will come."""
        self.refuse_unknown(request_id)
        call = self._calls[request_id]
        while call.reply is None:
            if call.sent and call.channel is not None:
                data = call.channel.wait(LOOK_MS)
                if data is not None:
                    if (answer := answer_of(data)) is not None and answer.re == request_id:  # as nearly always
                        del self._calls[request_id]
                        self._under_way -= 1
                        return Reply("", answer.b.msg, "", answer.b.data or None)
                    self._read(data)
                    continue
            else:
                self._dialler.wait(LOOK_MS / 1000)
            self._between()
            self.turn()
        del self._calls[request_id]
        return call.reply

    def read(self) -> None:
        """Take what has come."""
        for channel in self._dialler.look():
            for received in channel.receive():
                self._read(received.frame.bytes)
                if not self._under_way:
                    break  # nobody waits for more: what comes unasked may stay until somebody asks

    def turn(self) -> None:
        """Send what can be sent, take what has come, give up what is over."""
        self.read()
        now_ns = self._now_ns()
        for call in list(self._calls.values()):
            if call.reply is None and not call.sent:
                self._try(call, self._utc_ns(), now_ns)
            if call.reply is None and now_ns >= call.deadline_ns + (GRACE_NS if call.sent else 0):
                self._finish(call, self._given_up(call))

    def _try(self, call: _Call, utc_ns: int, now_ns: int) -> None:
        anywhere = call.control and call.method in ANY_START  # and however late
        where = NOWHERE if anywhere else self._whereabouts(call.service, now_ns)
        if call.channel is None or not (where.boot or anywhere):
            return
        like = (call.service, call.method, where.boot, call.lease)
        head = self._heads.get(like) or self._head(like)
        message = head.write(utc_ns, call.request_id, call.deadline_utc_ns - where.utc_apart_ns, call.body)
        if len(message) > COMMAND_BYTES_MAX:
            long = f"{call.method} of {len(message)} bytes was not sent: a command has {COMMAND_BYTES_MAX} at most"
            self._finish(call, Reply("PROTOCOL", long, "send it in parts"))
            return
        try:
            call.channel.send(message)
        except zmq.Again:
            return  # not connected yet
        call.sent = True

    def _ask(
        self, service: str, method: str, body: dict[str, Any], timeout_s: float, control: bool, lease: Lease | None
    ) -> Reply:
        """`send` and `wait`; the next command like it may take a shorter way."""
        request_id = self.send(service, method, body, timeout_s, control, lease)
        call = self._calls[request_id]
        reply = self.wait(request_id)
        where = self._whereabouts(service, self._now_ns())
        head = self._heads.get((service, method, where.boot, lease))
        if where.boot and head is not None and call.channel is not None and not control:
            wait_ns = round(timeout_s * NS)
            look_ms = LOOK_MS if wait_ns >= LOOK_NS else max(1, wait_ns // MS_NS)
            self._ways[service, method, lease] = _Way(where, call.channel, head, timeout_s, wait_ns, look_ms)
        return reply

    def _leads(self, way: _Way, service: str, now_ns: int) -> bool:
        """Whether a way still leads to the present start of its service."""
        where = self._whereabouts(service, now_ns)
        if where.boot != way.where.boot:
            return False
        way.where = where
        return True

    def _head(self, like: tuple[str, str, bytes, Lease | None]) -> CommandHead:
        """Written once for all commands of a method to a start of a service, under a lease."""
        service, method, boot, lease = like
        if len(self._heads) >= HEADS_MAX:
            self._heads.clear()
            self._ways.clear()
        writer = self._writer
        head = self._heads[like] = CommandHead(
            Command(
                v=VERSION,
                k="req",
                m=method,
                src=writer.service,
                boot=writer.boot,
                clk=writer.time_base,
                sim=writer.simulated,
                dst=service,
                dst_boot=boot,
                ls=lease,
            )
        )
        return head

    def _read(self, data: bytes) -> None:
        answer = answer_of(data)
        if answer is not None:  # like most: the command is done
            if (call := self._calls.get(answer.re)) is not None and call.reply is None:
                self._finish(call, Reply("", answer.b.msg, "", answer.b.data or None))
            return
        try:
            self._take(decode(data))
        except BusError:
            return  # an unreadable answer is none: the command then times out

    def _take(self, answer: Envelope) -> None:
        call = self._calls.get(answer.re)
        if call is None and not answer.re and answer.k == "err":  # the server could not read us at all
            asked = [one for one in self._calls.values() if one.service == answer.src and one.sent and not one.reply]
            call = asked[0] if len(asked) == 1 else None  # of several nobody knows which
        if call is None or call.reply is not None:
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
        self._under_way -= 1
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
