"""Guests of the bus who mean no good, in lockstep; each returns what it did, and what it was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from controller.bus.envelope import BusError
from controller.bus.local import LocalBus
from controller.bus.port import Reply
from controller.bus.roles import Principal
from controller.bus.store import QUEUE_LENGTH
from controller.bus.topics import SERVICE_HEARTBEAT, TOPICS, Heartbeat
from hal.clock import NS, Clock

FLOOD, BURST = 2000, 20  # messages, and how many at once
ANSWER_S = 1.0
GARBAGE = (b"", b"\x00", b"station/mode\x00", b"station/mode\x00\xff\xfe", b"\x93\x01\x02\x03", bytes(range(256)))
ASKS = (
    ("station", "station.park"),
    ("pointing", "pointing.stop"),
    ("safety", "safety.arm"),
    ("safety", "safety.confirm"),
)
UNLED = tuple(ask for ask in ASKS if ask[1] != "pointing.stop")  # what needs a lease
SERVICES = ("station", "safety", "tracking", "pointing")
REFUSED, TAKEN = "refused", "taken"  # of what is no message: nobody answers it with a code


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question, and which code is right; empty: it was obeyed."""

    asked: str
    code: str
    said: str
    right: str


@dataclass(frozen=True, slots=True)
class Visit:
    """`touched` is how many messages a guest sent or left lying, and were seen to have come."""

    touched: int
    answers: tuple[Answer, ...] = ()

    @property
    def told(self) -> list[str]:
        """What it was told, each once."""
        return list(dict.fromkeys(f"{answer.code or 'obeyed'}: {answer.said}" for answer in self.answers))

    @property
    def wrong(self) -> tuple[str, ...]:
        """Every answer that is not the right one, as a sentence."""
        counted = Counter(
            f"{answer.asked} was answered {answer.code or 'obeyed'} and not {answer.right} ({answer.said})"
            for answer in self.answers
            if answer.code != answer.right
        )
        return tuple(f"{sentence}, {times} times" for sentence, times in counted.items())


def answer(asked: str, reply: Reply, right: str) -> Answer:
    """The answer to a command."""
    return Answer(asked, reply.code, reply.message, right)


def visit(*answers: Answer) -> Visit:
    """Of a guest who waited for each answer."""
    return Visit(len(answers), answers)


def operator(clock: Clock, bus: LocalBus) -> Visit:
    """Wants the lease that somebody holds, and commands without one."""
    port = bus.port("second")
    wish = {"scope": "station", "ttl_s": 5.0, "reason": "me too", "preempt": False}
    wanted = answer("lease.acquire", port.call("station", "lease.acquire", wish, ANSWER_S, True), "NO_LEASE")
    asked = (answer(method, port.call(service, method, {}, ANSWER_S), "NO_LEASE") for service, method in UNLED)
    return visit(wanted, *asked)


def flood(clock: Clock, bus: LocalBus) -> Visit:
    """Commands as fast as a client can send them; each has its answer."""
    port = bus.port("flooder")
    sent = []
    for number in range(FLOOD):
        sent.append(port.send(SERVICES[number % len(SERVICES)], "station.park", {}, ANSWER_S))
        if number % BURST == BURST - 1:
            clock.sleep_until(clock.now_ns() + NS // 1000)
    clock.sleep_until(clock.now_ns() + round(ANSWER_S * NS))
    nothing = Reply("TIMEOUT_UNKNOWN", "nothing came")
    return visit(*(answer("station.park", port.result(number) or nothing, "NO_LEASE") for number in sent))


def deaf(clock: Clock, bus: LocalBus) -> Visit:
    """Keeps every topic, and reads none of them until messages are lost to it."""
    port, before = bus.port("deaf"), bus.gaps()
    for topic in TOPICS.values():
        if not topic.name.startswith("sim/"):
            port.drain(topic)
    for number in range(QUEUE_LENGTH + BURST):
        port.publish(SERVICE_HEARTBEAT, Heartbeat(clock.utc_ns(), number, 0))
        if number % BURST == BURST - 1:
            clock.sleep_until(clock.now_ns() + NS // 1000)
    return Visit(bus.gaps() - before)


def bad(clock: Clock, bus: LocalBus) -> Visit:
    """Methods that nobody has, commands that are late, bodies that fit nothing."""
    port = bus.port("bad")
    unknown = (
        answer(f"{service}: launch.missile", port.call(service, "launch.missile", {}, ANSWER_S), "NO_LEASE")
        for service in SERVICES
    )
    misfit = port.call("station", "lease.acquire", {"scope": 7}, ANSWER_S, True)
    nobody = port.call("nobody", "ping", {}, ANSWER_S)
    late = port.call("safety", "safety.disarmament", {"yes": [1, {"2": None}]}, 0.0)
    return visit(
        *unknown,
        answer("lease.acquire of 7", misfit, "SCHEMA"),
        answer("ping of nobody", nobody, "TRANSPORT"),
        answer("what is late", late, "TIMEOUT_UNKNOWN"),
    )


def garbage(clock: Clock, bus: LocalBus) -> Visit:
    """What is no message."""
    bus.port("garbage")
    told = []
    for data in GARBAGE:
        for deliver in (bus.telemetry, lambda data: bus.command(data, False), lambda data: bus.command(data, True)):
            try:
                deliver(data)
            except BusError as error:
                told.append(Answer(f"{len(data)} bytes", REFUSED, str(error), REFUSED))
            else:
                told.append(Answer(f"{len(data)} bytes", TAKEN, "as a message", REFUSED))
    return visit(*told)


def thief(clock: Clock, bus: LocalBus) -> Visit:
    """The key of somebody who may only listen, under its own name and under another's."""
    told = []
    for name in ("thief", "operator2"):
        bus.principals[name] = Principal("thief", "observer")
        port = bus.port(name)
        told += [
            answer(f"{method} by {name}", port.call(service, method, {}, ANSWER_S), "AUTH") for service, method in ASKS
        ]
    return visit(*told)


GUESTS: dict[str, Callable[[Clock, LocalBus], Visit]] = {
    guest.__name__: guest for guest in (operator, flood, deaf, bad, garbage, thief)
}
