"""Guests of the bus who mean no good, in lockstep; each returns what it was told."""

from __future__ import annotations

from collections.abc import Callable

from controller.bus.envelope import BusError
from controller.bus.local import LocalBus
from controller.bus.roles import Principal
from controller.bus.topics import TOPICS
from hal.clock import NS, Clock

FLOOD, BURST = 2000, 20  # messages, and how many at once
GARBAGE = (b"", b"\x00", b"station/mode\x00", b"station/mode\x00\xff\xfe", b"\x93\x01\x02\x03", bytes(range(256)))
ASKS = (
    ("station", "station.park"),
    ("pointing", "pointing.stop"),
    ("safety", "safety.arm"),
    ("safety", "safety.confirm"),
)


def operator(clock: Clock, bus: LocalBus) -> list[str]:
    """Wants the lease that somebody holds, and commands without one."""
    port = bus.port("second")
    wish = {"scope": "station", "ttl_s": 5.0, "reason": "me too", "preempt": False}
    replies = [port.call("station", "lease.acquire", wish, 1.0, True)]
    replies += [port.call(service, method, {}, 1.0) for service, method in ASKS if method != "pointing.stop"]
    return [f"{reply.code}: {reply.message}" if reply.code else f"obeyed: {reply.message}" for reply in replies]


def flood(clock: Clock, bus: LocalBus) -> list[str]:
    """Commands as fast as a client can send them."""
    port = bus.port("flooder")
    for number in range(FLOOD):
        port.send(("station", "safety", "tracking", "pointing")[number % 4], "station.park", {}, 1.0)
        if number % BURST == BURST - 1:
            clock.sleep_until(clock.now_ns() + NS // 1000)
    return []


def deaf(clock: Clock, bus: LocalBus) -> list[str]:
    """Keeps every topic, and reads none of them."""
    port = bus.port("deaf")
    for topic in TOPICS.values():
        if not topic.name.startswith("sim/"):
            port.drain(topic)
    return []


def bad(clock: Clock, bus: LocalBus) -> list[str]:
    """Methods that nobody has, commands that are late, bodies that fit nothing."""
    port = bus.port("bad")
    replies = [
        port.call(service, "launch.missile", {}, 1.0) for service in ("station", "safety", "tracking", "pointing")
    ]
    replies += [port.call("station", "lease.acquire", {"scope": 7}, 1.0, True), port.call("nobody", "ping", {}, 1.0)]
    replies += [port.call("safety", "safety.disarmament", {"yes": [1, {"2": None}]}, 0.0)]
    return [f"{reply.code}: {reply.message}" if reply.code else f"obeyed: {reply.message}" for reply in replies]


def garbage(clock: Clock, bus: LocalBus) -> list[str]:
    """What is no message."""
    bus.port("garbage")
    told = []
    for data in GARBAGE:
        for deliver in (bus.telemetry, lambda data: bus.command(data, False), lambda data: bus.command(data, True)):
            try:
                deliver(data)
            except BusError as error:
                told.append(f"refused: {error}")
            else:
                told.append("taken")
    return told


def thief(clock: Clock, bus: LocalBus) -> list[str]:
    """The key of somebody who may only listen, under its own name and under another's."""
    told = []
    for name in ("thief", "operator2"):
        bus.principals[name] = Principal("thief", "observer")
        port = bus.port(name)
        replies = [port.call(service, method, {}, 1.0) for service, method in ASKS]
        told += [f"{reply.code}: {reply.message}" if reply.code else f"obeyed: {reply.message}" for reply in replies]
    return told


GUESTS: dict[str, Callable[[Clock, LocalBus], list[str]]] = {
    guest.__name__: guest for guest in (operator, flood, deaf, bad, garbage, thief)
}
