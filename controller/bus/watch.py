"""Which of a process's sockets have something to read, at the price of one system call however many they are.

Measured (docs/benchmarks.md): to ask an empty socket for a message costs five microseconds, a sixth of a round trip,
and a loop of the station has five sockets. libzmq's descriptors tell it without asking, with one trap: they say that
something has happened, and any use of a socket may take that word away. So a socket that was used is asked itself.
"""

from __future__ import annotations

import math
import select
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import zmq

BATCH: Final = 1000  # messages taken at once, so that a flood cannot hold a cycle for ever

# As plain numbers: pyzmq's are enumerations, whose | and & cost as much as a small message.
NOBLOCK: Final = int(zmq.NOBLOCK)
NOBLOCK_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)
POLLIN: Final = int(zmq.POLLIN)

Socket = zmq.Socket[bytes]


class Received(msgspec.Struct, frozen=True, gc=False):
    """A message: who sent it (a ROUTER knows), its first frame, and how many frames it had."""

    peer: bytes
    frame: zmq.Frame
    frames: int


class Channel:
    """A socket that is watched. Whoever sends or receives goes through here; options are set on `socket`."""

    __slots__ = (
        "_addressed",
        "_alone",
        "_send",
        "_timeout_ms",
        "_watch",
        "descriptor",
        "recv",
        "rung",
        "socket",
        "used",
    )

    def __init__(self, socket: Socket, watch: Watch) -> None:
        self.socket = socket
        self.descriptor = int(socket.getsockopt(zmq.FD))
        self.used = True  # ask it: what happened before it was watched is not told again
        self.rung = False  # its descriptor says that something has happened
        self._addressed = socket.type == zmq.ROUTER
        self._alone = [(socket, POLLIN)]
        self._timeout_ms = -1
        self._watch = watch
        self.recv = socket.recv  # whoever receives by it sets `used`
        self._send = super(zmq.Socket, socket).send  # without the wrapper, for options of sockets that we have not

    def send(self, data: bytes, peer: bytes = b"") -> None:
        """Send one frame, on a ROUTER to `peer`; never waits. Raises zmq.ZMQError (EAGAIN, EHOSTUNREACH)."""
        self.used = True
        if self._addressed:
            self._send(peer, NOBLOCK_MORE)
        self._send(data, NOBLOCK)

    def back(self, peer: bytes) -> Callable[[bytes], None]:
        """What sends one frame to this peer of a ROUTER; whoever asked and has gone misses it."""
        send = self._send

        def answer(data: bytes) -> None:
            self.used = True
            try:
                send(peer, NOBLOCK_MORE)
                send(data, NOBLOCK)
            except zmq.ZMQError as error:
                if error.errno not in {zmq.EHOSTUNREACH, zmq.EAGAIN}:
                    raise  # a fault of ours

        return answer

    def receive(self) -> Iterator[Received]:
        """Messages that are there now, at most 1000; never waits."""
        for count in range(BATCH):
            if count > 1:  # where two have come there may be many: to find none once is cheaper than to ask each time
                self.used, self.rung = False, True
            if (received := self.next()) is None:
                return
            yield received

    def next(self) -> Received | None:
        """A message if one is there; its descriptor must have been looked at."""
        if self.used:
            self.used = False
            if not zmq.zmq_poll(self._alone, 0):
                self.rung = False
                return None
        elif not self.rung:
            return None
        self.rung = False
        recv = self.recv
        try:
            peer = recv(NOBLOCK) if self._addressed else b""
            frame = recv(NOBLOCK, False)
        except zmq.Again:
            return None  # what happened was no message
        self.used = True
        return self.whole(peer, frame)

    def whole(self, peer: bytes, frame: zmq.Frame) -> Received:
        """A message whose first frame has come; libzmq delivers all frames at once."""
        frames = 1
        more = frame.more
        while more:
            frames += 1
            more = self.recv(NOBLOCK, False).more
        return Received(peer, frame, frames)

    def stirred(self) -> bool:
        """Whether anything may have happened since the last message."""
        if not (self.used or self.rung):
            self._watch.look(0)
        return self.used or self.rung

    def ask(self, data: bytes, timeout_ms: int) -> bytes | None:
        """`send` and `wait` in one, of a DEALER. Raises zmq.Again when it cannot be sent."""
        self.used = True
        self._send(data, NOBLOCK)
        if timeout_ms != self._timeout_ms:
            return self.wait(timeout_ms)
        try:
            return self.recv()
        except zmq.Again:
            return None

    def wait(self, timeout_ms: int) -> bytes | None:
        """Block for the next frame of this channel alone, at most `timeout_ms`; not for a ROUTER."""
        if timeout_ms != self._timeout_ms:
            self._timeout_ms = timeout_ms
            self.socket.setsockopt(zmq.RCVTIMEO, timeout_ms)
        self.used = True
        try:
            return self.recv()
        except zmq.Again:
            return None

    def wait_readable(self, timeout_ms: int) -> None:
        """Block until this channel alone has a message, at most `timeout_ms`; takes none."""
        self.used = True
        zmq.zmq_poll(self._alone, timeout_ms)

    def pending(self) -> bool:
        """Whether it is worth trying to receive."""
        if self.used:
            self.rung = bool(zmq.zmq_poll(self._alone, 0))
            self.used = False
        return self.rung

    def close(self, linger_ms: int = 0) -> None:
        """Close; what was sent leaves within `linger_ms`."""
        self._watch.forget(self)
        self.socket.close(linger_ms)


class Watch:
    """The channels of one process, or of one owner in it."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._channels: dict[int, Channel] = {}
        self._asked: Channel | None = None
        self._polled: list[Any] = []

    def channel(self, socket: Socket) -> Channel:
        """Watch a socket from now on."""
        channel = Channel(socket, self)
        self._epoll.register(channel.descriptor, select.EPOLLIN)
        self._channels[channel.descriptor] = channel
        self._asked = None
        return channel

    def forget(self, channel: Channel) -> None:
        """Watch it no more; once is enough."""
        if self._channels.get(channel.descriptor) is channel:
            self._epoll.unregister(channel.descriptor)
            del self._channels[channel.descriptor]
            self._asked = None

    def fileno(self) -> int:
        """A descriptor that may be read when one of the channels should be looked at: for an event loop."""
        return self._epoll.fileno()

    def look(self, timeout_s: float) -> None:
        """Mark the channels on which something has happened; waits for it, at most `timeout_s`."""
        for number, _ in self._epoll.poll(timeout_s):
            self._channels[number].rung = True

    def wait(self, timeout_s: float) -> None:
        """Block until a channel should be looked at, at most `timeout_s`.

        In one call: the socket that was used is asked itself, of the others the descriptors are enough.
        """
        used = None
        for channel in self._channels.values():
            if channel.rung:
                return
            if channel.used:
                if used is not None and channel.pending():
                    return
                used = used or channel
        items = self._polled if used is self._asked is not None else self._items(used)
        for one, _ in zmq.zmq_poll(items, math.ceil(timeout_s * 1000)):
            if used is not None and one is used.socket:
                used.rung = True
            else:
                self._channels[one].rung = True
        if used is not None:
            used.used = False

    def _items(self, used: Channel | None) -> list[Any]:
        """What to poll when at most this channel was used: the socket itself, and the descriptors of the others."""
        self._asked = used
        self._polled = [
            (channel.socket if channel is used else channel.descriptor, POLLIN) for channel in self._channels.values()
        ]
        return self._polled

    def pending(self) -> bool:
        """Whether a channel should be looked at now, though its descriptor may be silent."""
        for channel in self._channels.values():  # noqa: SIM110  (a generator costs more than what it looks at)
            if (channel.used or channel.rung) and channel.pending():
                return True
        return False

    def close(self) -> None:
        """Close, once every channel is closed."""
        self._epoll.close()
