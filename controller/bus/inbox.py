"""What happens to a command before a service sees it and after it has answered: the rules of the command channels.

Transport-free, so that sockets and the in-process queue refuse, acknowledge and repeat in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from controller.bus.envelope import (
    COMMAND_BYTES_MAX,
    BusError,
    Command,
    DoneBody,
    Envelope,
    Head,
    Lease,
    body_as,
    decode,
    encode,
)
from controller.bus.lease import CONSENT, FREE, LEASE_KEEPER
from controller.bus.letterhead import AnswerHead, CommandHead, News
from controller.bus.port import Reply, Request, overtaken
from controller.bus.roles import EVENTS_SINCE, STATION, STOPS, Principal, Role, forbidden
from controller.bus.writer import Writer
from hal.clock import NS

CACHE_NS: Final = 60 * NS
ID_BYTES: Final = 16
ANSWERS_MAX: Final = 50_000  # of a minute, that are kept: a sender without pause would fill the memory
CONTROL_ANSWERS_MAX: Final = 2 * ANSWERS_MAX  # leases are renewed when commands are refused
LOGGED_MAX: Final = 500  # letters of a refusal
CONSENTS_MAX: Final = 10_000  # whose ids are kept for good: UTC that is set back makes an old deadline a new one
HARMLESS: Final = FREE | {"ping"}  # also behind a stop
CONTROL_METHODS: Final = STOPS | {"ping"}
LEASE_METHODS: Final = frozenset({"lease.acquire", "lease.renew", "lease.release"})  # control methods of the station
BODY: Final = dict[str, Any]
SUPERVISOR: Final[Role] = "supervisor"  # without keys, whoever is on this machine
COUNTED: Final = frozenset({"PROTOCOL", "SCHEMA", "AUTH", "NO_LEASE", "LEASE_STALE", "DEADLINE"})

Send = Callable[[bytes], object]


class Sender(msgspec.Struct, frozen=True, gc=False):
    """Who has sent a command that went straight, and may send more like it: what need not be found out again."""

    like: Command
    read: Callable[[bytes], News | None]
    answer: Callable[[int, bytes, DoneBody], bytes]
    source: str
    ending: bytes  # of the names of its commands
    role: Role
    method: str
    lease: Lease | None
    send: Send


class _Open(msgspec.Struct, gc=False):
    """A command that was admitted and not answered yet: as the service will see it, as it came, and the way back."""

    request: Request
    envelope: Envelope | Command  # of a known sender the first one like it
    send: Send
    handed: bool = False  # to the service
    acknowledged: bool = False  # what is not answered in that cycle


class Inbox:
    """Commands of one service: checks, hands over, remembers answers, acknowledges what takes longer than a cycle.

    A command that is expired, meant for another start or service, or unreadable is refused, never executed; a stop on
    the control channel is executed however late it comes. The same id from the same sender within 60 s is the same
    command: it is answered again, not executed again, and refused when it names another method. No deadline is further
    ahead than that, so what is old enough to be forgotten is late. A stop is executed each time: whoever counts its ids
    from 1 at each start must not get the answer of an earlier one for it. Consent is taken once for each id, for good.

    `principal` is the owner of the key that a message came with, None where there are no keys. `refused` counts what
    was not done, by error code.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._control: list[_Open] = []
        self._commands: list[_Open] = []
        self._open: dict[bytes, _Open] = {}  # by `_name`
        self._answered: dict[bytes, bytes] = {}  # of this minute,
        self._before: dict[bytes, bytes] = {}  # and of the one before
        self._minute_ends_ns = writer.clock.now_ns() + CACHE_NS
        self._consents: dict[bytes, None] = {}  # in the order in which they came
        self._swift: tuple[Request, Sender, bytes] | None = None  # went by `again`, not answered yet
        self._overtaken, self._stop = 0, ""  # how many of the commands a stop has overtaken, and which
        self._stopping = False
        self._utc_ns, self._now_ns = writer.clock.utc_ns, writer.clock.now_ns
        keeper = writer.service == LEASE_KEEPER
        self._control_methods = CONTROL_METHODS | LEASE_METHODS if keeper else CONTROL_METHODS
        self.refused: Counter[str] = Counter()
        self.latest_refusal = ""

    @property
    def remembered(self) -> int:
        """Answers that would be given again."""
        return len(self._answered) + len(self._before)

    @property
    def waiting(self) -> bool:
        """Whether `take` has commands to give."""
        return bool(self._control or self._commands)

    @property
    def stopping(self) -> bool:
        """Whether a stop is among what waits: `overtake` once what came beside it is admitted."""
        return self._stopping

    def overtake(self) -> None:
        """The stop that waits has overtaken every command that does."""
        self._overtaken = len(self._commands)

    def admit(
        self, envelope: Envelope | Command, control: bool, send: Send, principal: Principal | None = None
    ) -> None:
        """Take a message of the cmd or ctl channel; `send` carries acknowledgement and answer back."""
        self._settle()
        if envelope.k != "req" or not envelope.id:
            return  # nobody waits for an answer to what is no request
        if principal is not None and (why := forbidden(principal, envelope.src, envelope.m)):
            self.refuse(
                envelope, Reply("AUTH", f"{self._writer.service}: {why}", "boresight keys list"), send, principal.name
            )
            return
        source, role = _speaker(envelope, principal)
        if len(envelope.id) != ID_BYTES:
            bad = Reply("SCHEMA", f"the id of {envelope.m} has {len(envelope.id)} bytes, not {ID_BYTES}")
            self.refuse(envelope, bad, send, source)
            return
        method = "stop" if control and envelope.m == "abort" else envelope.m
        name = _name(source, envelope.id, method, control)
        if name in self._open or name in self._answered or name in self._before or self._had(method, name):
            self._repeat(envelope, method, source, name, send)
        elif (refusal := self._refusal(envelope, control)) is not None:
            self.refuse(envelope, refusal, send, source)
        elif control and envelope.m == "ping":
            send(self._writer.answer(envelope, Reply("", "", body={"utc_ns": self._writer.clock.utc_ns()})))
        else:
            body = envelope.b if type(envelope) is Command else {}
            request = Request(envelope.id, source, method, body, control, envelope.ls, role)
            admitted = self._open[name] = _Open(request, envelope, send)
            if method in CONSENT:
                self._remember_consent(name)
            (self._control if control else self._commands).append(admitted)
            if control and method in STOPS:
                self._overtaken, self._stop, self._stopping = len(self._commands), method, True

    def straight(self, envelope: Envelope | Command, send: Send, principal: Principal | None = None) -> Request | None:
        """`admit` and `take` in one, of a command on cmd that nothing speaks against, while no other is under way.

        None when there is anything to say or to think about: nothing was done with it then, admit it.
        """
        mine = self._writer
        if (
            self._open
            or self._swift is not None
            or type(envelope) is not Command
            or envelope.k != "req"
            or len(envelope.id) != ID_BYTES
            or envelope.dst != mine.service
            or envelope.dst_boot != mine.boot
            or len(self._answered) >= ANSWERS_MAX
            or not 0 < envelope.dl - mine.clock.utc_ns() <= CACHE_NS
            or envelope.m == EVENTS_SINCE
            or envelope.m in CONSENT
        ):
            return None
        if principal is not None and forbidden(principal, envelope.src, envelope.m):
            return None
        source, role = _speaker(envelope, principal)
        name = _name(source, envelope.id, envelope.m, False)
        if name in self._answered or name in self._before:
            return None
        request = Request(envelope.id, source, envelope.m, envelope.b, False, envelope.ls, role)
        self._open[name] = _Open(request, envelope, send, True)
        return request

    def known(self, command: Command, send: Send, principal: Principal | None) -> Sender:
        """The sender of a command that went straight; `again` takes its next."""
        source, role = _speaker(command, principal)
        like = msgspec.structs.replace(command, b={})
        answers = AnswerHead(self._writer.done(command, command.id, DoneBody()))
        read = CommandHead(like).read
        return Sender(like, read, answers.write, source, _ending(source), role, command.m, command.ls, send)

    def again(self, sender: Sender, data: bytes) -> Request | None:
        """`straight` of a command that has all but time, id, deadline and body in common with one that went straight.

        Neither the addressee nor the start nor the rights that were looked at then can have changed since: who keeps a
        sender forgets it when they may have. None when there is anything to say: nothing was done with it then.
        """
        if self._open or self._swift is not None or (news := sender.read(data)) is None:
            return None
        name, answered = news.id + sender.ending, self._answered
        if (
            not 0 < news.dl - self._utc_ns() <= CACHE_NS
            or name in answered
            or name in self._before
            or len(answered) >= ANSWERS_MAX
            or len(data) > COMMAND_BYTES_MAX
        ):
            return None
        request = Request(news.id, sender.source, sender.method, news.b, False, sender.lease, sender.role)
        self._swift = request, sender, name
        return request

    def _settle(self) -> None:
        """Whoever went straight and is not answered yet is one of those under way."""
        if self._swift is not None:
            request, sender, name = self._swift
            self._open[name] = _Open(request, sender.like, sender.send, True)
            self._swift = None

    def _repeat(self, envelope: Head, method: str, source: str, name: bytes, send: Send) -> None:
        """The same id from the same sender: the answer again, or word that it is being worked on."""
        if envelope.m in CONSENT:
            again = f"{envelope.m} with this id has come before: consent is never repeated, send it anew"
            self.refuse(envelope, Reply("PROTOCOL", again), send, source)
            return
        waiting, answer = self._open.get(name), self._answered.get(name) or self._before.get(name, b"")
        before = waiting.request.method if waiting is not None else decode(answer).m
        if method != before:
            other = f"this id has come before with {before}, so {method} was not executed: an id is for one command"
            self.refuse(envelope, Reply("PROTOCOL", other, "send it with a new id"), send, source)
        elif waiting is not None:
            waiting.send = send
            self._acknowledge(waiting)
        else:
            send(answer)

    def _had(self, method: str, name: bytes) -> bool:
        """Consent is known by its id for good; for another command that has been forgotten like any."""
        return method in CONSENT and name in self._consents

    def _remember_consent(self, name: bytes) -> None:
        self._consents[name] = None
        if len(self._consents) > CONSENTS_MAX:
            del self._consents[next(iter(self._consents))]

    def refuse(self, envelope: Head, refusal: Reply, send: Send, sender: str = "") -> None:
        """Answer what is not even admitted; `sender` is for the log, the source that it claims when empty."""
        self.count(refusal, sender or envelope.src)
        send(self._writer.answer(envelope, refusal))

    def take(self) -> list[Request]:
        """Admitted commands, control first; what expired while it waited is refused now.

        What was taken before and is not answered yet is acknowledged.
        """
        taken: list[Request] = []
        self._settle()
        if self.remembered and self._now_ns() >= self._minute_ends_ns:
            self._forget()
        if not self._open:
            return taken
        for item in self._open.values():
            if item.handed and not item.acknowledged:
                item.acknowledged = True
                self._acknowledge(item)
        if self._overtaken:
            self._refuse_overtaken()
        self._stopping = False
        waiting = self._control + self._commands if self._control else self._commands
        if not waiting:
            return taken
        self._control, self._commands = [], []
        utc_ns = self._writer.clock.utc_ns()
        for item in waiting:
            request, envelope = item.request, item.envelope
            if not request.control and utc_ns >= envelope.dl and (late := self._late(envelope, utc_ns)) is not None:
                self.finish(request, late)
                continue
            if type(envelope) is Envelope:  # its body is no map, and the error says what it is
                try:
                    request = item.request = msgspec.structs.replace(request, body=body_as(envelope, BODY))
                except BusError as error:
                    self.finish(request, Reply("SCHEMA", str(error), "send a map of named values"))
                    continue
            item.handed = True
            taken.append(request)
        return taken

    def _refuse_overtaken(self) -> None:
        """Control comes first, so that a stop would be followed by what was sent before it."""
        before, after = self._commands[: self._overtaken], self._commands[self._overtaken :]
        self._commands, self._overtaken = after, 0
        harmless = []
        for item in before:
            if item.request.method in HARMLESS:
                harmless.append(item)
            else:
                self.finish(item.request, overtaken(item.request, self._stop))
        self._commands[:0] = harmless

    def _acknowledge(self, item: _Open) -> None:
        envelope = item.envelope
        item.send(encode(self._writer.write("ack", envelope.m, re=item.request.id, dst=envelope.src)))

    def finish(self, request: Request, reply: Reply, remember: bool = True) -> None:
        """Answer a command that was taken; answering twice changes nothing. What only reads is not remembered."""
        swift = self._swift
        if swift is not None and request is swift[0] and not reply.code:
            self._swift = None
            _, sender, name = swift
            send = sender.send
            answer = sender.answer(self._utc_ns(), request.id, DoneBody(reply.message, reply.body or {}))
        else:
            self._settle()
            name = _name(request.source, request.id, request.method, request.control)
            remember = remember and not (request.control and request.method in STOPS)
            if (waiting := self._open.pop(name, None)) is None:
                return
            self.count(reply, request.source)
            send, answer = waiting.send, self._writer.answer(waiting.envelope, reply, request.id)
        if remember:
            self._answered[name] = answer
        send(answer)

    def count(self, reply: Reply, sender: str) -> None:
        """Note a refusal, for `refused`."""
        if reply.code in COUNTED:
            self.refused[reply.code] += 1
            self.latest_refusal = _one_line(f"{reply.message} (from {sender})")

    def _refusal(self, envelope: Head, control: bool) -> Reply | None:
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
        if control and envelope.m not in self._control_methods:
            allowed = ", ".join(sorted(self._control_methods))
            return Reply("PROTOCOL", f"{envelope.m!r} is no control method ({allowed}): send it on cmd")
        if control and envelope.m == "ping":
            return None
        if len(self._answered) >= (CONTROL_ANSWERS_MAX if control else ANSWERS_MAX):
            return Reply("BUSY", f"{mine.service} has answered {ANSWERS_MAX} commands in a minute", "send fewer")
        utc_ns = mine.clock.utc_ns()
        return self._without_bound(envelope, utc_ns) or self._late(envelope, utc_ns)

    def _without_bound(self, envelope: Head, utc_ns: int) -> Reply | None:
        """A command that could still be executed when its id is forgotten could be executed twice."""
        if envelope.m in CONSENT and not envelope.dst_boot:
            return Reply("SCHEMA", f"{envelope.m} must name the start of {envelope.dst} that it is for: set `dst_boot`")
        if not envelope.dl:
            return Reply("SCHEMA", f"{envelope.m} has no deadline", "set `dl`, at most 60 s ahead")
        ahead_ns = envelope.dl - utc_ns
        if ahead_ns > CACHE_NS:
            return Reply("SCHEMA", f"the deadline of {envelope.m} is {ahead_ns / NS:.0f} s ahead, 60 s at most")
        return None

    def _late(self, envelope: Head, utc_ns: int) -> Reply | None:
        late_ns = utc_ns - envelope.dl
        if not envelope.dl or late_ns <= 0:
            return None
        return Reply(
            "DEADLINE",
            f"{envelope.m} reached {self._writer.service} {late_ns / NS:.3f} s after its deadline; it was not executed",
        )

    def _forget(self) -> None:
        """Answers of before the past minute, all at once: one by one each would need its time, and a look at it."""
        self._before, self._answered = self._answered, {}
        self._minute_ends_ns = self._now_ns() + CACHE_NS


def _name(source: str, request_id: bytes, method: str, control: bool) -> bytes:
    """A command, whichever way and whenever it comes. No name of a key or a service has a NUL in it.

    A stop has a name of its own: no other command with its id stands in its way.
    """
    stop = b"\0" + method.encode() if control and method in STOPS else b""
    return request_id + _ending(source) + stop


def _ending(source: str) -> bytes:
    return b"\0" + source.encode()


def _one_line(text: str) -> str:
    """For a log: a refused message quotes its sender, who may have written line ends and a terminal's commands."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text[:LOGGED_MAX])


def _speaker(envelope: Head, principal: Principal | None) -> tuple[str, Role]:
    """Who has sent a message, and in which role: the owner of its key; a service of the station as it calls itself."""
    if principal is None:
        return envelope.src, SUPERVISOR
    return envelope.src if principal.role == STATION else principal.name, principal.role
