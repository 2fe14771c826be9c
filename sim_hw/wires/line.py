"""A serial line in simulated time: ten bits a byte in both directions, whoever carries the far end.

The host side is a pty or the in-memory port; the device side is a SerialDevice. A byte that the device has sent exists
at once, but it arrives only when its last bit has crossed the line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sim_hw.timeline import NS, Timeline
from sim_hw.wires.contract import SerialDevice

BITS_PER_BYTE = 10  # start, eight data, stop
UNPACED_BAUD = 10**13  # of a network: a thousand bytes in a nanosecond
HOST_BUFFER_BYTES = 1 << 20  # what a host that does not read may leave lying; later bytes are lost, as on a tty


@dataclass(slots=True)
class _Burst:
    """Bytes sent to the host back to back; byte i arrives i + 1 byte times after `start_ns`."""

    start_ns: int
    data: bytes
    taken: int = 0  # leading bytes that the host has read


class SerialLine:
    """One device on one line of `baud` bits a second."""

    def __init__(self, timeline: Timeline, device: SerialDevice, baud: int, *, connects: bool = False) -> None:
        self.timeline = timeline
        # It stands for a network: bytes arrive as they were sent, and what was on the way is lost with the connection.
        self._connects = connects
        self._connection = 0
        self.baud = baud
        self.hung_up = False
        self.taken = False  # a host has it open
        self.overrun_bytes = 0
        self.changed: Callable[[], None] = lambda: None  # a carrier in real time learns here of bytes and hang-ups
        self.spoil: Callable[[bytes], bytes] | None = None  # what becomes of a reply, at once (tests)
        self.fault: Callable[[bytes, Callable[[bytes], None]], None] | None = None  # or now and later (sim_hw.faults)
        self.deaf = False  # the device hears nothing
        self.heard: Callable[[], None] = lambda: None  # called with every write of the host
        self._device = device
        self._device_free_ns = 0  # when the line towards the device is idle again
        self._host_free_ns = 0
        self._bursts: deque[_Burst] = deque()
        self._pending = 0
        self._first = self  # of the connections to one device: what befalls it befalls all
        self.beside: SerialLine | None = None
        device.attach(self._send)

    def add(self, device: SerialDevice) -> None:
        """A further connection to the same unit: who opens the line while it is taken gets this one."""
        line = self
        while line.beside is not None:
            line = line.beside
        line.beside = SerialLine(self.timeline, device, self.baud, connects=self._connects)
        line.beside._first = self._first

    def free(self) -> SerialLine | None:
        """Of its connections the first that nobody has opened."""
        line: SerialLine | None = self
        while line is not None and line.taken:
            line = line.beside
        return line

    def leave(self) -> None:
        """The host closes its end."""
        self.taken = False
        if self._connects:
            self._connection += 1
            self._drop()

    def host_write(self, data: bytes) -> None:
        """Put bytes on the line; the device gets them when the last has arrived."""
        if self.hung_up or not data or (self._connects and not self.taken):
            return
        self._first.heard()
        end_ns = max(self.timeline.now_ns, self._device_free_ns) + self._duration_ns(len(data))
        self._device_free_ns = end_ns
        self.timeline.schedule(end_ns, lambda: self._deliver(data))

    def host_read(self, n: int) -> bytes:
        """Take at most `n` of the bytes that have arrived."""
        n = min(n, self.available())
        out = bytearray()
        while len(out) < n:
            burst = self._bursts[0]
            part = burst.data[burst.taken : burst.taken + n - len(out)]
            burst.taken += len(part)
            out += part
            if burst.taken == len(burst.data):
                self._bursts.popleft()
        self._pending -= len(out)
        return bytes(out)

    def available(self) -> int:
        """How many bytes have arrived and are unread."""
        now_ns = self.timeline.now_ns
        count = 0
        for burst in self._bursts:
            arrived = max(0, (now_ns - burst.start_ns) * self.baud // (BITS_PER_BYTE * NS))
            arrived = len(burst.data) if self._connects else arrived
            if arrived < len(burst.data):
                return count + max(0, arrived - burst.taken)
            count += len(burst.data) - burst.taken
        return count

    def available_at(self, n: int) -> int | None:
        """The time at which `n` unread bytes will have arrived, or None: the device has not sent so many."""
        if n > self._pending:
            return None
        missing = n
        for burst in self._bursts:
            unread = len(burst.data) - burst.taken
            if missing <= unread:
                return burst.start_ns + self._duration_ns(burst.taken + missing)
            missing -= unread
        return None

    def wait_ends_at(self, n: int) -> int | None:
        """As `available_at`, for a reader: a line that hung up keeps nobody waiting."""
        if self.hung_up:
            return self.timeline.now_ns
        return None if n > self._pending else self.available_at(n)

    def all_available_at(self) -> int | None:
        """The time at which the last byte sent so far will have arrived, or None: none is unread."""
        return self.available_at(self._pending) if self._pending else None

    def idle_at(self) -> int:
        """The time at which everything the host wrote has left the line."""
        return self._device_free_ns

    def hang_up(self) -> None:
        """The cable is pulled: what is on the line is lost, and so is what either side sends from now on."""
        self.hung_up = True
        self._drop()
        self.changed()
        if self.beside is not None:
            self.beside.hang_up()

    def plug_in(self) -> None:
        """The cable is back; the device has noticed nothing."""
        self.hung_up = False
        self.changed()
        if self.beside is not None:
            self.beside.plug_in()

    def _drop(self) -> None:
        self._bursts.clear()
        self._pending = 0

    def _send(self, data: bytes) -> None:
        if self._first.fault is not None:
            self._first.fault(data, partial(self._put_on, self._connection))
        else:
            self._put(data if self.spoil is None else self.spoil(data))

    def _put_on(self, connection: int, data: bytes) -> None:
        """What a fault has held back arrives, unless its connection is over."""
        if connection == self._connection:
            self._put(data)

    def _put(self, data: bytes) -> None:
        if self.hung_up or not data:
            return
        room = HOST_BUFFER_BYTES - self._pending
        self.overrun_bytes += max(0, len(data) - room)
        data = data[: max(0, room)]
        start_ns = max(self.timeline.now_ns, self._host_free_ns)
        self._host_free_ns = start_ns + self._duration_ns(len(data))
        self._bursts.append(_Burst(start_ns, bytes(data)))
        self._pending += len(data)
        self.changed()

    def _deliver(self, data: bytes) -> None:
        if not (self.hung_up or self._first.deaf):
            self._device.receive(data)

    def _duration_ns(self, n_bytes: int) -> int:
        """Time of `n_bytes` on the line, rounded up, so that a byte never arrives early."""
        if self._connects:
            return 0
        return -(-n_bytes * BITS_PER_BYTE * NS // self.baud)
