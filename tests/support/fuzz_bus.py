"""What the bus reads from whoever connects: commands, answers, requests to the registry, questions about keys."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from fuzz_target import Feed, Target, renewed

from controller.bus.envelope import BusError, Ids, answer_of, decode, decode_command, encode
from controller.bus.gatekeeper import VERSION, Gatekeeper, Tally
from controller.bus.inbox import LEASE_METHODS, Inbox
from controller.bus.lease import LEASE_KEEPER, Acquire, Renew
from controller.bus.lease_desk import LeaseDesk
from controller.bus.local import LocalBus
from controller.bus.port import Reply
from controller.bus.registry import Announcement, Registry, RegistryServer
from controller.bus.roles import Principal
from controller.bus.writer import Writer, reply_of
from controller.services.lockstep import Lockstep
from hal.clock import NS
from sim_hw.timeline import Timeline

MARK = b"\xfe|"  # between the frames of one input
_CLOCK = Lockstep(Timeline(), 1_760_000_000 * NS)
_WRITER = Writer("anna", _CLOCK, Ids(1), False)


def commands() -> Feed:
    """The station's two channels from the bytes to the answer: whatever comes is answered, by nothing but an answer."""
    clock = Lockstep(Timeline(), 1_760_000_000 * NS)
    port = LocalBus(clock, seed=1).port(LEASE_KEEPER)
    writer = Writer(LEASE_KEEPER, clock, Ids(1), False)
    inbox, desk, count = Inbox(writer), LeaseDesk(clock, port), itertools.count()
    anna = Principal("anna", "operator")

    def feed(data: bytes) -> None:
        number = next(count)
        try:
            envelope = decode_command(data)
        except BusError as error:
            inbox.refuse(writer.write("req", ""), Reply("PROTOCOL", str(error)), decode)
            raise
        inbox.admit(envelope, bool(number % 2), decode, anna)
        for request in inbox.take():
            reply = desk.obey(request) if request.method in LEASE_METHODS else Reply("", "done", body=request.body)
            inbox.finish(request, reply)

    return feed


def answer(data: bytes) -> Reply:
    """As a client reads what comes back."""
    done = answer_of(data)
    return reply_of(decode(data)) if done is None else Reply("", done.b.msg, body=done.b.data)


class _Frame:
    def __init__(self, data: bytes) -> None:
        self.bytes = data


class _Open:
    security = None


def registry() -> Feed:
    server = RegistryServer.__new__(RegistryServer)
    clock = Lockstep(Timeline(), 1_760_000_000 * NS)
    server.registry, server._writer = Registry(clock), Writer("registry", clock, Ids(1), False)
    server._transport = _Open()  # type: ignore[assignment]
    return lambda data: server._answer(_Frame(data))  # type: ignore[arg-type]


class _Zap:
    def send(self, data: bytes) -> None:
        assert data == b""

    def send_multipart(self, frames: tuple[bytes, ...]) -> None:
        assert len(frames) == 6
        assert frames[2] in (b"200", b"400")


class _Nobody:
    known = frozenset({"A"})

    def find(self, public: bytes) -> Principal | None:
        return None if public[:1] != b"A" else Principal("anna", "operator")

    def admitted(self) -> None:
        """Nobody remembers senders here."""


def gatekeeper() -> Feed:
    gate = Gatekeeper.__new__(Gatekeeper)
    gate._zap, gate._allowed = _Zap(), _Nobody()  # type: ignore[assignment]
    gate._tally = Tally()
    return lambda data: gate._answer(data.split(MARK))


def _command(method: str, body: Any, **fields: Any) -> bytes:
    request = _WRITER.request(LEASE_KEEPER, method, body, _CLOCK.utc_ns() + NS, b"")
    return encode(msgspec.structs.replace(request, **fields))


def _reply(code: str) -> bytes:
    asked = _WRITER.request("safety", "safety.arm", {}, _CLOCK.utc_ns() + NS, b"")
    return _WRITER.answer(asked, Reply(code, "a sentence", "a hint", body={"phase": "armed"}))


HERE = Announcement("link", "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://127.0.0.1:3", b"1", "hash")
ZAP = MARK.join((VERSION, b"1", b"boresight", b"127.0.0.1", b"", b"CURVE", bytes(range(32))))

BUS = (
    Target(
        "commands",
        renewed(commands),
        [
            _command("station.park", {}),
            _command("lease.acquire", Acquire(scope="gimbal", ttl_s=2.0, reason="a pass")),
            _command("lease.renew", Renew(ttl_s=2.0), ls={"id": "gimbal-1", "gen": 1}),
            _command("stop", {}, dl=0),
        ],
        (BusError,),
    ),
    Target("answers", lambda: answer, [_reply(""), _reply("AUTH")], (BusError,)),
    Target("registry requests", registry, [_command("reg.announce", HERE), _command("reg.lookup", {})]),
    Target("questions about keys", gatekeeper, [ZAP]),
)
