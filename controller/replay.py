"""A recording's telemetry on the bus again, in the station's place: at its addresses, at its pace, and marked.

Every message says `sim` and has the time base `sim`, whatever the recording was of: no vote counts it for a real laser.
It takes all addresses of the station, so that no station runs beside a replay. Commands are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from controller.bus.endpoints import DEFAULT_BASE_PORT, DEFAULT_HOST, Endpoints, registry_endpoint, static_table
from controller.bus.envelope import BusError, Ids, frame
from controller.bus.inbox import Inbox
from controller.bus.port import Reply
from controller.bus.publisher import Publisher
from controller.bus.registry import Announcement, RegistryServer, schema_hash
from controller.bus.security import Security
from controller.bus.sockets import Server
from controller.bus.store import Numbering
from controller.bus.topics import STATION_EVENT, TOPICS, Body, StationEvent, Topic
from controller.bus.transport import Transport
from controller.bus.writer import Writer
from controller.record import OnDamage, Recorded, RecordingError, ignore, read_run
from hal.clock import NS, Clock, ShiftedClock

TURN_NS = NS // 50  # new subscribers and commands wait this long
TELLER = "recorder"  # the service that says that this is a replay


@dataclass(slots=True)
class Replayed:
    """What was published."""

    messages: int = 0
    recorded_s: float = 0.0  # from the first message to the last, as recorded
    skipped: Counter[str] = field(default_factory=Counter)  # by reason


class Voice:
    """One service of the recorded station: speaks for it, and refuses what it is told to do."""

    def __init__(self, transport: Transport, service: str, at: Endpoints, clock: Clock, what: str) -> None:
        self._what = what
        self._writer = Writer(service, clock, Ids(), simulated=True)
        self._numbers = Numbering(service)
        self._inbox = Inbox(self._writer)
        self._publisher = Publisher(transport, at.tlm, service, clock)
        try:
            self._server = Server(transport, at, self._writer, self._inbox)
        except Exception:
            self._publisher.close()
            raise
        self.announcement = Announcement(service, at.cmd, at.ctl, at.tlm, self._writer.boot, schema_hash())

    def say(self, topic: Topic, body: Body) -> None:
        """Publish."""
        envelope = self._writer.telemetry(topic, body, self._numbers.next(topic, body))
        self._publisher.publish(topic.name, frame(envelope))

    def turn(self) -> None:
        """Give new subscribers the last values; refuse commands. The door must have been looked at."""
        self._publisher.look()
        self._publisher.welcome()
        self._server.poll()
        for request in self._inbox.take():
            self._inbox.finish(request, Reply("TRANSPORT", f"{request.method} was not executed: {self._what}"))

    def close(self) -> None:
        """Close; the last messages still leave."""
        self._server.close()
        self._publisher.close()


class Replay:
    """Publishes a recording; use it in a `with` block.

    Args:
        first: the recording; files that follow it are included.
        clock: the machine's clock.
        host: loopback address of the bus.
        base_port: its first port.
        security: the station's keys, where its bus has them.
        damaged: told what of the recording cannot be read, when its turn comes.

    Raises:
        BusError: a station, or another replay, uses these ports. RecordingError: there is nothing to replay.
    """

    def __init__(
        self,
        first: Path,
        clock: Clock,
        host: str = DEFAULT_HOST,
        base_port: int = DEFAULT_BASE_PORT,
        security: Security | None = None,
        damaged: OnDamage = ignore,
    ) -> None:
        messages = read_run(first, damaged)
        start = next(messages, None)
        if start is None:
            raise RecordingError(f"{first} holds no messages: there is nothing to replay")
        self._messages = chain((start,), messages)
        self._start_utc_ns = start.log_time_ns
        # Another epoch, hence never `realtime`: whatever is sent says so.
        self._clock = ShiftedClock(start.log_time_ns - clock.now_ns())
        self._what = f"this is a replay of {first.name}"
        self._voices: dict[str, Voice] = {}
        self._turn_due_ns = 0
        self._registry = RegistryServer(registry_endpoint(host, base_port), self._clock, security)
        self._transport = Transport(security)
        try:
            for service, at in static_table(host, base_port, keys=security is not None).items():
                self._voices[service] = Voice(self._transport, service, at, self._clock, self._what)
            self._transport.open()
        except Exception:
            self._registry.close()
            self._transport.abandon()
            raise

    def run(self, speed: float = 1.0, stop_wanted: Callable[[], bool] = lambda: False) -> Replayed:
        """Publish everything, `speed` times as fast as it was recorded; returns at the end or when told to stop."""
        self._voices[TELLER].say(
            STATION_EVENT, StationEvent("info", "REPLAY", f"{self._what}, {speed:g} times as fast")
        )
        done = Replayed()
        began_ns = self._clock.now_ns()
        for message in self._messages:
            after_ns = message.log_time_ns - self._start_utc_ns
            if not self._wait_until(began_ns + round(after_ns / speed), stop_wanted):
                break
            done.recorded_s = max(done.recorded_s, after_ns / NS)
            if reason := self._say(message):
                done.skipped[reason] += 1
            else:
                done.messages += 1
        return done

    def close(self) -> None:
        """Leave the bus."""
        for voice in self._voices.values():
            voice.close()
        self._registry.close()
        self._transport.close()

    def _wait_until(self, due_ns: int, stop_wanted: Callable[[], bool]) -> bool:
        """Serve the bus until the message is due; False when told to stop."""
        while not stop_wanted():
            now_ns = self._clock.now_ns()
            if now_ns >= self._turn_due_ns:
                self._turn_due_ns = now_ns + TURN_NS
                self._turn()
            if now_ns >= due_ns:
                return True
            self._clock.sleep_until(min(due_ns, self._turn_due_ns))
        return False

    def _turn(self) -> None:
        self._registry.turn()
        self._transport.door.look(0)
        for voice in self._voices.values():
            self._registry.registry.announce(voice.announcement)
            voice.turn()

    def _say(self, message: Recorded) -> str:
        """Publish one message; returns why not, when it cannot be."""
        voice, topic = self._voices.get(message.source), TOPICS.get(message.topic)
        if voice is None:
            return f"no service {message.source} in the bus table"
        if topic is None:
            return f"no topic {message.topic} in this version"
        try:
            voice.say(topic, msgspec.convert(_numbers(message.body, _may_be_none(topic.body)), topic.body))
        except msgspec.ValidationError:
            return f"{message.topic} has other fields in this version"
        except BusError as error:  # truth of somebody who is no bench
            return str(error)
        return ""

    def __enter__(self) -> Replay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _may_be_none(body: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(field.name for field in msgspec.structs.fields(body) if field.default is None)


def _numbers(value: Any, nothing: frozenset[str] = frozenset()) -> Any:
    """A body of a recording as it was on the bus: `null` stood for a number that is not finite, save in `nothing`."""
    if isinstance(value, dict):
        return {name: None if item is None and name in nothing else _numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return float("nan") if value is None else value
