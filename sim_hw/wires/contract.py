"""What an emulator offers to the wire that carries it, and what a wire in lockstep needs of the executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

Condition = Callable[[Mapping[str, float] | None], None]
"""A fault of an emulator itself (sim_hw.faults): called with settings to begin, with None to end."""


class SerialDevice(Protocol):
    """An emulator on a byte stream: serial line or raw socket."""

    def attach(self, send: Callable[[bytes], None]) -> None:
        """Remember how to send bytes to the host; the line paces them."""
        ...

    def receive(self, data: bytes) -> None:
        """Take bytes; called at the simulated time at which the last of them has arrived."""
        ...


class UsbStall(Exception):  # noqa: N818 (what the USB specification calls it)
    """The endpoint stalls: the device refuses this transfer."""


class UsbDevice(Protocol):
    """An emulator on USB; transport-free, so USB/IP server and in-process backend carry the same object."""

    device_descriptor: bytes  # 18 bytes
    configuration_descriptor: bytes  # with interfaces and endpoints
    strings: dict[int, str]
    changed: Callable[[], None]  # set by the wire; the device calls it when a pending IN transfer may have data

    def control(self, request_type: int, request: int, value: int, index: int, data: bytes, length: int) -> bytes:
        """Class and vendor requests (the wire answers the standard ones); IN returns the data. May raise UsbStall."""
        ...

    def bulk_out(self, endpoint: int, data: bytes) -> None:
        """Take one OUT transfer. May raise UsbStall."""
        ...

    def bulk_in(self, endpoint: int, length: int) -> bytes | None:
        """One IN transfer of at most `length` bytes, or None: nothing yet (NAK). May raise UsbStall."""
        ...


class Waiter(Protocol):
    """The lockstep executor, as an in-memory wire sees it (duck-typed: sim_hw imports nothing of controller)."""

    def now_ns(self) -> int:
        """Simulated time."""
        ...

    def wait(self, ready: Callable[[], int | None], deadline_ns: int | None) -> bool:
        """Block the calling service in simulated time.

        `ready` is asked after every event of the bench; it returns None (not yet) or the simulated time at which
        the wait may end (a byte that is on the wire arrives in the future). Returns True when it ended so, and
        False when `deadline_ns` came first.
        """
        ...
