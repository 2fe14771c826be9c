"""A serial line on a pseudo-terminal: what pyserial and everybody else's client opens as a port.

A pty has no baud rate of its own; the line behind it keeps the pace in both directions.
"""

from __future__ import annotations

import errno
import os
import pty
import tty
from pathlib import Path
from typing import Protocol

from sim_hw.timeline import NS
from sim_hw.wires.line import SerialLine
from sim_hw.wires.reactor import Callback

READ_BYTES = 4096
CHUNK_NS = NS // 1000  # bytes of a fast line are handed over every millisecond, as a UART with a FIFO does


class ReaderReactor(Protocol):
    """What a pty needs of the event loop."""

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call back whenever `fd` can be read."""
        ...

    def remove_reader(self, fd: int) -> None:
        """Stop that."""
        ...


class PtyPort:
    """Serves `line` at `path`; with `link`, also at that stable name.

    Pulling the line's cable (`line.hang_up()`) hangs the port up for whoever has it open; `replug` brings up a new
    port, as USB does, at the same link.
    """

    def __init__(self, line: SerialLine, reactor: ReaderReactor, link: Path | None = None) -> None:
        self.path = ""
        self.overrun_bytes = 0
        self._line = line
        self._reactor = reactor
        self._link = link
        self._master = -1
        self._slave = -1
        self._pumping = False
        self._plug()

    @property
    def resource(self) -> str:
        """The resource of this port for a rig file."""
        return f"serial://{self._link or self.path}"

    def replug(self) -> None:
        """Put a pulled cable back."""
        if self._master < 0:
            self._line.plug_in()
            self._plug()

    def close(self) -> None:
        """Take the port away."""
        self._line.changed = lambda: None
        self._unplug()

    def _plug(self) -> None:
        # One slave descriptor stays open here: without it the master reads EIO until the first client comes.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.path)
        self._line.changed = self._changed
        self._reactor.add_reader(self._master, self._readable)

    def _unplug(self) -> None:
        if self._master < 0:
            return
        self._reactor.remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        if self._link is not None and self._link.is_symlink() and os.readlink(self._link) == self.path:
            self._link.unlink()

    def _readable(self) -> None:
        try:
            data = os.read(self._master, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return
        self._line.host_write(data)

    def _changed(self) -> None:
        if self._line.hung_up:
            self._unplug()
        elif not self._pumping:
            self._pumping = True
            self._pump()

    def _pump(self) -> None:
        """Hand over what has arrived, and come back when more has."""
        if self._master < 0:
            self._pumping = False
            return
        self._give(self._line.host_read(self._line.available()))
        next_ns = self._line.available_at(1)
        if next_ns is None:
            self._pumping = False
        else:
            timeline = self._line.timeline
            timeline.schedule(max(next_ns, self._chunk_end_ns()), self._pump)

    def _chunk_end_ns(self) -> int:
        """A millisecond from now, or when the last pending byte arrives, whichever is first."""
        last_ns = self._line.all_available_at()
        return min(self._line.timeline.now_ns + CHUNK_NS, last_ns if last_ns is not None else 0)

    def _give(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:  # nobody reads: a UART loses bytes then
                self.overrun_bytes += len(data)
                return
