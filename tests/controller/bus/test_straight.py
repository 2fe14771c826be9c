"""The short way of a command through the inbox gives what the long way gives, or leaves it to the long way."""

from __future__ import annotations

from itertools import product
from typing import Any, Final

import msgspec
import pytest

from controller.bus.envelope import Command, Envelope, Ids, Lease, decode, decode_command, encode
from controller.bus.inbox import CACHE_NS, Inbox
from controller.bus.port import Reply, Request
from controller.bus.roles import EVENTS_SINCE, STATION, Principal
from controller.bus.writer import Writer
from controller.services.lockstep import Lockstep
from hal.clock import NS
from sim_hw.timeline import Timeline

NOW_NS: Final = 1_760_000_000 * NS
ANNA, OLGA, SELF = Principal("anna", "operator"), Principal("olga", "observer"), Principal("station", STATION)
PLAIN: Final[dict[str, list[Any]]] = {
    "k": ["req", "rep", "tlm"],
    "id": [bytes(range(16)), b"", b"eight..."],
    "m": ["pointing.slew", "safety.arm", EVENTS_SINCE, "reg.announce"],
    "src": ["anna", "olga"],
    "dst": ["safety", "station"],
    "dst_boot": ["mine", b"previous", b""],
    "dl": [NOW_NS + NS, NOW_NS, 0, NOW_NS + CACHE_NS, NOW_NS + CACHE_NS + 1],
    "b": [{"rate": 1.5}, [1, 2]],
}
COMMANDS: Final = [dict(zip(PLAIN, values, strict=True)) for values in product(*PLAIN.values())]


class Side:
    """An inbox with its answers; two of them are the same."""

    def __init__(self) -> None:
        clock = Lockstep(Timeline(), NOW_NS)
        self.writer = Writer("safety", clock, Ids(1), simulated=True)
        self.inbox = Inbox(self.writer)
        self.answers: list[Envelope] = []

    def read(self, fields: dict[str, Any]) -> Any:
        boot = self.writer.boot if fields["dst_boot"] == "mine" else fields["dst_boot"]
        body = msgspec.Raw(msgspec.msgpack.encode(fields["b"]))
        whole = Envelope(v=1, ls=Lease("laser-1", 1), **{**fields, "dst_boot": boot, "b": body})
        return decode_command(encode(whole))

    def send(self, data: bytes) -> None:
        self.answers.append(decode(data))

    def long(self, fields: dict[str, Any], principal: Principal | None) -> list[Request]:
        self.inbox.admit(self.read(fields), False, self.send, principal)
        return self.inbox.take()

    def short(self, fields: dict[str, Any], principal: Principal | None) -> Request | None:
        return self.inbox.straight(self.read(fields), self.send, principal)


@pytest.mark.parametrize("principal", [None, ANNA, OLGA, SELF], ids=["no keys", "operator", "observer", "station"])
def test_the_short_way_lets_pass_only_what_the_long_way_lets_pass_and_as_the_same_request(
    principal: Principal | None,
) -> None:
    straight = 0
    for fields in COMMANDS:
        one, other = Side(), Side()
        request = one.short(fields, principal)
        if request is None:
            assert not one.answers, "whoever leaves it to the long way says nothing"
            assert one.long(fields, principal) == other.long(fields, principal)
        else:
            straight += 1
            assert [request] == other.long(fields, principal)
            one.inbox.finish(request, Reply("", "done", body={"a": 1}))
            other.inbox.finish(request, Reply("", "done", body={"a": 1}))
        assert one.answers == other.answers
        assert one.inbox.refused == other.inbox.refused
    assert bool(straight) == (principal is not OLGA)


def bytes_of(side: Side, fields: dict[str, Any]) -> bytes:
    whole = side.read(fields)
    return encode(msgspec.structs.replace(whole, boot=b"anna's", t=NOW_NS - 5))


@pytest.mark.parametrize("principal", [None, ANNA, SELF], ids=["no keys", "operator", "station"])
def test_the_next_command_of_a_known_sender_is_the_same_request_as_by_the_long_way_or_left_to_it(
    principal: Principal | None,
) -> None:
    known = 0
    for fields in COMMANDS:
        one, other = Side(), Side()
        first = bytes_of(one, plain(dst="safety", src=fields["src"], m=fields["m"], id=b"first of this sort"[:16]))
        before = one.inbox.straight(decode_command(first), one.send, principal)
        if before is None:
            continue  # of such a sender nothing is remembered
        other.inbox.admit(decode_command(first), False, other.send, principal)
        other.inbox.take()
        for side in (one, other):
            side.inbox.finish(before, Reply("", "done"))
        command = decode_command(first)
        assert isinstance(command, Command)
        sender = one.inbox.known(command, one.send, principal)
        data = bytes_of(one, fields)
        request = one.inbox.again(sender, data)
        other.inbox.admit(decode_command(data), False, other.send, principal)
        if request is None:
            one.inbox.admit(decode_command(data), False, one.send, principal)
            assert one.inbox.take() == other.inbox.take()
        else:
            known += 1
            assert [request] == other.inbox.take()
            for side in (one, other):
                side.inbox.finish(request, Reply("", "done", body={"a": 1}) if known % 2 else Reply("BUSY", "no"))
                side.inbox.admit(decode_command(data), False, side.send, principal)
                assert side.inbox.take() == [], "it has come before"
        assert one.answers == other.answers
        assert one.inbox.refused == other.inbox.refused
    kinds = (
        1 if principal is ANNA else 2 * 2
    )  # of sender and method; anna announces nothing, consent is never remembered
    assert known == kinds * 2, "two of the deadlines are in order, and one of the ids"


def test_a_known_senders_command_that_is_not_answered_at_once_is_acknowledged_and_sends_others_the_long_way() -> None:
    side = Side()
    one, two = (bytes_of(side, plain(id=bytes([number]) * 16)) for number in (1, 2))
    sender = side.inbox.known(decode_command(one), side.send, ANNA)
    held = side.inbox.again(sender, one)
    assert held is not None
    assert side.inbox.again(sender, two) is None, "another is under way"
    side.inbox.admit(decode_command(one), False, side.send, ANNA)
    side.inbox.admit(decode_command(two), False, side.send, ANNA)
    assert [request.id for request in side.inbox.take()] == [bytes([2]) * 16]
    side.inbox.finish(held, Reply("", "done"))
    side.inbox.finish(held, Reply("", "done twice"))
    assert side.inbox.again(sender, one) is None, "it has its answer"
    kinds = [(answer.k, answer.re[:1]) for answer in side.answers]
    assert kinds == [("ack", b"\1"), ("ack", b"\1"), ("rep", b"\1")], "asked again, a cycle later, done"


def plain(**fields: Any) -> dict[str, Any]:
    return {key: values[0] for key, values in PLAIN.items()} | fields


def test_a_command_that_has_come_before_does_not_go_the_short_way() -> None:
    side = Side()
    request = side.short(plain(), ANNA)
    assert request is not None
    assert side.short(plain(), ANNA) is None, "it is being worked on"
    assert side.long(plain(), ANNA) == []
    side.inbox.finish(request, Reply("", "done"))
    assert side.short(plain(), ANNA) is None, "it has its answer"
    assert side.long(plain(), ANNA) == []
    assert [answer.k for answer in side.answers] == ["ack", "ack", "rep", "rep"], (
        "asked again, a cycle later, done, done"
    )


def test_a_command_that_is_under_way_sends_others_the_long_way_and_is_acknowledged() -> None:
    side = Side()
    assert side.short(plain(), ANNA) is not None
    assert side.short(plain(id=b"another command."), ANNA) is None
    assert [request.id for request in side.long(plain(id=b"another command."), ANNA)] == [b"another command."]
    assert [(answer.k, answer.re) for answer in side.answers] == [("ack", plain()["id"])]


def test_answers_are_forgotten_when_the_minute_after_theirs_has_ended() -> None:
    side = Side()
    clock = side.writer.clock
    remembered = []
    for number, pause_ns in enumerate([CACHE_NS - NS, CACHE_NS - NS, CACHE_NS + 1, NS, NS]):
        request = side.short(plain(id=bytes([number]) * 16, dl=clock.utc_ns() + NS), ANNA)
        assert request is not None
        side.inbox.finish(request, Reply("", "done"))
        remembered.append(side.inbox.remembered)
        clock.sleep_until(clock.now_ns() + pause_ns)
        side.inbox.take()
    assert remembered == [1, 2, 3, 2, 3], "the first two went when the minute of the third had ended"
