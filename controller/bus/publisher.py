"""The telemetry socket of one service, and who is subscribed to it: newcomers are served, floods and strangers end."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Final

import zmq

from controller.bus.envelope import SEPARATOR
from controller.bus.gatekeeper import show_out
from controller.bus.security import USER_ID, Everybody
from controller.bus.topics import TOPICS
from controller.bus.transport import Transport
from controller.bus.watch import Received
from hal.clock import NS, Clock

BUFFER_BYTES: Final = 1 << 16
KEPT: Final = {"state": 1, "event": 64}  # messages of a topic that a new subscriber gets
LINGER_MS: Final = 200
WISHES_AT_ONCE: Final = 100  # subscriptions taken up in one turn; a client has one for each topic
WISHES_MAX_S: Final = 500  # of one connection in a second: libzmq keeps what nobody takes up, without a bound
WELCOME_NS: Final = NS // 200  # `publish` looks at them this often
SECOND: Final = NS


class Publisher:
    """XPUB of one service; whoever subscribes gets the last value of every state, and the latest events, at once.

    A connection that subscribes without pause is shown out, and so is that of a key that is listed no more. `refused`
    is called with the name of who flooded, or with its key.
    """

    def __init__(
        self,
        transport: Transport,
        endpoint: str,
        owner: str,
        clock: Clock,
        refused: Callable[[str], object] = lambda who: None,
    ) -> None:
        self.channel = transport.channel(zmq.XPUB)
        socket = self.channel.socket
        # Subscriptions take effect between two messages of ours, so that nobody joins in the middle of a replay.
        socket.setsockopt(zmq.XPUB_MANUAL, 1)
        socket.setsockopt(zmq.SNDBUF, BUFFER_BYTES)
        socket.setsockopt(zmq.RCVBUF, BUFFER_BYTES)
        self._security = transport.security
        self._rights = Everybody() if self._security is None else self._security.allowed
        self._epoch = self._rights.epoch
        self._now_ns = clock.now_ns
        self._refused = refused
        self._kept: dict[bytes, deque[bytes]] = {}
        self._guests: dict[int, str] = {}  # keys of the connections that have subscribed, by descriptor
        self._wishes: Counter[tuple[int, str]] = Counter()  # of this second, by connection
        self._second_ends_ns = self._welcome_due_ns = 0
        self.endpoint = transport.bind(socket, endpoint, owner)

    def publish(self, name: str, data: bytes) -> None:
        """Send a telemetry frame; a subscriber that does not keep up loses it and sees a gap."""
        if self.channel.stirred() and self._now_ns() >= self._welcome_due_ns:
            self.welcome()
        kind = TOPICS[name].kind
        if kind in KEPT:
            self._kept.setdefault(name.encode(), deque(maxlen=KEPT[kind])).append(data)
        self.channel.send(data)

    def welcome(self) -> None:
        """Replay what is kept to new subscribers; the others drop it as seen. The door must have been looked at."""
        now_ns = self._now_ns()
        self._welcome_due_ns = now_ns + WELCOME_NS
        if now_ns >= self._second_ends_ns:
            self._second_ends_ns = now_ns + SECOND
            self._wishes.clear()
        wanted = set()
        for _ in range(WISHES_AT_ONCE):
            if (received := self.channel.next()) is None:
                break
            wish = received.frame.bytes
            what, prefix = wish[:1], wish[1:]
            if not self._admitted(received):
                continue
            if what == b"\x00":
                self.channel.socket.setsockopt(zmq.UNSUBSCRIBE, prefix)
            elif what == b"\x01":
                self.channel.socket.setsockopt(zmq.SUBSCRIBE, prefix)
                wanted.add(prefix)
        if wanted:
            self._replay(tuple(wanted))

    def look(self) -> None:
        """Show out whose key is listed no more."""
        if self._rights.epoch is self._epoch or self._security is None:
            return
        self._epoch = self._rights.epoch
        for guest, key in list(self._guests.items()):
            if key not in self._security.allowed.principals:
                self._show_out(guest)

    def _replay(self, prefixes: tuple[bytes, ...]) -> None:
        for name, kept in self._kept.items():
            if (name + SEPARATOR).startswith(prefixes):
                for data in kept:
                    self.channel.send(data)

    def _admitted(self, received: Received) -> bool:
        """Whether a subscription counts: its sender is listed, and does not flood us."""
        try:
            guest, key = int(received.frame.get(zmq.SRCFD)), ""
        except zmq.ZMQError:
            return True  # libzmq's own words about a connection that has gone
        if self._security is not None:
            key = str(received.frame.get(USER_ID))
            if self._security.principal(received.frame) is None:
                self._show_out(guest)
                return False
        self._guests[guest] = key
        self._wishes[guest, key] += 1
        if self._wishes[guest, key] <= WISHES_MAX_S:
            return True
        if self._wishes[guest, key] == WISHES_MAX_S + 1:
            self._refused(self._name(key))
        self._show_out(guest)
        return False

    def _name(self, key: str) -> str:
        known = None if self._security is None else self._security.allowed.principals.get(key)
        return "this machine" if not key else key if known is None else known.name

    def _show_out(self, guest: int) -> None:
        self._guests.pop(guest, None)
        show_out(guest, self.endpoint)

    def close(self) -> None:
        """Close; what was published last still leaves."""
        self.channel.close(LINGER_MS)
