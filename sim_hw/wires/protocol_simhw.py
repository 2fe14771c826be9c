"""pyserial's handler of `simhw://NAME`: a Serial whose every wait is simulated time.

pyserial finds this module by its name. Reads, time-outs and errors mean what they mean on a Linux tty.
"""

from __future__ import annotations

import errno
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from serial.serialutil import PortNotOpenError, SerialBase, SerialException

from sim_hw.timeline import NS
from sim_hw.wires import memory_serial
from sim_hw.wires.contract import Waiter
from sim_hw.wires.line import SerialLine


class Serial(SerialBase):
    """One open end of a registered line."""

    _line: SerialLine
    _waiter: Waiter

    def open(self) -> None:
        """Open the line named in the URL. Raises SerialException with the errno that a tty would give."""
        name = urlsplit(self.portstr or "").netloc
        found = memory_serial.lookup(name)
        if found is None:
            raise SerialException(errno.ENOENT, f"no emulated line is named {name!r}")
        first, waiter = found
        line = first.free()
        if line is None:  # exclusive, as a port of hal's
            raise SerialException(errno.EBUSY, f"the emulated line {name!r} is open already")
        if line.hung_up:
            raise SerialException(errno.ENXIO, f"nothing is plugged into the emulated line {name!r}")
        self._line, self._waiter = line, waiter
        line.taken = True
        self.is_open = True
        self.reset_input_buffer()

    def close(self) -> None:
        """Close; a line may be opened again."""
        if self.is_open:
            self._line.leave()
            self.is_open = False

    def read(self, size: int = 1, /) -> bytes:
        """At most `size` bytes: what has arrived when the time-out (simulated) ends or `size` are there."""
        self._check_open()
        if self.timeout != 0 and self._line.available() < size:
            self._waiter.wait(partial(self._line.wait_ends_at, size), self._deadline_ns())
        data = self._line.host_read(size)
        if not data and self._line.hung_up:
            raise SerialException("read failed: the line hung up")
        return data

    def write(self, b: Any, /) -> int:
        """Queue bytes as a tty does; returns at once."""
        self._check_open()
        if self._line.hung_up:
            raise SerialException(f"write failed: [Errno {errno.EIO}] the line hung up")
        data = bytes(b)
        self._line.host_write(data)
        return len(data)

    def flush(self) -> None:
        """Wait until every byte has left the line."""
        self._check_open()
        self._waiter.wait(self._line.idle_at, None)

    @property
    def in_waiting(self) -> int:
        """Bytes that have arrived. A hung-up line gives EIO, as a tty does."""
        self._check_open()
        if self._line.hung_up:
            raise OSError(errno.EIO, "the line hung up")
        return self._line.available()

    def reset_input_buffer(self) -> None:
        """Drop what has arrived."""
        self._check_open()
        self._line.host_read(self._line.available())

    def reset_output_buffer(self) -> None:
        """Bytes that were handed to the line cannot be taken back."""
        self._check_open()

    def _reconfigure_port(self) -> None:
        """Time-outs are read when used, and the line's rate is the emulator's."""

    def _check_open(self) -> None:
        if not self.is_open:
            raise PortNotOpenError

    def _deadline_ns(self) -> int | None:
        return None if self.timeout is None else self._waiter.now_ns() + round(self.timeout * NS)
