"""One service's view of the bus; sockets in real time and the ordered in-process queue in lockstep offer the same."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import msgspec

from controller.bus.envelope import Lease
from controller.bus.roles import Role
from controller.bus.topics import Body, Topic

B = TypeVar("B", bound=Body)


class Sample(msgspec.Struct, Generic[B], frozen=True, gc=False):
    """A received telemetry message. (A struct: some three hundred are made a second.)"""

    topic: str
    source: str  # service that sent it
    seq: int
    sent_utc_ns: int
    received_ns: int  # monotonic, this side's Clock
    simulated: bool
    body: B

    def age_s(self, now_ns: int) -> float:
        """Seconds since it was received."""
        return (now_ns - self.received_ns) * 1e-9


def overtaken(request: Request, stop: str) -> Reply:
    """The answer to a command that was sent before a stop and would be executed after it."""
    told = f"{request.method} was overtaken by {stop}, and is not executed"
    return Reply("INTERLOCK", told, "send it again if it is still wanted")


class Request(msgspec.Struct, frozen=True, gc=False):
    """A command that has passed the checks of envelope, key and lease, and awaits its answer."""

    id: bytes
    source: str  # whose key sent it; without keys, on loopback, who the sender says it is
    method: str
    body: dict[str, Any]
    control: bool  # came over the ctl channel: stop, safe, ping
    lease: Lease | None = None
    role: Role = "supervisor"  # of that key; without keys whoever is on this machine may do everything


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What became of a command; `code` is empty when it succeeded."""

    code: str
    message: str
    hint: str = ""
    body: dict[str, Any] | None = None


class Port(Protocol):
    """What a service may do on the bus. Not thread-safe: one owner."""

    service: str

    @property
    def stopped(self) -> bool:
        """True once the service should return from its loop."""
        ...

    def publish(self, topic: Topic, body: Body) -> None:
        """Send telemetry; never blocks."""
        ...

    def latest(self, topic: Topic, source: str = "") -> Sample[Any] | None:
        """The newest sample of a state topic, however old (`fresh` checks)."""
        ...

    def fresh(self, topic: Topic, source: str = "") -> Any | None:
        """The newest body of a state topic, or None when it is older than the topic's stale-after."""
        ...

    def drain(self, topic: Topic) -> list[Sample[Any]]:
        """All samples of an event topic since the previous call, in order."""
        ...

    def listen(self, topics: tuple[Topic, ...], until_ns: int) -> bool:
        """Block until a message of these topics comes (True), or until monotonic `until_ns` (False).

        What came since the previous call with the same topics counts, too.
        """
        ...

    def requests(self) -> list[Request]:
        """Commands that arrived since the previous call; control requests first."""
        ...

    def answer(self, request: Request, reply: Reply) -> None:
        """Finish a command."""
        ...

    def send(
        self,
        service: str,
        method: str,
        body: dict[str, Any],
        timeout_s: float,
        control: bool = False,
        lease: Lease | None = None,
    ) -> bytes:
        """Send a command and go on; `timeout_s` from now it is refused as late. Returns the id for `result`."""
        ...

    def result(self, request_id: bytes) -> Reply | None:
        """The answer to a command sent with `send`, once; None while there is none."""
        ...

    def call(
        self,
        service: str,
        method: str,
        body: dict[str, Any],
        timeout_s: float,
        control: bool = False,
        lease: Lease | None = None,
    ) -> Reply:
        """Send a command and wait, in the Clock's time, for its answer; code TIMEOUT_UNKNOWN when none comes."""
        ...
