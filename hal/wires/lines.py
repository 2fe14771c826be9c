"""Question and answer in lines of text, for devices that answer in order and one question at a time.

After a time-out or nonsense a reply may still be on its way. Before the next question the device is then asked for
something that no other answer looks like (`probe`, answered by a line that begins as the pattern `sign` says), so that
a late reply is never the answer to the next question.
"""

from __future__ import annotations

import re

from hal.clock import Clock, Deadline
from hal.errors import ProtocolError, WireTimeout
from hal.wires.stream import StreamWire

LONGEST_REPLY = 256
PROBES = 3
QUIET_S = 0.02


class Lines:
    """The questions of one driver; `end` closes a line either way, `told_end` an answer where that is another.

    `noise` are bytes that acknowledge a command and mean nothing.
    """

    def __init__(
        self, wire: StreamWire, clock: Clock, probe: bytes, sign: bytes, timeout_s: float, end: bytes = b"\n",
        told_end: bytes = b"", noise: bytes = b"",
    ) -> None:  # fmt: skip
        self.asked_ns = 0  # when the latest question went out
        self.told = b""  # the latest answer to the probe: usually the device's version
        self._wire = wire
        self._clock = clock
        self._probe, self._sign = probe, re.compile(sign)
        self._timeout_s = timeout_s
        self._end, self._told_end, self._noise = end, told_end or end, noise
        self._in_step = False

    def ask(self, command: bytes) -> bytes:
        """The line that answers, without its end. Raises WireTimeout, WireError."""
        self._say(command)
        reply = self._heard(self._timeout_s)
        self._in_step = True
        return reply

    def ask_bytes(self, command: bytes, n: int) -> bytes:
        """As `ask`, for an answer of `n` bytes without an end. Raises WireTimeout, WireError."""
        self._say(command)
        reply = self._wire.read(n, self._timeout_s)
        self._in_step = True
        return reply

    def more(self) -> bytes:
        """The next line of an answer that has several. Raises WireTimeout, WireError."""
        self._in_step = False
        reply = self._heard(self._timeout_s)
        self._in_step = True
        return reply

    def tell(self, command: bytes) -> None:
        """A command that is not answered."""
        self._wire.write(command + self._end)

    @property
    def in_step(self) -> bool:
        """The last question was answered."""
        return self._in_step

    def shout(self, *commands: bytes) -> None:
        """Say commands without waiting for answers that they have; the next question finds the step first."""
        self._in_step = False
        for command in commands:
            self.tell(command)

    def nonsense(self, wanted: str, got: bytes) -> ProtocolError:
        """The error for an answer that the protocol does not allow; the next question finds the step first."""
        self._in_step = False
        return ProtocolError(f"{self._wire.name}: sent {got!r} instead of {wanted}; check cable and baud rate.")

    def _say(self, command: bytes) -> None:
        if self._wire.drain().strip(self._noise) or not self._in_step:
            self._find_step()
        self._in_step = False  # until the whole reply is here
        self.asked_ns = self._clock.now_ns()
        self._wire.write(command + self._end)

    def _heard(self, timeout_s: float) -> bytes:
        line = self._wire.read_until(self._told_end, timeout_s, LONGEST_REPLY)
        return line.removesuffix(self._told_end).removesuffix(b"\r").lstrip(self._noise)

    def _find_step(self) -> None:
        for _ in range(PROBES):
            self._wire.write(self._end + self._probe + self._end)  # the first end completes half a command
            deadline = Deadline(self._clock, self._timeout_s)  # of all that comes before the sign, too
            try:
                while not self._sign.match(line := self._heard(deadline.remaining_s)):
                    pass
            except WireTimeout:
                continue
            self.told = line
            self._wire.drain(QUIET_S)
            return
        raise WireTimeout(
            f"{self._wire.name}: nothing answers {self._probe!r}; check that the device is on, its "
            "cable, its baud rate, and that the rig file names the right driver and port."
        )
