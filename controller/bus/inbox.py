"""What happens to a command before a service sees it and after it has answered: the rules of the command channels.

Transport-free, so that sockets and the in-process queue refuse, acknowledge and repeat in the same way.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from controller.bus.envelope import (
    ERROR_CODES,
    RETRYABLE,
    VERSION,
    BusError,
    Code,
    DoneBody,
    Envelope,
    ErrorBody,
    Ids,
    Kind,
    Lease,
    body_as,
    pack,
)
from controller.bus.lease import CONSENT, LEASE_KEEPER
from controller.bus.port import Reply, Request
from controller.bus.roles import STATION, STOPS, Principal, Role, forbidden
from controller.bus.topics import Body, Topic
from hal.clock import NS, Clock

CACHE_NS: Final = 60 * NS
CONTROL_METHODS: Final = STOPS | {"ping"}
LEASE_METHODS: Final = frozenset({"lease.acquire", "lease.renew", "lease.release"})  # control methods of the station
COUNTED: Final = frozenset({"PROTOCOL", "SCHEMA", "AUTH", "NO_LEASE", "LEASE_STALE", "DEADLINE"})
CODES: Final[dict[str, Code]] = {code: code for code in ERROR_CODES}

Send = Callable[[Envelope], None]


class Writer:
    """Stamps envelopes with who sends, when, and from which start."""

    def __init__(self, service: str, clock: Clock, ids: Ids, simulated: bool) -> None:
        self.service = service
        self.clock = clock
        self.ids = ids
        self.boot = ids.boot()
        self.simulated = simulated

    def write(self, kind: Kind, method: str, body: Any = None, **fields: Any) -> Envelope:
        """A new envelope; `fields` are further keys of Envelope."""
        if body is not None:
            fields["b"] = pack(body)
        return Envelope(
            v=VERSION,
            k=kind,
            m=method,
            src=self.service,
            boot=self.boot,
            t=self.clock.utc_ns(),
            clk="utc" if self.clock.realtime else "sim",
            sim=self.simulated,
            **fields,
        )

    def telemetry(self, topic: Topic, body: Body, seq: int) -> Envelope:
        """A sample of a topic."""
        return self.write("evt" if topic.kind == "event" else "tlm", topic.name, body, seq=seq)

    def request(
        self, service: str, method: str, body: Any, deadline_ns: int, boot: bytes, lease: Lease | None = None
    ) -> Envelope:
        """A command with an id of its own and a deadline in UTC nanoseconds."""
        message_id = self.ids.message()
        return self.write("req", method, body, id=message_id, dst=service, dst_boot=boot, dl=deadline_ns, ls=lease)

    def answer(self, request: Envelope, reply: Reply) -> Envelope:
        """`rep` for a success, `err` for anything else; a code outside of the closed list becomes INTERNAL."""
        to = {"re": request.id, "dst": request.src, "dst_boot": request.boot}
        if not reply.code:
            return self.write("rep", request.m, DoneBody(msg=reply.message, data=reply.body or {}), **to)
        error = ErrorBody(
            code=CODES.get(reply.code, "INTERNAL"),
            msg=reply.message,
            hint=reply.hint,
            retryable=reply.code in RETRYABLE,
            detail="" if reply.code in CODES else reply.code,
        )
        return self.write("err", request.m, error, **to)


@dataclass(slots=True)
class _Open:
    """A command that was admitted and not answered yet."""

    envelope: Envelope
    source: str
    role: Role
    send: Send


class Inbox:
    """Commands of one service: checks, acknowledges, hands over, remembers answers.

    A command that is expired, meant for another start or service, or unreadable is refused, never executed; a stop on
    the control channel is executed however late it comes. The same id from the same sender within 60 s is the same
    command: it is answered again, not executed again. No deadline is further ahead than that, so what is old enough to
    be forgotten is late.

    `principal` is the owner of the key that a message came with, None where there are no keys. `refused` counts what
    was not done, by error code.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._control: list[_Open] = []
        self._commands: list[_Open] = []
        self._open: dict[tuple[str, bytes], _Open] = {}
        self._answered: OrderedDict[tuple[str, bytes], tuple[int, Envelope]] = OrderedDict()
        self.refused: Counter[str] = Counter()
        self.latest_refusal = ""

    def admit(self, envelope: Envelope, control: bool, send: Send, principal: Principal | None = None) -> None:
        """Take a message of the cmd or ctl channel; `send` carries acknowledgement and answer back."""
        if envelope.k != "req" or not envelope.id:
            return  # nobody waits for an answer to what is no request
        if principal is not None and (why := forbidden(principal, envelope.src, envelope.m)):
            self.refuse(
                envelope, Reply("AUTH", f"{self._writer.service}: {why}", "boresight keys list"), send, principal.name
            )
            return
        source = envelope.src if principal is None or principal.role == STATION else principal.name
        key = (source, envelope.id)
        if envelope.m in CONSENT and (key in self._answered or key in self._open):
            again = f"{envelope.m} with this id has come before: consent is never repeated, send it anew"
            self.refuse(envelope, Reply("PROTOCOL", again), send, source)
        elif (done := self._answered.get(key)) is not None:
            send(done[1])
        elif (waiting := self._open.get(key)) is not None:
            waiting.send = send
            send(self._writer.write("ack", envelope.m, re=envelope.id, dst=envelope.src))
        elif (refusal := self._refusal(envelope, control)) is not None:
            self.refuse(envelope, refusal, send, source)
        elif control and envelope.m == "ping":
            send(self._writer.answer(envelope, Reply("", "", body={"utc_ns": self._writer.clock.utc_ns()})))
        else:
            role: Role = "supervisor" if principal is None else principal.role
            admitted = self._open[key] = _Open(envelope, source, role, send)
            (self._control if control else self._commands).append(admitted)
            send(self._writer.write("ack", envelope.m, re=envelope.id, dst=envelope.src))

    def refuse(self, envelope: Envelope, refusal: Reply, send: Send, sender: str = "") -> None:
        """Answer what is not even admitted; `sender` is for the log, the source that it claims when empty."""
        self._count(refusal, sender or envelope.src)
        send(self._writer.answer(envelope, refusal))

    def take(self) -> list[Request]:
        """Admitted commands, control first; what expired while it waited is refused now."""
        self._forget()
        taken: list[Request] = []
        for control, queue in ((True, self._control), (False, self._commands)):
            for item in queue:
                envelope = item.envelope
                request = Request(envelope.id, item.source, envelope.m, {}, control, envelope.ls, item.role)
                if (late := None if control else self._late(envelope)) is not None:
                    self.finish(request, late)
                    continue
                try:
                    body = body_as(envelope, dict[str, Any])
                except BusError as error:
                    self.finish(request, Reply("SCHEMA", str(error), "send a map of named values"))
                    continue
                taken.append(replace(request, body=body))
            queue.clear()
        return taken

    def finish(self, request: Request, reply: Reply) -> None:
        """Answer a command that was taken; answering twice changes nothing."""
        key = (request.source, request.id)
        if (waiting := self._open.pop(key, None)) is None:
            return
        self._count(reply, request.source)
        answer = self._writer.answer(waiting.envelope, reply)
        self._answered[key] = (self._writer.clock.now_ns(), answer)
        waiting.send(answer)

    def _count(self, reply: Reply, sender: str) -> None:
        if reply.code in COUNTED:
            self.refused[reply.code] += 1
            self.latest_refusal = f"{reply.message} (from {sender})"

    def _refusal(self, envelope: Envelope, control: bool) -> Reply | None:
        mine = self._writer
        if envelope.dst != mine.service:
            return Reply("TRANSPORT", f"this is {mine.service}, the command was meant for {envelope.dst!r}")
        if control and envelope.m in STOPS:
            return None
        if envelope.dst_boot and envelope.dst_boot != mine.boot:
            return Reply(
                "TRANSPORT",
                f"{mine.service} has been restarted since this command was addressed; it was not executed",
                "look at the station's state and send the command again",
            )
        methods = CONTROL_METHODS | LEASE_METHODS if mine.service == LEASE_KEEPER else CONTROL_METHODS
        if control and envelope.m not in methods:
            allowed = ", ".join(sorted(methods))
            return Reply("PROTOCOL", f"{envelope.m!r} is no control method ({allowed}): send it on cmd")
        return self._without_bound(envelope, control) or self._late(envelope)

    def _without_bound(self, envelope: Envelope, control: bool) -> Reply | None:
        """A command that could still be executed when its id is forgotten could be executed twice."""
        if control and envelope.m == "ping":
            return None
        if envelope.m in CONSENT and not envelope.dst_boot:
            return Reply("SCHEMA", f"{envelope.m} must name the start of {envelope.dst} that it is for: set `dst_boot`")
        if not envelope.dl:
            return Reply("SCHEMA", f"{envelope.m} has no deadline", "set `dl`, at most 60 s ahead")
        ahead_ns = envelope.dl - self._writer.clock.utc_ns()
        if ahead_ns > CACHE_NS:
            return Reply("SCHEMA", f"the deadline of {envelope.m} is {ahead_ns / NS:.0f} s ahead, 60 s at most")
        return None

    def _late(self, envelope: Envelope) -> Reply | None:
        late_ns = self._writer.clock.utc_ns() - envelope.dl
        if not envelope.dl or late_ns <= 0:
            return None
        return Reply(
            "DEADLINE",
            f"{envelope.m} reached {self._writer.service} {late_ns / NS:.3f} s after its deadline; it was not executed",
        )

    def _forget(self) -> None:
        before_ns = self._writer.clock.now_ns() - CACHE_NS
        while self._answered:
            key, (at_ns, _) = next(iter(self._answered.items()))
            if at_ns >= before_ns:
                return
            del self._answered[key]


def reply_of(envelope: Envelope) -> Reply:
    """The Reply in a `rep` or `err` message. Raises BusError when its body is wrong."""
    if envelope.k == "err":
        error = body_as(envelope, ErrorBody)
        return Reply(error.code, error.msg, error.hint)
    done = body_as(envelope, DoneBody)
    return Reply("", done.msg, body=done.data or None)
