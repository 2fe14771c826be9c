"""Envelopes as they are written: stamped with who sends, when, and from which start; and answers read back."""

from __future__ import annotations

from typing import Any, Final

from controller.bus.envelope import (
    ERROR_CODES,
    RETRYABLE,
    VERSION,
    Code,
    Done,
    DoneBody,
    Envelope,
    ErrorBody,
    Failed,
    Head,
    Ids,
    Kind,
    Lease,
    TimeBase,
    body_as,
    encode,
    pack,
)
from controller.bus.port import Reply
from controller.bus.topics import Body, Topic
from hal.clock import Clock

CODES: Final[dict[str, Code]] = {code: code for code in ERROR_CODES}


class Writer:
    """Stamps envelopes with who sends, when, and from which start."""

    def __init__(self, service: str, clock: Clock, ids: Ids, simulated: bool) -> None:
        self.service = service
        self.clock = clock
        self.ids = ids
        self.boot = ids.boot()
        self.simulated = simulated
        self.time_base: TimeBase = "utc" if clock.realtime else "sim"

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
            clk=self.time_base,
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
        message_id = self.ids.message(self.clock.utc_ns())
        return self.write("req", method, body, id=message_id, dst=service, dst_boot=boot, dl=deadline_ns, ls=lease)

    def answer(self, request: Head, reply: Reply, request_id: bytes = b"") -> bytes:
        """`rep` for a success, `err` for anything else; a code outside of the closed list becomes INTERNAL.

        `request_id` is that of the command where `request` is only one like it.
        """
        request_id = request_id or request.id
        if not reply.code:
            return encode(self.done(request, request_id, DoneBody(msg=reply.message, data=reply.body or {})))
        body = ErrorBody(
            code=CODES.get(reply.code, "INTERNAL"),
            msg=reply.message,
            hint=reply.hint,
            retryable=reply.code in RETRYABLE,
            detail="" if reply.code in CODES else reply.code,
        )
        return encode(self._answer(Failed, "err", request, request_id, body))

    def done(self, request: Head, request_id: bytes, body: DoneBody) -> Done:
        """A `rep` message."""
        answer: Done = self._answer(Done, "rep", request, request_id, body)
        return answer

    def _answer(self, shape: Any, kind: Kind, request: Head, request_id: bytes, body: DoneBody | ErrorBody) -> Any:
        return shape(
            v=VERSION,
            k=kind,
            m=request.m,
            src=self.service,
            boot=self.boot,
            t=self.clock.utc_ns(),
            clk=self.time_base,
            re=request_id,
            dst=request.src,
            sim=self.simulated,
            b=body,
        )


def reply_of(envelope: Envelope) -> Reply:
    """The Reply in a `rep` or `err` message. Raises BusError when its body is wrong."""
    if envelope.k == "err":
        error = body_as(envelope, ErrorBody)
        return Reply(error.code, error.msg, error.hint)
    done = body_as(envelope, DoneBody)
    return Reply("", done.msg, body=done.data or None)
